// Restores over the API (docs/wire/services.md §8): what the official client sees of them. That they survive being killed
// at any step is proven in tests/durability/restore.py.

import assert from "node:assert/strict";
import { readdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { EventSource } from "eventsource";
import { admin, client, conchBinary, remove, run, startConchOn, superuser, temporaryDirectory } from "../harness/server.mjs";
import { Database } from "../harness/sqlite.mjs";

globalThis.EventSource ??= EventSource;

const dir = temporaryDirectory();
let conch, root;
before(async () => {
    conch = await startConchOn(dir);
    root = admin(conch);
    await root.collections.create({ name: "things", listRule: "", viewRule: "", fields: [{ name: "name", type: "text" }, { name: "doc", type: "file" }] });
});
after(async () => {
    await conch?.stop();
    remove(dir);
});

const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const epoch = () => new Database(join(dir, "data.db")).all("SELECT value FROM __conch_meta WHERE key = 'epoch'")[0].value;
const restored = async (key, before) => {
    assert.equal(await root.backups.restore(key), true);
    for (const end = Date.now() + 30_000; Date.now() < end; await sleep(50)) {
        if (epoch() !== before && await fetch(`${conch.url}/api/health`).then((answer) => answer.ok, () => false)) return;
    }
    assert.fail(`the server did not come back:\n${conch.log()}`);
};
const status = (promise) => promise.then(() => 200, (error) => error.status);

test("the SDK restores: records, files and schema are those of the backup, sessions stay", async () => {
    const kept = await root.collection("things").create({ name: "kept", doc: new File(["of then"], "a.txt") });
    const gone = await root.collection("things").create({ name: "gone", doc: new File(["gone"], "b.txt") });
    await root.backups.create("then.zip");
    await root.collection("things").delete(gone.id);
    await root.collection("things").update(kept.id, { name: "changed", doc: new File(["of now"], "c.txt") });
    await root.collections.create({ name: "later" });

    const listener = client(conch), events = [];
    await listener.collection("things").subscribe("*", (event) => events.push(event.record.name));
    const [first, pid] = [epoch(), conch.pid];
    const log = conch.log().length;
    await restored("then.zip", first);

    const things = await root.collection("things").getFullList({ sort: "name" });
    assert.deepEqual(things.map(({ name }) => name), ["gone", "kept"]);
    const texts = things.map((thing) => fetch(root.files.getURL(thing, thing.doc)).then((answer) => answer.text()));
    assert.deepEqual(await Promise.all(texts), ["gone", "of then"]);
    assert.equal(await status(root.collections.getOne("later")), 404);
    process.kill(pid, 0);
    assert.match(conch.log().slice(log), /the server starts again/);
    // What was there is in a folder, and the list of backups is not part of what is restored.
    assert.equal(readdirSync(dir).filter((name) => name.startsWith("before_restore_")).length, 1);
    assert.deepEqual((await root.backups.getFullList()).map(({ key }) => key), ["then.zip"]);
    // The client comes back by itself and hears of what happens from now on.
    for (const end = Date.now() + 20_000; !events.includes("anew") && Date.now() < end; await sleep(200)) {
        await root.collection("things").create({ name: "anew" });
    }
    assert.ok(events.includes("anew"));
    await listener.collection("things").unsubscribe();
    await root.collection("_superusers").authWithPassword(superuser.email, superuser.password);
});

test("what cannot be restored is refused, or told by the log, and nothing changes", async () => {
    assert.equal(await status(root.backups.restore("none.zip")), 400);
    assert.equal(await status(root.backups.restore("..%2fdata.db")), 400);
    assert.equal(await status(client(conch).backups.restore("then.zip")), 401);
    writeFileSync(join(dir, "backups", "broken.zip"), "PK no archive at all");
    const before = epoch();
    assert.equal(await root.backups.restore("broken.zip"), true);
    assert.equal((await root.health.check()).data.canBackup, false);
    assert.equal(await status(root.backups.restore("then.zip")), 400, "one at a time");
    assert.equal(await status(root.backups.create("meanwhile.zip")), 400);
    for (const end = Date.now() + 20_000; !(await root.health.check()).data.canBackup && Date.now() < end;) await sleep(50);
    assert.match(conch.log(), /was not restored/);
    assert.equal(epoch(), before);
    assert.equal(conch.log().match(/listening on/g).length, 2, "it has not started again for that");
});

test("the command line has the server restore, and tells what became of it", async () => {
    const before = epoch();
    const done = run(conchBinary, ["backup", "restore", "then.zip", "--dir", dir]);
    assert.match(done.stdout, /^Restored then\.zip\. .*before_restore_/);
    // For this process to notice that its connections were closed while it waited.
    await sleep(100);
    assert.notEqual(epoch(), before);
    assert.equal((await root.collection("things").getList()).totalItems, 2);
    const refused = run(conchBinary, ["backup", "restore", "broken.zip", "--dir", dir], { mayFail: true });
    assert.equal(refused.status, 1);
    assert.match(refused.stderr, /archive/i);
    const unknown = run(conchBinary, ["backup", "restore", "none.zip", "--dir", dir], { mayFail: true });
    assert.match(unknown.stderr, /no backup/);
});

test("after restores the server stops as ever, and without one the command restores by itself", async () => {
    const { code } = await conch.stop();
    assert.equal(code, 0);
    const done = run(conchBinary, ["backup", "restore", "then.zip", "--dir", dir]);
    assert.match(done.stdout, /^Restored then\.zip\./);
    conch = await startConchOn(dir);
    assert.equal((await admin(conch).collection("things").getList()).totalItems, 2);
});

test("a server does not begin anew where its database is gone, and a restore works there", async () => {
    await conch.stop();
    conch = undefined;
    for (const name of ["data.db", "data.db-wal", "data.db-shm"]) rmSync(join(dir, name), { force: true });
    const refused = run(conchBinary, ["serve", "--http", "127.0.0.1:0", "--dir", dir], { mayFail: true, timeout: 20_000 });
    assert.equal(refused.status, 1, refused.stderr);
    assert.match(refused.stderr, /data\.db is missing.*auxiliary\.db, storage.*conch backup restore/s);
    assert.ok(!readdirSync(dir).includes("data.db"));
    run(conchBinary, ["backup", "restore", "then.zip", "--dir", dir]);
    // As few are kept as by a server.
    assert.equal(readdirSync(dir).filter((name) => name.startsWith("before_restore_")).length, 2);
    conch = await startConchOn(dir);
    assert.equal((await admin(conch).collection("things").getList()).totalItems, 2);
});
