// The server at a glance, where settings came from, what is being done with backups, and the queue by kind (docs/admin.md).

import assert from "node:assert/strict";
import { rmSync } from "node:fs";
import { after, before, test } from "node:test";
import PocketBase from "pocketbase";
import { startConch, startConchOn, temporaryDirectory } from "../harness/server.mjs";

let conch, pb;
before(async () => {
    conch = await startConch({ args: ["--query-timeout", "29"], env: { CONCH_SHUTDOWN_TIMEOUT: "9" } });
    pb = new PocketBase(conch.url);
    pb.autoCancellation(false);
    pb.authStore.save(conch.token, null);
});
after(() => conch?.stop());

const overview = () => pb.send("/api/overview", { method: "GET" });
const get = (path, token = "") => fetch(conch.url + path, { headers: { authorization: token } });

test("requests are counted by what became of them", async () => {
    const before = await overview();
    for (let n = 0; n < 20; n++) await get("/api/health");
    for (let n = 0; n < 5; n++) await get("/api/nope");
    const after = await overview();
    assert.equal(after.requests.total - before.requests.total, 26, "and the overview itself");
    assert.equal(after.requests.errors4xx - before.requests.errors4xx, 5);
    assert.equal(after.requests.errors5xx, 0);
    const { perSecond, p50, p99, series } = after.requests;
    assert.ok(perSecond > 0 && p50 > 0 && p50 <= p99, JSON.stringify(after.requests));
    assert.ok(series.length >= 1 && series.length <= 2);
    assert.deepEqual(Object.keys(series[0]).sort(), ["at", "errors", "p99", "refused", "requests"]);
    assert.match(series[0].at, /^\d{4}-\d\d-\d\d \d\d:\d\d:00\.000Z$/);
    assert.equal(series.reduce((sum, { requests }) => sum + requests, 0), after.requests.total);
});

test("everything else is there", async () => {
    const form = new FormData();
    await pb.collections.create({ name: "papers", type: "base", fields: [{ name: "file", type: "file", maxSelect: 1 }] });
    form.append("file", new Blob([new Uint8Array(12_345)]), "a.bin");
    await pb.collection("papers").create(form);
    const found = await overview();
    assert.match(found.version, /^\d+\.\d+\.\d+/);
    assert.ok(Math.abs(Date.parse(found.started) - Date.now()) < 120_000 && found.uptime >= 0);
    assert.deepEqual(found.mode, { temp: true, dev: false, readOnly: false, scarce: false });
    assert.ok(found.storage.database > 0 && found.storage.log > 0 && found.storage.free > 0);
    assert.equal(found.storage.where, "local");
    assert.ok(found.storage.files === null || found.storage.files >= 0);
    assert.equal(found.collections, 2, "users and papers");
    assert.deepEqual(found.realtime, { connections: 0, subscriptions: 0 });
    assert.deepEqual(found.notifications, { pending: 0, failed24h: 0 });
    assert.deepEqual(found.backup, { last: null, running: false, next: null });
    assert.ok(found.process.memory > 1e6 && found.process.threads > 1 && found.process.fds > 3 && found.process.cpu > 0);
    assert.deepEqual(found.warnings, [], "a server for tests has nothing to lose");
    assert.ok(found.jobs.waiting > 0 && found.jobs.dead === 0, "recurring jobs wait");
    const { items } = await pb.logs.getList(1, 200);
    assert.ok(!items.some(({ message }) => message.includes("/api/overview")), "whoever looks leaves no rows");
    for (const path of ["/api/overview", "/api/settings/origins", "/api/backups/progress", "/api/jobs/stats"]) {
        assert.equal((await get(path)).status, 401, path);
    }
});

test("the queue by kind, and what its rows tell", async () => {
    const { kinds } = await pb.send("/api/jobs/stats", { method: "GET" });
    assert.ok(kinds.length > 0);
    for (const kind of kinds) assert.deepEqual(Object.keys(kind).sort(), ["dead", "kind", "late", "running", "waiting"]);
    const { items } = await pb.send("/api/jobs", { method: "GET" });
    for (const key of ["kind", "state", "due", "attempts", "error", "created", "payload"]) assert.ok(key in items[0], key);
    assert.equal(items.length, kinds.reduce((sum, { waiting, running, dead }) => sum + waiting + running + dead, 0));
});

test("settings and options say where they came from, and nothing else", async () => {
    await pb.settings.update({ meta: { appName: "Mine" }, smtp: { password: "hush-hush" } });
    const answer = await get("/api/settings/origins", conch.token);
    const text = await answer.text();
    assert.doesNotMatch(text, /hush|Mine/);
    const { items } = JSON.parse(text);
    const of = (key) => items.find((item) => item.key === key);
    assert.deepEqual(of("meta.appName"), { key: "meta.appName", origin: "settings", name: null });
    assert.deepEqual(of("smtp.password"), { key: "smtp.password", origin: "settings", name: null });
    assert.deepEqual(of("smtp.port"), { key: "smtp.port", origin: "default", name: null });
    assert.deepEqual(of("query-timeout"), { key: "query-timeout", origin: "flag", name: "--query-timeout" });
    assert.deepEqual(of("shutdown-timeout"), { key: "shutdown-timeout", origin: "environment", name: "CONCH_SHUTDOWN_TIMEOUT" });
    assert.deepEqual(of("disk-reserve"), { key: "disk-reserve", origin: "default", name: null });
});

test("a backup that is being made is seen, and then it is the last", async () => {
    const progress = () => pb.send("/api/backups/progress", { method: "GET" });
    assert.deepEqual(await progress(), { running: null });
    // Enough to take a moment.
    await pb.send("/api/sql", { method: "POST", body: { query: "CREATE TABLE ballast (x); INSERT INTO ballast SELECT randomblob(1000) FROM (WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 40000) SELECT i FROM n)" } });
    let done = false, seen = null;
    const begun = Date.now();
    const made = pb.backups.create("now.zip").then(() => { done = true; });
    while (!done) {
        const { running } = await progress();
        if (running) seen = running;
        await new Promise((resolve) => setTimeout(resolve, 10));
    }
    await made;
    assert.equal(seen?.what, "create");
    assert.equal(seen.key, "now.zip");
    assert.ok(["bytes", "files"].includes(seen.unit) && (seen.total === null || seen.done <= seen.total), JSON.stringify(seen));
    assert.ok(Date.parse(seen.since) >= begun - 1000 && Date.parse(seen.since) <= Date.now(), seen.since);
    assert.deepEqual(await progress(), { running: null });
});

test("an owner is told what to look after", async () => {
    const dir = temporaryDirectory();
    const server = await startConchOn(dir);
    try {
        const owner = new PocketBase(server.url);
        owner.authStore.save(server.token, null);
        const codes = async () => (await owner.send("/api/overview", { method: "GET" })).warnings.map(({ code }) => code);
        const fresh = await codes();
        assert.ok(fresh.includes("backups_unscheduled") && fresh.includes("app_url_default"), fresh.join(" "));
        await owner.settings.update({ meta: { appURL: "https://app.example.com" }, backups: { cron: "0 3 * * *" }, smtp: { enabled: true, host: "127.0.0.1", port: 1, password: "x" } });
        const later = await codes();
        assert.ok(!later.includes("backups_unscheduled") && !later.includes("app_url_default") && !later.includes("mail_off"), later.join(" "));
        assert.ok(later.includes("settings_unencrypted"));
        const { backup, mode } = await owner.send("/api/overview", { method: "GET" });
        assert.match(backup.next, / 03:00:00\.000Z$/);
        assert.equal(mode.temp, false);
    } finally {
        await server.stop();
        rmSync(dir, { recursive: true, force: true });
    }
});
