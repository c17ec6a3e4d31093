// Every flow of accounts as an app meets it: the official SDK, and the capture box instead of a mailbox.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { decodeJwt, decodeProtectedHeader, exportPKCS8, generateKeyPair } from "jose";
import { idOf, withPassword } from "../harness/accounts.mjs";
import { startProvider } from "../harness/provider.mjs";
import { admin, client, startConch } from "../harness/server.mjs";

let conch, root, provider;
const secret = "password-1";
const mailOf = (name) => `${name}@example.com`;

before(async () => {
    [conch, provider] = await Promise.all([startConch(), startProvider()]);
    root = admin(conch);
    for (const name of ["ann", "bob", "cat", "dan", "eve"]) {
        await root.collection("users").create({ id: idOf(name), email: mailOf(name), ...withPassword(secret), name });
    }
});
after(() => Promise.all([conch?.stop(), provider?.stop()]));

const users = (pb) => pb.collection("users");

/** The next mail to an address after `before` (a mail's id). */
async function mail(to, template, before) {
    const { items: [found] } = await root.send("/api/mailbox", { query: { to, template, wait: 20, limit: 1, ...(before && { after: before }) } });
    assert.ok(found, `no mail ${template} to ${to}`);
    return found;
}

/** The answer to a request that fails. */
async function failure(promise, status) {
    const error = await promise.then(() => assert.fail("it should have failed"), (error) => error);
    assert.equal(error.status, status, String(error.stack));
    return error.response;
}

const codes = (response) => Object.fromEntries(Object.entries(response.data).map(([name, { code }]) => [name, code]));

test("a password, a session, a refresh", async () => {
    const pb = client(conch);
    const methods = await users(pb).listAuthMethods();
    assert.deepEqual(methods, { mfa: { enabled: false, duration: 0 }, otp: { enabled: false, duration: 0 }, password: { enabled: true, identityFields: ["email"] }, oauth2: { enabled: false, providers: [] } });
    await failure(users(pb).authWithPassword(mailOf("ann"), "wrong"), 400);
    assert.equal(pb.authStore.isValid, false);
    const { token, record } = await users(pb).authWithPassword(mailOf("ann"), secret);
    assert.equal(record.email, mailOf("ann"));
    assert.ok(pb.authStore.isValid);
    assert.equal(decodeJwt(token).refreshable, true);
    await new Promise((resolve) => setTimeout(resolve, 1000 - Date.now() % 1000 + 5)); // the next second
    const refreshed = await users(pb).authRefresh();
    assert.notEqual(refreshed.token, token);
    assert.equal(pb.authStore.token, refreshed.token);
    await users(client(conch, token)).authRefresh();
    pb.authStore.clear();
    await failure(users(pb).authRefresh(), 401);
});

test("one-time codes", async () => {
    await root.collections.update("users", { otp: { enabled: true, length: 7 } });
    const pb = client(conch);
    assert.deepEqual((await users(pb).listAuthMethods()).otp, { enabled: true, duration: 180 });
    const { otpId } = await users(pb).requestOTP(mailOf("bob"));
    const { codes: [code] } = await mail(mailOf("bob"), "otp");
    assert.match(code, /^\d{7}$/);
    await failure(users(pb).authWithOTP(otpId, "0000000"), 400);
    const { record } = await users(pb).authWithOTP(otpId, code);
    assert.equal(record.verified, true, "the address is proved");
    await failure(users(pb).authWithOTP(otpId, code), 400);
    await failure(users(pb).authWithPassword(mailOf("bob"), secret), 400); // who registered before the proof is out
    const unknown = await users(pb).requestOTP("nobody@example.com");
    assert.match(unknown.otpId, /^[a-z0-9]{15}$/);
    assert.equal((await root.send("/api/mailbox", { query: { to: "nobody@example.com" } })).total, 0);
});

test("two factors, in both orders", async () => {
    await root.collections.update("users", { otp: { enabled: true }, mfa: { enabled: true, rule: "name = 'cat'" } });
    const pb = client(conch);
    const first = await failure(users(pb).authWithPassword(mailOf("cat"), secret), 401);
    assert.deepEqual(Object.keys(first), ["mfaId"]);
    assert.equal(pb.authStore.isValid, false);
    const one = await users(pb).requestOTP(mailOf("cat"));
    const sent = await mail(mailOf("cat"), "otp");
    const done = await users(pb).authWithOTP(one.otpId, sent.codes[0], { mfaId: first.mfaId });
    assert.equal(done.record.id, idOf("cat"));
    // And the other way round.
    const two = await users(pb).requestOTP(mailOf("cat"));
    const again = await mail(mailOf("cat"), "otp", sent.id);
    const { mfaId } = await failure(users(pb).authWithOTP(two.otpId, again.codes[0]), 401);
    await failure(users(pb).authWithPassword(mailOf("cat"), secret, { mfaId: first.mfaId }), 400); // used up
    assert.equal((await users(pb).authWithPassword(mailOf("cat"), secret, { mfaId })).record.id, idOf("cat"));
    await users(pb).authWithPassword(mailOf("dan"), secret); // the rule asks nobody else
    await root.collections.update("users", { mfa: { enabled: false } });
});

test("proving an address", async () => {
    const pb = client(conch);
    await users(pb).authWithPassword(mailOf("dan"), secret);
    assert.equal(pb.authStore.record.verified, false);
    assert.equal(await users(pb).requestVerification(mailOf("dan")), true);
    const { tokens: [token], links: [link] } = await mail(mailOf("dan"), "verification");
    assert.ok(link.endsWith(`/_/#/auth/confirm-verification/${token}`));
    assert.equal(await users(pb).confirmVerification(token), true);
    assert.equal(pb.authStore.record.verified, true, "the SDK knows it, too");
    assert.equal((await users(pb).authRefresh()).record.verified, true);
    assert.equal(await users(pb).requestVerification("nobody@example.com"), true);
    assert.deepEqual(codes(await failure(users(pb).confirmVerification("garbage"), 400)), { token: "validation_invalid_token_claims" });
});

test("a forgotten password", async () => {
    const pb = client(conch);
    await users(pb).authWithPassword(mailOf("eve"), secret);
    assert.equal(await users(client(conch)).requestPasswordReset(mailOf("eve")), true);
    const { tokens: [token] } = await mail(mailOf("eve"), "password-reset");
    assert.deepEqual(codes(await failure(users(pb).confirmPasswordReset(token, "short", "other"), 400)), { password: "validation_length_out_of_range", passwordConfirm: "validation_values_mismatch" });
    assert.equal(await users(pb).confirmPasswordReset(token, "password-2", "password-2"), true);
    await failure(users(pb).authRefresh(), 401); // all sessions have ended
    assert.deepEqual(codes(await failure(users(pb).confirmPasswordReset(token, "password-3", "password-3"), 400)), { token: "validation_invalid_token" });
    await failure(users(pb).authWithPassword(mailOf("eve"), secret), 400);
    assert.equal((await users(pb).authWithPassword(mailOf("eve"), "password-2")).record.verified, true);
});

test("another address", async () => {
    const pb = client(conch);
    await users(pb).authWithPassword(mailOf("eve"), "password-2");
    assert.deepEqual(codes(await failure(users(pb).requestEmailChange(mailOf("ann")), 400)), { newEmail: "validation_invalid_new_email" });
    assert.equal(await users(pb).requestEmailChange("eve-2@example.com"), true);
    const { tokens: [token] } = await mail("eve-2@example.com", "email-change");
    assert.equal(decodeJwt(token).newEmail, "eve-2@example.com");
    assert.deepEqual(codes(await failure(users(pb).confirmEmailChange(token, "wrong"), 400)), { password: "validation_invalid_password" });
    assert.equal(await users(pb).confirmEmailChange(token, "password-2"), true);
    assert.equal(pb.authStore.isValid, false, "the SDK signs out");
    assert.equal((await users(pb).authWithPassword("eve-2@example.com", "password-2")).record.email, "eve-2@example.com");
});

test("impersonation", async () => {
    const asAnn = await users(root).impersonate(idOf("ann"), 600);
    assert.equal(asAnn.authStore.record.id, idOf("ann"));
    const { exp, refreshable } = decodeJwt(asAnn.authStore.token);
    assert.equal(refreshable, false);
    assert.ok(Math.abs(exp - Date.now() / 1000 - 600) < 30);
    const before = asAnn.authStore.token;
    await users(asAnn).authRefresh();
    assert.equal(asAnn.authStore.token, before);
    await failure(users(asAnn).impersonate(idOf("bob"), 600), 403);
    await failure(users(client(conch)).impersonate(idOf("bob"), 600), 401);
    await failure(users(root).impersonate("nobody", 600), 404);
});

test("accounts of other sites: signing up, linking, unlinking", async () => {
    const door = provider.door(0);
    const entry = (name) => ({ name, clientId: "client", clientSecret: "secret", authURL: `${door}/auth`, tokenURL: `${door}/token`, userInfoURL: `${door}/user` });
    await root.collections.update("users", { createRule: "", oauth2: { enabled: true, providers: [entry("oidc"), entry("github")] } });
    const pb = client(conch);
    const { oauth2 } = await users(pb).listAuthMethods();
    assert.deepEqual(oauth2.providers.map(({ name }) => name), ["oidc", "github"]);
    assert.ok(oauth2.providers[0].authURL.endsWith("&redirect_uri="));
    provider.now = { user: { sub: "fay-1", name: "Fay", email: mailOf("fay"), email_verified: true } };
    const signUp = () => users(pb).authWithOAuth2Code("oidc", "code", oauth2.providers[0].codeVerifier, "https://app.example/back", { emailVisibility: true });
    const first = await signUp();
    assert.equal(first.meta.isNew, true);
    assert.deepEqual([first.record.email, first.record.verified, first.record.name, first.record.emailVisibility], [mailOf("fay"), true, "Fay", true]);
    assert.equal((await signUp()).meta.isNew, false);
    provider.now = { user: { id: 77, login: "fay" }, emails: [] };
    const second = await users(pb).authWithOAuth2Code("github", "code", "", "https://app.example/back");
    assert.equal(second.record.id, first.record.id, "linked, because fay is signed in");
    const links = await users(pb).listExternalAuths(first.record.id);
    assert.deepEqual(links.map((link) => [link.provider, link.providerId]).sort(), [["github", "77"], ["oidc", "fay-1"]]);
    assert.equal(await users(pb).unlinkExternalAuth(first.record.id, "github"), true);
    assert.equal((await users(pb).listExternalAuths(first.record.id)).length, 1);
    assert.deepEqual(await users(client(conch)).listExternalAuths(first.record.id), [], "nobody else sees them");
    await failure(users(client(conch)).unlinkExternalAuth(first.record.id, "oidc"), 404);
});

test("file tokens open protected files to whom the rule lets in", async () => {
    const collection = await root.collections.create({ name: "papers", viewRule: "owner = @request.auth.id", fields: [{ name: "owner", type: "relation", collectionId: "_pb_users_auth_" }, { name: "doc", type: "file", protected: true }] });
    const paper = await root.collection(collection.name).create({ owner: idOf("ann"), doc: new File(["secret"], "a.txt") });
    const get = async (pb) => {
        const token = await pb.files.getToken();
        assert.equal(decodeJwt(token).type, "file");
        return fetch(pb.files.getURL(paper, paper.doc, { token }));
    };
    const [ann, dan] = [client(conch), client(conch)];
    await users(ann).authWithPassword(mailOf("ann"), secret);
    await users(dan).authWithPassword(mailOf("dan"), secret);
    assert.equal(await (await get(ann)).text(), "secret");
    assert.equal((await get(dan)).status, 404);
    assert.equal((await get(root)).status, 200);
    const own = ann.files.getURL(paper, paper.doc);
    for (const url of [own, `${own}?token=x`, `${own}?token=${ann.authStore.token}`]) {
        assert.equal((await fetch(url, { headers: { authorization: ann.authStore.token } })).status, 404, url);
    }
    // A file token is for files: one changed letter, or another door, and it is nothing.
    const token = await ann.files.getToken();
    const changed = [...Array(token.length).keys()].map((n) => `${token.slice(0, n)}${token[n] === "A" ? "B" : "A"}${token.slice(n + 1)}`);
    const last = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    for (const bit of [1, 2, 3]) changed.push(token.slice(0, -1) + last[last.indexOf(token.at(-1)) ^ bit]);
    assert.equal((await fetch(`${own}?token=${token}`)).status, 200);
    for (const text of changed) assert.equal((await fetch(`${own}?token=${encodeURIComponent(text)}`)).status, 404, text);
    await failure(users(client(conch, token)).authRefresh(), 401);
    await failure(client(conch).files.getToken(), 401);
});

test("settings: a test mail, Apple's secret", async () => {
    for (const template of ["verification", "password-reset", "email-change", "otp", "login-alert"]) {
        assert.equal(await root.settings.testEmail("users", "test@example.com", template), true);
        await mail("test@example.com", template);
    }
    const { privateKey } = await generateKeyPair("ES256", { extractable: true });
    const { secret: made } = await root.settings.generateAppleClientSecret("the.client", "TEAM567890", "KEY4567890", await exportPKCS8(privateKey), 3600);
    assert.deepEqual(decodeProtectedHeader(made), { alg: "ES256", kid: "KEY4567890", typ: "JWT" });
    const { iss, sub, aud, iat, exp } = decodeJwt(made);
    assert.deepEqual([iss, sub, [aud].flat(), exp - iat], ["TEAM567890", "the.client", ["https://appleid.apple.com"], 3600]);
});

test("a sign-in from elsewhere is told, the first one is not", async () => {
    const from = (agent) => users(client(conch)).authWithPassword(mailOf("ann"), secret, { headers: { "user-agent": agent } });
    await users(root).update(idOf("ann"), withPassword(secret));
    await root.collections.update("users", { authAlert: { enabled: true } });
    await from("first");
    await from("first");
    assert.equal((await root.send("/api/mailbox", { query: { to: mailOf("ann"), template: "login-alert" } })).total, 0);
    await from("second <script>");
    const alert = await mail(mailOf("ann"), "login-alert");
    assert.ok(!alert.html.includes("<script>") && alert.html.includes("second &lt;script&gt;"));
});

test("superusers get a code by mail, and with codes comes the second factor", async () => {
    await root.collections.update("_superusers", { otp: { enabled: true } });
    const supers = client(conch).collection("_superusers");
    const email = (await root.collection("_superusers").getList(1, 1)).items[0].email;
    assert.notEqual(email, "");
    const { otpId } = await supers.requestOTP(email);
    const { codes: [code] } = await mail(email, "otp");
    const { mfaId } = await failure(supers.authWithOTP(otpId, code), 401);
    assert.match(mfaId, /^[a-z0-9]{15}$/);
});
