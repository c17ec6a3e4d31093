// The official SDK's realtime, unchanged: in Node with an EventSource from npm, and in a page in Chromium; and its
// all-in-one sign-in through a popup, with a real OpenID provider.

import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { after, before, test } from "node:test";
import { pathToFileURL } from "node:url";
import { EventSource } from "eventsource";
import { chromium } from "playwright-core";
import { signInAt, startIdentityProvider } from "../harness/identity_provider.mjs";
import { breakable } from "../harness/network.mjs";
import { Database } from "../harness/sqlite.mjs";
import { admin, client, freePort, remove, startConch, startConchOn, temporaryDirectory } from "../harness/server.mjs";

globalThis.EventSource = EventSource;
const sdk = join(dirname(createRequire(import.meta.url).resolve("pocketbase")), "pocketbase.es.mjs");
const [, resumable] = readFileSync(new URL("../../docs/realtime.md", import.meta.url), "utf8")
    .match(/## With the official SDK\n[\s\S]*?```js\n([\s\S]*?)```/);
let conch, root;

before(async () => {
    conch = await startConch();
    root = admin(conch);
    await define(root);
});
after(() => conch.stop());

async function define(root) {
    await root.collections.create({
        name: "teams", type: "base", listRule: "", viewRule: "", fields: [{ name: "name", type: "text" }],
    });
    const teams = await root.collections.getOne("teams");
    const rule = "public = true || @request.auth.id != '' || @request.headers.x_pass = 'open'";
    await root.collections.create({
        name: "notes", type: "base", listRule: rule, viewRule: rule,
        fields: [
            { name: "title", type: "text" }, { name: "public", type: "bool" }, { name: "secret", type: "text", hidden: true },
            { name: "team", type: "relation", collectionId: teams.id, maxSelect: 1 },
        ],
    });
}

/** What a subscription got, and a way to wait for something in it. */
function heard() {
    const events = [];
    const take = (event) => { events.push(event); };
    const until = async (fits, patience = 10_000) => {
        for (const end = Date.now() + patience; Date.now() < end;) {
            const found = events.find(fits);
            if (found) return found;
            await new Promise((resolve) => setTimeout(resolve, 10));
        }
        assert.fail(`nothing like that came: ${JSON.stringify(events)}`);
    };
    return { events, take, until };
}

const titled = (title) => ({ record }) => record.title === title;

test("subscribing to all and to one, with options, and back again", async () => {
    const pb = client(conch);
    const [all, one, filtered, few, expanded, passed] = Array.from({ length: 6 }, heard);
    const team = await root.collection("teams").create({ name: "blue" });
    const first = await root.collection("notes").create({ title: "first", public: true, team: team.id });
    const leave = await pb.collection("notes").subscribe("*", all.take);
    await pb.collection("notes").subscribe(first.id, one.take);
    await pb.collection("notes").subscribe("*", filtered.take, { filter: "title ~ 'match'" });
    await pb.collection("notes").subscribe("*", few.take, { fields: "id,title" });
    await pb.collection("notes").subscribe("*", expanded.take, { expand: "team" });
    await pb.collection("notes").subscribe("*", passed.take, { headers: { "X-Pass": "open" } });
    await root.collection("notes").update(first.id, { title: "a match", secret: "hush" });
    await root.collection("notes").create({ title: "hidden", secret: "hush" });
    await root.collection("notes").create({ title: "last", public: true });
    await passed.until(titled("last"));
    const titles = ({ events }) => events.map(({ action, record }) => `${action} ${record.title}`);
    assert.deepEqual(titles(all), ["update a match", "create last"]);
    assert.deepEqual(titles(one), ["update a match"]);
    assert.deepEqual(titles(filtered), ["update a match"]);
    assert.deepEqual(titles(passed), ["update a match", "create hidden", "create last"]);
    assert.deepEqual(Object.keys(few.events[0].record).sort(), ["id", "title"]);
    assert.equal(expanded.events[0].record.expand.team.name, "blue");
    assert.ok(!JSON.stringify([all, one, few, expanded, passed]).includes("hush"));
    await leave();
    await pb.collection("notes").unsubscribe(first.id);
    await root.collection("notes").delete(first.id);
    await passed.until(({ action }) => action === "delete");
    assert.equal(one.events.length, 1);
    await pb.collection("notes").unsubscribe();
    assert.equal(pb.realtime.isConnected, false, "the last one to leave closes the stream");
});

test("the SDK finds back by itself when the server starts again", async () => {
    const dir = temporaryDirectory(), port = await freePort();
    const http = `127.0.0.1:${port}`;
    let server = await startConchOn(dir, { http });
    await define(admin(server));
    const pb = client(server), all = heard();
    let came = 0, went = 0;
    await pb.realtime.subscribe("PB_CONNECT", () => { came += 1; });
    pb.realtime.onDisconnect = (topics) => { if (topics.length) went += 1; };
    await pb.collection("notes").subscribe("*", all.take);
    await admin(server).collection("notes").create({ title: "before", public: true });
    await all.until(titled("before"));
    for (const signal of ["SIGTERM", "SIGKILL"]) {
        const known = came;
        await server.stop(signal);
        server = await startConchOn(dir, { http });
        for (const end = Date.now() + 20_000; came === known && Date.now() < end;) await new Promise((resolve) => setTimeout(resolve, 50));
        assert.ok(came > known && went > 0, `came back after ${signal}`);
        const root = admin(server);
        // The SDK subscribes again right after PB_CONNECT.
        for (let round = 0; round < 50 && !all.events.some(titled(`after ${signal}`)); round += 1) {
            await root.collection("notes").create({ title: `after ${signal}`, public: true });
            await new Promise((resolve) => setTimeout(resolve, 100));
        }
        await all.until(titled(`after ${signal}`));
    }
    await pb.realtime.unsubscribe();
    await server.stop();
    remove(dir);
});

/** Breaks the network again and again while notes are written, changed and deleted. */
async function writeWhileBreaking(network, collection) {
    const known = [];
    for (let round = 0; round < 6; round += 1) {
        const broken = network.break(round % 2 ? 600 : 50);
        for (let count = 0; count < 25; count += 1) {
            if (count % 5 === 4) await collection.delete(known.splice(Math.floor(Math.random() * known.length), 1)[0]);
            else if (count % 5 > 1) await collection.update(known.at(-1), { title: `changed ${round} ${count}` });
            else known.push((await collection.create({ title: `t${round} ${count}`, public: true })).id);
        }
        await broken;
        // Long enough for the SDK to come back in some rounds, too short in others.
        await new Promise((resolve) => setTimeout(resolve, round % 3 ? 1500 : 100));
    }
}

/** What the log says of a collection's records after a number: [number, action], oldest first. */
function logged(collection, after) {
    const rows = new Database(join(conch.dir, "data.db"))
        .all(`SELECT seq, kind FROM __conch_log WHERE collection = '${collection.id}' AND seq > ${after} ORDER BY seq`);
    return rows.map(({ seq, kind }) => [seq, ["create", "update", "delete"][kind]]);
}

test("the SDK misses nothing behind a network that breaks: it hears the log", async () => {
    const dir = temporaryDirectory();
    writeFileSync(join(dir, "resumable.mjs"), resumable);
    const { resumable: over } = await import(pathToFileURL(join(dir, "resumable.mjs")));
    const network = await breakable(conch.url);
    const notes = await root.collections.getOne("notes");
    const pb = client({ ...conch, url: network.url }), heard = [];
    let fetched = 0;
    const counted = over(pb, async () => { fetched += 1; });
    await pb.collection("notes").subscribe("*", counted(({ seq, action }) => heard.push([seq, action])));
    const start = new Database(join(conch.dir, "data.db")).all("SELECT max(seq) AS seq FROM __conch_log")[0].seq;
    await writeWhileBreaking(network, root.collection("notes"));
    const expected = logged(notes, start);
    for (const end = Date.now() + 20_000; heard.length < expected.length && Date.now() < end;) await new Promise((resolve) => setTimeout(resolve, 50));
    assert.ok(expected.length === 150, `${expected.length} changes`);
    assert.deepEqual(heard, expected);
    assert.equal(fetched, 1, "only the start had to be fetched");
    await pb.realtime.unsubscribe();
    network.stop();
    remove(dir);
});

test("a stream that ends before its topics were taken in is opened again", async () => {
    const dir = temporaryDirectory();
    writeFileSync(join(dir, "resumable.mjs"), resumable);
    const { resumable: over } = await import(pathToFileURL(join(dir, "resumable.mjs")));
    const network = await breakable(conch.url);
    const pb = client({ ...conch, url: network.url }).autoCancellation(true), all = heard();
    const counted = over(pb, async () => {}), { beforeSend } = pb;
    await pb.collection("notes").subscribe("*", counted(all.take));
    // The topics go where nobody answers, and meanwhile the stream breaks.
    const silent = createServer(() => {});
    await new Promise((resolve) => silent.listen(0, "127.0.0.1", resolve));
    let tries = 0;
    pb.beforeSend = (url, options) => {
        const asked = beforeSend(url, options);
        if (++tries > 3) return asked;
        setTimeout(() => network.break(20), 20);
        return { ...asked, url: `http://127.0.0.1:${silent.address().port}/` };
    };
    await network.break(20);
    for (const end = Date.now() + 20_000; tries < 4 && Date.now() < end;) await new Promise((resolve) => setTimeout(resolve, 50));
    assert.equal(tries, 4, "it tried again each time");
    await root.collection("notes").create({ title: "after all that", public: true });
    await all.until(titled("after all that"));
    await pb.realtime.unsubscribe();
    network.stop();
    silent.close();
    silent.closeAllConnections();
    remove(dir);
});

test("signing in through a popup, all in one", async () => {
    const idp = await startIdentityProvider({ redirects: [`${conch.url}/api/oauth2-redirect`] });
    await root.collections.update("users", { oauth2: { enabled: true, providers: [idp.entry()] } });
    const pb = client(conch);
    const follow = async (url, login) => {
        const { url: back } = await signInAt(url, login);
        const answer = await fetch(back, { redirect: "manual" });
        assert.match(answer.headers.get("location"), /oauth2-redirect-success/);
    };
    const { record, meta } = await pb.collection("users").authWithOAuth2({ provider: "oidc", urlCallback: (url) => follow(url, "ann") });
    assert.equal(record.email ?? meta.email, "ann@idp.test");
    assert.ok(pb.authStore.isValid);
    // Once more, as the same account.
    const other = client(conch);
    const again = await other.collection("users").authWithOAuth2({ provider: "oidc", urlCallback: (url) => follow(url, "ann") });
    assert.equal(again.record.id, record.id);
    assert.equal(again.meta.isNew, false);
    await idp.stop();
});

test("in Chromium: events in a page of another origin, and a real popup", async () => {
    const idp = await startIdentityProvider({ redirects: [`${conch.url}/api/oauth2-redirect`] });
    await root.collections.update("users", { oauth2: { enabled: true, providers: [idp.entry()] } });
    const pages = createServer((request, answer) => {
        const script = request.url === "/sdk.mjs";
        if (request.url === "/resumable.mjs") return answer.setHeader("content-type", "text/javascript").end(resumable);
        answer.setHeader("content-type", script ? "text/javascript" : "text/html");
        answer.end(script ? readFileSync(sdk) : "<!doctype html><title>App</title><button>Sign in</button>");
    });
    await new Promise((resolve) => pages.listen(0, "127.0.0.1", resolve));
    const network = await breakable(conch.url);
    const browser = await chromium.launch({
        executablePath: process.env.CHROMIUM_BIN ?? "/usr/bin/chromium",
        args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"],
    });
    try {
        const page = await browser.newPage();
        await page.goto(`http://127.0.0.1:${pages.address().port}/`);
        await page.evaluate(async (url) => {
            const { default: PocketBase } = await import("/sdk.mjs");
            window.pb = new PocketBase(url);
            window.heard = [];
            await window.pb.collection("notes").subscribe("*", ({ action, record }) => window.heard.push(`${action} ${record.title}`), { filter: "title != ''" });
            document.querySelector("button").onclick = () => {
                window.signedIn = window.pb.collection("users").authWithOAuth2({ provider: "oidc" });
            };
        }, conch.url);
        const note = await root.collection("notes").create({ title: "for the page", public: true });
        await root.collection("notes").delete(note.id);
        await page.waitForFunction(() => window.heard.length === 2);
        assert.deepEqual(await page.evaluate(() => window.heard), ["create for the page", "delete for the page"]);

        await page.evaluate(async (url) => {
            const { default: PocketBase } = await import("/sdk.mjs");
            const { resumable } = await import("/resumable.mjs");
            const pb = new PocketBase(url);
            window.all = [];
            window.fetched = 0;
            const counted = resumable(pb, async () => { window.fetched += 1; });
            await pb.collection("notes").subscribe("*", counted(({ seq, action }) => window.all.push([seq, action])));
        }, network.url);
        const start = new Database(join(conch.dir, "data.db")).all("SELECT max(seq) AS seq FROM __conch_log")[0].seq;
        await writeWhileBreaking(network, root.collection("notes"));
        const expected = logged(await root.collections.getOne("notes"), start);
        await page.waitForFunction((count) => window.all.length >= count, expected.length, { timeout: 20_000 });
        assert.deepEqual(await page.evaluate(() => window.all), expected);
        assert.equal(await page.evaluate(() => window.fetched), 1);

        const [popup] = await Promise.all([page.waitForEvent("popup"), page.click("button")]);
        await popup.waitForSelector("input[name=login]");
        await popup.fill("input[name=login]", "bob");
        await popup.fill("input[name=password]", "any");
        await popup.click("button[type=submit]");
        await popup.waitForSelector("button[autofocus], form[action*=confirm] button, button[type=submit]");
        await popup.click("button[type=submit]").catch(() => {});
        const seen = await page.evaluate(async () => (await window.signedIn).meta.email);
        assert.equal(seen, "bob@idp.test");
    } finally {
        await browser.close();
        network.stop();
        pages.close();
        await idp.stop();
    }
});
