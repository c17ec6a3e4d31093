// Faults found in real systems of this kind; each has a test with its name.

import assert from "node:assert/strict";
import { cpSync, statSync } from "node:fs";
import { connect } from "node:net";
import { after, before, test } from "node:test";
import { admin, client, conchBinary, remove, run, startConchOn, startPocketBase, temporaryDirectory } from "../harness/server.mjs";
import { Database } from "../harness/sqlite.mjs";

const dir = temporaryDirectory();
let conch, root;

before(async () => {
    conch = await startConchOn(dir);
    root = admin(conch);
});

after(async () => {
    await conch?.stop();
    remove(dir);
});

const post = (path, body, token = conch.token) => fetch(conch.url + path, {
    method: "POST", headers: { "content-type": "application/json", authorization: token }, body: JSON.stringify(body),
});
const log = () => new Database(`${dir}/data.db`).all("SELECT seq, collection, record, kind, before FROM __conch_log ORDER BY seq");

test("a write that rolled back is not announced: the log has no row of a failed batch", async () => {
    await root.settings.update({ batch: { enabled: true } });
    await root.collections.create({ name: "rolled", createRule: "", fields: [{ name: "t", type: "text", required: true }] });
    const seen = log().length;
    const answer = await post("/api/batch", { requests: [
        { method: "POST", url: "/api/collections/rolled/records", body: { t: "a" } },
        { method: "POST", url: "/api/collections/rolled/records", body: { t: "" } },
    ] });
    assert.equal(answer.status, 400);
    assert.equal(log().length, seen);
    await root.collection("rolled").create({ t: "b" });
    const [last] = log().slice(-1);
    assert.equal(last.seq, seen + 1, "a rolled back write leaves no gap");
});

test("hidden fields do not leak through sort order, expansion, filters on relations or error texts", async () => {
    await root.collections.create({ id: "secrets", name: "secrets", listRule: "", viewRule: "", fields: [{ name: "name", type: "text" }, { name: "pin", type: "text", hidden: true, pattern: "^[0-9]*$" }] });
    await root.collections.create({ id: "holders", name: "holders", listRule: "", viewRule: "", updateRule: "", fields: [{ name: "s", type: "relation", collectionId: "secrets" }] });
    const a = await root.collection("secrets").create({ name: "a", pin: "2" });
    await root.collection("secrets").create({ name: "b", pin: "1" });
    await root.collection("holders").create({ s: a.id });
    const get = async (path) => {
        const answer = await fetch(conch.url + path);
        return [answer.status, await answer.text()];
    };
    for (const query of ["secrets/records?sort=pin", "secrets/records?filter=pin%3D'2'", "holders/records?filter=s.pin%3D'2'", "holders/records?sort=s.pin", "secrets/records?filter=holders_via_s.s.pin%3D'2'"]) {
        const [status, text] = await get(`/api/collections/${query}`);
        assert.equal(status, 400, query);
        assert.doesNotMatch(text, /pin/);
    }
    const [, expanded] = await get("/api/collections/holders/records?expand=s&fields=*,expand.s.pin,expand.s.*");
    assert.match(expanded, /"name":"a"/);
    assert.doesNotMatch(expanded, /pin/);
});

test("a rule is judged in the transaction of its write: nobody writes after losing the right to", async () => {
    await root.collections.create({ id: "baton", name: "baton", listRule: "", viewRule: "", updateRule: "holder = @request.auth.id", fields: [{ name: "holder", type: "relation", collectionId: "_pb_users_auth_" }, { name: "n", type: "number" }] });
    const runners = [];
    for (const name of ["one", "two"]) {
        const pb = client(conch);
        await pb.collection("users").create({ email: `${name}@example.com`, password: "12345678", passwordConfirm: "12345678" });
        await pb.collection("users").authWithPassword(`${name}@example.com`, "12345678");
        runners.push(pb);
    }
    const baton = await root.collection("baton").create({ holder: runners[0].authStore.record.id });
    let passing = true;
    const running = Promise.all(runners.map(async (pb) => {
        while (passing) await pb.collection("baton").update(baton.id, { "n+": 1 }).catch((error) => assert.equal(error.status, 404));
    }));
    for (let turn = 1; turn <= 60; turn++) await root.collection("baton").update(baton.id, { holder: runners[turn % 2].authStore.record.id });
    passing = false;
    await running;
    const field = (await root.collections.getOne("baton")).fields.find(({ name }) => name === "holder").id;
    const changes = new Database(`${dir}/data.db`).all(`SELECT actor_record AS actor, before FROM __conch_log WHERE record = '${baton.id}' ORDER BY seq`);
    let holder = runners[0].authStore.record.id;
    const ids = runners.map((pb) => pb.authStore.record.id);
    for (const [index, { actor, before }] of changes.entries()) {
        const old = before ? JSON.parse(before) : {};
        if (ids.includes(actor)) assert.equal(actor, holder, `change ${index} was made by one who no longer held the baton`);
        else if (field in old) holder = ids.find((id) => id !== old[field]);
    }
    assert.ok(changes.length > 60);
});

test("a rule reads the right column after a schema change", async () => {
    const fields = [{ id: "fa", name: "a", type: "text" }, { id: "fb", name: "b", type: "text" }];
    const { fields: [id] } = await root.collections.create({ name: "swap", listRule: "a = 'open'", fields });
    await root.collection("swap").create({ a: "open", b: "shut" });
    const guest = client(conch);
    assert.equal((await guest.collection("swap").getList()).items.length, 1);
    await root.collections.update("swap", { fields: [id, { ...fields[0], name: "b" }, { ...fields[1], name: "a" }] });
    assert.equal((await guest.collection("swap").getList()).items.length, 0, "a is the other column now");
    await root.collections.update("swap", { listRule: "b = 'open'" });
    assert.equal((await guest.collection("swap").getList()).items[0].b, "open");
});

test("totals are right on an empty page, and pages neither lose nor double rows", async () => {
    await root.collections.create({ id: "paged", name: "paged", listRule: "", fields: [{ name: "n", type: "number" }] });
    for (let n = 0; n < 25; n++) await root.collection("paged").create({ n: n % 3 });
    const beyond = await root.collection("paged").getList(9, 10);
    assert.deepEqual([beyond.items.length, beyond.totalItems, beyond.totalPages], [0, 25, 3]);
    const seen = (await root.collection("paged").getFullList({ batch: 4, sort: "n,id" })).map(({ id }) => id);
    assert.equal(new Set(seen).size, 25);
});

test("the WAL is checkpointed under a stream of single writes", async () => {
    await root.collections.create({ id: "stream", name: "stream", fields: [{ name: "t", type: "text" }] });
    const t = "x".repeat(4000);
    let peak = 0;
    for (let round = 0; round < 120; round++) {
        await Promise.all(Array.from({ length: 50 }, () => root.collection("stream").create({ t })));
        peak = Math.max(peak, statSync(`${dir}/data.db-wal`).size);
    }
    const { size } = statSync(`${dir}/data.db`);
    assert.ok(size > 16_000_000, `the database has only ${size} bytes`);
    assert.ok(peak < 40_000_000, `the WAL grew to ${peak} bytes`);
});

test("eight logins at once stall nobody", async () => {
    const logins = Array.from({ length: 8 }, () => client(conch).collection("users").authWithPassword("one@example.com", "12345678"));
    let done = false;
    const all = Promise.all(logins).finally(() => { done = true; });
    const waits = [];
    while (!done) {
        const from = performance.now();
        assert.equal((await fetch(`${conch.url}/api/health`)).status, 200);
        waits.push(performance.now() - from);
    }
    await all;
    assert.ok(waits.length >= 3, `only ${waits.length} answers beside eight logins`);
});

test("silent connections block nobody", async () => {
    const { port } = new URL(conch.url);
    const silent = Array.from({ length: 50 }, () => connect(Number(port), "127.0.0.1"));
    await Promise.all(silent.map((socket) => new Promise((resolve) => socket.once("connect", resolve))));
    assert.equal((await fetch(`${conch.url}/api/health`)).status, 200);
    for (const socket of silent) socket.destroy();
});

test("a token of another type, a 404 on update and a unique violation in a batch get their answers", async () => {
    const payload = Buffer.from(JSON.stringify({ id: "x", collectionId: "_pb_users_auth_", type: "file", exp: 4e9 })).toString("base64url");
    for (const token of [`eyJhbGciOiJub25lIn0.${payload}.`, `eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.${payload}.AAAA`, "x", "a.b.c", "Bearer ", "ü", "{}.{}.{}"].filter((word) => !/ü/.test(word))) {
        assert.equal((await fetch(`${conch.url}/api/collections/users/records`, { headers: { authorization: token } })).status, 200);
        assert.equal((await post("/api/collections", {}, token)).status, 401);
    }
    // Honest tokens at doors that are not theirs.
    const pb = client(conch);
    const { token: auth } = await pb.collection("users").authWithPassword("one@example.com", "12345678");
    const file = await pb.files.getToken();
    assert.equal((await post("/api/collections/users/auth-refresh", {}, file)).status, 401);
    assert.equal((await post("/api/files/token", {}, file)).status, 401);
    for (const token of [auth, file]) {
        for (const [door, body] of [["verification", {}], ["password-reset", { password: "12345678", passwordConfirm: "12345678" }], ["email-change", { password: "12345678" }]]) {
            const answer = await post(`/api/collections/users/confirm-${door}`, { token, ...body }, "");
            assert.equal(answer.status, 400, door);
            assert.match((await answer.json()).data.token.code, /^validation_invalid_token/);
        }
    }
    await assert.rejects(root.collection("rolled").update("nothing12345678", { t: "x" }), { status: 404 });
    await root.collections.update("rolled", { indexes: ["CREATE UNIQUE INDEX idx_rolled ON rolled (t)"] });
    const twice = { method: "POST", url: "/api/collections/rolled/records", body: { t: "same" } };
    const answer = await post("/api/batch", { requests: [twice, twice] });
    assert.equal(answer.status, 400);
    assert.equal((await answer.json()).data.requests[1].response.data.t.code, "validation_not_unique");
});

test("a copy of a WAL database does not go back in time: what PocketBase had only in its WAL is imported", async () => {
    const source = await startPocketBase();
    const pb = admin(source);
    await pb.collections.create({ name: "late", fields: [{ name: "n", type: "number" }] });
    for (let n = 0; n < 50; n++) await pb.collection("late").create({ n });
    await source.stop("SIGKILL");
    assert.ok(statSync(`${source.dir}/data.db-wal`).size > 0, "the rows are still in the WAL");
    const copy = temporaryDirectory();
    cpSync(source.dir, copy, { recursive: true });
    const target = temporaryDirectory();
    run(conchBinary, ["import", "pocketbase", copy, "--dir", target]);
    assert.equal(new Database(`${target}/data.db`).all("SELECT count(*) AS n FROM late")[0].n, 50);
    for (const used of [source.dir, copy, target]) remove(used);
});

test("internal details reach the log, not the client: an answer carries the request id that the log has", async () => {
    const answer = await fetch(`${conch.url}/api/collections/rolled/records?filter=nope%3D1`, { headers: { authorization: conch.token } });
    assert.equal(answer.status, 400);
    assert.ok(answer.headers.get("x-request-id"));
    assert.deepEqual((await answer.json()).data, {});
});
