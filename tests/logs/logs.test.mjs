// The log through the official SDK (docs/wire/services.md §6), what its settings do, and the SQL console (§9).

import assert from "node:assert/strict";
import { readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import PocketBase from "pocketbase";
import { startConch, startConchOn, superuser, temporaryDirectory } from "../harness/server.mjs";

let conch, pb;
before(async () => {
    conch = await startConch();
    pb = new PocketBase(conch.url);
    pb.autoCancellation(false);
    pb.authStore.save(conch.token, null);
});
after(() => conch?.stop());

const logs = (filter, options = {}) => pb.logs.getList(1, 500, { filter, sort: "@rowid", ...options });
const settings = (logs) => pb.send("/api/settings", { method: "PATCH", body: { logs } });
const sql = (query) => pb.sql.run(query);
const get = (path, init) => fetch(conch.url + path, init);

test("a request is a row that bears the id of its answer", async () => {
    const answer = await get("/api/collections/users/records?filter=%C3%A4&token=secret", { headers: { referer: "http://r.example", "user-agent": "tester/1" } });
    const { items: [row] } = await logs("data.userAgent = 'tester/1'");
    const { execTime, ...data } = row.data;
    assert.ok(execTime > 0 && execTime < 60_000, execTime);
    assert.match(data.details, /no comparison|means nothing|expected|closing|text ends|has no meaning/i);
    delete data.details;
    assert.deepEqual(data, {
        auth: "", error: "The filter is not valid.", method: "GET", referer: "http://r.example", remoteIP: "127.0.0.1",
        requestId: answer.headers.get("x-request-id"), status: 400, type: "request",
        url: "/api/collections/users/records?filter=%C3%A4&token=***", userAgent: "tester/1", userIP: "127.0.0.1",
    });
    assert.equal(row.level, 8);
    assert.equal(row.message, "GET /api/collections/users/records?filter=ä&token=***");
    assert.deepEqual(await pb.logs.getOne(row.id), row);
    await assert.rejects(pb.logs.getOne("nonesuch"), { status: 404 });
});

test("who hangs up leaves a row as well", async () => {
    const slow = "WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n) SELECT count(*) FROM n";
    const left = new AbortController();
    const headers = { authorization: conch.token, "content-type": "application/json", "user-agent": "hasty/1" };
    const asked = get("/api/sql", { method: "POST", headers, body: JSON.stringify({ query: slow }), signal: left.signal });
    setTimeout(() => left.abort(), 300);
    await assert.rejects(asked, { name: "AbortError" });
    let row;
    for (let n = 0; !row && n < 100; n++) {
        await new Promise((resolve) => setTimeout(resolve, 20));
        [row] = (await logs("data.userAgent = 'hasty/1'")).items;
    }
    assert.deepEqual([row.level, row.message, row.data.status, row.data.auth], [0, "POST /api/sql", 499, "_superusers"]);
    assert.ok(row.data.execTime > 100 && !("error" in row.data), JSON.stringify(row.data));
    assert.equal((await logs("data.userAgent = 'hasty/1'")).items.length, 1);
});

test("tokens of links in letters are not told", async () => {
    await pb.logs.truncate();
    for (const [method, link] of [["GET", "unsubscribe"], ["POST", "unsubscribe"], ["GET", "click"], ["GET", "open"], ["POST", "receipts"]]) {
        const path = `/api/notify/${link}/opens.a.door`;
        await get(path, { method, redirect: "manual", headers: { referer: conch.url + path } });
    }
    const { items } = await logs("data.url ~ '/api/notify/'");
    assert.deepEqual(items.map(({ message }) => message), [
        "GET /api/notify/unsubscribe/***", "POST /api/notify/unsubscribe/***", "GET /api/notify/click/***",
        "GET /api/notify/open/***", "POST /api/notify/receipts/***",
    ]);
    assert.ok(!JSON.stringify(items).includes("opens.a.door"));
});

test("lists, stats and truncating", async () => {
    assert.equal(await pb.logs.truncate(), true);
    for (let n = 0; n < 5; n++) await get(`/api/health?n=${n}`);
    await get("/api/nope");
    const all = await logs("");
    assert.deepEqual(all.items.map(({ message }) => message), [0, 1, 2, 3, 4].map((n) => `GET /api/health?n=${n}`).concat("GET /api/nope"));
    assert.equal(all.totalItems, 6);
    assert.deepEqual((await pb.logs.getList(2, 4, { sort: "-data.url", fields: "data.url" })).items.length, 2);
    assert.equal((await logs("", { skipTotal: true })).totalItems, -1);
    assert.deepEqual((await pb.logs.getStats({ filter: "level = 8" })).map(({ total }) => total), [1]);
    const stats = await pb.logs.getStats();
    assert.equal(stats.reduce((sum, { total }) => sum + total, 0), 6);
    assert.match(stats[0].date, /^\d{4}-\d\d-\d\d \d\d:00:00\.000Z$/);
    await assert.rejects(new PocketBase(conch.url).logs.getList(), { status: 401 });
    assert.equal((await get("/api/logs", { method: "DELETE", headers: { authorization: conch.token } })).status, 204);
    const left = await logs("");
    assert.deepEqual(left.items, [], "what looks at the log is not logged");
});

test("success that is no news is not logged", async () => {
    await pb.logs.truncate();
    await logs("");
    await get("/api/health", { method: "OPTIONS", headers: { origin: "http://x.example" } });
    await get("/_/");
    const stream = new AbortController();
    const open = await get("/api/realtime", { signal: stream.signal });
    stream.abort();
    await open.text().catch(() => {});
    assert.deepEqual((await logs("data.status < 400")).items, []);
});

test("settings decide what is kept, at once", async () => {
    await pb.logs.truncate();
    await settings({ logAuthId: true, logIP: false });
    await pb.send("/api/health", {});
    const { items: [row] } = await logs("data.url = '/api/health'");
    assert.equal(row.data.auth, "_superusers");
    assert.match(row.data.authId, /^[a-z0-9]{15}$/);
    assert.ok(!("userIP" in row.data) && !("remoteIP" in row.data));
    await get("/api/nope");
    await settings({ minLevel: 8 });
    assert.ok((await logs("")).items.every(({ level }) => level >= 8));
    await get("/api/health");
    assert.deepEqual((await logs("level < 8")).items, []);
    await settings({ minLevel: 0, maxDataSize: 40 });
    await get("/api/health?much=data");
    const cut = (await logs("message ~ 'much'")).items[0];
    assert.equal(cut.data.__pb_truncated__, true);
    assert.equal(cut.data.method, null);
    await settings({ maxDays: 0, maxDataSize: 0 });
    assert.equal((await logs("")).totalItems, 0);
    for (let n = 0; n < 20; n++) await get("/api/nope");
    assert.equal((await logs("")).totalItems, 0, "nothing is logged when off");
    await settings({ maxDays: 5, logAuthId: false, logIP: true });
    await get("/api/health");
    assert.equal((await logs("message = 'GET /api/health'")).totalItems, 1);
});

test("a crowd is logged whole, and nobody waits for the log", async () => {
    await pb.logs.truncate();
    const one = async (worker) => {
        for (let n = 0; n < 100; n++) await get(`/api/health?crowd=${worker}-${n}`).then((answer) => answer.text());
    };
    await Promise.all(Array.from({ length: 20 }, (_, worker) => one(worker)));
    const { totalItems } = await logs("message ~ 'crowd='", { perPage: 1 });
    assert.equal(totalItems, 2000);
    const ids = new Set();
    for (let page = 1; page <= 2; page++) {
        for (const { data } of (await pb.logs.getList(page, 1000, { filter: "message ~ 'crowd='" })).items) ids.add(data.requestId);
    }
    assert.equal(ids.size, 2000, "every request has an id of its own");
});

test("rows survive a restart, and a damaged log does not keep the server from starting", async () => {
    const dir = temporaryDirectory();
    let server;
    /** How many rows tell of this, as a new server sees it; meanwhile `then`. */
    const found = async (what, then = async () => {}) => {
        server = await startConchOn(dir);
        const client = new PocketBase(server.url);
        await client.collection("_superusers").authWithPassword(superuser.email, superuser.password);
        const { totalItems } = await client.logs.getList(1, 1, { filter: `message ~ '${what}'` });
        await then();
        await server.stop();
        return totalItems;
    };
    try {
        await found("nothing", () => fetch(`${server.url}/api/health?before`));
        assert.equal(await found("before"), 1);
        assert.equal(statSync(join(dir, "auxiliary.db")).mode & 0o077, 0, "for its owner only");
        for (const companion of ["-wal", "-shm"]) rmSync(join(dir, `auxiliary.db${companion}`), { force: true });
        writeFileSync(join(dir, "auxiliary.db"), "x".repeat(10_000));
        assert.equal(await found("before"), 0);
        assert.ok(await found("auth-with-password") > 0, "it goes on with a new one");
        assert.ok(readdirSync(dir).some((name) => name.startsWith("auxiliary.damaged-")));
    } finally {
        await server?.stop();
        rmSync(dir, { recursive: true, force: true });
    }
});

test("what the house says is in the log, with the request it happened in", async () => {
    await sql("CREATE TABLE told (x)");
    const { items: [row] } = await logs("data.source ~ 'conch' && message ~ 'changed by SQL'", { sort: "-@rowid" });
    assert.equal(row.level, 0);
    const { items: [request] } = await logs(`data.requestId = '${row.data.requestId}' && data.type = 'request'`);
    assert.equal(request.message, "POST /api/sql");
    await sql("DROP TABLE told");
});

test("SQL past the records: caches, catalog and followers learn of it", async () => {
    await pb.collections.create({ name: "notes", type: "base", listRule: "", viewRule: "", fields: [{ name: "text", type: "text" }] });
    const note = await pb.collection("notes").create({ text: "one" });
    const seen = await pb.collection("notes").getOne(note.id);
    assert.equal(seen.text, "one");
    const outcome = await sql(`UPDATE notes SET text = 'two' WHERE id = '${note.id}'`);
    assert.deepEqual({ ...outcome, execTime: 0 }, { execTime: 0, affectedRows: 1, columns: [], rows: [] });
    assert.equal((await pb.collection("notes").getOne(note.id)).text, "two", "the row cache is dropped");
    assert.equal((await pb.collection("notes").getList(1, 1)).totalItems, 1);
    await sql(`INSERT INTO notes (id, text) VALUES ('aaaaaaaaaaaaaaa', 'three')`);
    assert.equal((await pb.collection("notes").getList(1, 1)).totalItems, 2, "the totals are dropped");
    await sql("UPDATE _collections SET listRule = NULL WHERE name = 'notes'");
    await assert.rejects(new PocketBase(conch.url).collection("notes").getList(), { status: 403 });
    const { rows, columns } = await sql("SELECT id, text, 1.5 AS n, NULL FROM notes ORDER BY text");
    assert.deepEqual(rows, [["aaaaaaaaaaaaaaa", "three", "1.5", null], [note.id, "two", "1.5", null]]);
    assert.deepEqual(columns[0], { name: "id", type: "TEXT", nullable: true });
    for (const query of ["BEGIN", "ATTACH 'x' AS y", "PRAGMA user_version = 1", "SELECT nope", "DROP TABLE notes", "DELETE FROM __conch_log"]) {
        await assert.rejects(sql(query), (error) => error.status === 400 && Object.keys(error.response.data).length === 0, query);
    }
    assert.deepEqual((await sql("SELECT value FROM _params WHERE id = 'settings'")).rows, [[null]]);
    await assert.rejects(new PocketBase(conch.url).send("/api/sql", { method: "POST", body: { query: "SELECT 1" } }), { status: 401 });
});

test("a long read holds up nobody, and ends with its client", async () => {
    const endless = "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT count(*) FROM c";
    const gone = new AbortController();
    const running = fetch(`${conch.url}/api/sql`, {
        method: "POST", signal: gone.signal, body: JSON.stringify({ query: endless }),
        headers: { authorization: conch.token, "content-type": "application/json" },
    }).catch((error) => error.name);
    await new Promise((resolve) => setTimeout(resolve, 200));
    const note = await pb.collection("notes").create({ text: "meanwhile" });
    assert.equal((await pb.collection("notes").getOne(note.id)).text, "meanwhile");
    gone.abort();
    assert.equal(await running, "AbortError");
});

test("rows that are too old go with the cron", async () => {
    await pb.logs.truncate();
    await get("/api/health?old");
    await pb.send("/api/test/clock", { method: "POST", body: { advance: "6d" } });
    await pb.collection("_superusers").authWithPassword(conch.email, conch.password);
    assert.equal((await logs("message ~ 'old'")).totalItems, 1);
    await pb.crons.run("__pbLogsCleanup__");
    for (const end = Date.now() + 10_000; (await logs("message ~ 'old'")).totalItems > 0;) {
        assert.ok(Date.now() < end, "never cleaned up");
        await new Promise((resolve) => setTimeout(resolve, 50));
    }
});
