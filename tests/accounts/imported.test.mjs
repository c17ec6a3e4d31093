// Accounts that move in from PocketBase with everything that is under way: passwords as bcrypt, sessions, mailed tokens,
// codes, second factors, links, known origins. And the test vectors of docs/wire/auth.md §11 against the real executable.

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { codeIn, idOf, tokenIn, until, withPassword } from "../harness/accounts.mjs";
import { startProvider } from "../harness/provider.mjs";
import { admin, client, conchBinary, remove, run, startConchOn, startPocketBase, temporaryDirectory } from "../harness/server.mjs";
import { startSmtp } from "../harness/smtp.mjs";
import { Database } from "../harness/sqlite.mjs";

const secret = "password-1";
const source = temporaryDirectory("pocketbase-accounts-");
const target = join(temporaryDirectory("conch-accounts-"), "data");
const vector = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJjb2xsZWN0aW9uSWQiOiJwYmNfODI5MjUyNDEzIiwiZXhwIjoyMDAwMDAwMDAwLCJpZCI6ImFiY2RlZmdoaWoxMjM0NSIsInJlZnJlc2hhYmxlIjp0cnVlLCJ0eXBlIjoiYXV0aCJ9.7EuT039swJO8cpDLpiX37PN_EKYFCja0ktjwIFgz5dQ";
const hashes = {
    vera: "$2a$10$xnt0LZOREFV2Figno.U43OkQgazIb521j/xYpI5dt6k.wBRJ884US",
    vico: "$2a$10$i1k6KoaUG2AZn8mOg3nQJuaZ2FB.NW8YIeIMEqhVKWTm/xD45S.si",
};
const mailOf = (name) => `${name}@example.com`;
const people = ["ann", "bob", "cat", "dan", "eve", ...Object.keys(hashes)];

let conch, provider;
/** What was under way when the directory moved. */
const held = {};

const post = (server, path, body, headers = {}) => fetch(server.url + path, { method: "POST", headers: { "content-type": "application/json", ...headers }, body: JSON.stringify(body) });
const hashOf = (name) => new Database(join(target, "data.db")).all(`SELECT password FROM users WHERE id = '${idOf(name)}'`)[0].password;
const users = (token) => client(conch, token).collection("users");

before(async () => {
    provider = await startProvider();
    const [reference, smtp] = await Promise.all([startPocketBase({ dir: source }), startSmtp()]);
    await fill(reference, smtp);
    await Promise.all([reference.stop(), smtp.stop()]);
    const script = "import sqlite3, sys\ndb = sqlite3.connect(sys.argv[1])\nfor id, hash in zip(sys.argv[2::2], sys.argv[3::2]): db.execute('UPDATE users SET password = ? WHERE id = ?', (hash, id))\ndb.commit()";
    run("python3", ["-c", script, join(source, "data.db"), ...Object.entries(hashes).flatMap(([name, hash]) => [idOf(name), hash])]);
    run(conchBinary, ["import", "pocketbase", source, "--dir", target]);
    conch = await startConchOn(target);
});
after(async () => {
    await Promise.all([conch?.stop(), provider?.stop()]);
    remove(source);
    remove(join(target, ".."));
});

async function fill(reference, smtp) {
    const pb = admin(reference);
    await pb.settings.update({ smtp: { enabled: true, host: smtp.host, port: smtp.port, tls: false } });
    const door = provider.door(0);
    await pb.collections.update("users", {
        createRule: "", otp: { enabled: true }, mfa: { enabled: true, rule: "name = 'cat'" },
        oauth2: { enabled: true, providers: [{ name: "oidc", clientId: "c", clientSecret: "s", authURL: `${door}/auth`, tokenURL: `${door}/token`, userInfoURL: `${door}/user` }] },
    });
    await pb.collections.create({ name: "staff", type: "auth", authToken: { secret: "s".repeat(50), duration: 1000 } });
    for (const name of people) await pb.collection("users").create({ id: idOf(name), email: mailOf(name), ...withPassword(secret), name });
    await pb.collection("staff").create({ id: "abcdefghij12345", email: "staff@example.com", ...withPassword("longenough1"), tokenKey: "k".repeat(50) });

    const guest = client(reference);
    const mailed = (to, nth = 0) => until(async () => (await smtp.mails()).filter((mail) => [mail.to].flat().some((address) => String(address).includes(to)))[nth]);
    held.session = (await guest.collection("users").authWithPassword(mailOf("ann"), secret, { headers: { "user-agent": "UA1" } })).token;
    held.reset = await guest.collection("users").requestPasswordReset(mailOf("dan")).then(() => mailed(mailOf("dan"))).then(tokenIn);
    held.verification = await guest.collection("users").requestVerification(mailOf("ann")).then(() => mailed(mailOf("ann"))).then(tokenIn);
    await client(reference, held.session).collection("users").requestEmailChange("ann-2@example.com");
    held.change = tokenIn(await mailed("ann-2@example.com"));
    held.otp = (await guest.collection("users").requestOTP(mailOf("bob"))).otpId;
    held.code = codeIn(await mailed(mailOf("bob")));
    await until(async () => (await pb.collection("_otps").getOne(held.otp)).sentTo || undefined);
    held.mfa = (await (await post(reference, "/api/collections/users/auth-with-password", { identity: mailOf("cat"), password: secret })).json()).mfaId;
    held.second = (await guest.collection("users").requestOTP(mailOf("cat"))).otpId;
    held.secondCode = codeIn(await mailed(mailOf("cat")));
    provider.now = { user: { sub: "eve-1", email: mailOf("eve"), email_verified: true } };
    const linked = await client(reference).collection("users").authWithOAuth2Code("oidc", "code", "", "https://app.example/back");
    assert.equal(linked.record.id, idOf("eve"));
    held.static = (await pb.collection("users").impersonate(idOf("bob"), 86400)).authStore.token;
}

test("the vectors: a token, two hashes, a fingerprint, a challenge, ids of collections", async () => {
    const answer = await client(conch, vector).collection("staff").authRefresh();
    assert.equal(answer.record.id, "abcdefghij12345");
    for (const [name, password] of [["vera", "longenough1"], ["vico", "é".repeat(36)]]) {
        assert.equal(hashOf(name), hashes[name]);
        for (const wrong of ["longenough2", "é".repeat(35), ""]) await assert.rejects(users().authWithPassword(mailOf(name), wrong));
        assert.equal((await users().authWithPassword(mailOf(name), password)).record.id, idOf(name));
    }
    const [origin] = await admin(conch).collection("_authOrigins").getFullList({ filter: `recordRef = '${idOf("ann")}'` });
    assert.equal(origin.fingerprint, "aa384f2ac61bcfdaff9042f18c991fea");
    const { oauth2: { providers: [{ codeVerifier, codeChallenge, codeChallengeMethod }] } } = await users().listAuthMethods();
    assert.equal(createHash("sha256").update(codeVerifier).digest("base64url"), codeChallenge);
    assert.equal(codeChallengeMethod, "S256");
    for (const [type, name, id] of [["auth", "_superusers", "pbc_3142635823"], ["base", "_mfas", "pbc_2279338944"], ["auth", "staff", "pbc_829252413"]]) {
        assert.equal((await admin(conch).collections.getOne(name)).id, id, type);
    }
});

test("72 bytes of a bcrypt password count, whatever follows", async () => {
    // The hash of 36 x é was upgraded at its first login, so this is a fresh import's.
    const other = join(temporaryDirectory("conch-again-"), "data");
    run(conchBinary, ["import", "pocketbase", source, "--dir", other]);
    const again = await startConchOn(other);
    assert.equal((await client(again).collection("users").authWithPassword(mailOf("vico"), `${"é".repeat(36)}zzz`)).record.id, idOf("vico"));
    await again.stop();
    remove(join(other, ".."));
});

test("a login upgrades the hash, ends no session and changes nothing else", async () => {
    assert.match(hashOf("ann"), /^\$2a\$/);
    const before = await admin(conch).collection("users").getOne(idOf("ann"));
    await assert.rejects(users().authWithPassword(mailOf("ann"), "wrong"));
    assert.match(hashOf("ann"), /^\$2a\$/, "a wrong password upgrades nothing");
    await users().authWithPassword(mailOf("ann"), secret, { headers: { "user-agent": "UA1" } });
    await until(() => /^\$argon2id\$/.test(hashOf("ann")) || undefined, () => `the hash stayed ${hashOf("ann")}`);
    await users().authWithPassword(mailOf("ann"), secret, { headers: { "user-agent": "UA1" } });
    assert.deepEqual(await admin(conch).collection("users").getOne(idOf("ann")), before);
    assert.equal((await users(held.session).authRefresh()).record.id, idOf("ann"));
    const origins = await admin(conch).collection("_authOrigins").getFullList({ filter: `recordRef = '${idOf("ann")}'` });
    assert.equal(origins.length, 1, "the known browser is known");
});

test("a code that PocketBase sent signs in", async () => {
    await assert.rejects(users().authWithOTP(held.otp, "00000000"));
    assert.equal((await users(held.static).authRefresh()).token, held.static);
    const { record } = await users().authWithOTP(held.otp, held.code);
    assert.equal(record.id, idOf("bob"));
    assert.equal(record.verified, true);
    await assert.rejects(users().authWithOTP(held.otp, held.code));
});

test("a second factor begun there is completed here", async () => {
    const { record } = await users().authWithOTP(held.second, held.secondCode, { mfaId: held.mfa });
    assert.equal(record.id, idOf("cat"));
    await assert.rejects(users().authWithOTP(held.second, held.secondCode, { mfaId: held.mfa }));
});

test("an account of another site stays linked", async () => {
    provider.now = { user: { sub: "eve-1", email: "changed@example.com", email_verified: true } };
    const { record, meta } = await users().authWithOAuth2Code("oidc", "code", "", "https://app.example/back");
    assert.equal(record.id, idOf("eve"));
    assert.equal(meta.isNew, false);
});

test("mailed tokens stay good, and good for one use", async () => {
    assert.equal(await users().confirmVerification(held.verification), true);
    assert.equal(await users().confirmEmailChange(held.change, secret), true);
    await assert.rejects(users(held.session).authRefresh(), "a new address ends the session");
    assert.equal((await users().authWithPassword("ann-2@example.com", secret)).record.verified, true);
    assert.equal(await users().confirmPasswordReset(held.reset, "password-2", "password-2"), true);
    await assert.rejects(users().confirmPasswordReset(held.reset, "password-3", "password-3"));
    assert.match(hashOf("dan"), /^\$argon2id\$/);
    assert.equal((await users().authWithPassword(mailOf("dan"), "password-2")).record.id, idOf("dan"));
});

test("a code for a superuser from the command line, while the server runs", async () => {
    await admin(conch).collections.update("_superusers", { otp: { enabled: true } });
    const said = run(conchBinary, ["superuser", "otp", "root@example.com", "--dir", target]).stdout;
    const otpId = /\b[a-z0-9]{15}\b/.exec(said)?.[0];
    const code = /\b\d{4,}\b/.exec(said.replace(otpId, ""))?.[0];
    assert.ok(otpId && code, said);
    const answer = await post(conch, "/api/collections/_superusers/auth-with-otp", { otpId, password: code });
    assert.equal(answer.status, 401);
    assert.match((await answer.json()).mfaId, /^[a-z0-9]{15}$/);
});
