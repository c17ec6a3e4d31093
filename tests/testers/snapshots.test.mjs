// Snapshots of a temporary server (docs/TESTING.md).

import assert from "node:assert/strict";
import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { EventSource } from "eventsource";
import PocketBase from "pocketbase";
import { startConch, startConchOn, superuser, temporaryDirectory } from "../harness/server.mjs";

let conch, pb;
before(async () => {
    conch = await startConch();
    pb = new PocketBase(conch.url);
    pb.autoCancellation(false);
    pb.authStore.save(conch.token);
    await pb.collections.create({
        name: "posts", type: "base", listRule: "", viewRule: "", createRule: "",
        fields: [{ name: "title", type: "text" }, { name: "file", type: "file", maxSelect: 3, thumbs: ["10x10"] }],
    });
});
after(() => conch?.stop());

const post = (path, body) => pb.send(`/api/test/${path}`, { method: "POST", body });
const snapshot = async () => (await post("snapshot")).id;
const restore = (id) => post("restore", { id });
const titles = async () => (await pb.collection("posts").getFullList({ sort: "title" })).map(({ title }) => title);
const mails = async () => (await pb.send("/api/mailbox", {})).items;
const ask = (body) => pb.send("/api/test/clock", { method: "POST", body });

async function eventually(what, holds) {
    for (const end = Date.now() + 10_000; Date.now() < end;) {
        if (await holds()) return;
        await new Promise((resolve) => setTimeout(resolve, 20));
    }
    assert.fail(`never: ${what}`);
}

test("records, collections, accounts, settings and files come back", async () => {
    const kept = await pb.collection("posts").create({ title: "kept", file: new File(["original"], "kept.txt") });
    const id = await snapshot();
    for (let round = 0; round < 3; round++) {
        await pb.collection("posts").delete(kept.id);
        const other = await pb.collection("posts").create({ title: "other", file: new File(["other"], "other.txt") });
        assert.equal((await fetch(pb.files.getURL(other, other.file[0]))).status, 200);
        await pb.collections.create({ name: "extra", type: "base", fields: [{ name: "x", type: "text" }] });
        await pb.collections.update("posts", { fields: [{ name: "name", type: "text" }], listRule: null });
        await pb.collection("users").create({ email: "ann@example.com", password: "12345678", passwordConfirm: "12345678" });
        const ann = new PocketBase(conch.url);
        await ann.collection("users").authWithPassword("ann@example.com", "12345678");
        await pb.settings.update({ meta: { appName: "Changed" } });

        await restore(id);
        assert.deepEqual(await titles(), ["kept"]);
        assert.equal(await (await fetch(pb.files.getURL(kept, kept.file[0]))).text(), "original");
        assert.equal((await fetch(pb.files.getURL(other, other.file[0]))).status, 404);
        await assert.rejects(pb.collections.getOne("extra"), { status: 404 });
        assert.equal((await new PocketBase(conch.url).collection("posts").getFullList()).length, 1, "its rule is back");
        await assert.rejects(ann.collection("users").authRefresh(), { status: 401 });
        assert.equal((await pb.collection("users").getFullList()).length, 0);
        assert.notEqual((await pb.settings.getAll()).meta.appName, "Changed");
    }
});

test("reset goes back to the beginning, and snapshots outlive it", async () => {
    const id = await snapshot();
    await post("reset");
    await assert.rejects(pb.collections.getOne("posts"), { status: 404 });
    await restore(id);
    assert.deepEqual(await titles(), ["kept"]);
});

test("mails, clock and jobs come back", async () => {
    await pb.collection("users").create({ email: "bob@example.com", password: "12345678", passwordConfirm: "12345678" });
    const reset = () => pb.collection("users").requestPasswordReset("bob@example.com");
    await reset();
    await eventually("a mail", async () => (await mails()).length === 1);
    await ask({ freeze: true });
    const { now } = await pb.send("/api/test/clock", {});
    const id = await snapshot();

    // Two minutes of silence for that account, which a restore forgets; and the limit of wrong passwords.
    for (let round = 0; round < 3; round++) {
        await ask({ advance: "3h" });
        await pb.send("/api/test/run-due", { method: "POST" });
        await reset();
        await eventually("a second mail", async () => (await mails()).length === 2);
        for (let wrong = 0; wrong < 5; wrong++) {
            await assert.rejects(pb.collection("users").authWithPassword("bob@example.com", "wrong"), (error) => [400, 429].includes(error.status));
        }
        await restore(id);
        assert.deepEqual(await pb.send("/api/test/clock", {}), { now, frozen: true });
        assert.equal((await mails()).length, 1);
        await new PocketBase(conch.url).collection("users").authWithPassword("bob@example.com", "12345678");
    }
    // Crons go on from there.
    await ask({ advance: "2h" });
    assert.equal((await pb.send("/api/test/run-due", { method: "POST" })).done, true);
    const { items } = await pb.send("/api/jobs/history", { query: { kind: "__pbOTPCleanup__" } });
    assert.ok(items.length > 0);
    await post("reset");
    assert.equal((await pb.send("/api/test/clock", {})).frozen, false);
    await restore(id);
    await ask({ freeze: false });
    await pb.collection("users").delete((await pb.collection("users").getFirstListItem("email = 'bob@example.com'")).id);
});

test("live clients connect again, and hear of what comes then", async () => {
    globalThis.EventSource = EventSource;
    const id = await snapshot();
    const heard = [];
    const guest = new PocketBase(conch.url);
    let connections = 0;
    await guest.realtime.subscribe("PB_CONNECT", () => { connections++; });
    await guest.collection("posts").subscribe("*", ({ action, record }) => heard.push(`${action} ${record.title}`));
    await pb.collection("posts").create({ title: "before" });
    await eventually("the first event", () => heard.length === 1);
    const known = connections;
    await restore(id);
    await eventually("another connection", () => connections > known);
    await eventually("a subscription", async () => {
        await pb.collection("posts").create({ title: "after" });
        return heard.includes("create after");
    });
    await guest.realtime.unsubscribe();
    await restore(id);
});

test("a crowd may work, take and restore at the same time", async () => {
    await post("reset");
    await pb.collections.create({ name: "crowd", type: "base", fields: [{ name: "n", type: "number" }, { name: "file", type: "file", maxSelect: 1 }] });
    const id = await snapshot();
    let working = true;
    const failures = [];
    const worker = async (n) => {
        while (working) {
            try {
                const made = await pb.collection("crowd").create({ n, file: new File([`${n}`], "n.txt") });
                await pb.collection("crowd").getList(1, 5, { sort: "-n" });
                const answer = await fetch(pb.files.getURL(made, made.file));
                if (![200, 404].includes(answer.status)) failures.push(answer.status);
            } catch (error) {
                failures.push(error.status);
            }
        }
    };
    const workers = Array.from({ length: 8 }, (_, n) => worker(n));
    const taken = [];
    for (let round = 0; round < 15; round++) {
        const [, , made] = await Promise.all([restore(id), restore(id), snapshot()]);
        taken.push(made);
    }
    working = false;
    await Promise.all(workers);
    assert.deepEqual(failures, []);
    // Whatever a snapshot holds is whole: each record has its file.
    for (const id of taken) {
        await restore(id);
        for (const record of await pb.collection("crowd").getFullList()) {
            const answer = await fetch(pb.files.getURL(record, record.file));
            assert.deepEqual([answer.status, await answer.text()], [200, `${record.n}`]);
        }
    }
});

test("it takes milliseconds", async () => {
    await post("reset");
    await pb.collections.create({ name: "many", type: "base", fields: [{ name: "text", type: "text" }] });
    const batch = (size) => pb.send("/api/batch", { method: "POST", body: {
        requests: Array.from({ length: size }, (_, n) => ({ method: "POST", url: "/api/collections/many/records", body: { text: `${n} `.repeat(20) } })),
    } });
    await pb.settings.update({ batch: { enabled: true, maxRequests: 1000, timeout: 30 } });
    for (let n = 0; n < 2; n++) await batch(500);
    const times = { snapshot: [], restore: [], reset: [] };
    const timed = async (name, work) => {
        const begun = performance.now();
        const done = await work();
        times[name].push(performance.now() - begun);
        return done;
    };
    for (let round = 0; round < 10; round++) {
        const id = await timed("snapshot", snapshot);
        await timed("reset", () => post("reset"));
        await timed("restore", () => restore(id));
        assert.equal((await pb.collection("many").getList(1, 1)).totalItems, 1000);
        await pb.send(`/api/test/snapshot/${id}`, { method: "DELETE" });
    }
    const median = Object.fromEntries(Object.entries(times).map(([name, all]) => [name, all.sort((a, b) => a - b)[5].toFixed(1)]));
    console.log("milliseconds, of 1000 records:", median);
});

test("what makes no sense is refused", async () => {
    const id = await snapshot();
    await pb.send(`/api/test/snapshot/${id}`, { method: "DELETE" });
    for (const gone of [id, "999999", "x", "../1", "-1"]) {
        await assert.rejects(restore(gone), { status: 404 }, gone);
        await assert.rejects(pb.send(`/api/test/snapshot/${encodeURIComponent(gone)}`, { method: "DELETE" }), { status: 404 }, gone);
    }
    for (const bad of ["", null, 5, {}]) await assert.rejects(restore(bad), { status: 400 }, JSON.stringify(bad));
    for (const path of ["snapshot", "restore", "reset"]) {
        await assert.rejects(new PocketBase(conch.url).send(`/api/test/${path}`, { method: "POST" }), { status: 401 });
    }
    const ids = [];
    let refused;
    while (!refused && ids.length < 200) await snapshot().then((id) => ids.push(id), (error) => { refused = error; });
    assert.equal(refused.status, 400);
    assert.ok(ids.length <= 100 && refused.response.data.snapshot.message.includes("DELETE"));
    for (const id of ids) await pb.send(`/api/test/snapshot/${id}`, { method: "DELETE" });
});

test("with files in a bucket there is no way back, and that is said", async () => {
    const dir = temporaryDirectory();
    const seed = join(dir, "seed.json");
    const s3 = { enabled: true, endpoint: "http://127.0.0.1:9", bucket: "b", region: "r", accessKey: "a", secret: "s", forcePathStyle: true };
    writeFileSync(seed, JSON.stringify({ settings: { s3 } }));
    const seeded = await startConch({ args: ["--seed", seed] });
    try {
        const owner = new PocketBase(seeded.url);
        owner.authStore.save(seeded.token);
        await eventually("the warning", () => /no snapshot of the beginning/.test(seeded.log()));
        const refused = (path) => assert.rejects(owner.send(`/api/test/${path}`, { method: "POST" }), (error) => {
            assert.deepEqual([error.status, /S3/.test(error.response.message)], [400, true], JSON.stringify(error.response));
            return true;
        });
        await refused("reset");
        await refused("snapshot");
        // Without a bucket, from now on there are snapshots; the beginning is still not one.
        await owner.settings.update({ s3: { ...s3, enabled: false } });
        const { id } = await owner.send("/api/test/snapshot", { method: "POST" });
        await owner.send("/api/test/restore", { method: "POST", body: { id } });
        await refused("reset");
    } finally {
        await seeded.stop();
        rmSync(dir, { recursive: true, force: true });
    }
});

test("elsewhere nothing is here", async () => {
    const dir = temporaryDirectory();
    const kept = await startConchOn(dir);
    try {
        const owner = new PocketBase(kept.url);
        await owner.collection("_superusers").authWithPassword(superuser.email, superuser.password);
        for (const path of ["snapshot", "restore", "reset"]) {
            await assert.rejects(owner.send(`/api/test/${path}`, { method: "POST", body: { id: "1" } }), { status: 404 });
        }
    } finally {
        await kept.stop();
        rmSync(dir, { recursive: true });
    }
});
