// An app's life through the official SDK: the admin shapes it, two users and a guest live in it.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { ClientResponseError } from "pocketbase";
import { admin, client, startTarget } from "../harness/server.mjs";

let server, root, guest, ann, bob;

/** Asserts that a call fails with a status (and codes by field). */
async function fails(call, status, codes) {
    await assert.rejects(call, (error) => {
        assert.ok(error instanceof ClientResponseError, String(error));
        assert.equal(error.status, status, JSON.stringify(error.response));
        if (codes) {
            const found = Object.fromEntries(Object.entries(error.response.data).map(([name, { code }]) => [name, code]));
            assert.deepEqual(found, codes);
        }
        return true;
    });
}

before(async () => {
    server = await startTarget();
    root = admin(server);
    guest = client(server);
    ann = client(server);
    bob = client(server);
});

after(() => server?.stop());

test("the admin creates the app's collections", async () => {
    const users = await root.collections.getOne("users");
    assert.equal(users.id, "_pb_users_auth_");
    const posts = await root.collections.create({
        name: "posts",
        type: "base",
        listRule: "public = true || author = @request.auth.id",
        viewRule: "public = true || author = @request.auth.id",
        createRule: "@request.auth.id != '' && author = @request.auth.id",
        updateRule: "author = @request.auth.id",
        deleteRule: "author = @request.auth.id",
        fields: [
            { name: "title", type: "text", required: true, max: 80 },
            { name: "body", type: "editor" },
            { name: "public", type: "bool" },
            { name: "likes", type: "number", onlyInt: true, min: 0 },
            { name: "tags", type: "select", values: ["news", "tech", "fun"], maxSelect: 3 },
            { name: "author", type: "relation", collectionId: users.id, required: true, cascadeDelete: true },
            { name: "cover", type: "file", mimeTypes: ["text/plain; charset=utf-8", "text/plain"] },
            { name: "files", type: "file", maxSelect: 5 },
            { name: "meta", type: "json" },
            { name: "where", type: "geoPoint" },
            { name: "when", type: "date" },
            { name: "secret", type: "text", hidden: true },
            { name: "created", type: "autodate", onCreate: true },
            { name: "updated", type: "autodate", onCreate: true, onUpdate: true },
        ],
        indexes: ["CREATE UNIQUE INDEX idx_posts_title ON posts (title)"],
    });
    assert.match(posts.id, /^pbc_\d+$/);
    await root.collections.create({
        name: "comments",
        listRule: "",
        viewRule: "",
        createRule: "@request.auth.id != '' && @request.body.user = @request.auth.id",
        fields: [
            { name: "text", type: "text", required: true },
            { name: "post", type: "relation", collectionId: posts.id, required: true, cascadeDelete: true },
            { name: "user", type: "relation", collectionId: users.id },
        ],
    });
    await fails(guest.collections.create({ name: "nope" }), 401);
});

test("collections are locked unless rules are given", async () => {
    const locked = await root.collections.create({ name: "locked", fields: [{ name: "a", type: "text" }] });
    for (const rule of ["listRule", "viewRule", "createRule", "updateRule", "deleteRule"]) assert.equal(locked[rule], null);
    await fails(guest.collection("locked").getList(), 403);
    await fails(guest.collection("locked").getOne("whatever1234567"), 403);
    await fails(guest.collection("locked").create({ a: "x" }), 403);
});

test("users sign up and log in", async () => {
    for (const [name, pb] of [["ann", ann], ["bob", bob]]) {
        const user = await guest.collection("users").create({
            email: `${name}@example.com`, name, password: "long-enough-1", passwordConfirm: "long-enough-1",
        });
        assert.equal(user.email, undefined, "the e-mail of a fresh account is not public");
        assert.equal(user.verified, false);
        const answer = await pb.collection("users").authWithPassword(`${name}@example.com`, "long-enough-1");
        assert.equal(answer.record.email, `${name}@example.com`);
        assert.equal(answer.record.id, user.id);
        assert.ok(pb.authStore.isValid);
        assert.equal(pb.authStore.isSuperuser, false);
    }
    await fails(guest.collection("users").authWithPassword("ann@example.com", "wrong-password"), 400, {});
    await fails(guest.collection("users").authWithPassword("nobody@example.com", "wrong-password"), 400, {});
    await fails(
        guest.collection("users").create({ email: "ann@example.com", password: "long-enough-1", passwordConfirm: "long-enough-1" }),
        400, { email: "validation_not_unique" },
    );
    await fails(
        guest.collection("users").create({ email: "eve@example.com", password: "long-enough-1" }),
        400, { passwordConfirm: "validation_required" },
    );
    const before = ann.authStore.token;
    await ann.collection("users").authRefresh();
    assert.ok(ann.authStore.token);
    assert.equal(ann.authStore.record.email, "ann@example.com");
    await fails(guest.collection("users").authRefresh(), 401);
    assert.equal((await client(server, before).collection("users").authRefresh()).record.name, "ann");
});

test("records obey their rules as two users and a guest", async () => {
    const mine = await ann.collection("posts").create({
        title: "Hello", public: true, likes: 1, tags: ["news", "tech"], author: ann.authStore.record.id,
        meta: { a: [1, 2, { b: null }] }, where: { lon: 8.5, lat: 47.4 }, when: new Date(0), secret: "dropped",
    });
    assert.deepEqual(mine.tags, ["news", "tech"]);
    assert.deepEqual(mine.meta, { a: [1, 2, { b: null }] });
    assert.deepEqual(mine.where, { lon: 8.5, lat: 47.4 });
    assert.equal(mine.when, "1970-01-01 00:00:00.000Z");
    assert.equal("secret" in mine, false);
    assert.equal((await root.collection("posts").getOne(mine.id)).secret, "", "hidden fields are not writable");
    assert.match(mine.created, /^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}Z$/);

    const draft = await ann.collection("posts").create({ title: "Draft", author: ann.authStore.record.id });
    await fails(bob.collection("posts").create({ title: "Forged", author: ann.authStore.record.id }), 400, {});
    await fails(guest.collection("posts").create({ title: "Guest", author: ann.authStore.record.id }), 400, {});
    await fails(
        ann.collection("posts").create({ title: "Hello", author: ann.authStore.record.id }),
        400, { title: "validation_not_unique" },
    );
    await fails(
        ann.collection("posts").create({ title: "", likes: -1, tags: ["none"], author: ann.authStore.record.id }),
        400, { title: "validation_required", likes: "validation_min_number_constraint", tags: "validation_invalid_value" },
    );

    assert.equal((await guest.collection("posts").getList()).totalItems, 1);
    assert.equal((await bob.collection("posts").getFullList()).length, 1);
    assert.equal((await ann.collection("posts").getFullList({ sort: "-title" }))[0].id, mine.id);
    await fails(bob.collection("posts").getOne(draft.id), 404);
    await fails(bob.collection("posts").update(mine.id, { title: "Stolen" }), 404);
    await fails(bob.collection("posts").delete(mine.id), 404);

    const liked = await ann.collection("posts").update(mine.id, { "likes+": 2, "tags-": "news", "tags+": ["fun"] });
    assert.equal(liked.likes, 3);
    assert.deepEqual(liked.tags, ["tech", "fun"]);
    await fails(ann.collection("posts").update(mine.id, { id: "another12345678" }), 400, { id: "validation_pk_change" });
    await ann.collection("posts").delete(draft.id);
    await fails(ann.collection("posts").getOne(draft.id), 404);
});

test("files are uploaded, kept, replaced and removed", async () => {
    const file = (name, text) => new File([text], name, { type: "text/plain" });
    const post = await ann.collection("posts").create({
        title: "Files", public: true, author: ann.authStore.record.id,
        cover: file("My Cover (1).TXT", "cover"), files: [file("a.tar.gz", "aaa"), file("b.txt", "bbb")],
    });
    assert.match(post.cover, /^my_cover_1_[a-z0-9]{10}\.TXT$/);
    assert.equal(post.files.length, 2);
    assert.match(post.files[0], /^a[a-z0-9]{10}_[a-z0-9]{10}\.tar\.gz$/);
    const more = await ann.collection("posts").update(post.id, { "files+": file("c.txt", "ccc"), "files-": post.files[0] });
    assert.equal(more.files.length, 2);
    assert.equal(more.files[0], post.files[1]);
    const kept = await ann.collection("posts").update(post.id, { files: [more.files[1]], cover: "" });
    assert.deepEqual(kept.files, [more.files[1]]);
    assert.equal(kept.cover, "");
    await fails(ann.collection("posts").update(post.id, { cover: "made_up.txt" }), 400, { cover: "validation_invalid_file" });
});

test("expand, fields and back-relations", async () => {
    const post = await guest.collection("posts").getFirstListItem('title = "Hello"');
    for (const [pb, text] of [[ann, "first"], [bob, "second"]]) {
        await pb.collection("comments").create({ text, post: post.id, user: pb.authStore.record.id });
    }
    await fails(guest.collection("comments").create({ text: "x", post: post.id }), 400, {});
    const seen = await bob.collection("posts").getOne(post.id, { expand: "author,comments_via_post.user" });
    assert.equal(seen.expand.author, undefined, "bob may not view ann");
    assert.deepEqual(seen.expand.comments_via_post.map((comment) => comment.text), ["first", "second"]);
    assert.equal(seen.expand.comments_via_post[1].expand.user.name, "bob");
    assert.equal(seen.expand.comments_via_post[1].expand.user.email, "bob@example.com");
    const own = await ann.collection("posts").getList(1, 1, { expand: "author", fields: "title,expand.author.name", filter: 'title="Hello"' });
    assert.deepEqual(own.items, [{ title: "Hello", expand: { author: { name: "ann" } } }]);
});

test("filters with placeholders", async () => {
    for (const title of [`it's "quoted"`, "back\\slash", "100% sure", "a_b", "new\nline"]) {
        await ann.collection("posts").create({ title, public: true, author: ann.authStore.record.id });
        const found = await guest.collection("posts").getFullList({ filter: guest.filter("title = {:title}", { title }) });
        assert.deepEqual(found.map((post) => post.title), [title]);
    }
    const like = await guest.collection("posts").getFullList({ filter: guest.filter("title ~ {:text}", { text: "100\\%" }) });
    assert.deepEqual(like.map((post) => post.title), ["100% sure"]);
    const since = await guest.collection("posts").getFullList({ filter: guest.filter("created > {:date} && likes >= {:n}", { date: new Date(0), n: 3 }) });
    assert.deepEqual(since.map((post) => post.title), ["Hello"]);
    await fails(guest.collection("posts").getList(1, 1, { filter: "secret = ''" }), 400, {});
    await fails(guest.collection("posts").getList(1, 1, { filter: "@request.auth.id = ''" }), 403, {});
    await fails(guest.collection("posts").getList(1, 1, { filter: "title =" }), 400, {});
});

test("a batch is all or nothing", async () => {
    await fails(root.send("/api/batch", { method: "POST", body: { requests: [] } }), 403);
    await root.settings.update({ batch: { enabled: true } });
    const author = ann.authStore.record.id;
    const batch = ann.createBatch();
    batch.collection("posts").create({ title: "b1", author, files: [new File(["one"], "one.txt")] });
    batch.collection("posts").upsert({ id: "batchbatchbatch", title: "b2", author });
    batch.collection("posts").upsert({ id: "batchbatchbatch", title: "b2 again", "likes+": 1 });
    batch.collection("posts").delete("batchbatchbatch");
    const answers = await batch.send();
    assert.deepEqual(answers.map(({ status }) => status), [200, 200, 200, 204]);
    assert.equal(answers[0].body.files.length, 1);
    assert.equal(answers[2].body.likes, 1);
    assert.equal(answers[3].body, null);

    const bad = ann.createBatch();
    bad.collection("posts").create({ title: "never", author });
    bad.collection("posts").create({ title: "", author });
    await assert.rejects(bad.send(), (error) => {
        assert.equal(error.status, 400);
        const item = error.response.data.requests[1];
        assert.equal(item.code, "batch_request_failed");
        assert.equal(item.response.status, 400);
        assert.equal(item.response.data.title.code, "validation_required");
        return true;
    });
    assert.equal((await ann.collection("posts").getList(1, 1, { filter: 'title="never"' })).totalItems, 0);
});

test("passwords and e-mails change only as they may, and tokens die with them", async () => {
    const id = ann.authStore.record.id;
    const other = client(server, ann.authStore.token);
    await fails(ann.collection("users").update(id, { email: "new@example.com" }), 400, { email: "validation_values_mismatch" });
    await fails(ann.collection("users").update(id, { verified: true }), 400, { verified: "validation_values_mismatch" });
    await fails(ann.collection("users").update(id, { password: "new-password-1" }), 400,
        { oldPassword: "validation_required", passwordConfirm: "validation_required" });
    await fails(ann.collection("users").update(id, { password: "new-password-1", passwordConfirm: "new-password-1", oldPassword: "bad" }), 400,
        { oldPassword: "validation_invalid_old_password" });
    await ann.collection("users").update(id, { password: "new-password-1", passwordConfirm: "new-password-1", oldPassword: "long-enough-1" });
    await fails(other.collection("users").authRefresh(), 401);
    assert.equal((await other.collection("users").getList()).totalItems, 0, "a dead token is a guest");
    await ann.collection("users").authWithPassword("ann@example.com", "new-password-1");
});

test("deleting a user takes posts and their comments along", async () => {
    const id = ann.authStore.record.id;
    await ann.collection("users").delete(id);
    assert.equal((await root.collection("posts").getList(1, 1, { filter: `author="${id}"` })).totalItems, 0);
    assert.equal((await root.collection("comments").getList()).totalItems, 0);
    await fails(root.collections.delete("users"), 400);
    await root.collections.delete("comments");
    await root.collections.truncate("posts");
    await root.collections.delete("posts");
    await fails(root.collections.getOne("posts"), 404);
});
