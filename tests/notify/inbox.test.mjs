// The inbox of somebody: theirs alone, counted, read at once, archived, put off until its time comes.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { startTown, until } from "../harness/notify.mjs";

let town;
before(async () => { town = await startTown({ ann: "", ben: "" }); });
after(() => town?.stop());

const put = (person, title) => town.root.collection("_inbox").create({ collectionRef: person.pb.authStore.record.collectionId, recordRef: person.id, title });
const count = async (person) => (await town.expect(200, "GET", "/api/notify/inbox/unread", undefined, person.token)).count;
const act = (person, path, body, status = 200) => town.expect(status, "POST", `/api/notify/inbox/${path}`, body, person.token);

test("unread items are counted, and read one by one or all at once", async () => {
    const items = [];
    for (let n = 0; n < 5; n++) items.push(await put(town.ann, `n${n}`));
    const other = await put(town.ben, "other");
    assert.equal(await count(town.ann), 5);
    assert.deepEqual(await act(town.ann, "read", { ids: [items[0].id, items[1].id, other.id, "nothing"] }), { changed: 2, count: 3 });
    assert.deepEqual(await act(town.ann, "read", { ids: [items[0].id] }), { changed: 0, count: 3 });
    await town.ann.pb.collection("_inbox").update(items[2].id, { read: new Date() });
    assert.equal(await count(town.ann), 2);
    assert.deepEqual(await act(town.ann, "archive", { id: items[3].id }), { changed: 1, count: 1 });
    assert.deepEqual(await act(town.ann, "read", { before: "2020-01-01T00:00:00Z" }), { changed: 0, count: 1 });
    assert.deepEqual(await act(town.ann, "read", { all: true }), { changed: 2, count: 0 });
    assert.equal(await count(town.ben), 1);
    assert.equal((await town.expect(200, "GET", `/api/notify/inbox/unread?user=${town.ben.to}`)).count, 1);
});

test("many are read at once", async () => {
    const batch = town.root.createBatch();
    const ref = town.ann.pb.authStore.record.collectionId;
    await town.expect(200, "PATCH", "/api/settings", { batch: { enabled: true, maxRequests: 1000, timeout: 30 } });
    for (let n = 0; n < 450; n++) batch.collection("_inbox").create({ collectionRef: ref, recordRef: town.ann.id, title: `m${n}` });
    await batch.send();
    assert.equal(await count(town.ann), 450);
    assert.deepEqual(await act(town.ann, "read", { all: true }), { changed: 450, count: 0 });
});

test("an item that is put off comes back by itself, and is heard of", async () => {
    const item = await put(town.ben, "later");
    const heard = [];
    await town.ben.pb.collection("_inbox").subscribe(item.id, (event) => heard.push(event.record));
    await act(town.ben, "read", { all: true });
    const soon = new Date(Date.now() + 700).toISOString();
    assert.deepEqual(await act(town.ben, "snooze", { id: item.id, until: soon }), { changed: 1, count: 0 });
    const back = await until(() => heard.find((record) => record.snoozed === "" && record.read === ""));
    assert.equal(back.title, "later");
    assert.ok(Date.now() >= Date.parse(soon));
    assert.equal(await count(town.ben), 1);

    // Through the records API it comes back as well; and it may be taken back.
    await town.ben.pb.collection("_inbox").update(item.id, { snoozed: new Date(Date.now() + 300) });
    assert.equal(await count(town.ben), 0);
    await until(async () => await count(town.ben) === 1);
    await act(town.ben, "snooze", { id: item.id, for: "2h" });
    assert.equal(await count(town.ben), 0);
    assert.deepEqual(await act(town.ben, "snooze", { id: item.id, until: null }), { changed: 1, count: 1 });
    await town.ben.pb.realtime.unsubscribe();
});

test("nobody reads or changes what is not theirs", async () => {
    const item = await put(town.ann, "private");
    await assert.rejects(town.ben.pb.collection("_inbox").getOne(item.id), { status: 404 });
    await assert.rejects(town.ben.pb.collection("_inbox").update(item.id, { read: new Date() }), { status: 404 });
    await assert.rejects(town.ann.pb.collection("_inbox").update(item.id, { title: "mine" }), { status: 404 });
    await assert.rejects(town.ann.pb.collection("_inbox").create({ title: "mine" }), { status: 403 });
    assert.deepEqual(await act(town.ben, "read", { ids: [item.id] }).then(({ changed }) => changed), 0);
    await town.ann.pb.collection("_inbox").delete(item.id);
});

test("what makes no sense is refused by field", async () => {
    for (const [path, body, field] of [
        ["read", {}, "ids"],
        ["read", { ids: "x" }, "ids"],
        ["read", { ids: [5] }, "ids"],
        ["read", { ids: Array(501).fill("x") }, "ids"],
        ["read", { all: true, ids: [] }, "ids"],
        ["read", { all: false }, "ids"],
        ["read", { before: "yesterday" }, "before"],
        ["snooze", { id: "x" }, "until"],
        ["snooze", { id: "x", until: "2001-01-01T00:00:00Z" }, "until"],
        ["snooze", { id: "x", until: "2099-01-01T00:00:00Z" }, "until"],
        ["snooze", { id: "x", for: "forever" }, "for"],
        ["snooze", { for: "2h" }, "ids"],
    ]) {
        const { data } = await act(town.ann, path, body, 400);
        assert.deepEqual(Object.keys(data), [field], JSON.stringify(body));
    }
    for (const [token, status] of [["", 401], [town.ann.token, 403]]) {
        assert.equal((await town.ask("GET", `/api/notify/inbox/unread?user=${town.ben.to}`, undefined, token)).status, status);
    }
    assert.equal((await town.ask("GET", "/api/notify/inbox/unread?user=users/nobody")).status, 400);
});
