// The end of a server, and what the service manager is told of its life (docs/DEPLOY.md).

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readFileSync } from "node:fs";
import { connect as connectHttp2 } from "node:http2";
import { createConnection } from "node:net";
import { join } from "node:path";
import { after, test } from "node:test";
import { admin, client, conchBinary, remove, run, startConchOn, temporaryDirectory } from "../harness/server.mjs";
import { openStream } from "../harness/stream.mjs";

const place = temporaryDirectory();
const dir = join(place, "data");
after(() => remove(place));

/** A request whose body takes its time: it runs while the server is asked to end. */
function slowCreate(conch, body) {
    const text = JSON.stringify(body);
    const { hostname, port } = new URL(conch.url);
    const socket = createConnection({ host: hostname, port });
    socket.write(`POST /api/collections/notes/records HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n`
        + `Content-Length: ${text.length}\r\n\r\n${text.slice(0, 5)}`);
    let answer = "";
    socket.on("data", (data) => { answer += data; });
    const done = new Promise((resolve) => socket.on("close", () => resolve(answer)).on("error", () => {}));
    return { finish: () => socket.write(text.slice(5)), done };
}

const notes = { name: "notes", type: "base", createRule: "", listRule: "", fields: [{ name: "t", type: "text" }] };
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

test("what has begun is answered and kept; what is open and idle is no reason to wait", async () => {
    const conch = await startConchOn(dir);
    await admin(conch).collections.create(notes);
    const stream = await openStream(conch);
    // Kept alive, and idle.
    const idle = createConnection({ host: "127.0.0.1", port: new URL(conch.url).port });
    idle.on("error", () => {});
    idle.write("GET /api/health HTTP/1.1\r\nHost: x\r\n\r\n");
    const slow = slowCreate(conch, { t: "late" });
    await pause(200);
    const began = Date.now();
    const ended = conch.stop("SIGTERM");
    await pause(300);
    await assert.rejects(fetch(`${conch.url}/livez`), "nobody new is let in");
    slow.finish();
    assert.match(await slow.done, /^HTTP\/1\.1 200 /);
    assert.deepEqual(await ended, { code: 0, signal: null });
    const took = Date.now() - began;
    assert.ok(took < 5000, `${took} ms`);
    await stream.done;
    idle.destroy();
    assert.ok(!existsSync(join(dir, "data.db-wal")), "everything is in data.db");
    const again = await startConchOn(dir);
    const { items } = await client(again).collection("notes").getList();
    assert.deepEqual(items.map(({ t }) => t), ["late"]);
    await again.stop();
});

test("who does not finish within the time is cut off", async () => {
    const conch = await startConchOn(dir, { args: ["--shutdown-timeout", "2"] });
    const slow = slowCreate(conch, { t: "never" });
    await pause(200);
    const began = Date.now();
    assert.deepEqual(await conch.stop("SIGTERM"), { code: 0, signal: null });
    const took = Date.now() - began;
    assert.ok(took >= 1900 && took < 10_000, `${took} ms`);
    assert.doesNotMatch(await slow.done, / 200 /);
});

test("a second signal stops at once, and loses nothing", async () => {
    const conch = await startConchOn(dir, { args: ["--shutdown-timeout", "600"] });
    const made = await client(conch).collection("notes").create({ t: "kept" });
    const slow = slowCreate(conch, { t: "never" });
    await pause(200);
    const ended = conch.stop("SIGTERM");
    await pause(300);
    const began = Date.now();
    process.kill(conch.pid, "SIGINT");
    assert.deepEqual(await ended, { code: 130, signal: null });
    assert.ok(Date.now() - began < 2000);
    await slow.done;
    const again = await startConchOn(dir);
    assert.equal((await client(again).collection("notes").getList()).items.find(({ id }) => id === made.id).t, "kept");
    await again.stop();
});

test("connections over HTTP/2 that are only open do not hold up the end", async () => {
    const conch = await startConchOn(dir, { args: ["--https", "127.0.0.1:0", "--shutdown-timeout", "60"], healthy: false });
    const session = connectHttp2(conch.url, { rejectUnauthorized: false });
    session.on("error", () => {});
    const asked = session.request({ ":path": "/api/health" });
    const [answer] = await once(asked, "response");
    assert.equal(answer[":status"], 200);
    asked.resume();
    await once(asked, "end");
    const began = Date.now();
    assert.deepEqual(await conch.stop("SIGTERM"), { code: 0, signal: null });
    assert.ok(Date.now() - began < 10_000);
    session.destroy();
});

test("a second server on the same directory is refused, and says who is there", async () => {
    const conch = await startConchOn(dir);
    try {
        const second = run(conchBinary, ["serve", "--http", "127.0.0.1:0", "--dir", dir], { mayFail: true });
        assert.equal(second.status, 1);
        assert.match(second.stderr, new RegExp(`in use by another Conch \\(process ${conch.pid}\\)`));
        assert.equal((await fetch(`${conch.url}/readyz`)).status, 200);
    } finally {
        await conch.stop();
    }
});

/** A service manager: whatever the process tells it, line by line. Node has no datagram sockets of this kind. */
function manager() {
    const path = join(place, `notify-${Math.random()}`);
    const script = "import socket,sys\ns=socket.socket(socket.AF_UNIX,socket.SOCK_DGRAM)\ns.bind(sys.argv[1])\nprint('bound',flush=True)\n"
        + "while True: print(s.recv(4096).decode().replace('\\n','|'),flush=True)";
    const child = spawn("python3", ["-c", script, path], { stdio: ["ignore", "pipe", "inherit"] });
    const heard = [], waiting = new Set();
    child.stdout.on("data", (data) => {
        heard.push(...`${data}`.trim().split("\n"));
        waiting.forEach((look) => look());
    });
    const hears = (pattern) => new Promise((resolve, reject) => {
        const late = setTimeout(() => reject(new Error(`never heard ${pattern}: ${heard}`)), 15_000);
        const look = () => {
            const at = heard.findIndex((line) => pattern.test(line));
            if (at < 0) return;
            clearTimeout(late);
            waiting.delete(look);
            resolve(heard.splice(0, at + 1).at(-1));
        };
        waiting.add(look);
        look();
    });
    return { path, hears, stop: () => child.kill() };
}

test("the service manager hears that the server is ready, lives, starts again and stops", async () => {
    const systemd = manager();
    await systemd.hears(/^bound$/);
    try {
        const conch = await startConchOn(dir, { env: { NOTIFY_SOCKET: systemd.path, WATCHDOG_USEC: "1500000" } });
        assert.match(await systemd.hears(/^READY=1/), new RegExp(`Listening on ${conch.url}`));
        await systemd.hears(/^WATCHDOG=1$/);
        await systemd.hears(/^WATCHDOG=1$/);
        process.kill(conch.pid, "SIGHUP");
        // It may have to migrate first: the watchdog is asked for patience until it is ready again.
        assert.match(await systemd.hears(/^RELOADING=1/), /MONOTONIC_USEC=\d{6,}\|WATCHDOG_USEC=900000000\|/);
        const ready = await systemd.hears(/^READY=1/);
        assert.match(ready, /\|WATCHDOG_USEC=1500000\|WATCHDOG=1$/);
        // The same process, so the manager need not be told of another one.
        const url = /Listening on ([^\s|]+)/.exec(ready)[1];
        assert.equal(Number(readFileSync(join(dir, ".conch.lock"), "utf8")), conch.pid);
        assert.equal((await fetch(`${url}/livez`)).status, 200);
        const ended = conch.stop("SIGTERM");
        await systemd.hears(/^STOPPING=1/);
        assert.deepEqual(await ended, { code: 0, signal: null });
    } finally {
        systemd.stop();
    }
});

test("without a service manager, a closed terminal stops the server", async () => {
    const conch = await startConchOn(dir, { env: { NOTIFY_SOCKET: "" } });
    assert.deepEqual(await conch.stop("SIGHUP"), { code: 0, signal: null });
});

test("the unit is one that systemd accepts", async (t) => {
    const unit = run(conchBinary, ["systemd", "--dir", "/var/lib/conch", "app.example.com"]).stdout;
    assert.match(unit, /^Type=notify$/m);
    assert.match(unit, /^ExecStart=\S+ serve app\.example\.com --dir \/var\/lib\/conch$/m);
    const { spawnSync } = await import("node:child_process");
    if (spawnSync("systemd-analyze", ["--version"]).error) return t.skip("no systemd-analyze here");
    const { writeFileSync } = await import("node:fs");
    const path = join(place, "conch.service");
    writeFileSync(path, unit);
    const verified = spawnSync("systemd-analyze", ["verify", "--man=no", path], { encoding: "utf8" });
    assert.doesNotMatch(verified.stderr, /conch\.service/, verified.stderr);
});
