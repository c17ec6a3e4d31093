// `conch storage move`: all files from the disk to a bucket and back, under traffic, killed in between, refused where it
// has to be.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { startProxy, startStore } from "../harness/bucket.mjs";
import { pictures } from "../harness/pictures.mjs";
import { admin, conchBinary, remove, startConchOn, temporaryDirectory } from "../harness/server.mjs";

const dir = temporaryDirectory();
/** The digest of each file that a record must have, by `record/name`. */
const expected = new Map();
let store, proxy, conch, root;

before(async () => {
    store = await startStore();
    proxy = await startProxy(store);
    await store.create("files");
    await start();
    await root.collections.create({ id: "docs_collection", name: "docs", type: "base", viewRule: "", fields: [{ name: "f", type: "file", maxSelect: 9, maxSize: 50 << 20, thumbs: ["20x20"] }] });
    await root.collections.create({ name: "shown", type: "view", viewQuery: "select id, f from docs" });
    await Promise.all(Array.from({ length: 60 }, (_, n) => upload(`${n}.txt`, `content ${n}`)));
    await upload("large.bin", randomBytes((17 << 20) + 5));
    const picture = await upload("Größe.png", pictures["plain.png"]);
    await (await fetch(root.files.getURL(picture, picture.f[0], { thumb: "20x20" }))).arrayBuffer();
});
after(async () => {
    await conch?.stop("SIGKILL");
    await proxy?.stop();
    await store?.stop();
    remove(dir);
});

async function start() {
    conch = await startConchOn(dir);
    root = admin(conch);
}

const sha = (bytes) => createHash("sha256").update(bytes).digest("hex");

/** The command; not `run`, under which the proxy of this process would stand still. */
async function move(...args) {
    const child = spawn(conchBinary, ["storage", "move", ...args, "--dir", dir], { stdio: ["ignore", "pipe", "pipe"] });
    const said = { stdout: "", stderr: "" };
    for (const name of ["stdout", "stderr"]) child[name].on("data", (chunk) => { said[name] += chunk; });
    const status = await new Promise((resolve) => child.once("close", resolve));
    return { status, ...said };
}

const local = () => readdirSync(join(dir, "storage"), { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile()).map(({ name }) => name);

async function upload(name, content) {
    const record = await root.collection("docs").create({ f: [new File([content], name)] });
    expected.set(`${record.id}/${record.f[0]}`, sha(content));
    return record;
}

async function drop(path) {
    expected.delete(path);
    await root.collection("docs").delete(path.split("/")[0]);
}

/** Every file that has to be there is, with its bytes. */
async function check() {
    for (const [path, digest] of expected) {
        const answer = await fetch(`${conch.url}/api/files/docs/${path}`);
        assert.deepEqual([answer.status, sha(Buffer.from(await answer.arrayBuffer()))], [200, digest], path);
    }
}

const originals = async () => (await store.objects("files")).map(({ key }) => key.split("/").slice(1).join("/")).filter((key) => !key.includes("thumbs_")).sort();

test("what cannot work is refused and changes nothing", async () => {
    const blank = await move("--to", "s3");
    assert.equal(blank.status, 1);
    assert.match(blank.stderr, /s3\.bucket/);
    for (const wrong of [{ secret: "wrong" }, { endpoint: "http://127.0.0.1:1" }]) {
        await root.settings.update({ s3: { ...store.settings("files"), ...wrong, enabled: false } });
        const refused = await move("--to", "s3");
        assert.equal(refused.status, 1);
        assert.match(refused.stderr, /SignatureDoesNotMatch|refused/);
    }
    assert.equal((await root.settings.getAll()).s3.enabled, false);
    assert.equal((await move("--to", "moon")).status, 2);
    await check();
});

test("a move that is killed goes on where it was, under traffic, and every file is served all the time", async () => {
    await root.settings.update({ s3: { ...proxy.settings("files"), enabled: false } });
    // Slowly, so that there is time to kill it.
    proxy.behave = async (_, pass) => {
        await new Promise((resolve) => setTimeout(resolve, 15));
        return pass();
    };
    const first = spawn(conchBinary, ["storage", "move", "--to", "s3", "--dir", dir], { stdio: "ignore" });
    const ended = new Promise((resolve) => first.once("exit", resolve));
    while ((await store.objects("files")).length < 10 && first.exitCode === null) await new Promise((resolve) => setTimeout(resolve, 20));
    const second = await move("--to", "s3");
    assert.match(second.stderr, /a move of files is at work/);
    await conch.stop("SIGKILL");
    assert.notEqual(await ended, 0);
    await start();
    assert.equal((await root.settings.getAll()).s3.enabled, false);
    const there = (await store.objects("files")).length;
    assert.ok(there >= 10 && there < expected.size, `${there}`);

    proxy.behave = async (_, pass) => {
        await new Promise((resolve) => setTimeout(resolve, 3));
        return pass();
    };
    let stop = false;
    const traffic = Promise.all([1, 2, 3].map(async (worker) => {
        for (let n = 0; !stop; n++) {
            await upload(`late ${worker} ${n}.txt`, `late ${worker} ${n}`);
            await new Promise((resolve) => setTimeout(resolve, 20));
            if (n % 3 === 0) await drop([...expected.keys()].find((path) => path.includes(`late_${worker}`)));
        }
    }));
    const sample = [...expected][5];
    const reading = (async () => {
        while (!stop) {
            const answer = await fetch(`${conch.url}/api/files/docs/${sample[0]}`);
            assert.deepEqual([answer.status, sha(Buffer.from(await answer.arrayBuffer()))], [200, sample[1]]);
        }
    })();
    const done = await move("--to", "s3", "--delete-source");
    stop = true;
    await Promise.all([traffic, reading]);
    const said = done.stdout;
    assert.equal(done.status, 0, done.stderr);
    const [, copied, present] = /Copied (\d+) files .*, (\d+) were there already.*kept in the bucket from now on/.exec(said) ?? assert.fail(said);
    assert.ok(Number(present) >= there - 4, said);
    assert.ok(Number(copied) > 0, said);
    assert.equal((await root.settings.getAll()).s3.enabled, true);
    proxy.behave = (_, pass) => pass();
    await check();
    assert.deepEqual(local(), [], "nothing is left on the disk");

    // No more and no less than what records name, once what was dropped has gone.
    const end = Date.now() + 20_000;
    const wanted = () => [...expected.keys()].sort();
    while (JSON.stringify(await originals()) !== JSON.stringify(wanted()) && Date.now() < end) await new Promise((resolve) => setTimeout(resolve, 100));
    const keys = new Set(await originals());
    assert.deepEqual(wanted().filter((key) => !keys.has(key)), [], "all of them");
    const named = (await store.objects("files")).find(({ key }) => /gr_e_\w+\.png$/.test(key) && !key.includes("thumbs"));
    const head = await store.head("files", named.key);
    assert.deepEqual([head["content-type"], head["x-amz-meta-original-filename"]], ["image/png", "Gr%C3%B6%C3%9Fe.png"]);
});

test("and back, without a server, with the originals left until they are to go", async () => {
    await conch.stop();
    const back = await move("--to", "local");
    assert.equal(back.status, 0, back.stderr);
    assert.match(back.stdout, /kept on this disk from now on/);
    const inBucket = (await store.objects("files")).length;
    assert.ok(inBucket >= expected.size);
    await start();
    assert.equal((await root.settings.getAll()).s3.enabled, false);
    await check();
    const cleared = await move("--to", "local", "--delete-source");
    assert.match(cleared.stdout, new RegExp(`already\\. Removed ${inBucket} originals\\.`), cleared.stdout + cleared.stderr);
    assert.deepEqual(await store.objects("files"), []);
    await check();
    assert.equal(existsSync(join(dir, "storage", "docs_collection")), true);
});
