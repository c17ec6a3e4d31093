// Backups in a bucket of a real object server (docs/wire/services.md §8): kept there, sent from there, nothing half.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { randomBytes } from "node:crypto";
import { readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { promisify } from "node:util";
import { startProxy, startStore } from "../harness/bucket.mjs";
import { admin, conchBinary, remove, startConch, temporaryDirectory } from "../harness/server.mjs";

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
    assert.deepEqual(readdirSync(join(conch.dir, "backups")).filter((name) => name !== ".making"), [], "nothing of it is here");
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
