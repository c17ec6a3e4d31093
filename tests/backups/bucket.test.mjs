// Backups in a bucket of a real object server (docs/wire/services.md §8): kept there, sent from there, nothing half.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { randomBytes } from "node:crypto";
import { readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { promisify } from "node:util";
import { startProxy, startStore } from "../harness/bucket.mjs";
import { admin, conchBinary, remove, startConch, startConchOn, temporaryDirectory } from "../harness/server.mjs";

const place = temporaryDirectory();
const calm = (_, pass) => pass();
let store, proxy, conch, root;
before(async () => {
    store = await startStore();
    await store.create("vault");
    proxy = await startProxy(store);
    conch = await startConch();
    root = admin(conch);
    await root.settings.update({ backups: { s3: proxy.settings("vault") } });
    await root.collections.create({ name: "ballast", fields: [{ name: "text", type: "text", max: 5_000_000 }, { name: "file", type: "file", maxSize: 5e6 }] });
    // More than one part of an upload in parts, and nothing that gets smaller.
    for (let n = 0; n < 5; n++) {
        const body = new FormData();
        body.set("file", new File([randomBytes(4_000_000)], "a.bin"));
        await root.collection("ballast").create(body);
    }
});
after(async () => {
    await conch?.stop();
    await proxy?.stop();
    await store?.stop();
    remove(place);
});

const keys = async () => (await store.objects("vault", "")).map(({ key }) => key);
const until = async (what, holds) => {
    for (const end = Date.now() + 20_000; Date.now() < end; await new Promise((resolve) => setTimeout(resolve, 20))) if (await holds()) return;
    assert.fail(`never: ${what}`);
};
const code = (promise) => promise.then(() => 200, ({ status }) => status);

async function download(key, headers = {}) {
    const answer = await fetch(root.backups.getDownloadURL(await root.files.getToken(), key), { headers });
    return { status: answer.status, bytes: Buffer.from(await answer.arrayBuffer()) };
}

test("an archive goes to the bucket in parts, and is listed, sent, verified and removed there", async () => {
    await root.backups.create("one.zip");
    const [object] = await store.objects("vault", "");
    assert.equal(object.key, "one.zip");
    assert.ok(object.size > 20_000_000);
    assert.deepEqual((await root.backups.getFullList()).map(({ key, size }) => [key, size]), [["one.zip", object.size]]);
    assert.deepEqual(readdirSync(join(conch.dir, "backups")).filter((name) => ![".making", ".uploading"].includes(name)), [], "nothing of it is here");
    assert.deepEqual(readdirSync(join(conch.dir, "backups", ".making")), []);
    const { bytes } = await download("one.zip");
    assert.equal(bytes.length, object.size);
    const part = await download("one.zip", { range: `bytes=${object.size - 1000}-` });
    assert.equal(part.status, 206);
    assert.deepEqual(part.bytes, bytes.subarray(-1000));
    writeFileSync(join(place, "one.zip"), bytes);
    for (const args of [[join(place, "one.zip")], ["one.zip", "--dir", conch.dir]]) {
        // Not at once: the proxy is this process.
        const { stdout } = await promisify(execFile)(conchBinary, ["backup", "verify", ...args]);
        assert.match(stdout, /sound.* 5 files/);
    }

    assert.equal(await code(root.backups.create("one.zip")), 400);
    await root.backups.upload({ file: new File([bytes], "up (1).zip") });
    assert.deepEqual((await keys()).sort(), ["one.zip", "up (1).zip"]);
    assert.deepEqual((await download("up (1).zip")).bytes, bytes);
    for (const key of ["one.zip", "up (1).zip"]) await root.backups.delete(key);
    assert.deepEqual(await keys(), []);
    assert.equal((await download("one.zip")).status, 404);
    assert.equal(await code(root.backups.delete("one.zip")), 400);
});

test("a bucket that fails in the middle leaves no archive, and one that is away stops nobody", async () => {
    let parts = 0;
    proxy.behave = async (request, pass) => {
        // The third part, and what is tried again of it.
        if (request.method === "PUT" && /partNumber/.test(request.path) && ++parts >= 3) return request.cut();
        return pass();
    };
    assert.equal(await code(root.backups.create("broken.zip")), 400);
    assert.ok(parts >= 3);
    proxy.behave = calm;
    assert.deepEqual(await keys(), []);
    assert.deepEqual(await store.uploads("vault"), [], "no parts are left either");
    assert.deepEqual(readdirSync(join(conch.dir, "backups", ".making")), []);
    await root.backups.create("whole.zip");
    assert.deepEqual(await keys(), ["whole.zip"]);

    proxy.behave = async (request) => request.cut();
    assert.equal(await code(root.backups.getFullList()), 400);
    assert.equal(await code(root.backups.create("away.zip")), 400);
    assert.equal((await root.health.check()).data.canBackup, true);
    await root.collection("ballast").create({ text: "goes on" });
    proxy.behave = calm;
    assert.deepEqual((await root.backups.getFullList()).map(({ key }) => key), ["whole.zip"]);
});

test("whoever uploads an archive may leave: it is carried through, and nothing else stays", async () => {
    const { bytes } = await download("whole.zip");
    const leaving = new AbortController();
    let parts = 0;
    proxy.behave = async (request, pass) => {
        // The client has sent all of it, and hangs up while the second part is on its way.
        if (request.method === "PUT" && /partNumber=2/.test(request.path) && ++parts === 1) {
            leaving.abort();
            await new Promise((resolve) => setTimeout(resolve, 500));
        }
        return pass();
    };
    const body = new FormData();
    body.set("file", new File([bytes], "left.zip"));
    await assert.rejects(fetch(`${conch.url}/api/backups/upload`, { method: "POST", headers: { Authorization: conch.token }, body, signal: leaving.signal }));
    await until("it is there", async () => (await keys()).includes("left.zip"));
    proxy.behave = calm;
    await until("nothing is left to be done", async () => (await store.uploads("vault")).length === 0 && readdirSync(join(conch.dir, "backups", ".uploading")).length === 0);
    assert.deepEqual((await download("left.zip")).bytes, bytes);
});

test("what a killed server was sending goes with its next start", async () => {
    const dir = temporaryDirectory();
    await store.create("killed");
    let server = await startConchOn(dir);
    await admin(server).settings.update({ backups: { s3: proxy.settings("killed") } });
    const held = [];
    proxy.behave = (request, pass) => request.path.includes("partNumber=2") ? new Promise(() => held.push(1)) : pass();
    const body = new FormData();
    const { bytes } = await download("whole.zip");
    body.set("file", new File([bytes], "lost.zip"));
    const lost = fetch(`${server.url}/api/backups/upload`, { method: "POST", headers: { Authorization: server.token }, body }).catch(() => "lost");
    await until("it is on its way", async () => held.length > 0 && (await store.uploads("killed")).length === 1);
    await server.stop("SIGKILL");
    assert.equal(await lost, "lost");
    proxy.behave = calm;
    assert.equal((await store.uploads("killed")).length, 1);
    server = await startConchOn(dir);
    await until("it was called off", async () => (await store.uploads("killed")).length === 0);
    await until("its note is gone", () => readdirSync(join(dir, "backups", ".uploading")).length === 0);
    await server.stop();
    remove(dir);
});
