// The same subscriptions and the same writes on Conch and on the reference: the same events, stream by stream.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { startConch, startPocketBase } from "../harness/server.mjs";
import { openStream } from "../harness/stream.mjs";

let servers;
const tokens = {};

before(async () => {
    servers = await Promise.all([startConch(), startPocketBase()]);
    await both((server) => prepare(server));
});
after(() => Promise.all(servers.map((server) => server.stop())));

const both = (action) => Promise.all(servers.map(action));
const options = (value) => `?options=${encodeURIComponent(JSON.stringify(value))}`;

async function call(server, method, path, body, token = server.token) {
    const response = await fetch(server.url + path, {
        method,
        headers: { "content-type": "application/json", ...(token && { authorization: token }) },
        body: body && JSON.stringify(body),
    });
    const text = await response.text();
    return { status: response.status, body: text ? JSON.parse(text) : null };
}

async function done(server, method, path, body, token) {
    const answer = await call(server, method, path, body, token);
    assert.ok(answer.status < 300, `${server.kind}: ${method} ${path}: ${JSON.stringify(answer)}`);
    return answer.body;
}

const text = (name, more = {}) => ({ name, type: "text", ...more });

async function prepare(server) {
    const collection = (definition) => done(server, "POST", "/api/collections", definition);
    await collection({ name: "marks", type: "base", listRule: "", viewRule: "", fields: [text("n")] });
    const rule = "public = true || owner = @request.auth.id";
    const posts = await collection({
        name: "posts", type: "base", listRule: rule, viewRule: `${rule} || title = 'view'`,
        fields: [text("title"), text("owner"), { name: "public", type: "bool" }, text("secret", { hidden: true })],
    });
    await collection({
        name: "comments", type: "base", listRule: "post.public = true", viewRule: "",
        fields: [text("body"), { name: "post", type: "relation", collectionId: posts.id, cascadeDelete: true, maxSelect: 1 }],
    });
    await collection({
        name: "links", type: "base", listRule: "", viewRule: "",
        fields: [{ name: "posts", type: "relation", collectionId: posts.id, maxSelect: 5 }],
    });
    await collection({ name: "locked", type: "base", fields: [text("title")] });
    await done(server, "PATCH", "/api/collections/users", { listRule: "", viewRule: "", manageRule: "@request.auth.name = 'boss'" });
    tokens[server.kind] = { guest: "", root: server.token };
    for (const name of ["ann", "bob", "boss"]) {
        const account = { id: `${name}${"0".repeat(15 - name.length)}`, email: `${name}@example.com`, name,
            password: "12345678", passwordConfirm: "12345678" };
        await done(server, "POST", "/api/collections/users/records", account);
        await signIn(server, name);
    }
}

async function signIn(server, name, password = "12345678") {
    const answer = await done(server, "POST", "/api/collections/users/auth-with-password",
        { identity: `${name}@example.com`, password }, "");
    tokens[server.kind][name] = answer.token;
}

const id = (name) => name.padEnd(15, "0");
let marks = 0;

/** Streams of both servers by name, each `[who, topics]`. */
async function listeners(plan) {
    return both(async (server) => {
        const streams = {};
        for (const [name, [who, topics]] of Object.entries(plan)) {
            streams[name] = await openStream(server);
            const { status } = await streams[name].subscribe([...topics, "marks/*"], tokens[server.kind][who]);
            assert.equal(status, 204);
        }
        return streams;
    });
}

/** Does the same on both and compares what every stream is told of it. */
async function step(streams, title, action) {
    const told = await both(async (server, index) => {
        const from = Object.fromEntries(Object.entries(streams[index]).map(([name, stream]) => [name, stream.events.length]));
        await action(server);
        marks += 1;
        await done(server, "POST", "/api/collections/marks/records", { n: title });
        const seen = {};
        for (const [name, stream] of Object.entries(streams[index])) {
            await stream.next(({ event, data }) => event === "marks/*" && data.record.n === title, { from: from[name] });
            // The reference promises no order between events.
            await new Promise((resolve) => setTimeout(resolve, server.kind === "conch" ? 0 : 60));
            seen[name] = stream.events.slice(from[name]).filter(({ event }) => event !== "marks/*").map(fold).sort();
        }
        return seen;
    });
    assert.deepEqual(told[0], told[1], title);
    return told[0];
}

function fold({ event, data }) {
    const plain = (value) => {
        if (Array.isArray(value)) return value.map(plain);
        if (value === null || typeof value !== "object") return value;
        const entries = Object.entries(value).filter(([key]) => !["created", "updated", "collectionId"].includes(key));
        return Object.fromEntries(entries.sort().map(([key, inner]) => [key, plain(inner)]));
    };
    return JSON.stringify({ event, data: plain(data) });
}

const stop = (streams) => Promise.all(streams.flatMap((set) => Object.values(set)).map((stream) => stream.close()));
const post = (body) => (server) => done(server, "POST", "/api/collections/posts/records", body);
const patch = (path, body) => (server) => done(server, "PATCH", `/api/collections/${path}`, body);
const remove = (path) => (server) => done(server, "DELETE", `/api/collections/${path}`);

test("records, rules, options", async () => {
    const streams = await listeners({
        guest: ["guest", ["posts/*", "posts", `posts/${id("p1")}`, "locked/*", "nothing/*", "@other", "", "posts/*"]],
        ann: ["ann", ["posts/*", `posts/${id("p1")}${options({ query: { fields: "id,title" } })}`]],
        bob: ["bob", ["posts/*", "comments/*", `comments/*${options({ query: { expand: "post" } })}`]],
        root: ["root", ["posts/*", "locked/*", "links/*", "comments/*"]],
        filtered: ["guest", [
            `posts/*${options({ query: { filter: "title = 'b'" } })}`,
            `posts/*${options({ query: { filter: "secret = 'hush'" } })}`,
            `posts/*${options({ query: { filter: "title = 'b' && @request.auth.id = ''" } })}`,
            `posts/*${options({ query: { filter: "title ~" } })}`,
            `posts/*${options({ query: { fields: "nothing" } })}`,
            `posts/*?options=nonsense`,
            `posts/*?x=1&options={"query":{"filter":"public=true"}}`,
        ]],
        rooted: ["root", [
            `posts/*${options({ query: { filter: "secret = 'hush'" } })}`,
            `posts/*${options({ query: { filter: "@request.auth.id != ''" } })}`,
            `posts/*${options({ query: { filter: "nofield = 1" } })}`,
        ]],
    });
    let told = await step(streams, "create", post({ id: id("p1"), title: "a", owner: id("ann"), secret: "hush" }));
    assert.ok(told.ann.length === 2 && told.root.length === 1 && told.guest.length === 0, JSON.stringify(told));
    await step(streams, "public", patch(`posts/records/${id("p1")}`, { public: true, title: "b" }));
    await step(streams, "private", patch(`posts/records/${id("p1")}`, { public: false }));
    await step(streams, "by view rule", patch(`posts/records/${id("p1")}`, { title: "view" }));
    await step(streams, "public again", patch(`posts/records/${id("p1")}`, { public: true }));
    await step(streams, "comment", (server) =>
        done(server, "POST", "/api/collections/comments/records", { id: id("c1"), body: "x", post: id("p1") }));
    await step(streams, "link", (server) =>
        done(server, "POST", "/api/collections/links/records", { id: id("l1"), posts: [id("p1")] }));
    await step(streams, "locked", (server) =>
        done(server, "POST", "/api/collections/locked/records", { id: id("k1"), title: "x" }));
    await step(streams, "batch", async (server) => {
        await call(server, "PATCH", "/api/settings", { batch: { enabled: true } });
        await done(server, "POST", "/api/batch", { requests: [
            { method: "POST", url: "/api/collections/posts/records", body: { id: id("p2"), title: "b", public: true } },
            { method: "PATCH", url: `/api/collections/posts/records/${id("p1")}`, body: { title: "batched" } },
        ] });
    });
    told = await step(streams, "failed batch", (server) => call(server, "POST", "/api/batch", { requests: [
        { method: "POST", url: "/api/collections/posts/records", body: { id: id("p3"), title: "b", public: true } },
        { method: "POST", url: "/api/collections/posts/records", body: { id: "bad" } },
    ] }));
    assert.ok(Object.values(told).every((events) => events.length === 0));
    await step(streams, "delete link", remove(`links/records/${id("l1")}`));
    await step(streams, "delete comment", remove(`comments/records/${id("c1")}`));
    await step(streams, "delete", remove(`posts/records/${id("p1")}`));
    await step(streams, "relation emptied", async (server) => {
        await post({ id: id("p4"), title: "d", public: true })(server);
        await done(server, "POST", "/api/collections/links/records", { id: id("l2"), posts: [id("p4")] });
        await remove(`posts/records/${id("p4")}`)(server);
    });
    await step(streams, "truncate", async (server) => {
        await post({ id: id("p5"), title: "e", public: true })(server);
        await done(server, "DELETE", "/api/collections/posts/truncate");
    });
    await stop(streams);
});

test("cascades reach whoever needs the record alone", async () => {
    const streams = await listeners({ root: ["root", ["comments/*"]], one: ["guest", [`comments/${id("c9")}`]] });
    await both(async (server) => {
        await post({ id: id("p9"), title: "e", public: true })(server);
        await done(server, "POST", "/api/collections/comments/records", { id: id("c9"), body: "x", post: id("p9") });
    });
    await new Promise((resolve) => setTimeout(resolve, 200));
    const told = await step(streams, "cascade", remove(`posts/records/${id("p9")}`));
    assert.ok(told.root.length > 0 && told.one.length > 0);
    await stop(streams);
});

test("e-mail addresses and the account that a stream is bound to", async () => {
    const users = [`users/*`, `users/${id("ann")}`];
    const streams = await listeners({
        guest: ["guest", users], ann: ["ann", users], bob: ["bob", users], boss: ["boss", users], root: ["root", users],
    });
    await step(streams, "name", patch(`users/records/${id("ann")}`, { name: "Ann" }));
    await step(streams, "visible", patch(`users/records/${id("ann")}`, { emailVisibility: true }));
    await step(streams, "hidden again", patch(`users/records/${id("ann")}`, { emailVisibility: false }));
    for (const [who, status] of [["guest", 403], ["bob", 403], ["root", 403], ["ann", 204]]) {
        await both(async (server, index) => {
            const answer = await streams[index].ann.subscribe([...users, "marks/*"], tokens[server.kind][who]);
            assert.equal(answer.status, status, `${server.kind}: ann's stream as ${who}`);
        });
    }
    await step(streams, "new password", patch(`users/records/${id("ann")}`, { password: "another one", passwordConfirm: "another one" }));
    await step(streams, "after it", patch(`users/records/${id("ann")}`, { name: "Anna" }));
    await both(async (server, index) => {
        const old = await streams[index].ann.subscribe([...users, "marks/*"], tokens[server.kind].ann);
        assert.equal(old.status, 204, "an old token is a guest");
        await signIn(server, "ann", "another one");
        const other = await streams[index].ann.subscribe([...users, "marks/*"], tokens[server.kind].bob);
        assert.equal(other.status, 204, `${server.kind}: a stream without an account may become anybody's`);
    });
    await step(streams, "as bob", patch(`users/records/${id("bob")}`, { name: "Bob" }));
    await step(streams, "bob goes", remove(`users/records/${id("bob")}`));
    await stop(streams);
});

test("refusals", async () => {
    const cases = [
        [{}, "guest"],
        [{ clientId: "" }, "guest"],
        [{ clientId: "x".repeat(256), subscriptions: [] }, "guest"],
        [{ clientId: "nobody", subscriptions: [] }, "guest"],
        [{ clientId: 5 }, "guest"],
        [{ clientId: "nobody", subscriptions: "x" }, "guest"],
        [{ clientId: "nobody", subscriptions: [5] }, "guest"],
        [{ clientId: "nobody", subscriptions: Array(1001).fill("a") }, "guest"],
        [{ clientId: "nobody", subscriptions: ["a", "b".repeat(2501)] }, "guest"],
        [{ clientId: "nobody", subscriptions: ["a", "é".repeat(2500)] }, "guest"],
    ];
    for (const [body, who] of cases) {
        const [ours, theirs] = await both((server) => call(server, "POST", "/api/realtime", body, tokens[server.kind][who]));
        const short = ({ status, body }) => ({ status, codes: fold({ event: "", data: JSON.parse(JSON.stringify(body.data, (key, value) => key === "message" ? undefined : value)) }) });
        assert.deepEqual(short(ours), short(theirs), JSON.stringify(body).slice(0, 200));
    }
    for (const method of ["PUT", "PATCH", "DELETE"]) {
        const [ours, theirs] = await both((server) => call(server, method, "/api/realtime"));
        assert.equal(ours.status, theirs.status, method);
    }
});

test("the stream's own frames and headers", async () => {
    const [ours, theirs] = await both((server) => openStream(server));
    for (const stream of [ours, theirs]) {
        assert.match(stream.id, /^[A-Za-z0-9]{40}$/);
        assert.equal(stream.frames[0], `id:${stream.id}\nevent:PB_CONNECT\ndata:{"clientId":"${stream.id}"}`);
    }
    for (const header of ["content-type", "cache-control", "x-accel-buffering", "x-content-type-options", "access-control-allow-origin"]) {
        assert.equal(ours.response.headers.get(header), theirs.response.headers.get(header), header);
    }
    await Promise.all([ours.close(), theirs.close()]);
    // Whoever has gone is forgotten.
    await new Promise((resolve) => setTimeout(resolve, 300));
    for (const stream of [ours, theirs]) assert.equal((await stream.subscribe(["posts/*"], "")).status, 404);
});
