// Crowds: 500 clients at once, slow filters, long writes. Nobody sees an error or a lock, nobody is blocked.

import assert from "node:assert/strict";
import { Agent, request as httpRequest } from "node:http";
import { after, before, test } from "node:test";
import { Database } from "../harness/sqlite.mjs";
import { remove, startConchOn, temporaryDirectory } from "../harness/server.mjs";

const dir = temporaryDirectory();
let conch;
const agent = new Agent({ keepAlive: true, maxSockets: 600 });

before(async () => {
    conch = await startConchOn(dir);
    await call("POST", "/api/collections", {
        id: "crowd", name: "crowd", type: "base", listRule: "", viewRule: "", createRule: "", updateRule: "",
        fields: [{ name: "client", type: "number" }, { name: "n", type: "number" }, { name: "text", type: "text" }],
    });
});

after(async () => {
    await conch?.stop();
    remove(dir);
});

function call(method, path, body, token = conch.token) {
    return new Promise((resolve, reject) => {
        const sent = httpRequest(conch.url + path, { method, agent, headers: { "content-type": "application/json", authorization: token } }, (answer) => {
            let text = "";
            answer.setEncoding("utf8").on("data", (chunk) => { text += chunk; }).on("end", () => {
                resolve({ status: answer.statusCode, body: text && JSON.parse(text), headers: answer.headers });
            });
        });
        sent.on("error", reject);
        sent.end(body && JSON.stringify(body));
    });
}

test("500 clients create and read at once, and the log has the order of the commits", async () => {
    const rounds = process.env.CONCH_TEST_LONG ? 20 : 4;
    const acknowledged = [];
    await Promise.all(Array.from({ length: 500 }, async (_, number) => {
        for (let n = 0; n < rounds; n++) {
            const made = await call("POST", "/api/collections/crowd/records", { client: number, n, text: `c${number} n${n}` });
            assert.equal(made.status, 200, JSON.stringify(made.body));
            acknowledged.push(made.body.id);
            const read = await call("GET", `/api/collections/crowd/records/${made.body.id}`, undefined, "");
            assert.equal(read.status, 200);
            assert.equal(read.body.text, `c${number} n${n}`, "a client reads what it wrote");
            const listed = await call("GET", "/api/collections/crowd/records?perPage=5&sort=-n&skipTotal=1", undefined, "");
            assert.equal(listed.status, 200);
        }
    }));
    assert.equal(new Set(acknowledged).size, 500 * rounds);
    const db = new Database(`${dir}/data.db`);
    const log = db.all("SELECT seq, record FROM __conch_log WHERE collection = 'crowd' ORDER BY seq");
    const rows = db.all("SELECT id FROM crowd ORDER BY rowid");
    assert.deepEqual(log.map(({ record }) => record), rows.map(({ id }) => id));
    const perClient = new Map();
    for (const { client, n } of db.all("SELECT client, n FROM crowd JOIN __conch_log ON record = id ORDER BY seq")) {
        assert.equal(n, perClient.get(client) ?? 0, "a client's writes are in its own order");
        perClient.set(client, n + 1);
    }
    const [{ gaps }] = db.all("SELECT max(seq) - min(seq) + 1 - count(*) AS gaps FROM __conch_log");
    assert.equal(gaps, 0);
});

test("four slow filters and an 8-second write stop no point read", async () => {
    const [{ id }] = (await call("GET", "/api/collections/crowd/records?perPage=1")).body.items;
    // Every create looks at the whole crowd: that makes a batch as long as one likes.
    await call("POST", "/api/collections", {
        id: "slow_id", name: "slowly", createRule: "@collection.crowd.text != 'nobody'", fields: [{ name: "n", type: "number" }],
    });
    await call("PATCH", "/api/settings", { batch: { enabled: true, maxRequests: 50_000, timeout: 120 } });
    const write = (count) => call("POST", "/api/batch", {
        requests: Array.from({ length: count }, (_, n) => ({ method: "POST", url: "/api/collections/slowly/records", body: { n } })),
    }, "");
    const timed = async (promise, from = performance.now()) => [await promise, performance.now() - from];
    const [, hundred] = await timed(write(100));
    // A cross join of the crowd with itself: some million rows for each filter.
    const slow = encodeURIComponent(Array.from({ length: 2 }, (_, n) => `@collection.crowd:x${n}.text ?~ '%zz${n}%'`).join(" && "));
    const busy = Array.from({ length: 4 }, () => call("GET", `/api/collections/crowd/records?filter=${slow}`));
    let writing = true;
    const long = timed(write(Math.min(50_000, Math.ceil(11_000 / hundred * 100)))).finally(() => { writing = false; });
    const waits = [];
    while (writing) {
        const [read, wait] = await timed(call("GET", `/api/collections/crowd/records/${id}`, undefined, ""));
        waits.push(wait);
        assert.equal(read.status, 200);
        await new Promise((resolve) => setTimeout(resolve, 5));
    }
    const [written, duration] = await long;
    assert.equal(written.status, 200, JSON.stringify(written.body).slice(0, 300));
    assert.ok(duration > 4_000, `the long write took only ${duration} ms`);
    for (const { status } of await Promise.all(busy)) assert.ok([200, 400, 503].includes(status), `a slow filter ended with ${status}`);
    assert.ok(waits.length > 100, `only ${waits.length} reads went beside the long write`);
    // No figure of speed, but a blocked reader would have waited for the whole write.
    assert.ok(Math.max(...waits) < 1500, `a point read waited ${Math.max(...waits)} ms`);
});
