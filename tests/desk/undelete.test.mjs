// Deletes taken back (docs/admin.md).

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import PocketBase from "pocketbase";
import { startConch } from "../harness/server.mjs";

let conch, pb;
before(async () => {
    conch = await startConch();
    pb = new PocketBase(conch.url);
    pb.autoCancellation(false);
    pb.authStore.save(conch.token, null);
});
after(() => conch?.stop());

const undelete = (collection, ids, client = pb) => client.send(`/api/collections/${collection}/records/undelete`, { method: "POST", body: { ids } });

test("a parent and its children come back as they were", async () => {
    const folders = await pb.collections.create({ name: "folders", type: "base", fields: [{ name: "name", type: "text" }, { name: "created", type: "autodate", onCreate: true }] });
    await pb.collections.create({ name: "papers", type: "base", fields: [
        { name: "text", type: "text" }, { name: "folder", type: "relation", collectionId: folders.id, maxSelect: 1, cascadeDelete: true },
    ] });
    const folder = await pb.collection("folders").create({ name: "one" });
    const papers = [];
    for (const text of ["a", "b"]) papers.push(await pb.collection("papers").create({ text, folder: folder.id }));
    await pb.collection("folders").delete(folder.id);
    assert.equal((await pb.collection("papers").getList()).totalItems, 0);

    const ids = papers.map(({ id }) => id);
    const early = await undelete("papers", ids);
    assert.deepEqual(early.restored, []);
    assert.deepEqual(early.failed.map(({ reason }) => reason), ["missing_relation", "missing_relation"]);
    assert.deepEqual(await undelete("folders", [folder.id, folder.id]), { restored: [folder.id], failed: [] });
    assert.deepEqual(await pb.collection("folders").getOne(folder.id), folder);
    assert.deepEqual(await undelete("papers", ids), { restored: ids, failed: [] });
    for (const paper of papers) assert.deepEqual(await pb.collection("papers").getOne(paper.id), paper);
    assert.deepEqual((await undelete("folders", [folder.id])).failed.map(({ reason }) => reason), ["exists"]);
});

test("what is malformed is said, and nobody else may ask", async () => {
    for (const ids of [undefined, "x", [1], Array.from({ length: 1001 }, (_, n) => `id${n}`)]) {
        await assert.rejects(undelete("folders", ids), (error) => error.status === 400 && "ids" in error.response.data, JSON.stringify(ids)?.slice(0, 50));
    }
    await assert.rejects(undelete("nope", ["x"]), { status: 404 });
    await assert.rejects(undelete("folders", ["x"], new PocketBase(conch.url)), { status: 401 });
    assert.deepEqual((await undelete("users", ["x"])).failed.map(({ reason }) => reason), ["auth_collection"]);
});
