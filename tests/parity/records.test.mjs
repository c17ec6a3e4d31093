// Bodies, normalisation, validation, modifiers, expand, fields, cascades: both servers answer the same.

import { after, before, test } from "node:test";
import { startPair } from "../harness/parity.mjs";

let pair;
let serial = 0;
const nextId = (prefix = "rec") => `${prefix}${String(++serial).padStart(15 - prefix.length, "0")}`;

const make = (body) => pair.step("POST /api/collections", { as: "root", body });

before(async () => {
    pair = await startPair();
    await make({
        id: "targets", name: "targets", type: "base", listRule: "", viewRule: "", createRule: "", updateRule: "", deleteRule: "",
        fields: [{ name: "name", type: "text" }, { name: "hid", type: "text", hidden: true }],
    });
    for (const name of ["t1", "t2", "t3"]) {
        await pair.step("POST /api/collections/targets/records", { as: "root", body: { id: name.padEnd(15, "0"), name, hid: "h" } });
    }
    await pair.step("POST /api/collections/users/records", {
        as: "root", body: { id: "uann00000000000", email: "ann@example.com", password: "12345678", passwordConfirm: "12345678", name: "ann" },
    });
    await pair.step("POST /api/collections/users/records", {
        as: "root", body: { id: "ubob00000000000", email: "bob@example.com", password: "12345678", passwordConfirm: "12345678", name: "bob" },
    });
    await pair.login("ann", "users", "ann@example.com", "12345678");
    pair.verify();
});

after(() => pair?.stop());

const T = (n) => `t${n}`.padEnd(15, "0");

const odd = [
    null, true, false, 0, 1, -1, 1.5, 1e21, 1e-7, 123456789012345680000, "", " ", "a", "5", "1.5", "1e3", " 1 ", "0x10", "abc", "true", "TRUE", "t", "yes", "on", "Infinity", "NaN", "null", "-0", -0,
    [], ["a"], ["a", "b"], ["b", "a", "b", ""], [1, 2], ["a", null, "c"], {}, { a: 1 }, { b: { c: [1, null] }, a: "x" }, "[\"a\",\"b\"]", "[1]", "[", "{\"x\":1}", "\"q\"", "2024-05-01", "2024-05-01 10:00:00",
    "2024-05-01T10:00:00Z", "2024-05-01 10:00:00.123456Z", "2024-05-01T10:00:00+02:00", "2024-05-01 10:00:00 +0200", "2024-05-01T10:00", "01/02/2024", "Mon, 02 Jan 2006 15:04:05 MST", "02 Jan 2006", "3:04PM",
    "2024-02-30", "2024-05-01 25:00:00", "Mon Jan  2 15:04:05 2006", "Monday, 02-Jan-06 15:04:05 MST", "Mon, 02 Jan 2006 15:04:05 -0700", 1714557600, { lon: 8.5, lat: 47 }, { lon: "8.5" }, { lon: 200, lat: 0 }, { lat: 91 }, "{\"lon\":1,\"lat\":2}",
    "ä😀", "<b>&amp;</b>", "line\nbreak\ttab", "a@b.co", "a@b", "a..b@x.co", "ü@x.co", "A@X.CO", "a@localhost", "\"q r\"@x.co", " a@b.co", "a@[1.2.3.4]", "http://a", "example.com", "127.0.0.1", "localhost:80", "http://[::1]:80/",
    "http://u:p@h.com/x", "x.y/z?q=1#f", "localhost", "a.b", "//x.y", "git://x.y", "HTTP://A.COM", "http://", "http://-a.com", " http://a.b", "javascript:alert(1)", T(1), [T(1), T(2)], [T(1), "missing00000000"],
];

const kinds = [
    { type: "text" }, { type: "text", min: 2, max: 4, pattern: "^[a-z]+$" }, { type: "text", required: true }, { type: "editor" }, { type: "editor", maxSize: 5 }, { type: "number" },
    { type: "number", min: -1, max: 10, onlyInt: true }, { type: "number", required: true }, { type: "bool" }, { type: "bool", required: true }, { type: "email" }, { type: "email", onlyDomains: ["b.co"] },
    { type: "email", exceptDomains: ["b.co"] }, { type: "url" }, { type: "url", onlyDomains: ["example.com"] }, { type: "date" }, { type: "date", min: "2024-01-01 00:00:00.000Z", max: "2024-12-31 00:00:00.000Z" },
    { type: "date", required: true }, { type: "autodate", onUpdate: true, onCreate: false }, { type: "select", values: ["a", "b", "c"] }, { type: "select", values: ["a", "b", "c", "true", "5"], maxSelect: 2 },
    { type: "select", values: ["a"], required: true }, { type: "relation", collectionId: "targets" }, { type: "relation", collectionId: "targets", maxSelect: 2, minSelect: 2 }, { type: "relation", collectionId: "targets", required: true },
    { type: "json" }, { type: "json", maxSize: 6 }, { type: "json", required: true }, { type: "geoPoint" }, { type: "geoPoint", required: true }, { type: "file" }, { type: "password" }, { type: "password", min: 3, max: 5, pattern: "^[a-z]+$" },
];

test("every field type takes every odd value alike", async () => {
    for (const [index, options] of kinds.entries()) {
        const name = `kind${index}`;
        await make({ id: name, name, type: "base", listRule: "", viewRule: "", fields: [{ name: "f", ...options }] });
        for (const value of odd) {
            const id = nextId();
            await pair.step(`POST /api/collections/${name}/records`, { as: "root", body: { id, f: value } });
            await pair.step(`GET /api/collections/${name}/records/${id}`);
        }
        await pair.step(`GET /api/collections/${name}/records?perPage=200&sort=${options.type === "password" ? "" : "f,"}id`);
        await pair.step(`GET /api/collections/${name}/records?perPage=200&filter=f=null`);
    }
    pair.verify();
});

test("form bodies are inferred alike", async () => {
    await make({
        id: "forms", name: "forms", type: "base", listRule: "", viewRule: "",
        fields: [
            { name: "t", type: "text" }, { name: "n", type: "number" }, { name: "b", type: "bool" }, { name: "j", type: "json" },
            { name: "s", type: "select", values: ["a", "b", "1"], maxSelect: 3 }, { name: "f", type: "file", maxSelect: 3 }, { name: "one", type: "file" },
        ],
    });
    for (const text of ["", "x", "true", "false", "TRUE", "1", "-1", "1.5", "1.50", "007", "1e3", "-", ".", "--1", "1.2.3", "null", "[1,2]", "{\"a\":1}", " 1", "12345678901234567890", "\"x\""]) {
        const id = nextId();
        await pair.step("POST /api/collections/forms/records", { as: "root", form: [["id", id], ["t", text], ["n", text], ["b", text], ["j", text], ["s", text]] });
        pair.known.add(id);
        await pair.step(`GET /api/collections/forms/records/${id}`);
    }
    const post = (form) => pair.step("POST /api/collections/forms/records", { as: "root", form });
    await post([["s", "a"], ["s", "b"]]);
    await post([["@jsonPayload", '{"t":"from payload","n":5}'], ["t", "plain"]]);
    await post([["@jsonPayload", '{"t":"1"}'], ["@jsonPayload", '{"t":"2","j":[1]}']]);
    await post([["@jsonPayload", "{bad"]]);
    await post([["@jsonPayload", "[1]"]]);
    await post([["unknown", "x"], ["t", "y"]]);
    await post([["one", "text", "a.txt"]]);
    await post([["one", "text", "a.txt"], ["one", "text", "b.txt"]]);
    await post([["f", "1", "a.txt"], ["f", "2", "b.txt"], ["f", "3", "c.txt"], ["f", "4", "d.txt"]]);
    await post([["nofield", "1", "a.txt"]]);
    await post([["t", "1", "a.txt"]]);
    await post([["f", "made_up.txt"]]);
    await pair.step("POST /api/collections/forms/records", { as: "root", raw: "t=a+b%20c&n=5&s=a&s=b&b=true", headers: { "content-type": "application/x-www-form-urlencoded" } });
    await pair.step("POST /api/collections/forms/records", { as: "root", raw: "t=x", headers: { "content-type": "text/plain" } });
    await pair.step("POST /api/collections/forms/records", { as: "root", raw: "", headers: { "content-type": "text/plain" } });
    for (const raw of ["", "{}", "null", "[]", "1", "\"x\"", "{", "{\"t\":\"a\",\"t\":\"b\"}", "{\"t\":\"a\"} trailing", "{\"T\":\"a\"}", "{\"t\":{\"a\":1,\"a\":2}}", "\u0000", "{\"t\":\"\\ud800\"}", "{\"n\":1e999}"]) {
        await pair.step("POST /api/collections/forms/records", { as: "root", raw });
    }
    pair.verify();
});

test("modifiers", async () => {
    await make({
        id: "mods", name: "mods", type: "base", listRule: "", viewRule: "",
        fields: [
            { name: "n", type: "number" }, { name: "s", type: "select", values: ["a", "b", "c"], maxSelect: 3 }, { name: "o", type: "select", values: ["x", "y"] },
            { name: "r", type: "relation", collectionId: "targets", maxSelect: 3 }, { name: "ro", type: "relation", collectionId: "targets" }, { name: "t", type: "text", autogeneratePattern: "abc" },
            { name: "p", type: "text" }, { name: "j", type: "json" }, { name: "b", type: "bool" },
        ],
    });
    const id = nextId();
    await pair.step("POST /api/collections/mods/records", { as: "root", body: { id, n: 5, s: ["a"], o: "x", r: [T(1)], ro: T(1) } });
    for (const body of [
        {}, { "n+": 2 }, { "n-": 1.5 }, { n: 1, "n+": 5 }, { "n+": "x" }, { "n+": "3" }, { "+n": 1 }, { "s+": ["c", "a"] }, { "+s": ["b"] }, { "s-": ["a", "zz"] }, { "s-": "b" }, { s: [], "s+": "a" }, { "s+": "zz" },
        { "o+": "y" }, { "+o": "x" }, { "o-": "x" }, { "o-": "y" }, { "+o": "x" }, { "r+": T(2) }, { "+r": [T(3)] }, { "r-": [T(1), T(2)] }, { "r+": "missing00000000" }, { "ro+": T(2) }, { "+ro": T(3) }, { "ro-": T(2) },
        { "t:autogenerate": "pre" }, { "p:autogenerate": "pre" }, { "t:autogenerate": "" }, { "j+": 1 }, { "b+": true }, { "p+": "x" }, { id }, { id: "another00000000" }, { id: "" }, { id: null }, { created: "x", expand: {}, collectionId: "x" },
    ]) await pair.step(`PATCH /api/collections/mods/records/${id}`, { as: "root", body });
    await pair.step("POST /api/collections/mods/records", { as: "root", body: { "n+": 3, "s+": "a", "+r": T(1) } });
    pair.verify();
});

test("record ids", async () => {
    await make({ id: "anyid", name: "anyid", type: "base", fields: [{ name: "id", type: "text", primaryKey: true, required: true, system: true, min: 1, max: 40, pattern: "^.+$", autogeneratePattern: "[a-z]{5}" }] });
    await make({ id: "noauto", name: "noauto", type: "base", fields: [{ name: "id", type: "text", primaryKey: true, required: true, system: true, min: 2, max: 5, pattern: "^[a-z]+$", autogeneratePattern: "" }] });
    for (const id of [undefined, null, "", "a", "A", "abc", "a.b", "a/b", "a b", "CON", "com1", "a'b", "x".repeat(41), 5, true, "ä", "a%", "nul"]) {
        await pair.step("POST /api/collections/anyid/records?fields=collectionName", { as: "root", body: { id } });
        await pair.step("POST /api/collections/noauto/records", { as: "root", body: { id } });
    }
    for (const id of ["short", "UPPERCASE123456", "valid0000000001", "valid0000000001", "toolong000000000"]) await pair.step("POST /api/collections/targets/records", { body: { id } });
    pair.verify();
});

test("expand and fields", async () => {
    await make({
        id: "posts", name: "posts", type: "base", listRule: "", viewRule: "",
        fields: [
            { name: "title", type: "text" }, { name: "html", type: "editor" }, { name: "one", type: "relation", collectionId: "targets" }, { name: "many", type: "relation", collectionId: "targets", maxSelect: 5 },
            { name: "user", type: "relation", collectionId: "_pb_users_auth_" }, { name: "hidrel", type: "relation", collectionId: "targets", hidden: true }, { name: "meta", type: "json" },
        ],
    });
    await make({
        id: "notes", name: "notes", type: "base", listRule: null, viewRule: "text != 'private'",
        fields: [{ name: "text", type: "text" }, { name: "post", type: "relation", collectionId: "posts" }, { name: "posts", type: "relation", collectionId: "posts", maxSelect: 3 }, { name: "only", type: "relation", collectionId: "posts" }],
        indexes: ["CREATE UNIQUE INDEX idx_notes_only ON notes (only) WHERE only != ''"],
    });
    await make({ id: "sealed", name: "sealed", type: "base", fields: [{ name: "post", type: "relation", collectionId: "posts" }] });
    const post = (id, body) => pair.step("POST /api/collections/posts/records", { as: "root", body: { id, ...body } });
    await post("p10000000000000", { title: "one", html: "<h1>Hello</h1> <p>brave &amp; new<br>world</p><script>x</script>", one: T(1), many: [T(3), T(1)], user: "uann00000000000", hidrel: T(2), meta: { a: { b: [{ c: 1, d: 2 }, { c: 3 }] }, x: 1 } });
    await post("p20000000000000", { title: "two", one: T(2), many: [], user: "ubob00000000000" });
    const note = (id, body) => pair.step("POST /api/collections/notes/records", { as: "root", body: { id, ...body } });
    await note("n10000000000000", { text: "open", post: "p10000000000000", posts: ["p10000000000000", "p20000000000000"], only: "p10000000000000" });
    await note("n20000000000000", { text: "private", post: "p10000000000000", posts: ["p10000000000000"] });
    await note("n30000000000000", { text: "also", post: "p10000000000000" });
    await pair.step("POST /api/collections/sealed/records", { as: "root", body: { id: "s10000000000000", post: "p10000000000000" } });
    for (const as of ["guest", "ann", "root"]) {
        for (const expand of [
            "one", "many", "one,many", " one , many ", "user", "nope", "one,nope", "hidrel", "notes_via_post", "notes_via_posts", "notes_via_only", "notes(post)", "sealed_via_post", "notes_via_post.post.one", "notes_via_post,notes_via_post.post",
            "one.nope", "title", "one,one", ".one.", "one..x", "notes_via_post.sealed_via_post", "NOTES_via_post", "notes_via_nope", "notes_via_post.post.notes_via_post.post.notes_via_post.post.notes_via_post.post", "ONE", "user.nope", ",", "one,sealed_via_post.post",
        ]) {
            await pair.step(`GET /api/collections/posts/records/p10000000000000?expand=${encodeURIComponent(expand)}`, { as });
            await pair.step(`GET /api/collections/posts/records?sort=title&expand=${encodeURIComponent(expand)}`, { as });
        }
        for (const fields of [
            "title", "id,title", "*", "*,html:excerpt(7,true)", "html:excerpt(7)", "html:excerpt(200)", "html:excerpt(5,false)", "title:excerpt(2,true)", "nope", "title,nope", "meta.a", "meta.a.b.c", "meta.*", "meta.a.b.0", "expand.one.name", "expand.many.name,title",
            "expand", "expand.*", "expand.one,expand.one.name", "*:excerpt(3)", "title:nope(1)", "title:excerpt", "title:excerpt()", "title:excerpt(0)", "title:excerpt(-1)", "title:excerpt(x)", "title:excerpt(1,2,3)", "title:excerpt(1", "title:", " title , id ", ",title,,", "collectionName", "Title", "meta.x,meta.a.b.d", "html:excerpt(3,true),title:excerpt(1)",
        ]) {
            await pair.step(`GET /api/collections/posts/records/p10000000000000?expand=one,many&fields=${encodeURIComponent(fields)}`, { as });
            await pair.step(`GET /api/collections/posts/records?sort=title&expand=one,many&fields=${encodeURIComponent(fields)}`, { as });
        }
    }
    await pair.step("POST /api/collections/targets/records?fields=name,hid", { body: { name: "new", hid: "x" } });
    await pair.step(`PATCH /api/collections/targets/records/${T(1)}?fields=name`, { body: { name: "renamed" } });
    pair.verify();
});

test("cascades", async () => {
    await make({ id: "parents", name: "parents", type: "base", fields: [{ name: "name", type: "text" }, { name: "self", type: "relation", collectionId: "parents", cascadeDelete: true }] });
    const child = (name, options) => make({ id: name, name, type: "base", fields: [{ name: "p", type: "relation", collectionId: "parents", ...options }] });
    await child("cascading", { cascadeDelete: true });
    await child("nulling", {});
    await child("refusing", { required: true });
    await child("multi", { maxSelect: 3, cascadeDelete: true });
    await child("multireq", { maxSelect: 3, required: true });
    await make({ id: "grand", name: "grand", type: "base", fields: [{ name: "c", type: "relation", collectionId: "cascading", cascadeDelete: true }] });
    const add = (collection, body) => pair.step(`POST /api/collections/${collection}/records`, { as: "root", body });
    const P = (n) => `p${n}`.padEnd(15, "0");
    for (const n of [1, 2, 3, 4, 5]) await add("parents", { id: P(n), name: `p${n}`, self: n > 1 ? P(n === 5 ? 4 : 1) : "" });
    await add("cascading", { id: "c10000000000000", p: P(3) });
    await add("grand", { id: "g10000000000000", c: "c10000000000000" });
    await add("nulling", { id: "n10000000000000", p: P(3) });
    await add("refusing", { id: "r10000000000000", p: P(2) });
    await add("multi", { id: "m10000000000000", p: [P(3), P(2)] });
    await add("multi", { id: "m20000000000000", p: [P(3)] });
    await add("multireq", { id: "q10000000000000", p: [P(3), P(2)] });
    const look = async () => {
        for (const name of ["parents", "cascading", "nulling", "refusing", "multi", "multireq", "grand"]) await pair.step(`GET /api/collections/${name}/records?sort=id`, { as: "root" });
    };
    await pair.step(`DELETE /api/collections/parents/records/${P(2)}`, { as: "root" });
    await look();
    await pair.step(`DELETE /api/collections/parents/records/${P(3)}`, { as: "root" });
    await look();
    await pair.step(`DELETE /api/collections/parents/records/${P(1)}`, { as: "root" });
    await look();
    await pair.step(`DELETE /api/collections/parents/records/${P(4)}`, { as: "root" });
    await look();
    await pair.step("DELETE /api/collections/multireq/truncate", { as: "root" });
    await pair.step("DELETE /api/collections/parents/truncate", { as: "root" });
    await look();
    pair.verify();
});

test("unique indexes", async () => {
    await make({
        id: "uniq", name: "uniq", type: "base", fields: [{ name: "a", type: "text" }, { name: "b", type: "text" }, { name: "c", type: "number" }],
        indexes: ["CREATE UNIQUE INDEX idx_uniq_ab ON uniq (a, b)", "CREATE UNIQUE INDEX idx_uniq_c ON uniq (c) WHERE c != 0"],
    });
    for (const body of [{ a: "x", b: "y" }, { a: "x", b: "y" }, { a: "x", b: "z", c: 1 }, { a: "q", c: 1 }, { a: "X", b: "k", c: 1 }, { a: "X", b: "k" }, { id: "uniq00000000001", a: "m" }, { id: "uniq00000000001", a: "mm" }]) {
        await pair.step("POST /api/collections/uniq/records", { as: "root", body });
    }
    pair.verify();
});

test("routes of missing things", async () => {
    for (const as of ["guest", "ann", "root"]) {
        for (const line of [
            "GET /api/collections/nope/records", "GET /api/collections/nope/records/x", "POST /api/collections/nope/records", "PATCH /api/collections/nope/records/x", "DELETE /api/collections/nope/records/x",
            "GET /api/collections/targets/records/nope", "PATCH /api/collections/targets/records/nope", "DELETE /api/collections/targets/records/nope", "PUT /api/collections/targets/records/nope", "POST /api/collections/targets/records/nope",
            "GET /api/collections/TARGETS/records", "GET /api/collections/_superusers/records", "GET /api/collections/_otps/records", "GET /api/collections/_otps/records/x", "POST /api/collections/_otps/records", "DELETE /api/collections/_otps/records/x",
            "GET /api/collections/_externalAuths/records", "DELETE /api/collections/_externalAuths/records/x", "GET /api/nope", "POST /api/nope", "PUT /api/health", "GET /api/health/", "GET /api/collections/targets/records/", "GET /api", "GET /api/",
            "GET /api/collections", "GET /api/collections/targets", "DELETE /api/collections/nope", "GET /api/collections/nope", "PATCH /api/collections/nope", "GET /api/settings", "PATCH /api/settings",
        ]) await pair.step(line, { as, body: /^(POST|PATCH|PUT)/.test(line) ? {} : undefined });
    }
    pair.verify();
});
