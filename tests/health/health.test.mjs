// Whoever watches a server: whether it lives, whether it can work, and what it counts (docs/DEPLOY.md).

import assert from "node:assert/strict";
import { createServer } from "node:http";
import { dirname, join } from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { admin, conchBinary, run, startConch } from "../harness/server.mjs";
import { metrics, value } from "../harness/metrics.mjs";
import { openStream } from "../harness/stream.mjs";

const place = join(dirname(fileURLToPath(import.meta.url)), "..", "..");
let conch, root;
before(async () => {
    conch = await startConch();
    root = admin(conch);
});
after(() => conch?.stop());

const get = (path, headers = {}) => fetch(conch.url + path, { headers });

test("a server that lives and can work says so, to everybody", async () => {
    const live = await get("/livez");
    assert.deepEqual([live.status, await live.json(), live.headers.get("cache-control")], [200, { alive: true }, "no-store"]);
    const ready = await get("/readyz");
    const { ready: is, checks } = await ready.json();
    assert.deepEqual([ready.status, is, Object.keys(checks)], [200, true, ["serving", "writes", "disk", "jobs"]]);
    assert.ok(checks.disk.freeBytes > 0 && checks.writes.milliseconds < 5000, JSON.stringify(checks));
    // Through a proxy it could be anybody.
    const short = await (await get("/readyz", { "x-forwarded-for": "1.2.3.4" })).json();
    assert.deepEqual(short.checks.disk, { ok: true });
    assert.equal((await fetch(`${conch.url}/readyz`, { method: "HEAD" })).status, 200);
    for (const method of ["POST", "DELETE"]) assert.equal((await fetch(`${conch.url}/livez`, { method })).status, 404);
});

test("the write that is tried is shared by all who ask", async () => {
    const count = async () => value(await metrics(conch), "conch_writer_group_jobs_count");
    await get("/readyz");
    const start = await count();
    await Promise.all(Array.from({ length: 300 }, () => get("/readyz")));
    // Other writes of the house may come in between, but not three hundred.
    assert.ok(await count() - start < 50);
});

test("what happens is counted", async () => {
    await root.collections.create({ name: "counted", type: "base", listRule: "", viewRule: "", fields: [{ name: "t", type: "text" }] });
    const start = await metrics(conch);
    const made = await root.collection("counted").create({ t: "a" });
    for (let i = 0; i < 5; i++) await get(`/api/collections/counted/records/${made.id}`);
    for (let i = 0; i < 3; i++) await get("/api/collections/counted/records");
    await get("/api/collections/counted/records/nobody");
    const end = await metrics(conch);
    const grown = (name, labels) => value(end, name, labels) - (value(start, name, labels) || 0);
    assert.equal(grown("conch_requests_total", { route: "view", status: "200" }), 5);
    assert.equal(grown("conch_requests_total", { route: "view", status: "404" }), 1);
    assert.equal(grown("conch_requests_total", { route: "list", status: "200" }), 3);
    assert.equal(grown("conch_requests_total", { route: "create", status: "200" }), 1);
    assert.equal(grown("conch_request_duration_seconds_count", { route: "view" }), 6);
    assert.equal(grown("conch_log_last"), 1);
    assert.ok(grown("conch_writer_commit_seconds_count") >= 1);
    assert.ok(grown("conch_cache_lookups_total", { cache: "rows", outcome: "hit" }) >= 4);
    assert.ok(value(end, "conch_wal_bytes") > 0 && value(end, "conch_database_bytes") >= 0);
    assert.ok(value(end, "process_resident_memory_bytes") > 1e6 && value(end, "process_open_fds") > 5);
    assert.equal(value(end, "conch_disk_scarce"), 0);
    assert.equal(value(end, "conch_logs_total", { outcome: "dropped" }), 0);
    assert.ok(end.some(({ name, labels }) => name === "conch_jobs" && labels.kind === "__pbOTPCleanup__" && labels.state === "waiting"));
});

test("streams are counted while they are open, and are no running requests", async () => {
    const start = value(await metrics(conch), "conch_realtime_clients");
    const streams = await Promise.all(Array.from({ length: 20 }, () => openStream(conch)));
    await streams[0].subscribe(["counted/*", "counted/nobody"]);
    const open = await metrics(conch);
    assert.equal(value(open, "conch_realtime_clients") - start, 20);
    assert.equal(value(open, "conch_realtime_topics"), 2);
    // The one that asks.
    assert.equal(value(open, "conch_requests_running"), 1);
    streams.forEach((stream) => stream.close());
    for (;;) {
        const closed = await metrics(conch);
        if (value(closed, "conch_realtime_clients") === start && value(closed, "conch_realtime_topics") === 0) break;
        await new Promise((resolve) => setTimeout(resolve, 20));
    }
});

test("the page is what Prometheus reads", async () => {
    const answer = await get("/metrics");
    assert.match(answer.headers.get("content-type"), /^application\/openmetrics-text; version=1.0.0/);
    const text = await answer.text();
    assert.ok(text.endsWith("# EOF\n"));
    const reader = run("bash", ["tests/harness/prometheus.sh"], { cwd: place }).stdout.trim();
    const script = "import sys; from prometheus_client.openmetrics.parser import text_string_to_metric_families as read; "
        + "print(sum(len(family.samples) for family in read(sys.stdin.read())))";
    assert.ok(Number(run(reader, ["-c", script], { input: text }).stdout) > 100);
    const names = text.split("\n").filter((line) => line.startsWith("# TYPE")).map((line) => line.split(" ")[2]);
    assert.equal(new Set(names).size, names.length, "every name once");
    assert.ok(text.split("\n").filter((line) => line && !line.startsWith("#")).every((line) => /^[a-z_]+(\{.*\})? -?[\d.e+-]+$/.test(line)));
});

test("numbers are for whoever has the token, if there is one", async () => {
    const guarded = await startConch({ env: { CONCH_METRICS_TOKEN: "a token" } });
    try {
        const ask = (headers = {}) => fetch(`${guarded.url}/metrics`, { headers });
        const refused = await ask();
        assert.deepEqual([refused.status, refused.headers.get("www-authenticate")], [401, "Bearer"]);
        assert.equal((await ask({ authorization: "Bearer another" })).status, 401);
        assert.equal((await ask({ authorization: "Bearer a token" })).status, 200);
        assert.deepEqual((await (await fetch(`${guarded.url}/readyz`)).json()).checks.disk, { ok: true });
    } finally {
        await guarded.stop();
    }
    const other = await get("/metrics", { forwarded: "for=9.9.9.9" });
    assert.equal(other.status, 403);
});

test("no limit on addresses and no account stands before the question whether it lives", async () => {
    await root.settings.update({ superuserIPs: ["10.9.9.9"] });
    assert.equal((await get("/api/health", { authorization: conch.token })).status, 403);
    for (const path of ["/livez", "/readyz", "/metrics"]) {
        assert.equal((await get(path, { authorization: conch.token })).status, 200, path);
    }
    run(conchBinary, ["superuser", "ips", "--dir", conch.dir]);
});

test("conch health asks, and its exit code tells", async () => {
    const health = (...args) => run(conchBinary, ["health", ...args], { mayFail: true, env: { ...process.env, CONCH_HTTP: "" } });
    const well = health("--url", conch.url);
    assert.deepEqual([well.status, JSON.parse(well.stdout).ready], [0, true]);
    assert.equal(health("--url", `${conch.url}/`, "--live").status, 0);
    const address = new URL(conch.url).host;
    assert.equal(run(conchBinary, ["health"], { env: { ...process.env, CONCH_HTTP: address } }).status, 0);
    const nobody = health("--http", "127.0.0.1:9");
    assert.equal(nobody.status, 1);
    assert.match(nobody.stderr, /cannot ask http:\/\/127\.0\.0\.1:9\/readyz/);
    const silent = createServer(() => {});
    await new Promise((resolve) => silent.listen(0, "127.0.0.1", resolve));
    try {
        // This process is busy waiting: the connection is made, and nobody answers.
        const gaveUp = health("--http", `127.0.0.1:${silent.address().port}`, "--timeout", "1");
        assert.equal(gaveUp.status, 1);
        assert.match(gaveUp.stderr, /too long/);
    } finally {
        silent.closeAllConnections();
        silent.close();
    }
});
