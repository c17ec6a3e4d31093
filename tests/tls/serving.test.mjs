// A server with certificate files: the official SDK over HTTPS, realtime over HTTP/1.1 and HTTP/2, who asks, how much at
// once, and files that change.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { chmodSync, copyFileSync, readFileSync, renameSync, unlinkSync, writeFileSync } from "node:fs";
import { request } from "node:https";
import { dirname, join } from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { makeAuthority } from "../harness/authority.mjs";
import { conchBinary, freePort, remove, run, startConch, startConchOn, temporaryDirectory } from "../harness/server.mjs";
import { eventually, get, openHttp2, presented } from "../harness/tls.mjs";

const dir = temporaryDirectory("conch-tls-");
const own = makeAuthority(dir);
const ca = readFileSync(own.root);
const [cert, key] = [join(dir, "server.pem"), join(dir, "server.key")];
let conch, port, stalled;

function put(pair) {
    copyFileSync(pair.cert, cert);
    copyFileSync(pair.key, key);
}

before(async () => {
    put(own.sign(["localhost", "127.0.0.1"]));
    conch = await startConch({ args: ["--https", "127.0.0.1:0", "--cert", cert, "--key", key] });
    port = Number(new URL(conch.url).port);
    const made = await api("/api/collections", "POST", { name: "posts", type: "base", listRule: "", viewRule: "", createRule: "",
        fields: [{ name: "t", type: "text", max: 5_000_000 }] });
    assert.equal(made.status, 200, made.text);
    stalled = await stall();
});
after(async () => {
    await conch?.stop();
    await stalled?.server.stop();
    remove(dir);
});

const api = (path, method = "GET", body) => get(port, path, {
    ca, method, headers: { "content-type": "application/json", authorization: conch.token }, body: body && JSON.stringify(body),
});

/**
 * Clients that ask for large answers and make no room for them, on a server of their own. It bears them for longer than all
 * other tests take together, so they come first and are looked at last.
 */
async function stall() {
    const server = await startConch({ args: ["--https", "127.0.0.1:0", "--cert", cert, "--key", key] });
    const at = Number(new URL(server.url).port);
    const reading = await openHttp2(at, { ca });
    const post = async (path, body) => {
        const headers = { "content-type": "application/json", authorization: server.token };
        const made = await reading.ask(path, { method: "POST", headers, body: JSON.stringify(body) });
        assert.equal(made.status, 200, made.text);
        return JSON.parse(made.text);
    };
    await post("/api/collections", { name: "posts", type: "base", viewRule: "", fields: [{ name: "t", type: "text", max: 5_000_000 }] });
    const { id } = await post("/api/collections/posts/records", { t: "x".repeat(4_500_000) });
    const open = async (answers) => {
        const { session } = await openHttp2(at, { ca, window: 0 });
        const [client, from] = [{ session, bytes: 0 }, performance.now()];
        session.on("error", () => {});
        session.on("close", () => client.ended = performance.now() - from);
        await Promise.all(Array.from({ length: answers }, async () => {
            const stream = session.request({ ":path": `/api/collections/posts/records/${id}` });
            stream.on("error", () => {});
            stream.on("data", (piece) => client.bytes += piece.length);
            const [answered] = await once(stream, "response");
            assert.equal(answered[":status"], 200);
        }));
        return client;
    };
    // Together over and under the 64 MiB that one connection may have wait (src/http/middleware/pace.rs).
    return { server, reading, greedy: await open(20), modest: await open(2) };
}

test("the official SDK works over HTTPS, realtime included", async () => {
    const here = dirname(fileURLToPath(import.meta.url));
    // Whom Node.js trusts is decided when it starts.
    const child = spawn(process.execPath, [join(here, "sdk.mjs"), conch.url, conch.token], {
        env: { ...process.env, NODE_EXTRA_CA_CERTS: own.root }, stdio: ["ignore", "inherit", "inherit"],
    });
    assert.deepEqual(await once(child, "exit"), [0, null]);
});

test("HTTP/2: records, errors, HEAD and large bodies", async () => {
    const http2 = await openHttp2(port, { ca });
    const headers = { "content-type": "application/json" };
    const t = "x".repeat(3_000_000);
    const made = await http2.ask("/api/collections/posts/records", { method: "POST", headers, body: JSON.stringify({ t }) });
    assert.equal(made.status, 200);
    const { id } = JSON.parse(made.text);
    assert.equal(JSON.parse((await http2.ask(`/api/collections/posts/records/${id}`)).text).t.length, t.length);
    assert.equal((await http2.ask("/api/collections/none/records")).status, 404);
    const head = await http2.ask(`/api/collections/posts/records/${id}`, { method: "HEAD" });
    assert.deepEqual([head.status, head.text], [200, ""]);
    const many = await Promise.all(Array.from({ length: 200 }, () => http2.ask("/api/health")));
    assert.ok(many.every(({ status }) => status === 200));
    http2.close();
});

test("realtime over HTTP/2: events arrive, and who leaves is noticed", async () => {
    const http2 = await openHttp2(port, { ca });
    const stream = await http2.stream();
    const subscribed = await http2.ask("/api/realtime", { method: "POST", headers: { "content-type": "application/json" },
        body: JSON.stringify({ clientId: stream.id, subscriptions: ["posts"] }) });
    assert.equal(subscribed.status, 204);
    await api("/api/collections/posts/records", "POST", { t: "hello" });
    await eventually("the event", () => stream.events.some(({ data }) => data.record.t === "hello"));
    const other = await http2.stream();
    const gone = (id) => async () => {
        const answer = await http2.ask("/api/realtime", { method: "POST", headers: { "content-type": "application/json" },
            body: JSON.stringify({ clientId: id, subscriptions: [] }) });
        return answer.status === 404;
    };
    assert.equal(await gone(other.id)(), false);
    // One stream of a connection, and then a whole connection.
    other.abort();
    await eventually("an aborted stream is gone", gone(other.id), 15_000);
    assert.equal(await gone(stream.id)(), false);
    const second = await openHttp2(port, { ca });
    const third = await second.stream();
    second.close();
    await eventually("a closed connection's stream is gone", gone(third.id), 15_000);
    http2.close();
});

test("realtime over HTTP/1.1 and TLS: who leaves is noticed at once", async () => {
    const stream = await new Promise((resolve, reject) => {
        const asked = request({ host: "127.0.0.1", port, path: "/api/realtime", ca, servername: "localhost", agent: false }, (answer) => {
            let text = "";
            answer.on("data", (piece) => {
                const found = /"clientId":"([^"]+)"/.exec(text += piece);
                if (found) resolve({ id: found[1], asked });
            });
            answer.on("error", () => {});
        });
        asked.once("error", reject);
        asked.end();
    });
    stream.asked.on("error", () => {});
    const status = async () => (await api("/api/realtime", "POST", { clientId: stream.id, subscriptions: [] })).status;
    assert.equal(await status(), 204);
    stream.asked.destroy();
    await eventually("it is gone", async () => await status() === 404, 3000);
});

test("one connection has 256 answers at once and no more, and bounded heads", async () => {
    const http2 = await openHttp2(port, { ca });
    const streams = [];
    for (let count = 0; count < 256; count++) streams.push(await http2.stream());
    assert.equal((await http2.ask("/api/health")).status, 429);
    assert.equal((await get(port, "/api/health", { ca })).status, 200, "others are not concerned");
    streams[0].abort();
    await eventually("there is room again", async () => (await http2.ask("/api/health")).status === 200, 15_000);
    const crowd = Object.fromEntries(Array.from({ length: 120 }, (_, index) => [`x-${index}`, "y"]));
    assert.equal((await http2.ask("/api/health", { headers: crowd })).status, 413);
    http2.close();
});

test("the address of a client is that of its connection", async () => {
    await api("/api/settings", "PATCH", { superuserIPs: ["127.0.0.1", "127.0.0.7"] });
    const as = (from) => get(port, "/api/settings", { ca, from, headers: { authorization: conch.token } });
    assert.deepEqual([(await as("127.0.0.7")).status, (await as("127.0.0.8")).status], [200, 403]);
    const http2 = await openHttp2(port, { ca });
    assert.equal((await http2.ask("/api/settings", { headers: { authorization: conch.token } })).status, 200);
    http2.close();
    await api("/api/settings", "PATCH", { superuserIPs: [] });
});

test("changed files are taken, broken ones are not", async () => {
    const seen = () => presented(port, "localhost", { ca });
    const first = await seen();
    assert.ok(first.trusted);
    const log = (pattern) => eventually(`${pattern} in the log`, () => pattern.test(conch.log()), 10_000);
    const old = await openHttp2(port, { ca });

    // Another key alone: it does not fit.
    const second = own.sign(["localhost", "second.test"]);
    copyFileSync(second.key, key);
    await log(/belongs to another certificate/);
    assert.equal((await seen()).fingerprint, first.fingerprint);
    // The certificate follows, as a renewal tool does it.
    copyFileSync(second.cert, `${cert}.tmp`);
    renameSync(`${cert}.tmp`, cert);
    await eventually("the second", async () => /second\.test/.test((await seen()).names), 10_000);

    writeFileSync(cert, "nonsense");
    await log(/no BEGIN CERTIFICATE/);
    unlinkSync(cert);
    await log(/cannot read/);
    assert.match((await seen()).names, /second\.test/);
    put(own.sign(["localhost", "third.test"]));
    await eventually("the third", async () => /third\.test/.test((await seen()).names), 10_000);
    // Whoever was connected still is.
    assert.equal((await old.ask("/api/health")).status, 200);
    old.close();
});

test("this machine may ask over plain HTTP how its server is, certificates included; nothing else is answered", async () => {
    const numbers = await fetch(`${conch.redirects}/metrics`).then((answer) => answer.text());
    const [, ends] = /^conch_certificate_end_seconds\{name="localhost"\} ([\d.e+]+)$/m.exec(numbers);
    assert.ok(Math.abs(Number(ends) - Date.now() / 1000 - 86_400) < 3600, ends);
    assert.equal((await fetch(`${conch.redirects}/readyz`)).status, 200);
    assert.equal((await fetch(`${conch.redirects}/api/health`, { redirect: "manual" })).status, 302);
    run(conchBinary, ["health", "--http", new URL(conch.redirects).host]);
});

test("a new start keeps the ports, and reads the files again", async () => {
    const data = join(dir, "again");
    const at = await freePort();
    const args = ["--https", `127.0.0.1:${at}`, "--cert", cert, "--key", key];
    // Without a service manager SIGHUP ends a server; with one it starts again.
    const service = await startConchOn(data, { args, healthy: false, env: { NOTIFY_SOCKET: join(dir, "nobody") } });
    try {
        const before = await presented(at, "localhost", { ca });
        put(own.sign(["localhost", "again.test"]));
        process.kill(service.pid, "SIGHUP");
        await eventually("the other certificate", async () => {
            const seen = await presented(at, "localhost", { ca });
            return seen.fingerprint !== before.fingerprint && /again\.test/.test(seen.names);
        });
        assert.equal((await get(at, "/api/health", { ca })).status, 200);
    } finally {
        await service.stop();
    }
});

test("a server with open streams over TLS ends in time", async () => {
    const other = await startConch({ args: ["--https", "127.0.0.1:0", "--cert", cert, "--key", key] });
    const at = Number(new URL(other.url).port);
    const http2 = await openHttp2(at, { ca });
    const stream = await http2.stream();
    http2.session.on("error", () => {});
    const from = performance.now();
    assert.deepEqual(await other.stop(), { code: 0, signal: null });
    const took = performance.now() - from;
    assert.ok(took < 5000, `it took ${took} ms`);
    await stream.closed;
    http2.close();
});

test("HTTP/2: who makes no room for answers loses the connection when they are much memory, and nobody else does", async () => {
    const { reading, greedy, modest } = stalled;
    assert.equal((await reading.ask("/api/health")).status, 200);
    await eventually("the connection ends", () => greedy.ended, 40_000);
    assert.ok(greedy.ended > 25_000, `it was ended after ${greedy.ended} ms`);
    assert.deepEqual([greedy.bytes, modest.bytes], [0, 0], "there was no room");
    assert.equal(modest.ended, undefined);
    assert.equal((await reading.ask("/api/health")).status, 200);
    modest.session.destroy();
    reading.close();
});
