// Schedules over the wire: what says that it makes no sense, what is run by hand, and a server that is killed again and
// again while records change: each change notifies once.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { startTown, until } from "../harness/notify.mjs";
import { admin, freePort, remove, startConchOn, temporaryDirectory } from "../harness/server.mjs";

const rounds = process.env.CONCH_TEST_LONG ? 50 : 6;

let town;
before(async () => {
    town = await startTown({ ann: "Europe/Berlin" });
    await town.freeze("2027-03-01T08:00:00Z");
    await orders(town.root);
});
after(() => town?.stop());

function orders(root) {
    return root.collections.create({
        name: "orders", type: "base",
        fields: [{ name: "mail", type: "email" }, { name: "number", type: "number" }, { name: "state", type: "text" }],
    });
}

const schedule = (root, change) => root.collection("_schedules").create({
    name: "test", active: true, kind: "change", collection: "orders", action: "create",
    notification: { to: { field: "mail" }, title: "t" }, ...change,
});

test("a schedule says what is wrong with it, and works when it is put right", async () => {
    const wrong = await schedule(town.root, { condition: "nothing = 1" });
    await town.settle();
    const row = () => town.root.collection("_schedules").getOne(wrong.id);
    assert.match((await row()).error, /^condition: /);
    await town.root.collection("orders").create({ mail: "a@example.com", number: 1 });
    await town.root.collection("_schedules").update(wrong.id, { condition: "number > 1", notification: { to: { field: "mail" }, title: "{{ record.number }}", body: "{{ data.action }}" } });
    await town.settle();
    assert.equal((await row()).error, "");
    await town.root.collection("orders").create({ mail: "b@example.com", number: 2 });
    await town.settle();
    const [mail, ...more] = await town.mailbox("&channel=email");
    assert.ok(mail.to.includes("b@example.com"));
    assert.deepEqual([mail.subject, more.length], ["2", 0]);
    await town.root.collection("_schedules").delete(wrong.id);
});

test("a recurring schedule is run by hand by superusers, beside its times", async () => {
    const body = { to: [town.ann.to], title: "by hand" };
    const daily = await schedule(town.root, { kind: "cron", cron: "0 9 * * *", zone: "Asia/Tokyo", collection: "", action: "", notification: body });
    await town.settle();
    assert.equal((await town.root.collection("_schedules").getOne(daily.id)).next, "2027-03-02 00:00:00.000Z");
    const path = `/api/notify/schedules/${daily.id}/run`;
    await town.expect(403, "POST", path, {}, town.ann.token);
    await town.expect(401, "POST", path, {}, null);
    await town.expect(404, "POST", "/api/notify/schedules/nothing/run", {});
    const { notification } = await town.post(`schedules/${daily.id}/run`, {});
    await town.settle();
    assert.equal((await town.deliveries(notification))[0].state, "sent");
    await town.jump({ local: "09:00", zone: "Asia/Tokyo" });
    assert.equal((await town.items(town.ann)).filter(({ title }) => title === "by hand").length, 2);
    const row = await town.root.collection("_schedules").getOne(daily.id);
    assert.deepEqual([row.runs, row.next], [2, "2027-03-03 00:00:00.000Z"]);
    const follows = await schedule(town.root, {});
    await town.expect(400, "POST", `/api/notify/schedules/${follows.id}/run`, {});
});

test("each change notifies once, however often the server is killed", async () => {
    const dir = temporaryDirectory();
    const http = `127.0.0.1:${await freePort()}`;
    const start = () => startConchOn(dir, { args: ["--dev", "--sync", "normal"], http });
    let server = await start();
    try {
        const root = admin(server);
        await orders(root);
        const made = await schedule(root, { condition: "number >= 0" });
        const became = "state = 'paid' && @request.body.state:changed = true";
        const paid = await schedule(root, { action: "update", condition: became });
        let stop = false;
        const work = async (worker) => {
            for (let number = worker * 1_000_000; !stop; number++) {
                const id = `r${String(number).padStart(14, "0")}`;
                // Whether it was stored is asked afterwards.
                const ask = (method, path, body) => fetch(`http://${http}/api/collections/orders/records${path}`, {
                    method, headers: { "content-type": "application/json", authorization: server.token }, body: JSON.stringify(body),
                }).catch(() => new Promise((resolve) => setTimeout(resolve, 20)));
                await ask("POST", "", { id, number, mail: `m${number}@example.com`, state: "new" });
                if (number % 3 === 0) await ask("PATCH", `/${id}`, { state: "paid" });
                if (number % 6 === 0) await ask("PATCH", `/${id}`, { number: number + 1 });
            }
        };
        const workers = [1, 2, 3].map(work);
        for (let round = 0; round < rounds; round++) {
            await new Promise((resolve) => setTimeout(resolve, 200 + Math.random() * 800));
            await server.stop("SIGKILL");
            server = await start();
        }
        stop = true;
        await Promise.all(workers);
        const last = admin(server);
        const all = (collection, options) => last.collection(collection).getFullList({ batch: 1000, ...options });
        const ids = async (filter) => (await all("orders", { fields: "id", ...(filter ? { filter } : {}) })).map(({ id }) => id).sort();
        const told = async (schedule) =>
            (await all("_notifications", { fields: "sourceRecord", filter: `schedule = '${schedule.id}'` })).map(({ sourceRecord }) => sourceRecord).sort();
        const expected = await ids();
        assert.ok(expected.length > 20);
        await until(async () => (await told(made)).length >= expected.length, 30_000);
        await until(async () => (await told(paid)).length >= (await ids("state = 'paid'")).length, 30_000);
        assert.deepEqual(await told(made), expected);
        assert.deepEqual(await told(paid), await ids("state = 'paid'"));
    } finally {
        await server.stop("SIGKILL");
        remove(dir);
    }
});
