// Files: what is served to whom, under which headers, which ranges and conditions (docs/wire/services-files.md §3, §4).

import assert from "node:assert/strict";
import { request } from "node:http";
import { after, before, test } from "node:test";
import { startPair } from "../harness/parity.mjs";
import { dimensions, pictures } from "../harness/pictures.mjs";

let pair;
/** Stored names on both servers by record and field: `names["docs r1 f"] = [["a_x.txt"], ["a_y.txt"]]`. */
const names = {};
const ID = (name) => name.padEnd(15, "0");

/** The headers that belong to the file; all others have tests of their own. */
const NAMED = ["content-type", "content-disposition", "content-security-policy", "cache-control", "accept-ranges", "content-length",
    "content-range", "x-frame-options", "x-content-type-options", "etag", "content-encoding", "location"];

function get(url, { method = "GET", headers = {} } = {}) {
    return new Promise((resolve, reject) => {
        const { hostname, port } = new URL(url);
        // The path as it is: nobody tidies it up.
        const path = url.slice(url.indexOf("/", 7));
        const sent = request({ hostname, port, path, method, headers, agent: false, timeout: 10_000 }, (answer) => {
            const chunks = [];
            answer.on("data", (chunk) => chunks.push(chunk));
            answer.on("end", () => resolve({ status: answer.statusCode, headers: answer.headers, body: Buffer.concat(chunks) }));
            answer.on("error", reject);
        });
        sent.on("timeout", () => sent.destroy(new Error(`no answer to ${method} ${url} ${JSON.stringify(headers)}`)));
        sent.on("error", reject);
        sent.end();
    });
}

/** Creates the record on both servers and remembers the stored names. */
async function upload(collection, record, form, as = "root") {
    const answers = [];
    for (const [index, server] of pair.servers.entries()) {
        const body = new FormData();
        body.append("id", ID(record));
        for (const [field, content, name] of form) body.append(field, name === undefined ? content : new Blob([content]), ...(name === undefined ? [] : [`file ${name}`]));
        const answer = await fetch(`${server.url}/api/collections/${collection}/records`, { method: "POST", headers: { authorization: pair.tokens[as][index] }, body });
        answers.push(await answer.json());
        assert.equal(answer.status, 200, JSON.stringify(answers));
    }
    for (const field of new Set(form.map(([field]) => field))) {
        names[`${collection} ${record} ${field}`] = answers.map((answer) => [answer[field]].flat());
    }
}

/**
 * Asks both for a path in which `{docs r1 f 0}` stands for a stored name and `{token:ann}` for a file token, with header
 * values in which `{modified}` stands for the file's date; remembers a difference.
 */
async function same(path, { method = "GET", headers = {} } = {}) {
    pair.steps += 1;
    const answers = await Promise.all(pair.servers.map(async (server, index) => {
        const url = server.url + path
            .replace(/\{(\w+ \w+ \w+) (\d+)\}/g, (_, key, at) => names[key][index][at])
            .replace(/\{token:(\w+)\}/g, (_, who) => fileTokens[who]?.[index] ?? pair.tokens[who][index]);
        const sent = { ...headers };
        for (const [name, value] of Object.entries(sent)) {
            if (value.includes("{modified}")) sent[name] = value.replace("{modified}", (await get(url, { method: "HEAD" })).headers["last-modified"]);
            if (value.startsWith("{auth:")) sent[name] = pair.tokens[value.slice(6, -1)][index];
        }
        return get(url, { method, headers: sent });
    }));
    const [ours, theirs] = answers.map(fold);
    if (path.includes("thumb=")) {
        // Encoders differ; what they were asked for does not.
        for (const [folded, answer] of [[ours, answers[0]], [theirs, answers[1]]]) {
            if (folded.told?.["content-type"]?.startsWith("image/")) {
                folded.text = dimensions(answer.body);
                delete folded.told["content-length"];
            }
        }
    }
    if (JSON.stringify(ours) !== JSON.stringify(theirs)) {
        pair.differences.push({ request: `${method} ${path} ${JSON.stringify(headers)}`, ours, theirs });
    }
    return answers[0];
}

/** Folds what may differ: random parts of names and boundaries, texts for people. */
function fold({ status, headers, body }) {
    const random = (text) => text.replace(/_[a-z0-9]{10}(?=[".])/g, "_R");
    const boundary = /boundary=(\w+)/.exec(headers["content-type"] ?? "")?.[1];
    const told = {};
    for (const name of NAMED) if (headers[name] !== undefined) told[name] = random(headers[name]).replace(boundary, "B");
    told.dated = headers["last-modified"] !== undefined && Math.abs(Date.parse(headers["last-modified"]) - Date.now()) < 86_400_000;
    let text = boundary ? body.toString("latin1").replaceAll(boundary, "B") : body.toString("latin1");
    if (status === 307) return { status, location: headers.location };
    if (status >= 400) {
        text = text.startsWith("{") ? JSON.stringify({ ...JSON.parse(text), message: "" }) : text && "<text>";
        delete told["content-length"];
    }
    return { status, told, text };
}

const fileTokens = {};
const password = { password: "12345678", passwordConfirm: "12345678" };

before(async () => {
    pair = await startPair();
    const make = (body) => pair.step("POST /api/collections", { as: "root", body });
    await make({ id: "docs", name: "docs", type: "base", fields: [
        { name: "f", type: "file", maxSelect: 20 }, { name: "one", type: "file", thumbs: ["50x50"] }, { name: "title", type: "text" },
    ] });
    const guarded = (name, viewRule) => make({ id: name, name, type: "base", viewRule, fields: [
        { name: "f", type: "file", protected: true }, { name: "open", type: "file" }, { name: "owner", type: "relation", collectionId: "_pb_users_auth_" },
    ] });
    await guarded("everybody", "");
    await guarded("nobody", null);
    await guarded("members", "@request.auth.id != ''");
    await guarded("owners", "owner = @request.auth.id");
    await guarded("context", "@request.context = 'protectedFile' && @request.query.key = 'sesame'");
    await guarded("related", "owner.name = 'ann' && @request.auth.id = ''");
    for (const name of ["ann", "bob"]) {
        await pair.step("POST /api/collections/users/records", { as: "root", body: { id: ID(name), email: `${name}@example.com`, name, ...password } });
        await pair.login(name, "users", `${name}@example.com`, "12345678");
    }
    for (const who of ["ann", "bob", "root"]) {
        fileTokens[who] = await Promise.all(pair.servers.map(async (server, index) => {
            const answer = await fetch(`${server.url}/api/files/token`, { method: "POST", headers: { authorization: pair.tokens[who][index] } });
            return (await answer.json()).token;
        }));
    }
    await upload("docs", "r1", [["f", "hello world, this is a text", "a.txt"], ["f", "", "zero.txt"], ["one", "x", "one.bin"]]);
    for (const name of ["everybody", "nobody", "members", "owners", "context", "related"]) {
        await upload(name, "r1", [["f", "secret", "s.txt"], ["open", "known", "o.txt"], ["owner", ID("ann")]]);
    }
});
after(() => pair?.stop());

test("what exists and what does not", async () => {
    await same("/api/files/docs/r10000000000000/{docs r1 f 0}");
    await same("/api/files/DOCS/r10000000000000/{docs r1 f 0}");
    await same("/api/files/docs/r10000000000000/{docs r1 f 1}");
    await same("/api/files/docs/r10000000000000/{docs r1 one 0}");
    await same("/api/files/docs/r10000000000000/{docs r1 f 0}", { method: "HEAD" });
    await same("/api/files/docs/r10000000000000/{docs r1 f 0}", { headers: { authorization: "nonsense" } });
    for (const path of [
        "nope/r10000000000000/{docs r1 f 0}", "docs/r20000000000000/{docs r1 f 0}", "docs/r10000000000000/nope.txt", "docs/r10000000000000/{docs r1 f 0}.attrs", "docs/r10000000000000/{docs r1 f 0}x", "docs/r10000000000000/{docs r1 f 0}/", "docs/r10000000000000/", "docs/r10000000000000", "docs//x", "users/ann000000000000/{docs r1 f 0}",
        "docs/r10000000000000/..%2F..%2Fdata.db", "docs/r10000000000000/%2e%2e", "docs/r10000000000000/%00", "docs/r10000000000000/{docs r1 f 0}%00", "docs/..%2Fdocs/{docs r1 f 0}", "docs/r10000000000000/..%5C..%5Cdata.db", "docs/r10000000000000/%2Fetc%2Fpasswd", `docs/r10000000000000/${"x".repeat(300)}`, "docs/r10000000000000/a%E2%80%AEtxt.exe", "docs/r10000000000000/%ff", "docs/r10000000000000/%F0%9F%98%80",
        "docs/r10000000000000/../../../data.db", "docs/r10000000000000/thumbs_{docs r1 one 0}", "docs/r10000000000000/50x50_{docs r1 one 0}", "docs/%72%31%30000000000000/{docs r1 f 0}", "docs/r10000000000000/%7B%7D", ".spool/x/y", "_superusers/x/y",
    ]) await same(`/api/files/${path}`);
    for (const method of ["POST", "PUT", "DELETE", "PATCH"]) await same("/api/files/docs/r10000000000000/{docs r1 f 0}", { method });
    pair.verify();
});

test("types, disposition and the word download", async () => {
    const png = Buffer.from("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==", "base64");
    const files = [
        ["<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>", "a.svg"], ["<html><script>alert(1)</script></html>", "b.html"], ["body{}", "c.css"], ["let a", "d.js"], ["let a", "e.mjs"], ["PK", "f.docx"], ["{\"a\":1}", "g.json"], ["%PDF-1.4\n%x", "h.pdf"], [png, "i.png"], [png, "j.txt"], [png, "k.svg"], ["plain", "l.png"], ["let a", "m.JS"], ["GIF89a\u0001\u0000\u0001\u0000\u0000\u0000\u0000;", "n.gif"], ["a,b\n1,2\n", "o.csv"], ["\u0000\u0001\u0002", "p"],
    ];
    await upload("docs", "types", files.map(([content, name]) => ["f", content, name]));
    for (const at of files.keys()) {
        await same(`/api/files/docs/types0000000000/{docs types f ${at}}`);
        await same(`/api/files/docs/types0000000000/{docs types f ${at}}?download=1`);
    }
    for (const word of ["1", "t", "T", "true", "TRUE", "True", "yes", "0", "", "tRUE", "false", "on", "2", "1&download=0", "0&download=1", "%31", "true%20"]) {
        await same(`/api/files/docs/types0000000000/{docs types f 8}?download=${word}`);
    }
    await same("/api/files/docs/types0000000000/{docs types f 8}", { headers: { "accept-encoding": "gzip, br" } });
    pair.verify();
});

test("thumbnails", async () => {
    const thumbs = ["50x50", "30x20t", "30x20b", "30x20f", "0x40", "70x0", "300x300f", "400x400", "1x1", "99x1", "3x0f", "0x3t"];
    await pair.step("POST /api/collections", { as: "root", body: { name: "shots", type: "base", fields: [{ name: "f", type: "file", thumbs, maxSelect: 20 }] } });
    const svg = "<svg xmlns='http://www.w3.org/2000/svg' width='9' height='9'></svg>";
    const files = [...Object.entries(pictures), ["text.png", "no picture"], ["broken.png", pictures["plain.png"].subarray(0, 60)], ["a.svg", svg], ["plain.txt", pictures["plain.png"]]];
    await upload("shots", "r1", files.map(([name, content]) => ["f", content, name]));
    for (const at of files.keys()) {
        for (const size of [...thumbs, "100x100", "100x100f", "51x51", "50X50", "0x0", "nonsense", "", "50x50&thumb=70x0", "../x", "%00"]) {
            await same(`/api/files/shots/r10000000000000/{shots r1 f ${at}}?thumb=${size}`);
        }
    }
    const first = "/api/files/shots/r10000000000000/{shots r1 f 0}?thumb=50x50";
    await same(first, { method: "HEAD" });
    await same(`${first}&download=1`);
    await same(first, { headers: { "if-modified-since": "{modified}" } });
    await same(first.replace("0}?", "0}.attrs?"));
    pair.verify();
});

test("ranges", async () => {
    const file = "/api/files/docs/r10000000000000/{docs r1 f 0}", empty = "/api/files/docs/r10000000000000/{docs r1 f 1}";
    for (const range of [
        "bytes=0-4", "bytes=5-", "bytes=-5", "bytes=-500", "bytes=26-26", "bytes=20-500", "bytes=27-", "bytes=27-28", "bytes=100-", "bytes=0-0,2-2", "bytes=4-5,0-1", "bytes=0-1,100-200", "bytes=100-,200-", "bytes=0-26,0-0", "bytes=0-13,14-26", "bytes=1-2, ,4-5", "bytes= 1 - 2", "bytes=", "bytes=,", "bytes", "x", "lines=0-1", "bytes=5-2", "bytes=a-b", "bytes=0-1,a", "bytes=--1", "bytes=-",
        "BYTES=0-1", "bytes=0-9223372036854775807", "bytes=0-9223372036854775808", "bytes=9999999999999999999-",
    ]) {
        for (const method of ["GET", "HEAD"]) await same(file, { method, headers: { range } });
        if (range !== "bytes=-5" && range !== "bytes=-500") await same(empty, { headers: { range } }); // the reference tells of a range "0--1/0"
    }
    pair.verify();
});

test("conditions", async () => {
    const file = "/api/files/docs/r10000000000000/{docs r1 f 0}";
    const old = "Mon, 02 Jan 2006 15:04:05 GMT", late = "Mon, 02 Jan 2096 15:04:05 GMT";
    for (const headers of [
        { "if-modified-since": "{modified}" }, { "if-modified-since": old }, { "if-modified-since": late }, { "if-modified-since": "x" }, { "if-unmodified-since": "{modified}" }, { "if-unmodified-since": old }, { "if-unmodified-since": late }, { "if-unmodified-since": "x" }, { "if-match": "*" }, { "if-match": "\"x\"" }, { "if-none-match": "*" }, { "if-none-match": "\"x\"" },
        { "if-none-match": "\"x\"", "if-modified-since": "{modified}" }, { "if-match": "*", "if-unmodified-since": old }, { "if-none-match": "*", range: "bytes=0-1" }, { "if-modified-since": "{modified}", range: "bytes=100-" }, { "if-unmodified-since": old, range: "bytes=0-1" },
        { "if-range": "{modified}", range: "bytes=0-1" }, { "if-range": old, range: "bytes=0-1" }, { "if-range": late, range: "bytes=0-1" }, { "if-range": "\"x\"", range: "bytes=0-1" }, { "if-range": "x", range: "bytes=0-1" }, { "if-range": "\"x\"", range: "bytes=100-" },
    ]) for (const method of ["GET", "HEAD"]) await same(file, { method, headers });
    pair.verify();
});

test("protected files", async () => {
    for (const name of ["everybody", "nobody", "members", "owners", "context", "related"]) {
        for (const query of ["", "?token=", "?token=nonsense", "?token={token:ann}", "?token={token:bob}", "?token={token:root}", "?key=sesame", "?token={token:ann}&key=sesame", "?token={token:ann}x"]) {
            await same(`/api/files/${name}/r10000000000000/{${name} r1 f 0}${query}`);
            await same(`/api/files/${name}/r10000000000000/{${name} r1 open 0}${query}`);
        }
        for (const headers of [{ authorization: "{auth:ann}" }, { authorization: "{auth:root}" }]) {
            await same(`/api/files/${name}/r10000000000000/{${name} r1 f 0}`, { headers });
            await same(`/api/files/${name}/r10000000000000/{${name} r1 f 0}?token={token:bob}`, { headers });
        }
    }
    // An auth token is no file token.
    const auth = pair.tokens.ann;
    fileTokens.wrong = auth;
    await same("/api/files/members/r10000000000000/{members r1 f 0}?token={token:wrong}");
    // A rule that does not compile any more hides the file.
    for (const as of ["guest", "ann", "root"]) await pair.step("POST /api/files/token", { as });
    pair.verify();
});

test("views lead to the record that has the file", async () => {
    const view = (name, viewQuery, rules = {}) => pair.step("POST /api/collections", { as: "root", body: { name, type: "view", viewQuery, viewRule: null, ...rules } });
    await view("v1", "select id, f, one as renamed from docs");
    await view("v2", "select id, f as again, renamed from v1");
    await view("v3", "select (row_number() over()) as id, f, one from docs order by id");
    await view("v4", "select id, f, one as one from v2view", {}); // refused
    await view("v5", "select v2.id, v2.again as deep, v2.renamed as one from v2");
    await view("v6", "select id, f, open from members", { viewRule: "@request.auth.name = 'ann'" });
    await view("v7", "select id, (f || '') as f, json_extract(f, '$[0]') as g from docs");
    await view("v8", "select d.id, d.f as files, d.one, u.name from docs d left join users u on u.id = d.title");
    for (const [name, field] of [["v1", "f"], ["v2", "f"], ["v5", "f"], ["v7", "f"], ["v8", "f"], ["v1", "one"], ["v2", "one"], ["v5", "one"], ["v8", "one"]]) {
        await same(`/api/files/${name}/r10000000000000/{docs r1 ${field} 0}`);
        await same(`/api/files/${name}/types0000000000/{docs types f 3}`);
    }
    for (const id of ["1", "2", "3"]) {
        await same(`/api/files/v3/${id}/{docs r1 f 0}`);
        await same(`/api/files/v3/${id}/{docs types f 3}`);
        await same(`/api/files/v3/${id}/{docs r1 one 0}`);
    }
    for (const query of ["", "?token={token:ann}", "?token={token:bob}", "?token={token:root}"]) {
        await same(`/api/files/v6/r10000000000000/{members r1 f 0}${query}`);
        await same(`/api/files/v6/r10000000000000/{members r1 open 0}${query}`);
    }
    pair.verify();
});

test("a removed file is gone", async () => {
    await upload("docs", "gone", [["f", "one", "a.txt"], ["f", "two", "b.txt"]]);
    for (const [index, server] of pair.servers.entries()) {
        const answer = await fetch(`${server.url}/api/collections/docs/records/${ID("gone")}`, {
            method: "PATCH", headers: { authorization: pair.tokens.root[index], "content-type": "application/json" },
            body: JSON.stringify({ "f-": names["docs gone f"][index][0] }),
        });
        assert.equal(answer.status, 200);
    }
    await same(`/api/files/docs/${ID("gone")}/{docs gone f 0}`);
    await same(`/api/files/docs/${ID("gone")}/{docs gone f 1}`);
    await pair.step(`DELETE /api/collections/docs/records/${ID("gone")}`, { as: "root" });
    await same(`/api/files/docs/${ID("gone")}/{docs gone f 1}`);
    pair.verify();
});
