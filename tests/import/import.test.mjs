// A real PocketBase directory, filled through its own API, moves in: every record, file, password and token stays valid.

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { Pair } from "../harness/parity.mjs";
import { admin, client, conchBinary, remove, run, startConchOn, startPocketBase, superuser, temporaryDirectory } from "../harness/server.mjs";

const source = temporaryDirectory("pocketbase-source-");
const target = join(mkdtempSync(join(tmpdir(), "conch-target-")), "data");
let conch, reference, pair, report;

before(async () => {
    const filled = await startPocketBase({ dir: source });
    await fill(admin(filled), filled);
    await filled.stop();
    mkdirSync(join(source, "..", "pb_hooks"), { recursive: true });
});

after(async () => {
    await Promise.all([conch?.stop(), reference?.stop()]);
    remove(source);
    remove(join(target, ".."));
});

/** Digest of every file's path and content below a directory. */
function fingerprint(dir) {
    const hash = createHash("sha256");
    for (const entry of readdirSync(dir, { recursive: true }).sort()) {
        const path = join(dir, entry);
        if (statSync(path).isFile()) hash.update(entry).update(readFileSync(path));
    }
    return hash.digest("hex");
}

/** Ids that no other number shares. */
const row = (n) => `e${n}x`.padEnd(15, "0");

const all = [
    { name: "text", type: "text" }, { name: "editor", type: "editor" }, { name: "number", type: "number" }, { name: "bool", type: "bool" }, { name: "mail", type: "email" }, { name: "url", type: "url" }, { name: "date", type: "date" },
    { name: "made", type: "autodate", onCreate: true }, { name: "changed", type: "autodate", onCreate: true, onUpdate: true }, { name: "one", type: "select", values: ["a", "b"] }, { name: "many", type: "select", values: ["a", "b", "c"], maxSelect: 3 },
    { name: "doc", type: "file" }, { name: "docs", type: "file", maxSelect: 4 }, { name: "user", type: "relation", collectionId: "_pb_users_auth_" }, { name: "users", type: "relation", collectionId: "_pb_users_auth_", maxSelect: 9, cascadeDelete: true },
    { name: "json", type: "json" }, { name: "secret", type: "password" }, { name: "point", type: "geoPoint" }, { name: "hid", type: "text", hidden: true },
];

/** An app with every field type, users, files, rules, a view, an index and settings. */
async function fill(pb) {
    await pb.settings.update({ meta: { appName: "Imported" }, batch: { enabled: true } });
    const users = await pb.collections.getOne("users");
    await pb.collections.update("users", { listRule: "", viewRule: "id = @request.auth.id", fields: [...users.fields, { name: "nick", type: "text" }] });
    await pb.collections.create({ id: "everything_id", name: "everything", listRule: "user = @request.auth.id || bool = true", viewRule: "", createRule: "", updateRule: "user = @request.auth.id", fields: all, indexes: ["CREATE INDEX idx_everything_number ON everything (number)", "CREATE UNIQUE INDEX idx_everything_text ON everything (text) WHERE text != ''"] });
    await pb.collections.create({ name: "seen", type: "view", viewQuery: "select id, text, number, user, doc from everything where bool = true", listRule: "" });
    const members = await pb.collections.create({ name: "members", type: "auth", listRule: "", authToken: { duration: 4000000 } });
    for (const n of [1, 2, 3, 4, 5]) {
        await pb.collection("users").create({ id: `user${n}`.padEnd(15, "0"), email: `u${n}@example.com`, password: `password-${n}`, passwordConfirm: `password-${n}`, name: `User ${n}`, nick: `n${n}`, emailVisibility: n % 2 === 0, verified: n > 2 });
        await pb.collection(members.name).create({ id: `member${n}`.padEnd(15, "0"), email: `m${n}@example.com`, password: `password-${n}`, passwordConfirm: `password-${n}` });
    }
    for (let n = 0; n < 60; n++) {
        await pb.collection("everything").create({
            id: row(n), text: n % 3 ? `text ${n} ü "q"` : "", editor: `<p>${n}</p>`, number: n % 4 === 0 ? n / 8 : n, bool: n % 2 === 0, mail: n % 5 ? "" : "a@example.com", url: "https://example.com/x", date: n % 2 ? new Date(n * 1e9) : "",
            one: n % 2 ? "a" : "", many: ["a", "b", "c"].slice(0, n % 4), user: `user${(n % 5) + 1}`.padEnd(15, "0"), users: [1, 2, 3].slice(0, n % 4).map((u) => `user${u}`.padEnd(15, "0")), json: [null, 5, 1.5, "str", true, [1, { a: "b" }], { k: [null] }, "", "null", 12345678901234567890][n % 10],
            secret: "hidden-secret", point: { lon: n, lat: -n / 2 }, hid: `hid ${n}`, doc: n % 10 ? undefined : new File([`doc ${n}`], `Doc ${n}.txt`), docs: n % 15 ? undefined : [new File(["1"], "a.txt"), new File(["2"], "b.tar.gz")],
        });
    }
}

test("serve refuses a raw PocketBase folder and names the import", () => {
    const done = run(conchBinary, ["serve", "--dir", source, "--http", "127.0.0.1:0"], { mayFail: true, timeout: 10_000 });
    assert.equal(done.status, 1);
    assert.match(done.stderr, /conch import pocketbase/);
});

test("the import brings everything and leaves the source alone", () => {
    const before = fingerprint(source);
    const done = run(conchBinary, ["import", "pocketbase", source, "--dir", target]);
    report = done.stdout + done.stderr;
    assert.equal(fingerprint(source), before);
    assert.match(report, /60/, "it reports the records");
    assert.ok(existsSync(join(target, "data.db")));
});

test("it refuses a target that has a database", () => {
    const done = run(conchBinary, ["import", "pocketbase", source, "--dir", target], { mayFail: true });
    assert.equal(done.status, 1);
    assert.match(done.stderr, /data\.db/);
});

test("it refuses what is no PocketBase directory, and leaves nothing behind", () => {
    const empty = temporaryDirectory("conch-empty-");
    const nowhere = join(empty, "target");
    const done = run(conchBinary, ["import", "pocketbase", empty, "--dir", nowhere], { mayFail: true });
    assert.equal(done.status, 1);
    assert.equal(existsSync(join(nowhere, "data.db")), false);
    writeFileSync(join(empty, "data.db"), "this is not a database");
    assert.equal(run(conchBinary, ["import", "pocketbase", empty, "--dir", nowhere], { mayFail: true }).status, 1);
    assert.equal(existsSync(join(nowhere, "data.db")), false);
    remove(empty);
});

test("both servers answer the same requests, body by body", async () => {
    // The reference goes on with a copy of its own; Conch with what it imported.
    const copy = temporaryDirectory("pocketbase-copy-");
    cpSync(source, copy, { recursive: true });
    [reference, conch] = await Promise.all([startPocketBase({ dir: copy }), startConchOn(target)]);
    pair = new Pair(conch, reference);
    const user = await client(reference).collection("users").authWithPassword("u1@example.com", "password-1");
    // A token that PocketBase issued is good on both.
    pair.tokens.user = [user.token, user.token];
    for (const as of ["guest", "user", "root"]) {
        await pair.step("GET /api/collections?perPage=100", { as });
        await pair.step("GET /api/settings", { as });
        for (const collection of ["users", "everything", "seen", "members", "_superusers"]) {
            const only = collection === "_superusers" ? "&fields=email,verified" : "";
            await pair.step(`GET /api/collections/${collection}/records?perPage=200&sort=id&expand=user,users,everything_via_user${only}`, { as });
            await pair.step(`GET /api/collections/${collection}/records?filter=${encodeURIComponent("id ~ '3'")}&sort=-id${only}`, { as });
        }
        for (let n = 0; n < 60; n++) await pair.step(`GET /api/collections/everything/records/${row(n)}?expand=users`, { as });
    }
    await pair.step("POST /api/collections/users/auth-refresh", { as: "user" });
    pair.verify();
});

test("files came along, byte by byte", () => {
    const names = readdirSync(join(source, "storage"), { recursive: true }).filter((name) => statSync(join(source, "storage", name)).isFile());
    assert.ok(names.length >= 14);
    for (const name of names) assert.deepEqual(readFileSync(join(target, "storage", name)), readFileSync(join(source, "storage", name)), name);
});

test("imported passwords log in, are upgraded, and keep the tokens valid", async () => {
    const pb = client(conch);
    const first = await pb.collection("users").authWithPassword("u2@example.com", "password-2");
    await pb.collection("users").authWithPassword("u2@example.com", "password-2");
    assert.equal((await client(conch, first.token).collection("users").authRefresh()).record.id, first.record.id);
    await assert.rejects(pb.collection("users").authWithPassword("u2@example.com", "password-1"));
    await pb.collection("_superusers").authWithPassword(superuser.email, superuser.password);
    await client(reference).collection("members").authWithPassword("m3@example.com", "password-3");
    await pb.collection("members").authWithPassword("m3@example.com", "password-3");
});

test("both go on writing alike", async () => {
    const id = row(1);
    for (const [line, body, as] of [
        [`PATCH /api/collections/everything/records/${id}`, { "number+": 1, "many+": "c" }, "root"], [`PATCH /api/collections/everything/records/${id}`, { text: "stolen" }, "user"], ["POST /api/collections/everything/records", { id: "new000000000000", text: "new", user: "user10000000000" }, "user"],
        ["PATCH /api/collections/everything/records/new000000000000", { json: { a: 1 }, "docs-": "x" }, "user"], ["POST /api/collections/everything/records", { text: "new" }, "guest"], ["DELETE /api/collections/users/records/user30000000000", undefined, "root"], ["GET /api/collections/everything/records?perPage=200&sort=id&skipTotal=0", undefined, "root"],
        ["GET /api/collections/seen/records?perPage=200&sort=id", undefined, "guest"], ["PATCH /api/collections/everything", { listRule: "" }, "root"], ["GET /api/collections/everything/records?perPage=3&sort=-id", undefined, "guest"],
    ]) await pair.step(line, { as, body });
    pair.verify();
});

test("a backup that PocketBase made is imported like its directory", async () => {
    const dir = temporaryDirectory("pocketbase-backed-up-"), target = join(mkdtempSync(join(tmpdir(), "conch-target-")), "data");
    const filled = await startPocketBase({ dir });
    const pb = admin(filled);
    await pb.collections.create({ name: "kept", viewRule: "", fields: [{ name: "doc", type: "file" }] });
    const record = await pb.collection("kept").create({ doc: new File(["in the backup"], "doc.txt") });
    await pb.backups.create("made.zip");
    await filled.stop();
    const archive = join(dir, "backups", "made.zip");
    const refused = run(conchBinary, ["backup", "restore", archive, "--dir", target], { mayFail: true });
    assert.equal(refused.status, 1);
    assert.match(refused.stderr, /conch import pocketbase/);
    const report = run(conchBinary, ["import", "pocketbase", archive, "--dir", target]);
    assert.match(report.stdout, /made\.zip\/auxiliary\.db/);
    const moved = await startConchOn(target);
    try {
        const mine = await admin(moved).collection("kept").getOne(record.id);
        const file = await fetch(client(moved).files.getURL(mine, mine.doc));
        assert.equal(await file.text(), "in the backup");
        assert.deepEqual(readdirSync(target).filter((name) => name.startsWith(".conch-import")), []);
    } finally {
        await moved.stop();
        remove(dir);
        remove(join(target, ".."));
    }
});

test("SQL triggers are left out and named: what they change would reach nobody", async () => {
    const dir = temporaryDirectory("pocketbase-triggers-"), target = join(mkdtempSync(join(tmpdir(), "conch-target-")), "data");
    const filled = await startPocketBase({ dir });
    await admin(filled).collections.create({ name: "notes", createRule: "", viewRule: "", fields: [{ name: "text", type: "text" }] });
    await filled.stop();
    const script = "import sqlite3, sys; db = sqlite3.connect(sys.argv[1]); db.executescript(sys.argv[2]); db.close()";
    run("python3", ["-c", script, join(dir, "data.db"), "CREATE TRIGGER shout AFTER INSERT ON notes BEGIN UPDATE notes SET text = upper(new.text) WHERE id = new.id; END"]);
    const source = fingerprint(dir);
    const report = run(conchBinary, ["import", "pocketbase", dir, "--dir", target]);
    assert.match(report.stdout, /triggers \(1: shout\) were left out/);
    assert.doesNotMatch(report.stdout, /only passwords|second factor/, "what this version can is not denied");
    assert.equal(fingerprint(dir), source);
    const moved = await startConchOn(target);
    try {
        const { id } = await client(moved).collection("notes").create({ text: "quiet" });
        assert.equal((await client(moved).collection("notes").getOne(id)).text, "quiet");
    } finally {
        await moved.stop();
        remove(dir);
        remove(join(target, ".."));
    }
});
