// Rules tried before anybody meets them (docs/admin.md): what is said has to be what the routes then do.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import PocketBase from "pocketbase";
import { startConch } from "../harness/server.mjs";

let conch, pb, people;
const posts = {};
before(async () => {
    conch = await startConch();
    pb = new PocketBase(conch.url);
    pb.autoCancellation(false);
    pb.authStore.save(conch.token, null);
    const teams = await pb.collections.create({ name: "teams", type: "base", fields: [{ name: "name", type: "text" }] });
    const members = await pb.collections.create({
        name: "members", type: "auth",
        fields: [
            { name: "name", type: "text" }, { name: "age", type: "number" },
            { name: "team", type: "relation", collectionId: teams.id, maxSelect: 1 },
            { name: "roles", type: "select", values: ["writer", "editor"], maxSelect: 2 },
        ],
    });
    await pb.collections.create({
        name: "posts", type: "base",
        fields: [
            { name: "title", type: "text" }, { name: "note", type: "text" }, { name: "open", type: "bool" }, { name: "stars", type: "number" },
            { name: "tags", type: "select", values: ["a", "b", "c"], maxSelect: 3 }, { name: "data", type: "json" },
            { name: "owner", type: "relation", collectionId: members.id, maxSelect: 1 },
            { name: "readers", type: "relation", collectionId: members.id, maxSelect: 9 },
        ],
    });
    const red = await pb.collection("teams").create({ name: "red" });
    people = { guest: { token: "" } };
    for (const [name, more] of [["ann", { age: 30, team: red.id, roles: ["writer", "editor"] }], ["bob", { age: 40, roles: ["writer"] }]]) {
        const { id } = await pb.collection("members").create({ name, ...more, email: `${name}@example.com`, password: "password-1", passwordConfirm: "password-1", verified: name === "ann" });
        people[name] = { id, as: { collection: "members", id }, token: (await pb.collection("members").impersonate(id, 3600)).authStore.token };
    }
    const root = await pb.collection("_superusers").create({ email: "second@example.com", password: "password-1", passwordConfirm: "password-1" });
    people.root = { id: root.id, as: { collection: "_superusers", id: root.id }, token: (await pb.collection("_superusers").impersonate(root.id, 3600)).authStore.token };
    for (const [name, post] of Object.entries({
        anns: { title: "one", open: true, stars: 5, tags: ["a", "b"], data: { n: 1, list: [1, 2] }, owner: people.ann.id, readers: [people.ann.id, people.bob.id] },
        bobs: { title: "two", stars: 1, tags: ["c"], owner: people.bob.id, readers: [people.bob.id] },
        nobodys: { title: "" },
    })) {
        posts[name] = { id: `${name}00000000000000`.slice(0, 15), note: "n", ...post };
        await pb.collection("posts").create(posts[name]);
    }
});
after(() => conch?.stop());

const trial = (body) => pb.send("/api/rules/test", { method: "POST", body });
const ask = (token, method, path, body) => fetch(conch.url + path, {
    method, headers: { authorization: token, "content-type": "application/json", "x-kind": "k" }, body: body && JSON.stringify(body),
});

const rules = [
    null,
    "",
    "open = true",
    "owner = @request.auth.id",
    "@request.auth.id != '' && owner != @request.auth.id",
    "@request.auth.team.name = 'red'",
    "@request.auth.roles:each = 'writer'",
    "@request.auth.roles ~ 'editor' || stars > 3",
    "readers.id ?= @request.auth.id",
    "readers.name = 'bob'",
    "owner.team.name = 'red' || title = ''",
    "tags:each ?= 'a' && tags:length = 2",
    "data.n = 1 || data.list.1 = 3",
    "@collection.members.age ?> 35 && @collection.members.id ?= @request.auth.id",
    "@collection.members:a.name ?= 'bob' && @collection.members:b.id ?= owner && @collection.members:b.age ?< 35",
    "(open = true && stars > 1) || (owner.verified = false && @request.auth.age >= 40)",
    "@request.method = 'GET' || @request.method = 'POST'",
    "@request.query.q = '1'",
    "@request.headers.x_kind = 'k' && note = 'n'",
    "@request.body.title:isset = false",
    "@request.body.note:changed = true",
    "title:lower = 'two' // a comment with 'quotes",
    "strftime('%Y', @now) > '2000'",
    "owner.nope = 1",
];

test("trials and routes agree on every rule, caller, record and action", async () => {
    let asked = 0, allowed = 0;
    for (const rule of rules) {
        const kept = rule === "owner.nope = 1";
        // A rule that is no rule cannot be stored: then nobody passes the one that was to be.
        if (!kept) await pb.collections.update("posts", { listRule: rule, viewRule: rule, createRule: rule, updateRule: rule, deleteRule: rule });
        for (const [name, who] of Object.entries(people)) {
            const attempt = async (action, record, really, more = {}) => {
                const told = await trial({ collection: "posts", action, rule, record, as: who.as ?? null, query: { q: "1" }, headers: { "X-Kind": "k" }, ...more });
                const stored = kept ? told : await trial({ collection: "posts", action, record, as: who.as ?? null, query: { q: "1" }, headers: { "X-Kind": "k" }, ...more });
                assert.deepEqual(stored, told, "the stored rule is the default");
                const answered = kept ? name === "root" : await really();
                assert.equal(told.allowed, answered, `${rule} ${name} ${action} ${record}: ${JSON.stringify(told)}`);
                assert.equal(told.rule, rule);
                if (told.parts) assert.equal(told.parts.result, told.allowed);
                if (told.decided) assert.ok(told.decided.from < told.decided.to && told.decided.to <= rule.length);
                asked++;
                allowed += told.allowed;
            };
            const path = "/api/collections/posts/records";
            for (const post of Object.values(posts)) {
                await attempt("list", post.id, async () => {
                    const answer = await ask(who.token, "GET", `${path}?q=1&perPage=200`);
                    return answer.status === 200 && (await answer.json()).items.some(({ id }) => id === post.id);
                });
                await attempt("view", post.id, async () => (await ask(who.token, "GET", `${path}/${post.id}?q=1`)).status === 200);
                await attempt("update", post.id, async () => {
                    const { status } = await ask(who.token, "PATCH", `${path}/${post.id}?q=1`, { note: "m" });
                    if (status === 200) await pb.collection("posts").update(post.id, { note: "n" });
                    return status === 200;
                }, { body: { note: "m" } });
                await attempt("delete", post.id, async () => {
                    const { status } = await ask(who.token, "DELETE", `${path}/${post.id}?q=1`);
                    if (status === 204) await pb.collection("posts").create(post);
                    return status === 204;
                });
                const fresh = { ...post, id: "fresh0000000000", note: "n" };
                await attempt("create", undefined, async () => {
                    const { status } = await ask(who.token, "POST", `${path}?q=1`, fresh);
                    if (status === 200) await pb.collection("posts").delete(fresh.id);
                    return status === 200;
                }, { body: fresh });
            }
        }
    }
    assert.equal(asked, rules.length * 4 * 3 * 5);
    assert.ok(allowed > asked / 4 && allowed < asked * 3 / 4, `${allowed} of ${asked}`);
});

test("who manages an account, and who may sign in", async () => {
    for (const manageRule of [null, "@request.auth.name = 'ann'", "id = @request.auth.id", "@request.auth.verified = true && verified = false"]) {
        await pb.collections.update("members", { manageRule, updateRule: "@request.auth.id != ''" });
        for (const [name, who] of Object.entries(people)) {
            for (const target of ["ann", "bob"]) {
                const told = await trial({ collection: "members", action: "manage", record: people[target].id, as: who.as ?? null, body: { emailVisibility: true } });
                // Only managers say who is verified.
                const path = `/api/collections/members/records/${people[target].id}`;
                const verified = target === "ann";
                const { status } = await ask(who.token, "PATCH", path, { verified: !verified });
                if (status === 200) await pb.collection("members").update(people[target].id, { verified });
                assert.equal(told.allowed, status === 200, `${manageRule} ${name} ${target} ${JSON.stringify(told)}`);
            }
        }
    }
    for (const authRule of ["", null, "verified = true", "name = 'bob' && @request.context = 'password'"]) {
        await pb.collections.update("members", { authRule });
        for (const name of ["ann", "bob"]) {
            const told = await trial({ collection: "members", action: "auth", record: people[name].id, as: null });
            const { status } = await ask("", "POST", "/api/collections/members/auth-with-password", { identity: `${name}@example.com`, password: "password-1" });
            assert.equal(told.allowed, status === 200, `${authRule} ${name} ${JSON.stringify(told)}`);
        }
    }
});

test("what is malformed is said, and nobody else may ask", async () => {
    const fine = { collection: "posts", action: "view", record: posts.anns.id };
    for (const [body, field] of [
        [{ ...fine, collection: "nope" }, "collection"],
        [{ ...fine, collection: undefined }, "collection"],
        [{ ...fine, action: "read" }, "action"],
        [{ ...fine, action: undefined }, "action"],
        [{ ...fine, action: "manage" }, "action"],
        [{ ...fine, record: "nope" }, "record"],
        [{ ...fine, record: undefined }, "record"],
        [{ ...fine, record: 5 }, "record"],
        [{ ...fine, rule: 5 }, "rule"],
        [{ ...fine, as: "ann" }, "as"],
        [{ ...fine, as: { collection: "members" } }, "as"],
        [{ ...fine, as: { collection: "members", id: "nope" } }, "as"],
        [{ ...fine, body: [] }, "body"],
        [{ ...fine, headers: "x" }, "headers"],
    ]) {
        await assert.rejects(trial(body), (error) => error.status === 400 && field in error.response.data, JSON.stringify(body));
    }
    assert.equal((await fetch(`${conch.url}/api/rules/test`, { method: "POST" })).status, 401);
    // Another auth rule has ended all sessions.
    await pb.collections.update("members", { authRule: "" });
    const { authStore } = await pb.collection("members").impersonate(people.ann.id, 3600);
    assert.equal((await ask(authStore.token, "POST", "/api/rules/test", fine)).status, 403);
});
