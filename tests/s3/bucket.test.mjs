// Files in a bucket of a real object server: as PocketBase keeps them there, through crashes and bad manners.

import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { domain, startProxy, startStore } from "../harness/bucket.mjs";
import { dimensions, pictures } from "../harness/pictures.mjs";
import { admin, conchBinary, remove, run, startConch, startConchOn, startPocketBase, temporaryDirectory } from "../harness/server.mjs";

const fields = [{ name: "title", type: "text" }, { name: "f", type: "file", maxSelect: 9, maxSize: 100 << 20, thumbs: ["20x20"] }];
const docs = { id: "docs_collection", name: "docs", type: "base", listRule: "", viewRule: "", fields };
let store, proxy, conch, root;

before(async () => {
    store = await startStore();
    proxy = await startProxy(store);
    await store.create("main");
    conch = await startConch({ env: { HTTP_PROXY: proxy.url, NO_PROXY: "127.0.0.1" } });
    root = admin(conch);
    await root.collections.create(docs);
    await root.settings.update({ s3: proxy.settings("main") });
});
const servers = [];
const running = async (starting) => {
    const server = await starting;
    servers.push(server);
    return server;
};
after(async () => {
    await conch?.stop();
    await Promise.all(servers.map((server) => server.stop("SIGKILL")));
    await proxy?.stop();
    await store?.stop();
});

const file = (name, content) => new File([content], name);
const sha = (bytes) => createHash("sha256").update(bytes).digest("hex");
const keyOf = (record, name = record.f[0]) => `docs_collection/${record.id}/${name}`;
const create = (...files) => root.collection("docs").create({ f: files });
const download = (record, name = record.f[0], options = {}) => fetch(root.files.getURL(record, name, options.query), { headers: options.headers });
const bytes = async (answer) => Buffer.from(await answer.arrayBuffer());
const status = async (answer) => {
    const { status } = await answer;
    await (await answer).body?.cancel();
    return status;
};
const keys = async (prefix = "") => (await store.objects("main", prefix)).map(({ key }) => key).sort();

async function until(what, done, seconds = 20) {
    for (const end = Date.now() + seconds * 1000; !(await done());) {
        assert.ok(Date.now() < end, what);
        await new Promise((resolve) => setTimeout(resolve, 50));
    }
}

/** For the time of `work` the object server behaves so. */
async function behaving(behave, work) {
    proxy.behave = behave;
    try {
        return await work();
    } finally {
        proxy.behave = (_, pass) => pass();
    }
}

test("files go into the bucket under the wire's keys and nowhere else, and come back with ranges and thumbnails", async () => {
    const text = "0123456789".repeat(20);
    const record = await create(file("Notes.txt", text), file("empty.txt", ""), file("pic.png", pictures["plain.png"]));
    assert.deepEqual(await keys(`docs_collection/${record.id}/`), record.f.map((name) => keyOf(record, name)).sort());
    assert.equal(existsSync(join(conch.dir, "storage", "docs_collection")), false);

    const whole = await download(record);
    assert.equal(await whole.text(), text);
    assert.equal(whole.headers.get("content-type"), "text/plain; charset=utf-8");
    assert.ok(Date.now() - Date.parse(whole.headers.get("last-modified")) < 60_000);
    assert.equal(await (await download(record, record.f[1])).text(), "");
    const part = await download(record, record.f[0], { headers: { range: "bytes=5-9" } });
    assert.deepEqual([part.status, part.headers.get("content-range"), await part.text()], [206, "bytes 5-9/200", "56789"]);
    const several = await download(record, record.f[0], { headers: { range: "bytes=0-1,-2" } });
    assert.equal(several.status, 206);
    assert.match(await several.text(), /\r\n\r\n01\r\n[^]*\r\n\r\n89\r\n/);
    assert.equal(await status(download(record, record.f[0], { headers: { range: "bytes=900-" } })), 416);
    const since = { "if-modified-since": whole.headers.get("last-modified") };
    assert.equal(await status(download(record, record.f[0], { headers: since })), 304);
    assert.equal((await fetch(root.files.getURL(record, record.f[0]), { method: "HEAD" })).headers.get("content-length"), "200");

    const small = await download(record, record.f[2], { query: { thumb: "20x20" } });
    assert.equal(dimensions(await bytes(small)), "png 20x20");
    const thumb = `docs_collection/${record.id}/thumbs_${record.f[2]}/20x20_${record.f[2]}`;
    assert.equal((await store.head("main", thumb))["content-type"], "image/png");

    await root.collection("docs").update(record.id, { "f-": record.f[2] });
    await until("a dropped file goes with its thumbnails", async () => (await keys(`docs_collection/${record.id}/`)).length === 2);
    await root.collection("docs").delete(record.id);
    await until("a deleted record's files go", async () => (await keys(`docs_collection/${record.id}/`)).length === 0);
});

test("a large file goes in parts and arrives whole", async () => {
    const content = randomBytes(20 * 1024 * 1024 + 12345);
    const record = await create(file("big.bin", content));
    const [{ size, etag }] = await store.objects("main", keyOf(record));
    assert.equal(size, content.length);
    assert.match(etag, /-3$/);
    assert.equal((await store.head("main", keyOf(record)))["x-amz-meta-original-filename"], "big.bin");
    assert.equal(sha(await bytes(await download(record))), sha(content));
    const part = await download(record, record.f[0], { headers: { range: "bytes=8388600-16777300" } });
    assert.equal(sha(await bytes(part)), sha(content.subarray(8388600, 16777301)));
    assert.deepEqual(await store.uploads("main"), []);
});

test("a write that fails leaves nothing in the bucket", async () => {
    const before = await keys();
    await root.collections.update("docs", { fields: [...fields, { name: "unique", type: "text" }], indexes: ["CREATE UNIQUE INDEX idx_docs_unique ON docs (`unique`) WHERE `unique` != ''"] });
    const [first] = await Promise.allSettled([1, 2, 3].map((n) => root.collection("docs").create({ unique: "same", f: [file(`${n}.txt`, "x")] })));
    assert.ok(first);
    await until("the files of failed writes go", async () => (await keys()).length === before.length + 1);
});

test("the test route says what PocketBase's says", async () => {
    const reference = await running(startPocketBase());
    try {
        const pb = admin(reference);
        const ask = async (client, filesystem) => {
            const answer = await client.send("/api/settings/test/s3", { method: "POST", body: { filesystem } }).then(() => ({ status: 204 }), ({ status, response }) => ({ status, data: response.data }));
            for (const leaf of Object.values(answer.data ?? {})) delete leaf.message;
            return answer;
        };
        const both = async (filesystem) => {
            const [ours, theirs] = await Promise.all([ask(root, filesystem), ask(pb, filesystem)]);
            assert.deepEqual(ours, theirs, filesystem);
            return ours.status;
        };
        const set = (change) => Promise.all([root, pb].map((client) => client.settings.update({ s3: change })));
        await set({ ...store.settings("main"), enabled: false });
        for (const filesystem of ["storage", "backups", "other", "", undefined]) assert.equal(await both(filesystem), 400);
        await set(store.settings("main"));
        assert.equal(await both("storage"), 204);
        assert.equal(await both("backups"), 400);
        for (const wrong of [{ secret: "wrong" }, { accessKey: "nobody" }, { endpoint: "http://127.0.0.1:1" }]) {
            await set({ ...store.settings("main"), ...wrong });
            assert.equal(await both("storage"), 400);
        }
        await root.settings.update({ s3: store.settings("main", { secret: "wrong" }) });
        await assert.rejects(root.settings.testS3("storage"), ({ response }) => /403.*SignatureDoesNotMatch/.test(response.message) && !response.message.includes("wrong"));
        await assert.rejects(root.send("/api/settings/test/s3", { method: "POST", body: { filesystem: "storage" }, headers: { Authorization: "" } }), { status: 401 });
        assert.equal((await keys("pb_settings_test")).length, 0, "nothing is left of the tests");
    } finally {
        await root.settings.update({ s3: proxy.settings("main") });
        await reference.stop();
        remove(reference.dir);
    }
});

test("hosts instead of paths", async () => {
    await store.create("hosted");
    const hosts = [];
    await root.settings.update({ s3: store.settings("hosted", { endpoint: `http://${domain}`, forcePathStyle: false }) });
    try {
        await behaving((request, pass) => {
            hosts.push(request.response.req.headers.host);
            return pass();
        }, async () => {
            await root.settings.testS3("storage");
            const record = await create(file("hosted.txt", "by host"));
            assert.equal(await (await download(record)).text(), "by host");
            assert.deepEqual((await store.objects("hosted")).map(({ key }) => key), [keyOf(record)]);
        });
        assert.deepEqual([...new Set(hosts)], [`hosted.${domain}`]);
    } finally {
        await root.settings.update({ s3: proxy.settings("main") });
    }
});

test("a bucket that is down costs the requests that need it a 503, and nothing is lost", async () => {
    const record = await create(file("kept.txt", "kept"), file("dropped.txt", "dropped"));
    await behaving((request) => request.cut(), async () => {
        const refused = await download(record);
        assert.deepEqual([refused.status, Boolean(refused.headers.get("retry-after"))], [503, true]);
        assert.doesNotMatch(await refused.text(), /127\.0\.0\.1|S3/);
        await assert.rejects(create(file("new.txt", "x")), { status: 503 });
        // What needs no file is not held up, and neither is what drops one.
        assert.equal((await root.collection("docs").getOne(record.id)).id, record.id);
        await root.collection("docs").update(record.id, { "f-": record.f[1] });
    });
    assert.equal(await (await download(record)).text(), "kept");
    await root.send("/api/test/clock", { method: "POST", body: { advance: "2h" } }).catch(() => {});
    await until("the dropped file goes when the bucket is back", async () => {
        await root.send("/api/test/run-due", { method: "POST" });
        return (await keys(`docs_collection/${record.id}/`)).length === 1;
    }, 60);
});

test("a bucket that is silent holds up nobody else, and one that lies is caught", async () => {
    const content = randomBytes(3 << 20);
    const record = await create(file("long.bin", content));
    await behaving(() => new Promise(() => {}), async () => {
        const hanging = new AbortController();
        const waiting = Array.from({ length: 50 }, () => fetch(root.files.getURL(record, record.f[0]), { signal: hanging.signal }).catch(() => {}));
        await new Promise((resolve) => setTimeout(resolve, 200));
        const started = Date.now();
        for (let n = 0; n < 20; n++) await root.collection("docs").create({ title: `${n}` });
        assert.ok(Date.now() - started < 5000, `20 creates took ${Date.now() - started} ms`);
        hanging.abort();
        await Promise.all(waiting);
    });
    // It breaks off in the middle: the rest is asked for again.
    let cuts = 0;
    await behaving((request, pass) => request.method === "GET" && cuts++ < 1 ? pass((answer, response) => {
        let sent = 0;
        answer.on("data", (chunk) => {
            sent += chunk.length;
            if (sent < 1 << 20) response.write(chunk);
            else request.cut();
        });
    }) : pass(), async () => assert.equal(sha(await bytes(await download(record))), sha(content)));
    assert.ok(cuts > 1);
    // It never sends more than a little: the download breaks off, and nobody takes it for whole.
    await behaving((request, pass) => request.method === "GET" ? pass((answer, response) => {
        answer.once("data", (chunk) => { response.write(chunk.subarray(0, 1000)); setTimeout(request.cut, 20); });
    }) : pass(), async () => assert.rejects(download(record).then(bytes)));
    // Something else speaks there.
    await behaving((request) => request.response.writeHead(200, { "content-type": "text/html" }).end("<html>Welcome!</html>"), async () => {
        await assert.rejects(create(file("new.txt", "x")), ({ status }) => status >= 500);
        assert.notEqual(sha(await bytes(await download(record))), sha(content));
    });
    assert.equal(sha(await bytes(await download(record))), sha(content));
});

test("kill -9 while files are uploaded leaves nothing, and what was answered stays", async () => {
    const dir = temporaryDirectory();
    await store.create("killed");
    let server = await running(startConchOn(dir));
    let pb = admin(server);
    await pb.collections.create(docs);
    await pb.settings.update({ s3: proxy.settings("killed") });
    const stays = await pb.collection("docs").create({ f: [file("stays.bin", randomBytes(9 << 20))] });
    // One in parts stops in its second part, another arrives but is not answered for.
    const held = { part: 0, small: 0 };
    proxy.behave = (request, pass) => {
        if (request.path.includes("partNumber=2")) return new Promise(() => { held.part++; });
        if (request.method === "PUT" && request.path.includes("small")) return pass((answer) => { answer.resume(); held.small++; });
        return pass();
    };
    const lost = [file("large.bin", randomBytes(17 << 20)), file("small.txt", "small")].map((content) => pb.collection("docs").create({ f: [content] }).catch(() => "lost"));
    await until("both are on their way", async () => held.part > 0 && held.small > 0 && (await store.uploads("killed")).length === 1);
    await server.stop("SIGKILL");
    assert.deepEqual(await Promise.all(lost), ["lost", "lost"]);
    proxy.behave = (_, pass) => pass();
    assert.equal((await store.objects("killed")).length, 2, "the small one is there");

    server = await running(startConchOn(dir));
    pb = admin(server);
    await until("the uploads are called off and the file is removed", async () => (await store.uploads("killed")).length === 0 && (await store.objects("killed")).length === 1);
    await until("all notes are gone", () => [".placing", ".uploading", ".spool"].every((name) => readdirSync(join(dir, "storage", name)).length === 0));
    assert.equal((await pb.collection("docs").getFullList()).length, 1);
    assert.equal((await bytes(await fetch(pb.files.getURL(stays, stays.f[0])))).length, 9 << 20);
    await server.stop();
    remove(dir);
});

test("PocketBase and Conch serve the same bucket", async () => {
    await store.create("shared");
    const reference = await running(startPocketBase());
    let pb = admin(reference);
    await pb.settings.update({ s3: store.settings("shared") });
    await pb.collections.create(docs);
    const names = ["Grüße & (1).txt", "pic.png", "big.bin"];
    const contents = ["hello", pictures["plain.png"], randomBytes(15 << 20)];
    const theirs = await pb.collection("docs").create({ f: names.map((name, n) => file(name, contents[n])) });
    await reference.stop();

    const dir = join(temporaryDirectory(), "data");
    const { stdout } = run(conchBinary, ["import", "pocketbase", reference.dir, "--dir", dir]);
    assert.match(stdout, /conch storage move --to local/);
    const server = await running(startConchOn(dir));
    const ours = admin(server);
    for (const [n, name] of theirs.f.entries()) {
        assert.equal(sha(await bytes(await fetch(ours.files.getURL(theirs, name)))), sha(contents[n]), name);
    }
    const uploaded = await ours.collection("docs").create({ f: names.map((name, n) => file(name, contents[n])) });
    // What both say of the same file is the same.
    const said = async (record, n) => {
        const head = await store.head("shared", keyOf(record, record.f[n]));
        return [head["content-type"], head["content-length"], head["x-amz-meta-original-filename"]];
    };
    for (const n of names.keys()) assert.deepEqual(await said(uploaded, n), await said(theirs, n), names[n]);
    await server.stop();

    // Conch's record, in the reference's database.
    const sql = "insert into docs (id, f) values (?, ?)";
    run("python3", ["-c", "import sqlite3, sys\ndb = sqlite3.connect(sys.argv[1])\ndb.execute(sys.argv[2], sys.argv[3:])\ndb.commit()", join(reference.dir, "data.db"), sql, uploaded.id, JSON.stringify(uploaded.f)]);
    const again = await running(startPocketBase({ dir: reference.dir }));
    pb = admin(again);
    const record = await pb.collection("docs").getOne(uploaded.id);
    for (const [n, name] of record.f.entries()) {
        const answer = await fetch(pb.files.getURL(record, name));
        assert.equal(sha(await bytes(answer)), sha(contents[n]), name);
    }
    await again.stop();
    remove(reference.dir);
    remove(dir);
});
