// The engine, from a send to what arrives: who, when, whether, and what became of it; under a clock that the test moves.

import assert from "node:assert/strict";
import { after, before, beforeEach, test } from "node:test";
import { startTown, until } from "../harness/notify.mjs";

let town;
before(async () => {
    town = await startTown({ ann: "Europe/Berlin", ben: "Asia/Tokyo", cem: "" });
    // A Monday morning in London.
    await town.freeze("2027-03-01T08:00:00Z");
});
after(() => town?.stop());
beforeEach(() => town.expect(204, "DELETE", "/api/mailbox"));

/** A send, settled: its deliveries, each in a few words. */
async function send(body) {
    const { id } = await town.post("send", body);
    await town.settle();
    return id;
}

const nameOf = (row) => ["ann", "ben", "cem"].find((name) => town[name].id === row.recordRef) ?? row.address;

/** `ann inbox sent`, in order of names and steps. */
async function states(id) {
    const rows = await town.deliveries(id);
    return rows.map((row) => `${nameOf(row)} ${row.channel} ${row.state}`).sort();
}

const dues = async (id) => Object.fromEntries((await town.deliveries(id)).map((row) => [nameOf(row), row.due]));
const titles = async (person) => (await town.items(person)).map((item) => item.title);
const prefer = (person, body) => town.expect(200, "PATCH", "/api/notify/preferences", body, person.token);
const reason = async (id, channel) => (await town.deliveries(id)).filter((row) => !channel || row.channel === channel).map((row) => row.reason.split(":")[0]);

test("users by id, by filter and by topic, and bare addresses are told, each once", async () => {
    const topic = await town.root.collection("_topics").create({ key: "news", name: "News", open: true });
    await town.cem.pb.collection("_subscriptions").create({ topic: topic.id, collectionRef: town.cem.pb.authStore.record.collectionId, recordRef: town.cem.id });
    for (const [to, expected] of [
        [[town.ann.to], ["ann inbox sent"]],
        [town.ann.to, ["ann inbox sent"]],
        [[{ collection: "users", filter: "name ~ 'b' || name = 'Ann'" }], ["ann inbox sent", "ben inbox sent"]],
        [["topic:news"], ["cem inbox sent"]],
        [["topic:news", town.cem.to, { collection: "users" }], ["ann inbox sent", "ben inbox sent", "cem inbox sent"]],
        [["zoe@example.com"], ["zoe@example.com email sent"]],
        [["users/nobody000000000"], []],
    ]) {
        const id = await send({ to, title: "hello" });
        assert.deepEqual(await states(id), expected, JSON.stringify(to));
        assert.equal((await town.notification(id)).state, "done");
    }
    assert.equal((await town.mailbox("&channel=email")).filter((mail) => mail.to.includes("zoe@example.com")).length, 1);
});

test("what is sent is rendered for its recipient, in every channel", async () => {
    const id = await send({
        to: [town.ann.to], channels: ["inbox", "email"], title: "Hi {{ user.name }}", body: "It is {{ now | time }}, {{ data.what }}.",
        link: "/x", data: { what: "<b>" }, category: "greetings",
    });
    assert.deepEqual(await states(id), ["ann email sent", "ann inbox sent"]);
    const [item] = await town.items(town.ann);
    assert.deepEqual([item.title, item.body, item.link, item.category, item.data, item.read], ["Hi Ann", "It is 09:00, <b>.", "/x", "greetings", { what: "<b>" }, ""]);
    const [mail] = await town.mailbox("&channel=email");
    assert.equal(mail.subject, "Hi Ann");
    assert.match(mail.text, /It is 09:00, <b>\./);
    assert.match(mail.html, /&lt;b&gt;/);
    assert.ok(mail.headers["List-Unsubscribe"]);
});

test("now, at an instant, after a while, at nine where they are", async () => {
    const later = await town.post("send", { to: [town.ann.to], title: "later", when: { after: "2h" } });
    const at = await town.post("send", { to: [town.ann.to], title: "at", when: { at: "2027-03-01T10:30:00Z" } });
    const local = await town.post("send", { to: [{ collection: "users" }], title: "nine", when: { local: "09:00" } });
    await town.settle();
    assert.deepEqual(await dues(later.id), { ann: "2027-03-01 10:00:00.000Z" });
    assert.deepEqual(await dues(at.id), { ann: "2027-03-01 10:30:00.000Z" });
    assert.deepEqual(await dues(local.id), {
        ann: "2027-03-01 08:00:00.000Z", ben: "2027-03-02 00:00:00.000Z", cem: "2027-03-01 09:00:00.000Z",
    });
    assert.deepEqual(await states(local.id), ["ann inbox sent", "ben inbox scheduled", "cem inbox scheduled"]);
    await town.advance("2h");
    assert.deepEqual(await states(later.id), ["ann inbox sent"]);
    assert.deepEqual(await states(at.id), ["ann inbox scheduled"]);
    await town.jump("2027-03-01T23:59:59Z");
    assert.deepEqual(await states(local.id), ["ann inbox sent", "ben inbox scheduled", "cem inbox sent"]);
    // Tomorrow at nine in Tokyo.
    await town.jump({ local: "09:00", zone: "Asia/Tokyo" });
    assert.deepEqual(await states(local.id), ["ann inbox sent", "ben inbox sent", "cem inbox sent"]);
    assert.equal((await town.notification(local.id)).state, "done");
});

test("the same key is the same notification", async () => {
    const first = await town.post("send", { key: "order-1", to: [town.ann.to], title: "once" });
    const again = await town.post("send", { key: "order-1", to: [town.ann.to, town.ben.to], title: "twice" });
    assert.equal(again.id, first.id);
    assert.deepEqual([first.duplicate, again.duplicate], [false, true]);
    await town.settle();
    assert.deepEqual(await states(first.id), ["ann inbox sent"]);
    const many = await Promise.all(Array.from({ length: 20 }, () => town.post("send", { key: "order-2", to: [town.cem.to], title: "burst" })));
    assert.equal(new Set(many.map(({ id }) => id)).size, 1);
    assert.equal(many.filter(({ duplicate }) => !duplicate).length, 1);
});

test("creating the row is sending it, through the records API and in a batch", async () => {
    const row = await town.root.collection("_notifications").create({ to: [town.cem.to], title: "by record" });
    await town.settle();
    assert.deepEqual(await states(row.id), ["cem inbox sent"]);
    const broken = await town.root.collection("_notifications").create({ to: "nonsense", title: "x" });
    await town.settle();
    const { state, reason } = await town.notification(broken.id);
    assert.equal(state, "failed");
    assert.match(reason, /to/);
});

test("a newer one takes the place of what is pending under its collapse key", async () => {
    const first = await town.post("send", { to: [town.cem.to], title: "1:0", collapse: "score", when: { after: "1h" } });
    const second = await town.post("send", { to: [town.cem.to], title: "2:0", collapse: "score", when: { after: "1h" } });
    await town.settle();
    await town.advance("1h");
    assert.deepEqual([await states(first.id), await states(second.id)], [["cem inbox cancelled"], ["cem inbox sent"]]);
    assert.deepEqual(await reason(first.id), ["collapsed"]);
});

test("a digest is one message with all of them", async () => {
    const ids = [];
    for (const by of ["Ann", "Ben", "Zoe"]) {
        ids.push(await send({
            to: [town.cem.to], title: "{{ count }} comments", body: "{% for item in items %}{{ item.by }} {% endfor %}", data: { by },
            digest: { key: "comments-1", window: "1h" },
        }));
        await town.advance("5m");
    }
    assert.equal((await titles(town.cem)).filter((title) => /comments/.test(title)).length, 0);
    await town.advance("1h");
    const items = (await town.items(town.cem)).filter((item) => /comments/.test(item.title));
    assert.deepEqual(items.map((item) => [item.title, item.body.trim()]), [["3 comments", "Ann Ben Zoe"]]);
    for (const id of ids) assert.deepEqual(await states(id), ["cem inbox sent"]);
});

test("a cap lets so many through, critical ones pass", async () => {
    const capped = (priority) => send({ to: [town.cem.to], title: "promo", category: "promo", cap: { count: 2, window: "24h" }, priority });
    const ids = [];
    for (let n = 0; n < 3; n++) ids.push(await capped("normal"));
    assert.deepEqual((await Promise.all(ids.map(states))).flat(), ["cem inbox sent", "cem inbox sent", "cem inbox suppressed"]);
    assert.deepEqual(await reason(ids[2]), ["cap_reached"]);
    assert.deepEqual(await states(await capped("critical")), ["cem inbox sent"]);
    await town.advance("25h");
    assert.deepEqual(await states(await capped("normal")), ["cem inbox sent"]);
});

test("quiet hours defer, skip, or are ignored; critical ones pass, and the inbox is quiet anyway", async () => {
    await prefer(town.ann, { quietFrom: "22:00", quietTo: "07:00" });
    await town.jump({ local: "23:00", zone: "Europe/Berlin" });
    const mail = (more) => send({ to: [town.ann.to], channels: ["email"], title: "at night", ...more });
    const deferred = await mail();
    assert.deepEqual(await states(deferred), ["ann email scheduled"]);
    assert.deepEqual(await reason(deferred), ["quiet_hours"]);
    assert.deepEqual(await states(await mail({ priority: "critical" })), ["ann email sent"]);
    assert.deepEqual(await states(await mail({ quiet: "ignore" })), ["ann email sent"]);
    const skipped = await mail({ quiet: "skip" });
    assert.deepEqual([await states(skipped), await reason(skipped)], [["ann email suppressed"], ["quiet_hours"]]);
    const expired = await mail({ expires: "1h" });
    assert.deepEqual(await states(expired), ["ann email expired"]);
    assert.deepEqual(await states(await send({ to: [town.ann.to], title: "silent" })), ["ann inbox sent"]);
    await town.jump({ local: "06:59", zone: "Europe/Berlin" });
    assert.deepEqual(await states(deferred), ["ann email scheduled"]);
    await town.jump({ local: "07:00", zone: "Europe/Berlin" });
    assert.deepEqual(await states(deferred), ["ann email sent"]);
    await prefer(town.ann, { quietFrom: null, quietTo: null });
});

test("a chain goes on only if nobody has seen it", async () => {
    const chain = { to: [town.ann.to], title: "look", channels: ["inbox", { channel: "email", after: "10m", unless: "seen" }] };
    const [seen, unseen] = [await send(chain), await send(chain)];
    const item = (await town.items(town.ann)).find((item) => item.notification === seen);
    await town.expect(200, "POST", "/api/notify/inbox/read", { ids: [item.id] }, town.ann.token);
    await town.advance("9m");
    assert.deepEqual(await states(unseen), ["ann email scheduled", "ann inbox sent"]);
    await town.advance("1m");
    assert.deepEqual(await states(seen), ["ann email skipped", "ann inbox sent"]);
    assert.deepEqual(await states(unseen), ["ann email sent", "ann inbox sent"]);
    assert.deepEqual(await reason(seen, "email"), ["seen"]);
    const [delivery] = (await town.deliveries(seen)).filter((row) => row.channel === "inbox");
    await until(async () => (await town.root.collection("_deliveries").getOne(delivery.id)).openedAt);
});

test("whoever opts out is not told, not even what was pending; whoever moves is told at nine where they are now", async () => {
    const pending = await town.post("send", { to: [town.cem.to, town.ann.to], title: "soon", category: "news", channels: ["inbox", "email"], when: { after: "3h" } });
    const other = await town.post("send", { to: [town.cem.to], title: "else", category: "orders", when: { after: "3h" } });
    await town.settle();
    await prefer(town.cem, { channels: { news: { email: false } } });
    assert.deepEqual(await states(pending.id), ["ann email scheduled", "ann inbox scheduled", "cem email cancelled", "cem inbox scheduled"]);
    assert.deepEqual((await town.deliveries(pending.id)).filter((row) => row.state === "cancelled").map((row) => row.reason.split(":")[0]), ["opted_out"]);
    const refused = await send({ to: [town.cem.to], title: "n", category: "news", channels: ["email", "inbox"] });
    assert.deepEqual(await states(refused), ["cem email suppressed", "cem inbox sent"]);
    await prefer(town.cem, { channels: { news: null } });
    await town.advance("3h");
    assert.deepEqual(await states(other.id), ["cem inbox sent"]);

    await prefer(town.cem, { zone: "Europe/London" });
    const wall = await town.post("send", { to: [town.cem.to], title: "nine", when: { local: "09:00", date: "2027-06-01" } });
    await town.settle();
    assert.deepEqual(await dues(wall.id), { cem: "2027-06-01 08:00:00.000Z" });
    await prefer(town.cem, { zone: "America/New_York" });
    assert.deepEqual(await dues(wall.id), { cem: "2027-06-01 13:00:00.000Z" });
    await prefer(town.cem, { zone: "" });
    assert.deepEqual(await dues(wall.id), { cem: "2027-06-01 09:00:00.000Z" });
    await town.post("cancel", { id: wall.id });
});

test("an opt-out reaches all that is pending, however much that is", async () => {
    const to = [town.cem.to];
    const ids = await Promise.all(Array.from({ length: 450 }, (_, n) => town.post("send", { to, title: `n${n}`, category: "flood", when: { after: "3h" } })));
    await town.settle();
    await prefer(town.cem, { channels: { flood: { "*": false } } });
    await town.settle();
    const left = await town.root.collection("_deliveries").getList(1, 1, { filter: "category = 'flood' && state != 'cancelled'" });
    assert.equal(left.totalItems, 0);
    assert.equal((await town.notification(ids[449].id)).state, "done");
    await prefer(town.cem, { channels: { flood: null } });
});

test("what is pending is called back by id, key, user and topic", async () => {
    const soon = { title: "soon", when: { after: "5h" } };
    const byId = await town.post("send", { to: [town.ann.to, town.ben.to], ...soon });
    const byKey = await town.post("send", { key: "recall", to: [town.ann.to], ...soon });
    const byUser = await town.post("send", { to: [town.ann.to, town.cem.to], ...soon });
    const byTopic = await town.post("send", { to: ["topic:news"], ...soon });
    await town.settle();
    assert.equal((await town.post("cancel", { id: byId.id })).deliveries, 2);
    await town.post("cancel", { key: "recall" });
    await town.post("cancel", { user: town.ann.to });
    await town.post("cancel", { topic: "news" });
    await town.settle();
    assert.deepEqual(await states(byId.id), ["ann inbox cancelled", "ben inbox cancelled"]);
    assert.deepEqual(await states(byKey.id), ["ann inbox cancelled"]);
    assert.deepEqual(await states(byUser.id), ["ann inbox cancelled", "cem inbox scheduled"]);
    assert.deepEqual(await states(byTopic.id), ["cem inbox cancelled"]);
    assert.equal((await town.notification(byId.id)).state, "cancelled");
    assert.equal((await town.ask("POST", "/api/notify/cancel", { id: "nothing" })).status, 404);
    await town.advance("5h");
    assert.deepEqual(await states(byUser.id), ["ann inbox cancelled", "cem inbox sent"]);
});

test("what expires, and what its condition cancels, does not go out", async () => {
    const orders = await town.root.collections.create({
        name: "orders", type: "base", fields: [
            { name: "paid", type: "bool" }, { name: "buyer", type: "relation", collectionId: town.ann.pb.authStore.record.collectionId, maxSelect: 1 },
        ],
    });
    const order = await town.root.collection(orders.name).create({ paid: false });
    const unless = { collection: "orders", record: order.id, filter: "paid = true" };
    const [one, two] = await Promise.all(["1h", "3h"].map((span) => town.post("send", { to: [town.ann.to], title: "pay", when: { after: span }, unless })));
    await town.settle();
    await town.advance("1h");
    await town.root.collection(orders.name).update(order.id, { paid: true });
    await town.advance("2h");
    assert.deepEqual([await states(one.id), await states(two.id)], [["ann inbox sent"], ["ann inbox cancelled"]]);
    assert.deepEqual(await reason(two.id), ["condition"]);
});

test("a day after an order is created, unless it has been paid", async () => {
    await town.root.collection("_schedules").create({
        name: "unpaid", active: true, kind: "change", collection: "orders", action: "create", condition: "paid = false", delay: "24h",
        unless: "paid = true", notification: { to: [{ field: "buyer" }], title: "Still interested in {{ record.id }}?" },
    });
    await town.settle();
    const make = (paid, buyer) => town.root.collection("orders").create({ paid, buyer: buyer.id });
    const [forgotten, paid] = [await make(false, town.ben), await make(false, town.ben), await make(true, town.ben)];
    await town.advance("23h");
    await town.root.collection("orders").update(paid.id, { paid: true });
    await town.advance("2h");
    assert.deepEqual((await titles(town.ben)).filter((title) => /interested/.test(title)), [`Still interested in ${forgotten.id}?`]);
});

test("what recurs comes every morning, in its zone", async () => {
    await town.jump({ local: "12:00", zone: "Europe/Berlin" });
    const { id, collection } = await town.post("send", { key: "daily", to: [town.ben.to], title: "Good morning", when: { cron: "0 9 * * *", zone: "Europe/Berlin" } });
    assert.equal(collection, "_schedules");
    await town.settle();
    for (let day = 1; day <= 3; day++) {
        await town.jump({ local: "09:00", zone: "Europe/Berlin" });
        assert.equal((await titles(town.ben)).filter((title) => title === "Good morning").length, day);
        await town.advance("1h");
    }
    await town.root.collection("_schedules").update(id, { active: false });
    await town.settle();
    await town.advance("48h");
    assert.equal((await titles(town.ben)).filter((title) => title === "Good morning").length, 3);
});

test("the inbox is heard over realtime", async () => {
    const heard = [];
    await town.ann.pb.collection("_inbox").subscribe("*", (event) => heard.push(`${event.action} ${event.record.title}`));
    await send({ to: [town.ann.to, town.ben.to], title: "live" });
    await until(() => heard.length);
    assert.deepEqual(heard, ["create live"]);
    await town.ann.pb.realtime.unsubscribe();
});

test("a test message goes to one, at once, whatever the hour", async () => {
    await town.root.collection("_templates").create({ key: "tried", title: "Tried {{ data.n }}" });
    const { id } = await town.post("test", { to: town.ben.to, template: "tried", data: { n: 5 }, channels: ["inbox", { channel: "email", after: "10m" }], when: { after: "9h" } });
    await town.settle();
    assert.deepEqual(await states(id), ["ben email sent", "ben inbox sent"]);
    assert.equal((await town.deliveries(id))[0].category, "test");
    for (const to of [undefined, [], [town.ann.to, town.ben.to], "topic:news", { collection: "users" }]) {
        assert.equal((await town.ask("POST", "/api/notify/test", { to, title: "x" })).status, 400);
    }
});

test("what explain says is what then happens", async () => {
    await town.jump({ local: "23:30", zone: "Europe/Berlin" });
    await prefer(town.ann, { quietFrom: "22:00", quietTo: "07:00", channels: { promo: { email: false } } });
    await prefer(town.ben, { quietFrom: "06:00", quietTo: "09:00", quietMode: "skip" });
    await town.root.collection("_suppressions").create({ address: "gone@example.com", reason: "bounce" });
    const everybody = { to: [{ collection: "users" }, "zoe@example.com", "gone@example.com", "users/nobody000000000"], title: "x" };
    for (const more of [
        {}, { channels: ["email"] }, { channels: ["email"], category: "promo" }, { channels: ["email"], priority: "critical" },
        { channels: ["push", "email", "webhook"] }, { channels: ["email"], expires: "30m" }, { channels: ["inbox", "email"], quiet: "skip" },
        { when: { local: "09:00" }, channels: ["email"] }, { category: "promo", channels: ["inbox", "email"], cap: { count: 1, window: "30d" } },
        { unless: { collection: "orders", record: "nothing", filter: "paid = true" } },
    ]) {
        const body = { ...everybody, ...more };
        const explained = await town.expect(200, "POST", "/api/notify/explain?limit=100", body);
        const { id } = await town.post("send", body);
        await town.settle();
        // What is due later is looked at when it is due.
        const now = await town.now();
        const told = explained.items.flatMap(({ record, address, deliveries }) => deliveries.map(({ channel, due, verdict, state, until, reason }) => {
            const later = (until ?? due) > now && verdict !== "drop";
            const expected = verdict === "drop" && due <= now ? state : later || due > now ? "scheduled" : "sent";
            return [record || address, channel, expected, until ?? due, due > now ? "" : reason.split(":")[0]].join(" ");
        }));
        const found = (await town.deliveries(id)).map((row) => [
            row.recordRef || row.address, row.channel, row.state, row.due, row.due > now && !row.reason ? "" : row.reason.split(":")[0],
        ].join(" "));
        assert.deepEqual(found.sort(), told.sort(), JSON.stringify(more));
        assert.ok(found.length > 0);
        await town.post("cancel", { id });
    }
    await prefer(town.ann, { quietFrom: "", quietTo: "", channels: { promo: null } });
    await prefer(town.ben, { quietFrom: "", quietTo: "" });
    assert.equal((await town.ask("POST", "/api/notify/explain", everybody, town.ann.token)).status, 403);
});

test("a timeline tells how it came", async () => {
    const id = await send({ to: [town.ann.to], channels: ["inbox", { channel: "email", after: "10m", unless: "seen" }], title: "story" });
    await town.advance("10m");
    const { notification, counts, deliveries } = await town.expect(200, "GET", `/api/notify/notifications/${id}`);
    assert.deepEqual([notification.id, notification.title, counts], [id, "story", { sent: 2 }]);
    for (const { trail } of deliveries) {
        assert.equal(trail.at(-1).state, "sent");
        assert.ok(trail.every(({ at }) => /Z$/.test(at)));
    }
    assert.equal((await town.ask("GET", `/api/notify/notifications/${id}`, undefined, town.ann.token)).status, 403);
    assert.equal((await town.ask("GET", "/api/notify/notifications/nothing")).status, 404);
    const stats = await town.expect(200, "GET", "/api/notify/stats");
    assert.ok(stats.states.sent > 10 && stats.channels.inbox.total > 10);
});

test("what makes no sense is refused by field, and nothing of it is sent", async () => {
    const before = (await town.root.collection("_notifications").getList(1, 1)).totalItems;
    const ok = { to: [town.ann.to], title: "x" };
    for (const [body, ...fields] of [
        [{}, "template", "to"],
        [{ ...ok, to: [] }, "to"],
        [{ ...ok, to: ["nonsense"] }, "to"],
        [{ ...ok, to: [{ collection: "nowhere" }] }, "to"],
        [{ ...ok, to: [{ collection: "users", filter: "nothing = 1" }] }, "to"],
        [{ ...ok, to: Array(10_001).fill(town.ann.to) }, "to"],
        [{ ...ok, when: { local: "09:00", zone: "Mars/Olympus" } }, "when"],
        [{ ...ok, when: { local: "25:00" } }, "when"],
        [{ ...ok, when: { at: "tomorrow" } }, "when"],
        [{ ...ok, when: { after: "-5m" } }, "when"],
        [{ ...ok, when: { cron: "nonsense", zone: "UTC" } }, "when"],
        [{ ...ok, channels: ["pigeon"] }, "channels"],
        [{ ...ok, priority: "extreme" }, "priority"],
        [{ ...ok, template: "nothing", title: "" }, "template"],
        [{ ...ok, data: "text" }, "data"],
        [{ ...ok, data: { big: "x".repeat(100_000) } }, "data"],
        [{ ...ok, cap: { count: 0, window: "1h" } }, "cap"],
        [{ ...ok, digest: { window: "1h" } }, "digest"],
        [{ ...ok, unless: { collection: "orders", record: "x", filter: "nothing = 1" } }, "unless"],
        [{ ...ok, nonsense: 1 }, "nonsense"],
    ]) {
        const answer = await town.ask("POST", "/api/notify/send", body);
        assert.equal(answer.status, 400, JSON.stringify(body).slice(0, 100));
        assert.deepEqual(Object.keys(answer.body.data).sort(), fields, JSON.stringify(body).slice(0, 100));
    }
    for (const [body, status] of [["{", 400], [`{"title":"${"x".repeat(10 << 20)}"}`, 400], [`{"title":"${"x".repeat(40 << 20)}"}`, 413]]) {
        assert.equal((await town.ask("POST", "/api/notify/send", body)).status, status);
    }
    assert.equal((await town.ask("POST", "/api/notify/send", ok, town.ann.token)).status, 403);
    assert.equal((await town.ask("POST", "/api/notify/send", ok, "")).status, 401);
    assert.equal((await town.root.collection("_notifications").getList(1, 1)).totalItems, before);
    // What is over since long is a mistake; what was a moment ago is late.
    assert.deepEqual(Object.keys((await town.expect(400, "POST", "/api/notify/send", { ...ok, when: { at: "2020-01-01T00:00:00Z" } })).data), ["when"]);
    const late = new Date(Date.parse((await town.now()).replace(" ", "T")) - 60_000).toISOString();
    assert.deepEqual(await states(await send({ ...ok, when: { at: late } })), ["ann inbox sent"]);
});

test("a template that does not end fails its delivery and nothing else", async () => {
    const bad = await town.root.collection("_templates").create({ key: "loop", title: "{% for x in range(1000) %}{% for y in range(1000) %}{{ y }}{% endfor %}{% endfor %}" });
    const loops = await send({ to: [town.ann.to, town.ben.to], template: "loop" });
    assert.deepEqual(await states(loops), ["ann inbox failed", "ben inbox failed"]);
    assert.deepEqual(await reason(loops), ["template", "template"]);
    assert.deepEqual(await states(await send({ to: [town.ann.to], title: "fine" })), ["ann inbox sent"]);
    await town.root.collection("_templates").delete(bad.id);
});
