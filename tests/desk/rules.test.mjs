// What whoever writes rules asks (docs/admin.md): is this one, and if not, what is wrong where.

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
    await pb.collections.create({
        name: "posts", type: "base", listRule: "",
        fields: [{ name: "title", type: "text" }, { name: "owner", type: "relation", collectionId: "_pb_users_auth_", maxSelect: 1 }],
    });
});
after(() => conch?.stop());

const check = (body) => pb.send("/api/rules/check", { method: "POST", body });

test("a rule is checked against a stored collection", async () => {
    for (const rule of ["", null, "title = 'x'", "@request.auth.id != '' && owner.name ~ 'a'"]) {
        assert.deepEqual(await check({ collection: "posts", rule }), { ok: true }, rule);
    }
    for (const [rule, part] of [
        ["title = '😀' && nope = 1", "nope"],
        ["owner.nope = 1", "owner.nope"],
        ["title == 1", "=="],
        ["(title = 1", "("],
        ["title = 1 &&", ""],
    ]) {
        const { ok, error } = await check({ collection: "posts", rule, kind: "rule" });
        assert.equal(ok, false, rule);
        assert.equal(rule.slice(error.from, error.to), part, rule);
        assert.match(error.message, /^.+\.$/);
    }
    const long = `title = '${"x".repeat(4000)}'`;
    assert.equal((await check({ collection: "posts", rule: long, kind: "rule" })).ok, true);
    assert.equal((await check({ collection: "posts", rule: long, kind: "filter" })).ok, false);
});

test("a collection need not be stored", async () => {
    const fields = [{ name: "label", type: "text" }, { name: "post", type: "relation", collectionId: (await pb.collections.getOne("posts")).id, maxSelect: 1 }];
    const drafted = { name: "tags", type: "base", fields };
    assert.deepEqual(await check({ collection: drafted, rule: "post.owner.name = label && @collection.tags.label != ''" }), { ok: true });
    assert.equal((await check({ collection: drafted, rule: "post.nope = 1" })).error.from, 0);
    const posts = await pb.collections.getOne("posts");
    const renamed = { ...posts, fields: posts.fields.map((field) => field.name === "title" ? { ...field, name: "headline" } : field) };
    assert.equal((await check({ collection: renamed, rule: "headline = 'x'" })).ok, true);
    assert.equal((await check({ collection: renamed, rule: "title = 'x'" })).ok, false);
    assert.equal((await check({ collection: { name: "members", type: "auth", fields: [] }, rule: "verified = true && email ~ 'x'" })).ok, true);
    await assert.rejects(pb.collections.getOne("tags"), { status: 404 });
});

test("what is malformed is said", async () => {
    for (const [body, field] of [
        [{ rule: "a = 1" }, "collection"],
        [{ collection: "nope", rule: "a = 1" }, "collection"],
        [{ collection: 5, rule: "a = 1" }, "collection"],
        [{ collection: { name: "x", type: "nope" }, rule: "a = 1" }, "type"],
        [{ collection: "posts", rule: 5 }, "rule"],
        [{ collection: "posts", rule: "", kind: "sort" }, "kind"],
    ]) {
        await assert.rejects(check(body), (error) => error.status === 400 && field in error.response.data, JSON.stringify(body));
    }
    assert.equal((await fetch(`${conch.url}/api/rules/check`, { method: "POST" })).status, 401);
    await pb.collection("users").create({ email: "a@example.com", password: "password-1", passwordConfirm: "password-1" });
    const user = new PocketBase(conch.url);
    await user.collection("users").authWithPassword("a@example.com", "password-1");
    await assert.rejects(user.send("/api/rules/check", { method: "POST", body: { collection: "posts", rule: "" } }), { status: 403 });
});
