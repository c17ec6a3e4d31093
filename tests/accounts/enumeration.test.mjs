// Nobody learns who has an account: neither from answers nor from how long they take, also while some passwords still
// are bcrypt hashes. And whoever guesses has to wait, which no stranger can do to the owner.

import assert from "node:assert/strict";
import { request as httpRequest } from "node:http";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { idOf, until, withPassword } from "../harness/accounts.mjs";
import { admin, client, conchBinary, remove, run, startConchOn, startPocketBase, temporaryDirectory } from "../harness/server.mjs";
import { Database } from "../harness/sqlite.mjs";

const source = temporaryDirectory("pocketbase-known-");
const target = join(temporaryDirectory("conch-known-"), "data");
const at = "/api/collections/users";
const secret = "password-1";
/** How many accounts there are of each kind: each is asked for once in a round. */
const SAMPLES = 11, ROUNDS = 3;
let conch, root;

const named = (kind, n) => `${kind}${n}@example.com`;

before(async () => {
    const reference = await startPocketBase({ dir: source });
    const pb = admin(reference);
    for (let n = 0; n < SAMPLES * ROUNDS + 1; n++) await pb.collection("users").create({ email: named("old", n), ...withPassword(secret) });
    await reference.stop();
    run(conchBinary, ["import", "pocketbase", source, "--dir", target]);
    conch = await startConchOn(target, { args: ["--dev"] });
    root = admin(conch);
    await root.collections.update("users", { otp: { enabled: true }, authAlert: { enabled: false } });
});
after(async () => {
    await conch?.stop();
    remove(source);
    remove(join(target, ".."));
});

const post = async (path, body, headers = {}) => {
    const began = performance.now();
    const answer = await fetch(conch.url + path, { method: "POST", headers: { "content-type": "application/json", ...headers }, body: JSON.stringify(body) });
    const text = await answer.text();
    return { status: answer.status, body: text && JSON.parse(text), took: performance.now() - began, headers: answer.headers };
};
const middle = (values) => values.toSorted((a, b) => a - b)[values.length >> 1];

/** What an answer is, without what is random in it. */
const shape = ({ status, body, headers }) => JSON.stringify([status, body?.otpId ? { otpId: /^[a-z0-9]{15}$/.test(body.otpId) } : body, [...headers.keys()].sort()]);

/**
 * Asks for accounts of these kinds in turn. Fails when an answer differs, or when in every round the typical time of one
 * kind is more than `factor` times that of another, and by more than the noise of a busy machine.
 */
async function indistinguishable(kinds, ask, factor = 1.6, noise = 3) {
    const seen = [];
    for (let round = 0; round < ROUNDS; round++) {
        const times = Object.fromEntries(kinds.map((kind) => [kind, []]));
        const shapes = new Set();
        for (let n = round * SAMPLES; n < (round + 1) * SAMPLES; n++) {
            for (const kind of n % 2 ? kinds : kinds.toReversed()) {
                const answer = await ask(named(kind, n));
                times[kind].push(answer.took);
                shapes.add(shape(answer));
            }
        }
        assert.equal(shapes.size, 1, [...shapes].join("\n"));
        const middles = kinds.map((kind) => middle(times[kind]));
        seen.push(Object.fromEntries(kinds.map((kind, index) => [kind, middles[index].toFixed(1)])));
        const [least, most] = [Math.min(...middles), Math.max(...middles)];
        if (most < least * factor || most - least < noise) return;
    }
    assert.fail(`times tell who exists: ${JSON.stringify(seen)}`);
}

const wrong = (identity) => post(`${at}/auth-with-password`, { identity, password: "not-this-one" });

test("a wrong password, and an unknown account: while all hashes are bcrypt's", async () => {
    assert.match(new Database(join(target, "data.db")).all("SELECT password FROM users WHERE email = 'old0@example.com'")[0].password, /^\$2a\$/);
    await indistinguishable(["old", "unknown"], wrong);
});

test("a wrong password, and an unknown account: while some are", async () => {
    for (let n = 0; n < SAMPLES * ROUNDS; n++) await root.collection("users").create({ email: named("new", n), ...withPassword(secret) });
    const times = { old: [], new: [], stranger: [], again: [] };
    for (let n = 0; n < 2 * SAMPLES; n++) {
        for (const kind of Object.keys(times)) times[kind].push((await wrong(kind === "again" ? named("stranger", n) : named(kind, n))).took);
    }
    const [slow, quick] = [middle(times.old), middle(times.new)];
    if (Math.max(slow, quick) < 1.4 * Math.min(slow, quick)) return assert.ok(Math.abs(middle(times.stranger) - slow) < slow / 2);
    // The two kinds of hashes differ, so who is unknown costs what one of them does, and the same each time.
    const border = Math.sqrt(slow * quick);
    const share = times.stranger.filter((time) => time > border).length / times.stranger.length;
    assert.ok(share > 0.15 && share < 0.85, `${share} of the unknown take as long as an old hash: ${JSON.stringify(times)}`);
    const steady = times.stranger.filter((time, n) => time > border === times.again[n] > border).length / times.stranger.length;
    assert.ok(steady > 0.75, `only ${steady} of the unknown take as long the second time: ${JSON.stringify(times)}`);
});

test("a code, a new password, a verification", async () => {
    for (const route of ["request-otp", "request-password-reset", "request-verification"]) {
        await indistinguishable(["old", "new", "unknown"], (email) => post(`${at}/${route}`, { email }));
    }
});

test("a collection in which nobody is costs a hash, too", async () => {
    await root.collections.create({ name: "empty", type: "auth" });
    const [one, none] = [[], []];
    for (let n = 0; n < 9; n++) {
        one.push((await wrong(named("new", n))).took);
        none.push((await post("/api/collections/empty/auth-with-password", { identity: `nobody-${n}@example.com`, password: "x" })).took);
    }
    assert.ok(middle(none) > middle(one) / 2, `${middle(none)} instead of ${middle(one)} ms`);
});

test("whoever guesses has to wait, known account or not, and nobody else has to", async () => {
    await root.settings.update({ trustedProxy: { headers: ["X-Real-IP"], useLeftmostIP: false } });
    const from = (address, identity, password) => post(`${at}/auth-with-password`, { identity, password }, { "x-real-ip": address });
    const waits = {};
    await root.collection("users").create({ email: "victim@example.com", ...withPassword(secret) });
    for (const identity of ["victim@example.com", "nobody@example.com"]) {
        const statuses = [];
        for (let n = 0; n < 7; n++) {
            const answer = await from("192.0.2.1", identity, `guess-${n}`);
            statuses.push(answer.status);
            if (answer.status === 429) {
                assert.match(answer.headers.get("retry-after"), /^[1-9]\d*$/);
                assert.deepEqual(Object.keys(answer.body).sort(), ["data", "message", "status"]);
                assert.deepEqual(answer.body.data, {});
            }
        }
        waits[identity] = statuses;
        // Not even the right password, or the search for it would only be slower. Other letters are the same name.
        assert.equal((await from("192.0.2.1", identity, secret)).status, 429);
        assert.equal((await from("192.0.2.1", identity.toUpperCase(), secret)).status, 429);
    }
    assert.ok(waits["victim@example.com"].includes(429), JSON.stringify(waits));
    assert.deepEqual(waits["victim@example.com"], waits["nobody@example.com"]);
    // The owner is elsewhere, and others sit where the guesser does.
    assert.equal((await from("192.0.2.2", "victim@example.com", secret)).status, 200);
    assert.equal((await from("192.0.2.1", "new0@example.com", secret)).status, 200);
    // One network of IPv6 is one guesser; the next one is not.
    for (let n = 0; n < 6; n++) await from(`2001:db8::${n + 1}`, "victim@example.com", "guess");
    assert.equal((await from("2001:db8::ffff:1", "victim@example.com", secret)).status, 429);
    assert.equal((await from("2001:db8:0:1::1", "victim@example.com", secret)).status, 200);
    // The wait ends by itself, and a right password ends the counting.
    await until(async () => (await from("192.0.2.1", "victim@example.com", secret)).status === 200 || undefined);
    assert.equal((await from("192.0.2.1", "victim@example.com", "guess")).status, 400);
});

test("other doors that check a password count as well", async () => {
    const pb = client(conch);
    await root.collection("users").create({ id: idOf("owner"), email: "owner@example.com", ...withPassword(secret) });
    await pb.collection("users").authWithPassword("owner@example.com", secret);
    const change = async (oldPassword) => (await fetch(`${conch.url}${at}/records/${idOf("owner")}`, {
        method: "PATCH", headers: { "content-type": "application/json", authorization: pb.authStore.token },
        body: JSON.stringify({ oldPassword, ...withPassword("password-2") }),
    })).status;
    const statuses = [];
    for (let n = 0; n < 8; n++) statuses.push(await change(`guess-${n}`));
    assert.ok(statuses.every((status) => status === 400 || status === 429), JSON.stringify(statuses));
    await pb.collection("users").requestEmailChange("owner-2@example.com");
    const { items: [mail] } = await root.send("/api/mailbox", { query: { to: "owner-2@example.com", wait: 20 } });
    const confirms = [];
    for (let n = 0; n < 8; n++) confirms.push((await post(`${at}/confirm-email-change`, { token: mail.tokens[0], password: `guess-${n}` })).status);
    assert.ok(confirms.includes(429), `nobody slows down guesses of ${JSON.stringify(confirms)} at a link in a mail`);
});

test("a password of 64 KiB costs what a short one does", async () => {
    const answers = [];
    for (const length of [255, 256, 60_000]) answers.push(await post(`${at}/auth-with-password`, { identity: "old1@example.com", password: "x".repeat(length) }));
    assert.deepEqual(answers.map(({ status }) => status), [400, 400, 400]);
    const large = await new Promise((resolve, reject) => {
        const sent = httpRequest(`${conch.url}${at}/auth-with-password`, { method: "POST", headers: { "content-type": "application/json" } }, (answer) => { answer.resume(); resolve(answer.statusCode); });
        sent.on("error", reject);
        sent.end(JSON.stringify({ identity: "old1@example.com", password: "x".repeat(70_000) }));
    });
    assert.equal(large, 413);
});
