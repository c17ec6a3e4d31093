// Run by serving.test.mjs in a process that trusts the test's authority: URL TOKEN.

import assert from "node:assert/strict";
import PocketBase from "pocketbase";
import { EventSource } from "eventsource";

globalThis.EventSource = EventSource;
const [url, token] = process.argv.slice(2);
const pb = new PocketBase(url);
pb.authStore.save(token, null);

const heard = new Promise((resolve) => { pb.collection("posts").subscribe("*", resolve).then(() => pb.collection("posts").create({ t: "over TLS" })); });
const { action, record } = await heard;
assert.deepEqual([action, record.t], ["create", "over TLS"]);
await pb.collection("posts").unsubscribe();
assert.equal((await pb.health.check()).code, 200);
const file = await pb.collections.create({ name: "papers", type: "base", fields: [{ name: "f", type: "file" }] });
assert.equal(file.name, "papers");
const paper = await pb.collection("papers").create({ f: new File(["content"], "a.txt") });
const answer = await fetch(pb.files.getURL(paper, paper.f, { token: await pb.files.getToken() }));
assert.equal(await answer.text(), "content");
await pb.collections.delete("papers");
