// Crowds: clients that do not read, thousands that come back at once, and what an idle one costs.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { Agent, request } from "node:http";
import { connect } from "node:net";
import { test } from "node:test";
import { freePort, remove, startConchOn, temporaryDirectory } from "../harness/server.mjs";
import { openStream } from "../harness/stream.mjs";

const long = Boolean(process.env.CONCH_TEST_LONG);
const pause = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

/** Resident memory in KiB. */
const memory = (server) => Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${server.pid}/status`, "utf8"))[1]);

async function call(server, method, path, body, token = server.token) {
    const response = await fetch(server.url + path, {
        method, headers: { "content-type": "application/json", ...(token && { authorization: token }) }, body: body && JSON.stringify(body),
    });
    const text = await response.text();
    assert.ok(response.status < 300, `${method} ${path}: ${response.status} ${text}`);
    return text ? JSON.parse(text) : null;
}

/** A stream over a bare socket: cheap enough for thousands, and it can stop reading. */
class Raw {
    constructor(server) {
        const { hostname, port } = new URL(server.url);
        this.server = server;
        this.seqs = [];
        this.ended = false;
        this.text = "";
        this.socket = connect(Number(port), hostname);
        this.socket.setEncoding("latin1");
        this.socket.on("error", () => {}).on("close", () => { this.ended = true; });
        this.connected = new Promise((resolve, reject) => {
            this.socket.on("close", () => reject(new Error("the stream ended")));
            this.socket.on("data", (piece) => {
                this.text += piece;
                if (!this.id) {
                    this.id = /"clientId":"(\w{40})"/.exec(this.text)?.[1];
                    if (this.id) resolve(this.id);
                }
                for (const [, seq] of this.text.matchAll(/"seq":(\d+)\}\n/g)) this.seqs.push(Number(seq));
                const kept = this.text.lastIndexOf("\n\n");
                if (kept >= 0) this.text = this.text.slice(kept);
                if (this.text.endsWith("\r\n0\r\n\r\n")) { this.ended = true; this.socket.destroy(); }
            });
        });
        this.connected.catch(() => {});
        this.socket.write(`GET /api/realtime HTTP/1.1\r\nHost: ${hostname}\r\n\r\n`);
    }

    /** Through connections that are shared: a crowd's own would not fit into this process. */
    subscribe(agent, subscriptions, resume) {
        return new Promise((resolve, reject) => {
            const body = JSON.stringify({ clientId: this.id, subscriptions, ...(resume && { resume }) });
            const asked = request(`${this.server.url}/api/realtime`, { method: "POST", agent, headers: { "content-type": "application/json", "content-length": body.length } });
            asked.on("error", reject).on("response", (answer) => {
                let text = "";
                answer.setEncoding("utf8").on("data", (piece) => { text += piece; }).on("end", () => {
                    if (answer.statusCode > 204) reject(new Error(`${answer.statusCode} ${text}`));
                    else resolve(text && JSON.parse(text));
                });
            });
            asked.end(body);
        });
    }
}

async function until(holds, what, patience = 30_000) {
    for (const end = Date.now() + patience; !(await holds());) {
        assert.ok(Date.now() < end, what);
        await pause(20);
    }
}

async function start(http) {
    const dir = temporaryDirectory();
    const server = await startConchOn(dir, http && { http });
    await call(server, "POST", "/api/collections", {
        name: "posts", type: "base", listRule: "", viewRule: "", fields: [{ name: "title", type: "text", max: 200_000 }],
    });
    return server;
}

test("who stops reading is dropped, costs little, and is told the rest when it comes back", async (t) => {
    const server = await start();
    const agent = new Agent({ keepAlive: true, maxSockets: 16 });
    const [reader, ...stuck] = Array.from({ length: 21 }, () => new Raw(server));
    let position;
    for (const stream of [reader, ...stuck]) {
        await stream.connected;
        position = await stream.subscribe(agent, ["posts/*"], {});
        if (stream !== reader) stream.socket.pause();
    }
    const before = memory(server), title = "x".repeat(100_000), count = long ? 2000 : 200;
    let peak = 0;
    for (let index = 0; index < count; index += 1) {
        await call(server, "POST", "/api/collections/posts/records", { title });
        peak = Math.max(peak, memory(server) - before);
    }
    await until(() => reader.seqs.length === count, "who reads is told everything, whoever else does not");
    t.diagnostic(`${count * 20 / 10} MB were not read by 20 clients; memory grew by ${peak} KiB at most`);
    assert.ok(peak < 128 * 1024, `memory grew by ${peak} KiB`);
    for (const stream of stuck) stream.socket.resume();
    await until(() => stuck.every((stream) => stream.ended), "who did not read is dropped");
    const counts = stuck.map((stream) => stream.seqs.length);
    assert.ok(counts.every((told) => told < count), `${counts}`);
    const [late, ...others] = stuck.slice(0, 5);
    for (const gone of [late, ...others]) {
        const back = new Raw(server);
        await back.connected;
        const { recovered } = await back.subscribe(agent, ["posts/*"], { epoch: position.epoch, seq: gone.seqs.at(-1) ?? position.seq });
        assert.equal(recovered, true);
        await until(() => gone.seqs.length + back.seqs.length === count, "the rest is told");
        assert.deepEqual([...gone.seqs, ...back.seqs], reader.seqs);
        back.socket.destroy();
    }
    reader.socket.destroy();
    agent.destroy();
    await server.stop();
    remove(server.dir);
});

test("a crowd that comes back at once is taken in and told what it missed", async (t) => {
    const size = long ? 10_000 : 2000;
    const http = `127.0.0.1:${await freePort()}`;
    let server = await start(http);
    const agent = () => new Agent({ keepAlive: true, maxSockets: 64 });
    const come = async (resume) => {
        const all = Array.from({ length: size }, () => new Raw(server)), doors = agent();
        const answers = await Promise.all(all.map(async (stream) => {
            await stream.connected;
            return stream.subscribe(doors, ["posts/*"], resume);
        }));
        doors.destroy();
        return { all, answers };
    };
    const idle = memory(server);
    const { all, answers } = await come({});
    await pause(1000);
    t.diagnostic(`${size} idle streams: ${((memory(server) - idle) / size).toFixed(1)} KiB each`);
    await call(server, "POST", "/api/collections/posts/records", { title: "to all" });
    await until(() => all.every((stream) => stream.seqs.length === 1), "everybody is told");
    const { epoch, seq } = answers[0];
    const stopping = Date.now();
    await server.stop();
    await until(() => all.every((stream) => stream.ended), "all streams end");
    t.diagnostic(`stopped in ${Date.now() - stopping} ms`);
    const dir = server.dir;
    server = await startConchOn(dir, { http });
    for (let index = 0; index < 20; index += 1) {
        await call(server, "POST", "/api/collections/posts/records", { title: `missed ${index}` });
    }
    const begun = Date.now();
    const back = await come({ epoch, seq: seq + 1 });
    assert.ok(back.answers.every(({ recovered }) => recovered), "nobody has to fetch");
    await until(() => back.all.every((stream) => stream.seqs.length === 20), "everybody is told what it missed");
    t.diagnostic(`${size} came back and were told 20 changes each within ${Date.now() - begun} ms; ${memory(server)} KiB`);
    const asked = Date.now();
    await call(server, "GET", "/api/health");
    assert.ok(Date.now() - asked < 2000, "others are served meanwhile");
    back.all.forEach((stream) => stream.socket.destroy());
    // The memory of a crowd is given back, or used again: a second one costs no more.
    await pause(500);
    await server.stop();
    remove(dir);
});

test("a stream that ends while it is told the past leaves nothing behind", async () => {
    const server = await start();
    const first = await openStream(server);
    const { body } = await first.subscribe(["posts/*"], "", { resume: {} });
    for (let index = 0; index < 30; index += 1) {
        await call(server, "POST", "/api/collections/posts/records", { title: "y".repeat(50_000) });
    }
    const agent = new Agent({ keepAlive: true, maxSockets: 8 });
    for (let round = 0; round < 30; round += 1) {
        const stream = new Raw(server);
        await stream.connected;
        await stream.subscribe(agent, ["posts/*"], { epoch: body.epoch, seq: body.seq });
        stream.socket.destroy();
    }
    const last = await openStream(server);
    const resumed = await last.subscribe(["posts/*"], "", { resume: { epoch: body.epoch, seq: body.seq } });
    assert.equal(resumed.body.recovered, true);
    await until(() => last.events.length === 30, "the past is still told to others");
    await Promise.all([first.close(), last.close()]);
    agent.destroy();
    await server.stop();
    remove(server.dir);
});
