// Whoever was away is told the rest: the client of docs/realtime.md, word for word, behind a network that keeps breaking.

import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { pathToFileURL } from "node:url";
import { breakable } from "../harness/network.mjs";
import { remove, startConch, temporaryDirectory } from "../harness/server.mjs";
import { openStream } from "../harness/stream.mjs";

const long = Boolean(process.env.CONCH_TEST_LONG);
let conch, dir, follow;

before(async () => {
    conch = await startConch();
    dir = temporaryDirectory();
    const page = readFileSync(new URL("../../docs/realtime.md", import.meta.url), "utf8");
    const [, code] = page.match(/## A client in thirty lines\n\n```js\n([\s\S]*?)```/);
    writeFileSync(join(dir, "client.mjs"), code);
    ({ follow } = await import(pathToFileURL(join(dir, "client.mjs"))));
});
after(async () => {
    await conch.stop();
    remove(dir);
});

async function call(method, path, body, token = conch.token) {
    const response = await fetch(conch.url + path, {
        method,
        headers: { "content-type": "application/json", ...(token && { authorization: token }) },
        body: body && JSON.stringify(body),
    });
    const text = await response.text();
    assert.ok(response.status < 300, `${method} ${path}: ${response.status} ${text}`);
    return text ? JSON.parse(text) : null;
}

const text = (name, more = {}) => ({ name, type: "text", ...more });
const pause = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

async function list(collection, token) {
    const page = await call("GET", `/api/collections/${collection}/records?perPage=1000&skipTotal=1`, undefined, token);
    return page.items;
}

const sorted = (records) => [...records].sort((a, b) => (a.id < b.id ? -1 : 1));

/** Waits until a picture equals the list that its owner may see; fails with both. */
async function agree(picture, collection, token, what) {
    for (let round = 0; ; round += 1) {
        const [seen, expected] = [sorted(picture.values()), sorted(await list(collection, token))];
        if (JSON.stringify(seen) === JSON.stringify(expected)) return;
        if (round === 100) assert.deepEqual(seen, expected, what);
        await pause(100);
    }
}

test("pictures stay true while writes, rules and the network change", async () => {
    const rule = "public = true || owner = @request.auth.id";
    await call("POST", "/api/collections", {
        name: "notes", type: "base", listRule: rule, viewRule: rule,
        fields: [text("title"), text("owner"), { name: "public", type: "bool" }, text("secret", { hidden: true })],
    });
    const users = [];
    for (let index = 0; index < 4; index += 1) {
        const email = `u${index}@example.com`, password = "12345678";
        const { id } = await call("POST", "/api/collections/users/records", { email, password, passwordConfirm: password });
        const { token } = await call("POST", "/api/collections/users/auth-with-password", { identity: email, password }, "");
        users.push({ id, token });
    }
    const guest = { id: "nobody", token: "" };
    const enough = new AbortController();
    const watchers = [...users, guest].map((user) => ({ user, picture: new Map() }));
    for (const watcher of watchers) {
        watcher.network = await breakable(conch.url);
        const fetchAll = () => list("notes", watcher.user.token);
        watcher.following = follow(watcher.network.url, "notes", watcher.user.token, watcher.picture, fetchAll, enough.signal);
    }

    const ids = [];
    const pick = (from) => from[Math.floor(Math.random() * from.length)];
    const owner = () => pick([...users, guest]).id;
    const write = async () => {
        const dice = Math.random();
        if (dice < 0.4 || ids.length < 5) {
            const made = await call("POST", "/api/collections/notes/records",
                { title: `t${ids.length}`, owner: owner(), public: Math.random() < 0.3, secret: "hush" });
            ids.push(made.id);
        } else if (dice < 0.85) {
            await call("PATCH", `/api/collections/notes/records/${pick(ids)}`,
                pick([{ owner: owner() }, { public: Math.random() < 0.5 }, { title: "x".repeat(Math.random() * 200) }]));
        } else {
            const [id] = ids.splice(Math.floor(Math.random() * ids.length), 1);
            await call("DELETE", `/api/collections/notes/records/${id}`);
        }
    };
    const rounds = long ? 40 : 8;
    for (let round = 0; round < rounds; round += 1) {
        const breaks = watchers.filter(() => Math.random() < 0.6).map(({ network }) => network.break(Math.random() * 400));
        for (let count = 0; count < 40; count += 1) await write();
        if (round % 4 === 1) {
            const stricter = round % 8 === 1;
            await call("PATCH", "/api/collections/notes",
                { listRule: stricter ? "owner = @request.auth.id" : rule, viewRule: rule });
        }
        await Promise.all(breaks);
        if (round % 2 === 1) {
            for (const { user, picture } of watchers) await agree(picture, "notes", user.token, `round ${round}, ${user.id}`);
        }
    }
    const everything = JSON.stringify(watchers.map(({ picture }) => [...picture.values()]));
    assert.ok(ids.length > 20 && everything.length > 100, "the test has written something");
    assert.ok(!everything.includes("hush"), "nobody got a hidden field");
    enough.abort();
    watchers.forEach(({ network }) => network.stop());
    await Promise.all(watchers.map(({ following }) => following));
});

test("what is told later is what was told live", async () => {
    await call("POST", "/api/collections", {
        name: "events", type: "base", listRule: "level < 3", viewRule: "", fields: [{ name: "level", type: "number" }, text("title")],
    });
    const live = await openStream(conch);
    const { body: start } = await live.subscribe(["events/*"], "", { resume: {} });
    assert.equal(start.recovered, false);
    const ids = [];
    for (let count = 0; count < 300; count += 1) {
        const dice = Math.random();
        if (dice < 0.5 || ids.length < 3) {
            ids.push((await call("POST", "/api/collections/events/records", { level: count % 5, title: `n${count}` })).id);
        } else if (dice < 0.8) {
            const id = ids[Math.floor(Math.random() * ids.length)];
            await call("PATCH", `/api/collections/events/records/${id}`, { level: Math.floor(Math.random() * 5), title: `m${count}` });
        } else {
            await call("DELETE", `/api/collections/events/records/${ids.shift()}`);
        }
    }
    await call("POST", "/api/collections/events/records", { level: 0, title: "end" });
    await live.next(({ data }) => data.record.title === "end", { from: 0 });
    const numbers = live.events.map(({ data }) => data.seq);
    assert.ok(numbers.length > 50 && numbers.every((seq, index) => index === 0 || seq > numbers[index - 1]), "in order");
    for (const from of [start.seq, numbers[0], numbers[Math.floor(numbers.length / 2)], numbers.at(-1)]) {
        const late = await openStream(conch);
        const { body } = await late.subscribe(["events/*"], "", { resume: { epoch: start.epoch, seq: from } });
        assert.equal(body.recovered, true);
        await call("POST", "/api/collections/events/records", { level: 0, title: `after ${from}` });
        await late.next(({ data }) => data.record.title === `after ${from}`, { from: 0 });
        const expected = live.events.filter(({ data }) => data.seq > from && data.seq <= body.seq);
        const told = late.events.filter(({ data }) => data.seq <= body.seq);
        assert.deepEqual(told.map(({ data }) => data), expected.map(({ data }) => data), `from ${from}`);
        await late.close();
    }
    await live.close();
});

test("streams end when the server stops, and at once", async () => {
    const server = await startConch();
    const stream = await openStream(server);
    await stream.subscribe(["users/*"], "");
    const stopping = server.stop();
    await stream.done;
    assert.equal((await stopping).code, 0);
});
