// What is good for one use is good for one use, however many come at once; and crowds that sign up hold up nobody else.

import assert from "node:assert/strict";
import { Agent, request as httpRequest } from "node:http";
import { after, before, test } from "node:test";
import { codeIn, idOf, withPassword } from "../harness/accounts.mjs";
import { startProvider } from "../harness/provider.mjs";
import { admin, client, remove, startConchOn, temporaryDirectory } from "../harness/server.mjs";

let conch, root, provider;
const dir = temporaryDirectory("conch-races-");
const secret = "password-1";
const mailOf = (name) => `${name}@example.com`;
const at = "/api/collections/users";
const agent = new Agent({ keepAlive: true, maxSockets: 500 });

before(async () => {
    // On a kept directory passwords are hashed at their real cost.
    [conch, provider] = await Promise.all([startConchOn(dir, { args: ["--dev"] }), startProvider()]);
    root = admin(conch);
    const door = provider.door(0);
    await root.collections.update("users", {
        createRule: "", listRule: "", otp: { enabled: true }, authAlert: { enabled: false },
        oauth2: { enabled: true, providers: [{ name: "oidc", clientId: "c", clientSecret: "s", authURL: `${door}/auth`, tokenURL: `${door}/token`, userInfoURL: `${door}/user` }] },
    });
});
after(async () => {
    await Promise.all([conch?.stop(), provider?.stop()]);
    remove(dir);
});

function send(method, path, body, token = "") {
    return new Promise((resolve, reject) => {
        const sent = httpRequest(conch.url + path, { method, agent, headers: { "content-type": "application/json", ...(token && { authorization: token }) } }, (answer) => {
            let text = "";
            answer.setEncoding("utf8").on("data", (chunk) => { text += chunk; }).on("end", () => resolve({ status: answer.statusCode, body: text && JSON.parse(text), headers: answer.headers }));
        });
        sent.on("error", reject);
        sent.end(body && JSON.stringify(body));
    });
}

const make = (name, more) => root.collection("users").create({ id: idOf(name), email: mailOf(name), ...withPassword(secret), ...more });

async function mail(to, template) {
    const { items: [found] } = await root.send("/api/mailbox", { query: { to, template, wait: 20, limit: 1 } });
    assert.ok(found, `no mail to ${to}`);
    return found;
}

/** The same request twenty times at once: how often each status came. */
async function twenty(path, body) {
    const counts = {};
    for (const { status } of await Promise.all(Array.from({ length: 20 }, (_, n) => send("POST", path, typeof body === "function" ? body(n) : body)))) counts[status] = (counts[status] ?? 0) + 1;
    return counts;
}

test("one of twenty gets in with the same one-time code", async () => {
    for (const verified of [true, false]) {
        const name = `otp${verified}`;
        await make(name, { verified });
        const { otpId } = await client(conch).collection("users").requestOTP(mailOf(name));
        const code = codeIn(await mail(mailOf(name), "otp"));
        const counts = await twenty(`${at}/auth-with-otp`, { otpId, password: code });
        assert.equal(counts[200], 1, JSON.stringify(counts));
        assert.deepEqual(Object.keys(counts).filter((status) => !["200", "400", "429"].includes(status)), []);
        assert.equal((await root.collection("_otps").getFullList({ filter: `recordRef = '${idOf(name)}'` })).length, 0);
    }
});

test("nobody tries more than five codes, not even at once", async () => {
    await make("guess");
    const { otpId } = await client(conch).collection("users").requestOTP(mailOf("guess"));
    const code = codeIn(await mail(mailOf("guess"), "otp"));
    const counts = await twenty(`${at}/auth-with-otp`, (n) => ({ otpId, password: String((Number(code) + 1 + n) % 1e8).padStart(8, "0") }));
    assert.deepEqual(counts, { 400: 5, 429: 15 });
    assert.equal((await send("POST", `${at}/auth-with-otp`, { otpId, password: code })).status, 429);
});

test("one of twenty completes the same first factor", async () => {
    await make("mfa");
    await root.collections.update("users", { mfa: { enabled: true } });
    const { otpId } = await client(conch).collection("users").requestOTP(mailOf("mfa"));
    const code = codeIn(await mail(mailOf("mfa"), "otp"));
    const { status, body: { mfaId } } = await send("POST", `${at}/auth-with-otp`, { otpId, password: code });
    assert.equal(status, 401);
    const counts = await twenty(`${at}/auth-with-password?mfaId=${mfaId}`, { identity: mailOf("mfa"), password: secret });
    await root.collections.update("users", { mfa: { enabled: false } });
    assert.deepEqual(counts, { 200: 1, 400: 19 });
    assert.equal((await root.collection("_mfas").getFullList({ filter: `recordRef = '${idOf("mfa")}'` })).length, 0);
});

test("one of twenty sets a new password with the same token, and one changes the address", async () => {
    await make("reset");
    await client(conch).collection("users").requestPasswordReset(mailOf("reset"));
    const reset = (await mail(mailOf("reset"), "password-reset")).tokens[0];
    assert.deepEqual(await twenty(`${at}/confirm-password-reset`, (n) => ({ token: reset, ...withPassword(`new-password-${n}`) })), { 204: 1, 400: 19 });
    await make("change");
    const pb = client(conch);
    await pb.collection("users").authWithPassword(mailOf("change"), secret);
    for (const to of ["to-1", "to-2"]) await pb.collection("users").requestEmailChange(mailOf(to));
    const [one, two] = await Promise.all(["to-1", "to-2"].map(async (to) => (await mail(mailOf(to), "email-change")).tokens[0]));
    // Two tokens of the same account as well: the first one used ends the other.
    assert.deepEqual(await twenty(`${at}/confirm-email-change`, (n) => ({ token: n % 2 ? one : two, password: secret })), { 204: 1, 400: 19 });
    assert.match((await root.collection("users").getOne(idOf("change"))).email, /^to-[12]@example\.com$/);
});

test("twenty sign-ups with one address make one account, and twenty of one provider's account, too", async () => {
    const counts = await twenty(`${at}/records`, { email: "same@example.com", ...withPassword(secret) });
    assert.deepEqual(counts, { 200: 1, 400: 19 });
    provider.now = { user: { sub: "crowd", email: "crowd@example.com", email_verified: true } };
    const logins = await Promise.all(Array.from({ length: 20 }, () => send("POST", `${at}/auth-with-oauth2`, { provider: "oidc", code: "x" })));
    assert.deepEqual([...new Set(logins.map(({ status }) => status))], [200]);
    assert.equal(new Set(logins.map(({ body }) => body.record.id)).size, 1);
    assert.equal(logins.filter(({ body }) => body.meta.isNew).length, 1);
    assert.equal((await root.collection("_externalAuths").getFullList({ filter: "providerId = 'crowd'" })).length, 1);
});

test("250 sign-ups, fifty at a time, and reads go on", async () => {
    let signingUp = true, next = 0;
    const waits = [];
    const reader = (async () => {
        while (signingUp) {
            const began = performance.now();
            const { status } = await send("GET", `${at}/records/${idOf("mfa")}?fields=id`, undefined, conch.token);
            assert.equal(status, 200);
            waits.push(performance.now() - began);
            await new Promise((resolve) => setTimeout(resolve, 5));
        }
    })();
    const began = performance.now();
    await Promise.all(Array.from({ length: 50 }, async () => {
        while (next < 250) {
            const { status, body } = await send("POST", `${at}/records`, { email: `crowd-${next++}@example.com`, ...withPassword(secret) });
            assert.equal(status, 200, JSON.stringify(body));
        }
    }));
    const took = performance.now() - began;
    signingUp = false;
    await reader;
    waits.sort((a, b) => a - b);
    const [middle, late] = [waits[waits.length >> 1], waits[Math.floor(waits.length * 0.99)]];
    assert.ok(waits.length > 20, `only ${waits.length} reads in ${took} ms`);
    // Hashing 250 passwords takes seconds: a read that waited for its turn among fifty would take one of them.
    assert.ok(middle < 100 && late < 1000, `reads took ${middle} ms, the slowest hundredth ${late} ms`);
});

test("beyond the queue there is a 503 that says when to come back, and nothing else goes wrong", async () => {
    const answers = await Promise.all(Array.from({ length: 450 }, (_, n) => send("POST", `${at}/records`, { email: `flood-${n}@example.com`, ...withPassword(secret) })));
    const made = answers.filter(({ status }) => status === 200).length;
    const refused = answers.filter(({ status }) => status !== 200);
    assert.ok(made >= 100, `${made} were made`);
    for (const { status, headers } of refused) {
        assert.equal(status, 503);
        assert.match(headers["retry-after"], /^[1-9]\d*$/);
    }
    const { totalItems } = await root.collection("users").getList(1, 1, { filter: "email ~ 'flood-'" });
    assert.equal(totalItems, made, "exactly those that were told so exist");
});
