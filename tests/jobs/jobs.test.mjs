// Crons through the official SDK, the queue of jobs, and the clock of a temporary server (docs/jobs.md, docs/TESTING.md).

import assert from "node:assert/strict";
import { rmSync } from "node:fs";
import { after, before, test } from "node:test";
import PocketBase from "pocketbase";
import { startConch, startConchOn, superuser, temporaryDirectory } from "../harness/server.mjs";

let conch, pb;
before(async () => {
    conch = await startConch();
    pb = new PocketBase(conch.url);
    pb.autoCancellation(false);
    await signIn();
});
after(() => conch?.stop());

const signIn = () => pb.collection("_superusers").authWithPassword(conch.email, conch.password);
const get = (path, query = {}) => pb.send(path, { query });
const post = (path, body = {}) => pb.send(path, { method: "POST", body });
const history = async (kind) => (await get("/api/jobs/history", { kind })).items;
const moment = (text) => new Date(text.replace(" ", "T")).getTime();

async function eventually(what, holds) {
    for (const end = Date.now() + 10_000; Date.now() < end;) {
        if (await holds()) return;
        await new Promise((resolve) => setTimeout(resolve, 20));
    }
    assert.fail(`never: ${what}`);
}

test("crons are listed and run through the SDK", async () => {
    const crons = await pb.crons.getFullList();
    assert.deepEqual(crons.filter(({ id }) => id.startsWith("__pb")), [
        { id: "__pbDBOptimize__", expression: "0 0 * * *" },
        { id: "__pbMFACleanup__", expression: "0 * * * *" },
        { id: "__pbOTPCleanup__", expression: "0 * * * *" },
        { id: "__pbLogsCleanup__", expression: "0 */6 * * *" },
        { id: "__pbRateLimitersCleanup__", expression: "2 * * * *" },
    ]);
    for (const { id } of crons) {
        const before = (await history(id)).length;
        assert.equal(await pb.crons.run(id), true);
        await eventually(`${id} has run`, async () => (await history(id)).length > before);
        const [{ outcome, error, kind }] = await history(id);
        assert.deepEqual({ outcome, error, kind }, { outcome: "done", error: "", kind: id });
    }
    await assert.rejects(pb.crons.run("none"), { status: 404 });
    await assert.rejects(new PocketBase(conch.url).crons.getFullList(), { status: 401 });
});

test("lists are cut down to the fields of their items", async () => {
    const { items: jobs } = await get("/api/jobs", { limit: 2, fields: "id,kind" });
    assert.deepEqual(jobs.map((job) => Object.keys(job).sort()), [["id", "kind"], ["id", "kind"]]);
    await eventually("something has run", async () => (await history("")).length > 0);
    const { items: runs } = await get("/api/jobs/history", { limit: 1, fields: "outcome" });
    assert.deepEqual(runs.map((run) => Object.keys(run)), [["outcome"]]);
    await post("/api/notify/send", { to: ["zoe@example.com"], title: "Picked" });
    const { items: mails, total } = await get("/api/mailbox", { to: "zoe@example.com", wait: 10, fields: "subject,to" });
    assert.deepEqual({ mails, total }, { mails: [{ to: "zoe@example.com", subject: "Picked" }], total: 1 });
});

test("the queue of jobs is for superusers and refuses what makes no sense", async () => {
    const { items } = await get("/api/jobs", { state: "waiting", limit: 2 });
    assert.equal(items.length, 2);
    const [{ id, kind }] = items;
    assert.deepEqual((await get("/api/jobs", { kind })).items.map((job) => job.kind), [kind]);
    assert.ok((await get("/api/jobs", { before: id })).items.every((job) => Number(job.id) < Number(id)));
    await assert.rejects(post(`/api/jobs/${id}/cancel`), { status: 400 }, "a cron's next run");
    await assert.rejects(post(`/api/jobs/${id}/replay`), { status: 400 }, "it is not dead");
    for (const path of ["/api/jobs/999999/replay", "/api/jobs/x/cancel", "/api/jobs/1/forget"]) {
        await assert.rejects(post(path), { status: 404 });
    }
    for (const query of [{ state: "gone" }, { limit: 501 }, { limit: "x" }, { before: -1 }]) {
        await assert.rejects(get("/api/jobs", query), { status: 400 });
    }
    const guest = new PocketBase(conch.url);
    for (const path of ["/api/jobs", "/api/jobs/history", "/api/test/clock"]) {
        await assert.rejects(guest.send(path, {}), { status: 401 });
    }
});

test("a test holds the clock, jumps, and waits for what is due", async () => {
    const frozen = await post("/api/test/clock", { freeze: true });
    await new Promise((resolve) => setTimeout(resolve, 30));
    assert.deepEqual(await get("/api/test/clock"), frozen);
    // One row is written now, one tomorrow at nine in Tokyo.
    await pb.collections.create({ name: "notes", type: "base", fields: [{ name: "created", type: "autodate", onCreate: true }] });
    assert.equal((await pb.collection("notes").create({})).created, frozen.now);
    const ran = (await history("__pbMFACleanup__")).length;
    const tokyo = await post("/api/test/clock", { to: { local: "09:00", zone: "Asia/Tokyo" } });
    assert.equal(tokyo.now.slice(11), "00:00:00.000Z");
    const { done, now } = await post("/api/test/run-due");
    assert.deepEqual([done, now], [true, tokyo.now]);
    await signIn();
    const runs = await history("__pbMFACleanup__");
    assert.deepEqual([runs.length, runs[0].started], [ran + 1, tokyo.now], "once for all hours that were missed");
    assert.equal((await pb.collection("notes").create({})).created, tokyo.now);
    // The token of a superuser does not live for ever.
    await post("/api/test/clock", { advance: "400d" });
    await assert.rejects(get("/api/test/clock"), { status: 401 });
    await signIn();
    for (const body of [{ to: tokyo.now }, { advance: "-1h" }, { to: "soon" }, { freeze: 1 }, { back: "1h" }, { to: { local: "09:00", zone: "Mars" } }]) {
        await assert.rejects(post("/api/test/clock", body), { status: 400 }, JSON.stringify(body));
    }
    // It goes on from where it stands.
    const released = await post("/api/test/clock", { freeze: false });
    await new Promise((resolve) => setTimeout(resolve, 30));
    const later = moment((await get("/api/test/clock")).now) - moment(released.now);
    assert.ok(later > 20 && later < 20_000, `${later} ms`);
});

test("a token that lasts survives every jump", async () => {
    const owner = await pb.collection("_superusers").getFirstListItem("");
    const lasting = await pb.collection("_superusers").impersonate(owner.id, 20 * 365 * 86_400);
    await post("/api/test/clock", { advance: "3650d" });
    await lasting.send("/api/test/clock", {});
    await signIn();
});

test("nobody steers the clock of a server that is no test", async () => {
    const dir = temporaryDirectory();
    const real = await startConchOn(dir);
    try {
        const owner = new PocketBase(real.url);
        await owner.collection("_superusers").authWithPassword(superuser.email, superuser.password);
        for (const [method, path] of [["GET", "clock"], ["POST", "clock"], ["POST", "run-due"]]) {
            await assert.rejects(owner.send(`/api/test/${path}`, { method }), { status: 404 });
        }
    } finally {
        await real.stop();
        rmSync(dir, { recursive: true, force: true });
    }
});
