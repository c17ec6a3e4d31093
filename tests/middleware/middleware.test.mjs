// What every request passes, where Conch goes further than the wire or time matters (docs/wire/services.md §2, §3.1). What
// the reference does as well is compared in tests/parity/middleware.test.mjs.

import assert from "node:assert/strict";
import { mkdirSync, readFileSync, renameSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { ask } from "../harness/raw.mjs";
import { admin, client, remove, startConch, startConchOn, temporaryDirectory } from "../harness/server.mjs";

const place = temporaryDirectory();
const root = join(place, "public");
let conch, pb;
before(async () => {
    mkdirSync(root);
    writeFileSync(join(root, "index.html"), "<h1>app</h1>");
    writeFileSync(join(root, "big.bin"), Buffer.alloc(3_000_000, "0123456789"));
    conch = await startConch({ args: ["--public-dir", root] });
    pb = admin(conch);
});
after(async () => {
    await conch?.stop();
    remove(place);
});

const limits = (rules, more = {}) => pb.settings.update({
    rateLimits: { enabled: true, excludedIPs: [], rules: rules.map(([label, maxRequests, duration, audience = ""]) => ({ label, maxRequests, duration, audience })), ...more },
});
const unlimited = () => pb.settings.update({ rateLimits: { enabled: false }, trustedProxy: { headers: [] } });
const status = async (path, init) => (await ask(conch, path, init)).status;
const from = (address) => ({ headers: { "x-from": address } });
const steer = (body) => fetch(`${conch.url}/api/test/clock`, { method: "POST", headers: { authorization: conch.token, "content-type": "application/json" }, body: JSON.stringify(body) })
    .then((answer) => assert.ok(answer.ok, `the clock: ${answer.status}`));

test("a window begins with its first request, lasts its seconds and ends whatever comes after", async () => {
    await steer({ freeze: true });
    await limits([["/api/health", 2, 10]]);
    const seen = [];
    for (const [seconds, expected] of [[0, 200], [6, 200], [0, 429], [3, 429], [1, 200], [5, 200], [0, 429], [5, 200]]) {
        if (seconds) await steer({ advance: `${seconds}s` });
        seen.push([await status("/api/health"), expected]);
    }
    assert.deepEqual(seen.map(([found]) => found), seen.map(([, expected]) => expected));
    await steer({ freeze: false });
    await unlimited();
});

test("what is one too many is told as the wire has it, and the SDK sees it", async () => {
    await limits([["*:list", 1, 60, "@guest"]]);
    const guest = client(conch);
    await pb.collections.create({ name: "seen", type: "base", listRule: "" });
    await guest.collection("seen").getList();
    const failure = await guest.collection("seen").getList().then(() => assert.fail("was not limited"), (error) => error);
    assert.deepEqual([failure.status, failure.response.data, failure.response.status], [429, {}, 429]);
    const answer = await ask(conch, "/api/collections/seen/records", { headers: { origin: "http://a.example" } });
    for (const [name, value] of [["access-control-allow-origin", "*"], ["x-content-type-options", "nosniff"], ["retry-after", undefined]]) {
        assert.equal(answer.headers[name], value, name);
    }
    await pb.collection("seen").getList();
    await unlimited();
});

test("clients are told apart behind a proxy, an IPv6 network is one client, and excluded ones are free", async () => {
    await pb.settings.update({ trustedProxy: { headers: ["X-From"] } });
    await limits([["/api/health", 1, 600]], { excludedIPs: ["10.9.0.0/16", "2001:db8:9::/48"] });
    for (const [address, expected] of [
        ["1.1.1.1", 200], ["1.1.1.1", 429], ["1.1.1.2", 200], ["::ffff:1.1.1.2", 429], ["2001:db8::1", 200], ["2001:db8::2", 429], ["2001:db8:0:1::1", 200],
        ["10.9.1.1", 200], ["10.9.1.1", 200], ["2001:db8:9::1", 200], ["2001:db8:9::1", 200],
    ]) assert.equal(await status("/api/health", from(address)), expected, address);
    await unlimited();
});

test("a crowd of addresses is neither remembered for ever nor a way around a limit", async () => {
    // Twenty thousand rows of the log are not what this is about.
    await pb.settings.update({ trustedProxy: { headers: ["X-From"] }, logs: { minLevel: 8 } });
    await limits([["/api/health", 1, 600]]);
    const memory = () => Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${conch.pid}/status`, "utf8"))[1]);
    const socket = connect(new URL(conch.url).port, "127.0.0.1");
    // One connection that asks again and again: what counts is the address, not the connection.
    const done = new Promise((resolve, reject) => {
        socket.on("error", reject);
        socket.on("close", resolve);
    });
    let said = "", answers = 0;
    socket.on("data", (piece) => {
        said += piece.toString("latin1");
        const whole = said.lastIndexOf("HTTP/1.1 ");
        answers += said.slice(0, whole).split("HTTP/1.1 200").length - 1;
        said = said.slice(whole);
    });
    const before = memory();
    for (let n = 0; n < 20_000; n++) {
        const request = `GET /api/health HTTP/1.1\r\nHost: x\r\nX-From: 20.${n >> 16}.${(n >> 8) & 255}.${n & 255}\r\n${n === 19_999 ? "Connection: close\r\n" : ""}\r\n`;
        if (!socket.write(request)) await new Promise((resolve) => socket.once("drain", resolve));
    }
    await done;
    assert.equal(answers + said.split("HTTP/1.1 200").length - 1, 20_000);
    assert.ok(memory() - before < 60_000, `${memory() - before} KiB more`);
    assert.equal(await status("/api/health", from("20.0.0.0")), 429);
    const ran = await fetch(`${conch.url}/api/crons/__pbRateLimitersCleanup__`, { method: "POST", headers: { authorization: conch.token } });
    assert.equal(ran.status, 204);
    await fetch(`${conch.url}/api/test/run-due`, { method: "POST", headers: { authorization: conch.token } });
    assert.equal(await status("/api/health", from("20.0.0.0")), 429, "what has not ended stays");
    await pb.settings.update({ logs: { minLevel: 0 } });
    await unlimited();
});

test("requests at the same time are counted one by one", async () => {
    await limits([["/api/health", 50, 600]]);
    const seen = await Promise.all(Array.from({ length: 200 }, () => status("/api/health")));
    assert.equal(seen.filter((found) => found === 200).length, 50);
    await unlimited();
});

test("the limits of a collection go along with its name", async () => {
    await pb.collections.create({ name: "before", type: "base", listRule: "" });
    await limits([["before:list", 1, 600], ["/api/", 1000, 1]]);
    await pb.collections.update("before", { name: "after" });
    const { rateLimits } = await pb.settings.getAll();
    assert.deepEqual(rateLimits.rules.map(({ label }) => label), ["after:list", "/api/"]);
    const seen = [];
    for (const _ of [1, 2]) seen.push(await status("/api/collections/after/records"));
    assert.deepEqual(seen, [200, 429]);
    await unlimited();
});

test("ranges of large static files, and a folder that is switched while it is served", async () => {
    const part = await ask(conch, "/big.bin", { headers: { range: "bytes=1000005-1000014" } });
    assert.deepEqual([part.status, part.text, part.headers["content-range"]], [206, "5678901234", "bytes 1000005-1000014/3000000"]);
    const whole = await ask(conch, "/big.bin");
    assert.ok(whole.bytes.equals(readFileSync(join(root, "big.bin"))));
    mkdirSync(join(place, "next"));
    writeFileSync(join(place, "next", "index.html"), "<h1>next</h1>");
    renameSync(root, join(place, "old"));
    assert.equal((await ask(conch, "/")).status, 404, "a folder that is gone serves nothing");
    symlinkSync("next", root);
    assert.equal((await ask(conch, "/any/where")).text, "<h1>next</h1>");
    rmSync(root);
    renameSync(join(place, "old"), root);
    assert.equal((await ask(conch, "/")).text, "<h1>app</h1>");
});

test("a file that was found is not logged, whatever its address", async () => {
    for (const path of ["/api/no-route/but-the-index", "/big.bin", "/api/health?after"]) assert.equal(await status(path), 200);
    let urls = [];
    for (const end = Date.now() + 20_000; !urls.includes("/api/health?after"); await new Promise((resolve) => setTimeout(resolve, 200))) {
        assert.ok(Date.now() < end, "the request was never logged");
        urls = (await pb.logs.getList(1, 50, { filter: "data.url ~ 'no-route' || data.url ~ 'big' || data.url ~ '?after'" })).items.map(({ data }) => data.url);
    }
    assert.deepEqual(urls.filter((url) => /no-route|big/.test(url)), []);
});

test("links lead nowhere outside of the folder", async () => {
    writeFileSync(join(place, "secret"), "secret");
    symlinkSync("../secret", join(root, "out"));
    symlinkSync("..", join(root, "above"));
    symlinkSync(conch.dir, join(root, "data"));
    for (const path of ["/out", "/above/secret", "/above", "/above/", "/data/data.db", "/%2e%2e/secret", "/..%2fsecret", "/assets/..%2f..%2fsecret"]) {
        const answer = await ask(conch, path);
        assert.deepEqual([answer.status, answer.text], [200, "<h1>app</h1>"], path);
    }
});

test("the folder beside the data directory is served, and a missing path is missing without the fallback", async () => {
    const dir = join(place, "own", "data");
    mkdirSync(join(place, "own", "pb_public"), { recursive: true });
    writeFileSync(join(place, "own", "pb_public", "index.html"), "beside");
    const server = await startConchOn(dir, { env: { CONCH_INDEX_FALLBACK: "false" } });
    try {
        for (const [path, code, text] of [["/", 200, "beside"], ["/x", 404], ["/api/x", 404], ["/index.html", 301, ""]]) {
            const answer = await ask(server, path);
            assert.equal(answer.status, code, path);
            if (text !== undefined) assert.equal(answer.text, text);
            else assert.deepEqual(Object.keys(JSON.parse(answer.text)), ["data", "message", "status"]);
        }
    } finally {
        await server.stop();
    }
});

test("the pages of /_/ are compressed, and known ones are not sent again", async () => {
    const script = `/_/${(await ask(conch, "/_/")).text.match(/src="\.\/(assets\/[^"]+\.js)"/)[1]}`;
    const plain = await ask(conch, script);
    const zipped = await ask(conch, script, { headers: { "accept-encoding": "gzip, br" } });
    assert.equal(zipped.headers["content-encoding"], "gzip");
    assert.match(zipped.headers.vary, /Accept-Encoding/);
    assert.ok(zipped.bytes.length < plain.bytes.length);
    assert.equal(await (await fetch(`${conch.url}${script}`)).text(), plain.text);
    for (const path of [script, "/_/"]) {
        const { etag } = (await ask(conch, path)).headers;
        const again = await ask(conch, path, { headers: { "if-none-match": etag } });
        assert.deepEqual([again.status, again.bytes.length], [304, 0]);
    }
    // Nothing else is compressed.
    for (const path of ["/api/health", "/"]) {
        const answer = await ask(conch, path, { headers: { "accept-encoding": "gzip" } });
        assert.equal(answer.headers["content-encoding"], undefined, path);
    }
});

test("a body that is too long is refused, declared or not, and the server goes on", async () => {
    const chunks = Array(34).fill(Buffer.alloc(1 << 20, 32));
    const headers = { "content-type": "application/json" };
    for (const [method, path] of [["POST", "/api/collections/seen/records"], ["PATCH", "/api/settings"], ["POST", "/api/batch"], ["POST", "/api/realtime"]]) {
        await pb.settings.update({ batch: { enabled: true, maxBodySize: 1 << 20 } });
        assert.equal(await status(path, { method, headers, token: conch.token, body: chunks }), 413, path);
    }
    assert.equal(await status("/api/health"), 200);
});

test("whoever begins a request and goes silent is in nobody's way", async () => {
    const { port } = new URL(conch.url);
    const silent = await Promise.all(Array.from({ length: 50 }, (_, n) => new Promise((resolve, reject) => {
        const socket = connect(port, "127.0.0.1", () => {
            socket.write(["GET / HT", "POST /api/collections/seen/records HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\nContent-Type: application/json\r\n\r\n{"][n % 2]);
            resolve(socket);
        });
        socket.on("error", reject);
    })));
    const began = Date.now();
    for (let n = 0; n < 20; n++) assert.equal(await status("/api/health"), 200);
    assert.ok(Date.now() - began < 5000);
    silent.forEach((socket) => socket.destroy());
});

test("a body that nobody reads is not waited for", async () => {
    const { port } = new URL(conch.url);
    const ended = await Promise.all(["POST /nope", "GET /api/health"].map((line) => new Promise((resolve, reject) => {
        const began = Date.now();
        let said = "";
        const socket = connect(port, "127.0.0.1", () => socket.write(`${line} HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n`));
        const trickle = setInterval(() => socket.write("x"), 300);
        socket.on("data", (piece) => { said += piece; });
        // It is reset if what came in was not read.
        socket.on("error", () => {});
        socket.on("close", () => { clearInterval(trickle); resolve([said.split(" ")[1], Date.now() - began]); });
        setTimeout(() => reject(new Error("the connection is still there")), 20_000).unref();
    })));
    assert.deepEqual(ended.map(([status]) => status), ["404", "200"]);
});
