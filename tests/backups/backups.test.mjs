// Backups (docs/wire/services.md §8): through the official SDK, under continuous writes, by the clock, and by hand.

import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { admin, client, conchBinary, remove, run, startConch, startConchOn, temporaryDirectory } from "../harness/server.mjs";
import { Database } from "../harness/sqlite.mjs";

const place = temporaryDirectory();
let conch, root;
before(async () => {
    conch = await startConch();
    root = admin(conch);
    await root.settings.update({ batch: { enabled: true, maxRequests: 50 } });
});
after(async () => {
    await conch?.stop();
    remove(place);
});

const call = (path, { method = "GET", token = conch.token, ...rest } = {}) =>
    fetch(conch.url + path, { method, headers: { ...(token && { authorization: token }), ...rest.headers }, body: rest.body });
const failure = async (promise, status) => {
    const error = await promise.then(() => assert.fail("nothing failed"), (error) => error);
    assert.equal(error.status, status, error.message);
    return Object.fromEntries(Object.entries(error.response.data ?? {}).map(([name, leaf]) => [name, leaf.code]));
};
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
async function eventually(what, holds) {
    for (const end = Date.now() + 20_000; Date.now() < end;) {
        if (await holds()) return;
        await sleep(20);
    }
    assert.fail(`never: ${what}`);
}
const names = async (pb = root) => (await pb.backups.getFullList()).map(({ key }) => key);

async function download(key, pb = root) {
    const url = pb.backups.getDownloadURL(await pb.files.getToken(), key);
    const answer = await fetch(url);
    assert.equal(answer.status, 200, url);
    return Buffer.from(await answer.arrayBuffer());
}

/** Unpacks an archive with Python's zipfile, which checks what it reads. Returns the folder. */
function unpack(archive, name) {
    const dir = join(place, name);
    mkdirSync(dir);
    writeFileSync(`${dir}.zip`, archive);
    run("python3", ["-c", "import sys, zipfile; z = zipfile.ZipFile(sys.argv[1]); assert z.testzip() is None; z.extractall(sys.argv[2])", `${dir}.zip`, dir]);
    return dir;
}

test("the SDK's service", async () => {
    assert.equal(await root.backups.create("first.zip"), true);
    assert.equal(await root.backups.create(""), true);
    const [first, generated] = await root.backups.getFullList();
    assert.deepEqual(Object.keys(first).sort(), ["key", "modified", "size"]);
    assert.equal(first.key, "first.zip");
    assert.match(first.modified, /^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}Z$/);
    assert.match(generated.key, /^pb_backup_acme_\d{14}\.zip$/);
    const bytes = await download("first.zip");
    assert.equal(bytes.length, first.size);
    assert.equal(await root.backups.upload({ file: new File([bytes], "Brought along (1).ZIP") }), true);
    assert.deepEqual(await names(), ["Brought along (1).ZIP", "first.zip", generated.key]);
    assert.deepEqual(await download("Brought along (1).ZIP"), bytes);
    for (const key of await names()) assert.equal(await root.backups.delete(key), true);
    assert.deepEqual(await names(), []);
});

test("what is refused", async () => {
    await root.backups.create("taken.zip");
    for (const [name, code] of [
        ["A.zip", "validation_match_invalid"], ["../a.zip", "validation_match_invalid"], ["a", "validation_match_invalid"],
        [`${"a".repeat(147)}.zip`, "validation_length_out_of_range"], ["taken.zip", "validation_backup_name_exists"],
    ]) {
        assert.deepEqual(await failure(root.backups.create(name), 400), { name: code }, name);
    }
    const zip = await download("taken.zip");
    for (const [file, code] of [
        [new File(["no zip"], "a.zip"), "validation_invalid_mime_type"], [new File([zip], "taken.zip"), "validation_backup_name_exists"],
        [new File([zip], ".hidden.zip"), "validation_invalid_value"],
    ]) {
        assert.deepEqual(await failure(root.backups.upload({ file }), 400), { file: code });
    }
    assert.deepEqual(await failure(root.backups.upload({ other: "x" }), 400), { file: "validation_required" });
    assert.deepEqual(await failure(root.backups.delete("none.zip"), 400), {});

    const users = client(conch);
    await users.collection("users").create({ email: "u@example.com", password: "1234567890", passwordConfirm: "1234567890" });
    await users.collection("users").authWithPassword("u@example.com", "1234567890");
    for (const [pb, status] of [[client(conch), 401], [users, 403]]) {
        await failure(pb.backups.getFullList(), status);
        await failure(pb.backups.create("x.zip"), status);
        await failure(pb.backups.upload({ file: new File([zip], "x.zip") }), status);
        await failure(pb.backups.delete("taken.zip"), status);
    }
    const path = "/api/backups/taken.zip";
    assert.equal((await call(path)).status, 403, "the header does not count");
    assert.equal((await call(`${path}?token=${await users.files.getToken()}`)).status, 403);
    const token = await root.files.getToken();
    assert.equal((await call(`/api/backups/none.zip?token=${token}`)).status, 404);
    assert.equal((await call(`/api/backups/..%2F..%2Fdata.db?token=${token}`)).status, 404);
    const part = await call(`${path}?token=${token}`, { headers: { range: "bytes=0-3" } });
    assert.equal(part.status, 206);
    assert.equal(await part.text(), "PK\u0003\u0004");
    assert.match(part.headers.get("content-disposition"), /^attachment; filename="taken\.zip"$/);
    assert.equal(part.headers.get("content-type"), "application/zip");
    await root.backups.delete("taken.zip");
});

test("a backup under continuous writes is one moment: its log, its records and its files agree", async (t) => {
    await root.collections.create({ name: "accounts", fields: [{ name: "balance", type: "number" }] });
    await root.collections.create({ name: "papers", fields: [{ name: "digest", type: "text" }, { name: "file", type: "file", maxSelect: 3, maxSize: 1e7 }, { name: "ballast", type: "text", max: 100_000 }] });
    const accounts = [];
    for (let n = 0; n < 6; n++) accounts.push(await root.collection("accounts").create({ balance: 1000 }));
    for (let n = 0; n < 40; n++) await root.collection("papers").create({ ballast: randomBytes(30_000).toString("hex") });

    let over = false, transfers = 0, papers = 0;
    const waits = [];
    const timed = async (work) => {
        const begun = performance.now();
        await work();
        waits.push([begun, performance.now() - begun]);
    };
    const transferring = async () => {
        while (!over) {
            const [a, b] = [0, 1].map(() => accounts[Math.floor(Math.random() * accounts.length)]);
            const batch = root.createBatch();
            batch.collection("accounts").update(a.id, { "balance-": 7 });
            batch.collection("accounts").update(b.id, { "balance+": 7 });
            await timed(() => batch.send());
            transfers++;
        }
    };
    const filing = async () => {
        const mine = [];
        while (!over) {
            const content = randomBytes(1 + Math.floor(Math.random() * 100_000));
            const digest = createHash("sha256").update(content).digest("hex");
            const body = { digest, file: new File([content], "paper.bin") };
            if (mine.length > 5) {
                const id = mine.shift();
                if (papers % 2) await root.collection("papers").update(id, body).then(() => mine.push(id));
                else await root.collection("papers").delete(id);
            } else {
                mine.push((await root.collection("papers").create(body)).id);
            }
            papers++;
        }
    };
    const working = Promise.all([transferring(), transferring(), transferring(), filing(), filing(), filing()]);
    await eventually("they write", () => papers > 30 && transfers > 30);
    const quiet = waits.map(([, wait]) => wait);
    const during = [];
    for (const name of ["one.zip", "two.zip"]) {
        const [seen, begun] = [[transfers, papers], performance.now()];
        await root.backups.create(name);
        assert.ok(transfers > seen[0] && papers > seen[1], "writes went on meanwhile");
        during.push(...waits.filter(([at]) => at >= begun).map(([, wait]) => wait));
    }
    over = true;
    await working;
    const of = (list, part) => list.toSorted((a, b) => a - b)[Math.floor((list.length - 1) * part)].toFixed(1);
    t.diagnostic(`a batch took ${of(quiet, 0.5)} ms (at most ${of(quiet, 1)}) before, ${of(during, 0.5)} ms (p99 ${of(during, 0.99)}, at most ${of(during, 1)}) during backups`);

    for (const name of ["one.zip", "two.zip"]) {
        const bytes = await download(name);
        const dir = unpack(bytes, name.slice(0, -4));
        const db = new Database(join(dir, "data.db"));
        assert.equal(db.all("SELECT sum(balance) AS sum FROM accounts")[0].sum, 6000, "no half of a transfer");
        const [{ last, entries }] = db.all("SELECT max(seq) AS last, count(*) AS entries FROM __conch_log");
        assert.equal(last, entries, "the log has no gap");
        const ids = Object.fromEntries(db.all("SELECT id, name FROM _collections").map(({ id, name }) => [name, id]));
        for (const name of ["accounts", "papers"]) {
            // Kind 0 is a create and 2 a delete.
            const [{ expected }] = db.all(`SELECT sum(CASE kind WHEN 0 THEN 1 WHEN 2 THEN -1 ELSE 0 END) AS expected FROM __conch_log WHERE collection = '${ids[name]}'`);
            assert.equal(db.all(`SELECT count(*) AS n FROM ${name}`)[0].n, expected, `${name}: the log tells of exactly these records`);
        }
        const rows = db.all("SELECT id, digest, file FROM papers WHERE digest != ''");
        assert.ok(rows.length > 0);
        const kept = new Set();
        for (const { id, digest, file } of rows) {
            const [first] = JSON.parse(file);
            // An update adds nothing: the field keeps what was sent last.
            const path = join(dir, "storage", ids.papers, id, first);
            assert.equal(createHash("sha256").update(readFileSync(path)).digest("hex"), digest, path);
            assert.ok(existsSync(`${path}.attrs`));
            kept.add(id);
        }
        assert.deepEqual(new Set(readdirSync(join(dir, "storage", ids.papers))), kept, "and no other files");
        const told = run(conchBinary, ["backup", "verify", `${dir}.zip`]).stdout;
        assert.match(told, new RegExp(`sound.*${rows.length} files.*change ${last}\\.`));
    }
    await eventually("files that were kept for a backup are removed after it", async () => {
        const n = (await root.send("/api/jobs", { query: { kind: "files.remove" } })).items.length;
        if (n > 0) await root.send("/api/test/clock", { method: "POST", body: { advance: "60s" } }).catch(() => {});
        return n === 0;
    });
    for (const key of await names()) await root.backups.delete(key);
    await root.collections.delete("papers");
});

test("one at a time, and health says so", async () => {
    const health = async () => (await root.health.check()).data.canBackup;
    assert.equal(await health(), true);
    const first = root.backups.create("slow.zip");
    await eventually("it is at work", async () => !await health());
    assert.deepEqual(await failure(root.backups.create("other.zip"), 400), {});
    assert.ok(!(await names()).includes("slow.zip"), "what is being made is not there yet");
    await first;
    assert.equal(await health(), true);
    assert.ok((await names()).includes("slow.zip"));
    await root.backups.delete("slow.zip");
});

test("a client that leaves does not take its backup along", async () => {
    const leaving = new AbortController();
    const left = fetch(`${conch.url}/api/backups`, { method: "POST", signal: leaving.signal, headers: { authorization: conch.token, "content-type": "application/json" }, body: '{"name":"left.zip"}' });
    await eventually("it is at work", async () => !(await root.health.check()).data.canBackup);
    leaving.abort();
    await left.catch(() => {});
    await eventually("it is there", async () => (await names()).includes("left.zip"));
    await root.backups.delete("left.zip");
});

test("by the clock: as often as the settings say, the newest few are kept, and superusers hear of failures", async () => {
    const listed = async () => (await root.crons.getFullList()).find(({ id }) => id === "__pbAutoBackup__");
    assert.equal(await listed(), undefined);
    await failure(root.crons.run("__pbAutoBackup__"), 404);
    assert.deepEqual(await failure(root.settings.update({ backups: { cron: "@every 5m" } }), 400), { backups: undefined });
    await root.settings.update({ backups: { cron: "@daily", cronMaxKeep: 2 } });
    assert.deepEqual(await listed(), { id: "__pbAutoBackup__", expression: "0 0 * * *" });
    await root.backups.create("by_hand.zip");
    const seen = new Set();
    for (let day = 1; day <= 3; day++) {
        await root.send("/api/test/clock", { method: "POST", body: { advance: "24h" } });
        // Tokens end as well.
        await root.collection("_superusers").authWithPassword(conch.email, conch.password);
        await eventually(`day ${day}`, async () => (await names()).some((name) => name.startsWith("@auto_") && !seen.has(name)));
        await eventually("it ends", async () => (await root.health.check()).data.canBackup);
        for (const name of await names()) seen.add(name);
    }
    await eventually("two are left", async () => (await names()).filter((name) => name.startsWith("@auto_pb_backup_acme_")).length === 2);
    assert.ok((await names()).includes("by_hand.zip"));

    // Nobody listens there.
    const s3 = { enabled: true, endpoint: "http://127.0.0.1:1", bucket: "b", region: "r", accessKey: "a", secret: "s", forcePathStyle: true };
    await root.settings.update({ backups: { s3 } });
    await failure(root.backups.getFullList(), 400);
    await root.crons.run("__pbAutoBackup__");
    await eventually("superusers are told", async () => {
        await root.send("/api/test/clock", { method: "POST", body: { advance: "10m" } });
        const { items } = await root.send("/api/mailbox", {});
        return items.some(({ to, subject }) => JSON.stringify(to).includes(conch.email) && /automatic backup has failed/.test(subject));
    });
    await root.settings.update({ backups: { cron: "", s3: { enabled: false } } });
    await eventually("it is no cron any more", async () => await listed() === undefined);
    for (const key of await names()) await root.backups.delete(key);
});

test("conch backup, with a server and without", async () => {
    const dir = temporaryDirectory();
    const command = (...args) => run(conchBinary, ["backup", ...args, "--dir", dir], { mayFail: true });
    let server = await startConchOn(dir);
    try {
        await admin(server).collections.create({ name: "notes", fields: [{ name: "file", type: "file" }] });
        const body = new FormData();
        body.set("file", new File(["hello"], "a.txt"));
        const note = await admin(server).collection("notes").create(body);
        assert.equal(command("create", "one.zip").stdout, "one.zip\n");
        await server.stop();
        server = undefined;
        assert.match(command("create").stdout, /^pb_backup_acme_\d{14}\.zip\n$/);
        assert.match(command("list").stdout, /^one\.zip +\d{4}-\d\d-\d\d .*\d+\npb_backup_acme/);
        const again = command("create", "one.zip");
        assert.equal(again.status, 1);
        assert.match(again.stderr, /name/);
        for (const archive of ["one.zip", join(dir, "backups", "one.zip")]) {
            const verified = command("verify", archive);
            assert.match(verified.stdout, /sound.* 1 files/, verified.stderr);
        }
        assert.deepEqual(readdirSync(join(dir, "backups", ".making")), []);

        const bytes = readFileSync(join(dir, "backups", "one.zip"));
        bytes[bytes.indexOf("hello") + 1] ^= 1;
        writeFileSync(join(dir, "backups", "broken.zip"), bytes);
        const broken = command("verify", "broken.zip");
        assert.equal(broken.status, 1);
        assert.match(broken.stderr, /damaged/);
        assert.match(broken.stderr, new RegExp(note.file));
        // Whoever rewrites an archive drops what it says of itself; what is missing is missed all the same.
        const changed = (name, script) => run("python3", ["-c", `
import sys, zipfile
with zipfile.ZipFile(sys.argv[1]) as old, zipfile.ZipFile(sys.argv[2], "w") as new:
    for entry in old.infolist():
        data = old.read(entry)
${script}
        new.writestr(entry, data)
`, join(dir, "backups", "one.zip"), join(dir, "backups", name)]);
        changed("without.zip", "        if entry.filename.startswith('storage/'): continue");
        changed("cut.zip", "        if entry.filename == 'data.db': data = data[:len(data) // 2]");
        changed("garbage.zip", "        if entry.filename == 'data.db': data = data[:4096] + b'Z' * (len(data) - 4096)");
        changed("nothing.zip", "        if entry.filename == 'data.db': data = b'no database at all ' * 999");
        const without = command("verify", "without.zip");
        assert.equal(without.status, 1);
        assert.match(without.stderr, /1 of 1 files/);
        assert.match(without.stderr, new RegExp(note.file));
        for (const name of ["cut.zip", "garbage.zip", "nothing.zip"]) {
            for (const what of ["verify", "restore"]) {
                const refused = command(what, name);
                assert.equal(refused.status, 1, name);
                assert.match(refused.stderr, /data\.db/, `${what} ${name}`);
                assert.doesNotMatch(refused.stderr, /on our side/, `${what} ${name}`);
                if (what === "restore") assert.match(refused.stderr, /damaged.*[Tt]ake another backup/, name);
            }
        }

        const none = command("verify", "none.zip");
        assert.equal(none.status, 1);
        assert.match(none.stderr, /no backup of this name/);
    } finally {
        await server?.stop();
        remove(dir);
    }
});

test("a kill in the middle leaves no half archive, and what was listed is whole", async (t) => {
    const dir = temporaryDirectory();
    let server = await startConchOn(dir), seen = 0, caught = 0;
    try {
        await admin(server).collections.create({ name: "ballast", fields: [{ name: "text", type: "text", max: 3_000_000 }] });
        for (let n = 0; n < 6; n++) await admin(server).collection("ballast").create({ text: randomBytes(1_000_000).toString("hex") });
        await admin(server).backups.create("whole.zip");
        for (let round = 0; round < 4; round++) {
            const making = fetch(`${server.url}/api/backups`, { method: "POST", headers: { authorization: server.token, "content-type": "application/json" }, body: `{"name":"round_${round}.zip"}` }).catch(() => {});
            await sleep(20 + Math.random() * 50 * 2 ** round);
            await server.stop("SIGKILL");
            await making;
            const made = join(dir, "backups", ".making");
            if (existsSync(made) && readdirSync(made).length > 0) caught++;
            server = await startConchOn(dir);
            assert.ok(!existsSync(made) || readdirSync(made).length === 0, "what was left is gone");
            for (const key of await names(admin(server))) {
                seen++;
                run(conchBinary, ["backup", "verify", key, "--dir", dir]);
            }
        }
        assert.ok(caught > 0 && seen > 0, "no kill hit a backup: this test proves nothing");
        t.diagnostic(`${caught} of 4 kills hit one, ${seen} archives were verified`);
        await admin(server).backups.create("after.zip");
    } finally {
        await server?.stop();
        remove(dir);
    }
});

test("a server that stops breaks off what it was making", async () => {
    const dir = temporaryDirectory();
    const server = await startConchOn(dir);
    try {
        await admin(server).collections.create({ name: "ballast", fields: [{ name: "text", type: "text", max: 3_000_000 }] });
        for (let n = 0; n < 6; n++) await admin(server).collection("ballast").create({ text: randomBytes(1_000_000).toString("hex") });
        const making = fetch(`${server.url}/api/backups`, { method: "POST", headers: { authorization: server.token } }).catch(() => {});
        await eventually("it is at work", async () => !(await admin(server).health.check()).data.canBackup);
        const begun = performance.now();
        const { code } = await server.stop();
        assert.equal(code, 0);
        assert.ok(performance.now() - begun < 15_000);
        await making;
        assert.deepEqual(readdirSync(join(dir, "backups")).filter((name) => name.endsWith(".zip")), []);
    } finally {
        await server.stop();
        remove(dir);
    }
});
