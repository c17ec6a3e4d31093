// Signing in: what is on offer, one-time codes, second factors, origins, impersonation, file tokens, and the rows that
// all of them leave (docs/wire/auth.md §0, §3.2–§3.9, §5).

import { after, before, test } from "node:test";
import { codeIn, idOf, startMailedPair, withPassword } from "../harness/accounts.mjs";

let pair;
const at = "/api/collections";
const secret = "password-1";
const users = (body) => pair.step(`PATCH ${at}/users`, { as: "root", body });
const mailOf = (name) => `${name}@example.com`;
const login = (name, options = {}, query = "") => pair.step(`POST ${at}/users/auth-with-password${query}`, { ...options, body: { identity: mailOf(name), password: secret, ...options.body } });
const quiet = { authAlert: { enabled: false } };

before(async () => {
    pair = await startMailedPair();
    await pair.cheapPasswords();
    await users({ ...quiet, listRule: "", viewRule: "", createRule: "" });
    for (const name of ["ann", "bob", "cat", "dan", "eve"]) {
        await pair.step(`POST ${at}/users/records`, { as: "root", body: { id: idOf(name), email: mailOf(name), ...withPassword(secret), name, verified: name !== "eve" } });
    }
    await login("bob");
    pair.caller("bob");
    pair.verify();
});
after(() => pair?.stop());

/** Asks for a code and gives both servers' ids and codes. */
async function otp(name, options) {
    await pair.step(`POST ${at}/users/request-otp`, { ...options, body: { email: mailOf(name) } });
    const ids = pair.last("otpId");
    const codes = (await pair.mails(mailOf(name))).map(codeIn);
    await pair.noted(ids);
    return { ids, codes, body: (n) => ({ otpId: ids[n], password: codes[n] }) };
}

const withOtp = (body, options = {}, query = "") => pair.step(`POST ${at}/users/auth-with-otp${query}`, { ...options, body });

test("what is on offer, in every shape", async () => {
    const methods = async () => {
        for (const path of ["users", "_superusers", "_pb_users_auth_", "pbc_3142635823"]) await pair.step(`GET ${at}/${path}/auth-methods`);
        await pair.step(`GET ${at}/users/auth-methods?fields=mfa,otp,password,oauth2`);
        await pair.step(`GET ${at}/users/auth-methods?fields=otp.duration,emailPassword`, { as: "bob" });
    };
    const provider = { name: "oidc", clientId: "id of ü", clientSecret: "s", authURL: "https://idp.example/auth", tokenURL: "https://idp.example/token", userInfoURL: "" };
    await methods();
    for (const body of [
        { otp: { enabled: true } }, { otp: { enabled: true, duration: 99, length: 5 } }, { mfa: { enabled: true, duration: 77 } }, { otp: { enabled: false }, mfa: { enabled: false } }, { oauth2: { enabled: true, providers: [] } }, { oauth2: { enabled: true, providers: [provider] } },
        { oauth2: { providers: [{ ...provider, displayName: "My IdP", pkce: false }, { name: "google", clientId: "g", clientSecret: "g" }, { name: "apple", clientId: "a", clientSecret: "a" }, { name: "bitbucket", clientId: "b", clientSecret: "b" }, { name: "vk", clientId: "v", clientSecret: "v", pkce: true }] } },
        { oauth2: { providers: [{ ...provider, authURL: "https://idp.example/auth?tenant=a%20b#x" }, { ...provider, name: "oidc2", authURL: "https://idp.example" }, { ...provider, name: "oidc3", authURL: "https://idp.example/?" }] } }, { oauth2: { enabled: false } },
        { oauth2: { enabled: true, providers: ["microsoft", "yandex", "facebook", "instagram2", "github", "gitlab", "gitee", "gitea", "discord", "twitter", "kakao", "linear", "notion", "monday", "lark", "box", "spotify", "trakt", "twitch", "patreon", "strava", "wakatime", "livechat", "planningcenter"].map((name) => ({ name, clientId: `c-${name}`, clientSecret: "s" })) } },
        { oauth2: { providers: [{ name: "microsoft", clientId: "m", clientSecret: "m", extra: { idTokenEmailClaim: "email" } }, { ...provider, name: "mailcow" }, { name: "mailcow", clientId: "x", clientSecret: "y" }] } }, { oauth2: { providers: [{ ...provider, name: "mailcow" }] } },
        { passwordAuth: { identityFields: ["email"], enabled: false } }, { passwordAuth: { enabled: true }, oauth2: { enabled: false, providers: [] } },
    ]) {
        await users(body);
        await methods();
    }
    for (const path of ["nope", "_otps", "_mfas"]) await pair.step(`GET ${at}/${path}/auth-methods`);
    await pair.step("GET /api/collections/meta/oauth2-providers", { as: "root" });
    pair.verify();
});

test("bodies: types, nulls, spellings, garbage", async () => {
    await users({ otp: { enabled: true }, oauth2: { enabled: true, providers: [] } });
    const json = { "content-type": "application/json" };
    let serial = 0;
    for (const [route, fields] of [
        ["auth-with-password", { identity: "nobody@example.com", password: "x" }], ["request-otp", { email: "nobody@example.com" }], ["auth-with-otp", { otpId: "x", password: "y" }], ["request-password-reset", { email: "nobody@example.com" }], ["confirm-password-reset", { token: "x", password: "12345678", passwordConfirm: "12345678" }],
        ["request-verification", { email: "nobody@example.com" }], ["confirm-verification", { token: "x" }], ["confirm-email-change", { token: "x", password: "y" }], ["auth-with-oauth2", { provider: "x", code: "y" }],
    ]) {
        const line = `POST ${at}/users/${route}`;
        // Who fails for the same identity again and again is slowed down by us.
        const fresh = (raw) => raw.replace("nobody", () => `nobody${serial++}`);
        const text = JSON.stringify(fields);
        const [first] = Object.keys(fields);
        const others = Object.fromEntries(Object.entries(fields).slice(1));
        for (const raw of [
            "", "{}", "null", "[]", "\"x\"", "5", "{", "{bad}", text + "garbage", text + "{}", ` \n${text}\n `, "\ufeff" + text, text.replace("{", `{${JSON.stringify(first)}:"twice",`), JSON.stringify({ ...fields, [first]: 5 }), JSON.stringify({ ...fields, [first]: true }), JSON.stringify({ ...fields, [first]: null }), JSON.stringify({ ...fields, [first]: [fields[first]] }),
            JSON.stringify({ ...fields, [first]: {} }), JSON.stringify({ [first.toUpperCase()]: fields[first], ...others }), JSON.stringify({ ...fields, unknown: { a: [1] } }), JSON.stringify({ ...fields, [first]: "x".repeat(300) }), JSON.stringify({ ...fields, [first]: "ü".repeat(128) }), JSON.stringify({ ...fields, [first]: " " }), JSON.stringify({ ...fields, [first]: "\u0000" }),
        ]) await pair.step(line, { raw: fresh(raw), headers: json });
        await pair.step(line);
        for (const type of ["text/plain", "application/xml", "application/json; charset=utf-8", "application/vnd.api+json", "image/png"]) await pair.step(line, { raw: fresh(text), headers: { "content-type": type } });
        await pair.step(line, { form: Object.entries(fields).map(([name, value]) => [name, fresh(value)]) });
        await pair.step(line, { form: [["@jsonPayload", fresh(text)]] });
        const encoded = new URLSearchParams(fields).toString();
        for (const raw of [encoded, "", "%zz"]) await pair.step(line, { raw: fresh(raw), headers: { "content-type": "application/x-www-form-urlencoded" } });
        await pair.step(`POST ${at}/nope/${route}`, { body: fields });
        await pair.step(`POST ${at}/_mfas/${route}`, { body: fields });
        await pair.step(`POST ${at}/_superusers/${route}`, { body: fields });
        await pair.step(`GET ${at}/users/${route}`);
        await pair.step(`PATCH ${at}/users/${route}`, { body: fields });
    }
    pair.verify();
});

test("what is switched off or not there is told before the body is looked at", async () => {
    const routes = ["auth-with-password", "request-otp", "auth-with-otp", "request-password-reset", "confirm-password-reset", "request-verification", "confirm-verification", "confirm-email-change", "auth-with-oauth2", "auth-refresh", "request-email-change", `impersonate/${idOf("ann")}`];
    await users({ otp: { enabled: false }, oauth2: { enabled: false }, passwordAuth: { enabled: false } });
    for (const route of routes) {
        for (const collection of ["users", "nope", "_mfas", "_superusers"]) {
            for (const as of ["guest", "bob", "root"]) {
                await pair.step(`POST ${at}/${collection}/${route}`, { as, raw: "{bad" });
                if (as === "guest") await pair.step(`POST ${at}/${collection}/${route}`, { raw: "x", headers: { "content-type": "text/plain" } });
                if (as === "guest") await pair.step(`POST ${at}/${collection}/${route}`, { body: {} });
            }
        }
    }
    await users({ passwordAuth: { enabled: true } });
    pair.verify();
});

test("one-time codes", async () => {
    await users({ otp: { enabled: false } });
    await pair.step(`POST ${at}/users/request-otp`, { body: { email: mailOf("ann") } });
    await withOtp({ otpId: "x", password: "y" });
    await users({ otp: { enabled: true, length: 6, emailTemplate: { subject: "Code {OTP_ID} {APP_NAME} {RECORD:name}", body: "<p>[{OTP}]{RECORD:email}{RECORD:tokenKey}{RECORD:none}</p>" } } });
    for (const email of [undefined, "", null, "bad", "a@b", "a..b@x.co", `${"x".repeat(250)}@example.com`, "nobody@example.com", "ANN@example.com", " ann@example.com", "ü@x.co"]) {
        await pair.step(`POST ${at}/users/request-otp`, { body: { email } });
    }
    const first = await otp("ann");
    await pair.aftermath(idOf("ann"));
    for (const body of [{}, { otpId: "x" }, { password: "x" }, { otpId: "x".repeat(256), password: "y".repeat(72) }, { otpId: "", password: "y" }, { otpId: "nope", password: "123456" }]) await withOtp(body);
    await withOtp((n) => ({ otpId: first.ids[n], password: "wrong" }));
    await pair.step(`POST ${at}/_superusers/auth-with-otp`, { body: first.body });
    await withOtp(first.body);
    pair.caller("ann");
    await pair.aftermath(idOf("ann"));
    await withOtp(first.body);
    await pair.tryTokens(["ann", "bob"]);
    // An unverified account proves its address, and whoever signed up with it loses the password.
    await login("eve");
    pair.caller("eve");
    await withOtp((await otp("eve", { as: "bob" })).body, { as: "bob" });
    await pair.aftermath(idOf("eve"));
    await pair.tryTokens(["eve"]);
    await login("eve");
    // Too many attempts, also right ones, and for superusers.
    const cat = await otp("cat");
    for (let n = 0; n < 4; n++) await withOtp((n) => ({ otpId: cat.ids[n], password: "wrong" }));
    await withOtp((n) => ({ otpId: cat.ids[n], password: "wrong" }), { as: "root" });
    await withOtp(cat.body);
    await withOtp(cat.body, { as: "root" });
    await pair.step(`POST ${at}/_superusers/auth-with-otp`, { body: cat.body });
    await pair.aftermath(idOf("cat"));
    // Ten waiting codes are enough.
    for (let n = 0; n < 12; n++) await pair.step(`POST ${at}/users/request-otp`, { body: { email: mailOf("dan") } });
    for (let n = 0; n < 10; n++) await pair.mails(mailOf("dan"));
    await pair.silence(mailOf("dan"));
    await pair.step(`GET ${at}/_otps/records?fields=id&filter=${encodeURIComponent(`recordRef='${idOf("dan")}'`)}`, { as: "root" });
    await pair.step(`PATCH ${at}/users/records/${idOf("dan")}`, { as: "root", body: withPassword(secret) });
    await pair.aftermath(idOf("dan"));
    // A rule that refuses still consumes the code.
    await users({ authRule: "name = 'nobody'" });
    const dan = await otp("dan");
    await withOtp(dan.body);
    await users({ authRule: "" });
    await withOtp(dan.body);
    await pair.aftermath(idOf("dan"));
    await pair.step(`POST ${at}/_superusers/request-otp`, { body: { email: "root@example.com" } });
    pair.verify();
});

test("second factors, in both orders", async () => {
    await users({ otp: { enabled: true }, mfa: { enabled: true, duration: 60, rule: "" } });
    const id = () => pair.last("mfaId");
    await login("ann");
    const one = id();
    await pair.aftermath(idOf("ann"));
    await login("ann", { body: { mfaId: "nope" } });
    await pair.step(`POST ${at}/users/auth-with-password`, { body: (n) => ({ identity: mailOf("ann"), password: secret, mfaId: one[n] }) });
    await pair.step(`POST ${at}/users/auth-with-password`, { body: (n) => ({ identity: mailOf("bob"), password: secret, mfaId: one[n] }) });
    await withOtp((n) => ({ otpId: "x", password: "y", mfaId: one[n] }));
    const code = await otp("ann");
    await withOtp((n) => ({ ...code.body(n), password: "wrong", mfaId: one[n] }));
    await withOtp((n) => ({ ...code.body(n), mfaId: one[n] }));
    pair.caller("ann");
    await pair.aftermath(idOf("ann"));
    await pair.tryTokens(["ann"]);
    const again = await otp("ann");
    await withOtp((n) => ({ ...again.body(n), mfaId: one[n] }));
    // The other order, with the id in the query, which wins over the body.
    const bob = await otp("bob");
    await withOtp(bob.body);
    const two = id();
    await pair.aftermath(idOf("bob"));
    for (const query of ["?mfaId=nope", "?mfaId="]) await login("bob", { body: { mfaId: "other" } }, query);
    await pair.step((n) => `POST ${at}/users/auth-with-password?mfaId=${two[n]}`, { body: { identity: mailOf("ann"), password: secret } });
    await pair.step((n) => `POST ${at}/users/auth-with-password?mfaId=${two[n]}`, { body: { identity: mailOf("bob"), password: "wrong" } });
    await pair.step((n) => `POST ${at}/users/auth-with-password?mfaId=${two[n]}&expand=x&fields=record.id,token`, { body: { identity: mailOf("bob"), password: secret, mfaId: "nope" } });
    await pair.aftermath(idOf("bob"));
    await pair.step((n) => `POST ${at}/users/auth-with-password?mfaId=${two[n]}`, { body: { identity: mailOf("bob"), password: secret } });
    await login("bob", { as: "root" });
    // Rules pick who needs one; an unverified account keeps its password while the collection asks for two.
    for (const rule of ["name = 'ann'", "@request.context = 'otp'", "@request.body.identity != ''", "verified = true && name != 'cat'"]) {
        await users({ mfa: { rule } });
        await login("ann");
        await login("cat");
        await pair.step(`POST ${at}/users/auth-with-password`, { as: "bob", body: { identity: mailOf("cat"), password: secret } });
    }
    await users({ mfa: { rule: "" } });
    await pair.step(`PATCH ${at}/users/records/${idOf("eve")}`, { as: "root", body: { verified: false, ...withPassword(secret) } });
    await withOtp((await otp("eve")).body);
    await pair.aftermath(idOf("eve"));
    await login("eve");
    await pair.step(`PATCH ${at}/users/records/${idOf("eve")}`, { as: "root", body: { name: "still" } });
    await pair.aftermath(idOf("eve"));
    await pair.step(`PATCH ${at}/users/records/${idOf("eve")}`, { as: "root", body: withPassword("password-2") });
    await pair.aftermath(idOf("eve"));
    // authRule comes first: nobody refused by it learns of a second factor.
    await users({ authRule: "name = 'ann'" });
    await login("cat");
    await login("ann");
    await users({ authRule: "", mfa: { enabled: false } });
    pair.verify();
});

test("origins and alerts", async () => {
    await users({ authAlert: { enabled: true, emailTemplate: { subject: "Alert {RECORD:name}", body: "<p>[{ALERT_INFO}]</p>" } }, otp: { enabled: true } });
    const from = (agent, options) => login("cat", { ...options, headers: { "user-agent": agent } });
    await from("UA1");
    await pair.aftermath(idOf("cat"));
    await from("UA1");
    await pair.silence(mailOf("cat"));
    await from("UA2 <b>");
    const alerts = await pair.mails(mailOf("cat"));
    // Same words: only the time differs.
    const shown = alerts.map(({ subject, html }) => `${subject} ${/\[[^\]]*\]/.exec(html)?.[0].replace(/\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}Z/, "<now>")}`);
    if (shown[0] !== shown[1]) pair.differences.push({ request: "login alert", body: undefined, ours: shown[0], theirs: shown[1] });
    for (const agent of ["UA3", "x".repeat(200), "x".repeat(201), "x".repeat(300), "", "UA4"]) await from(agent);
    await pair.aftermath(idOf("cat"));
    await pair.step(`POST ${at}/users/auth-refresh`, { as: "bob", headers: { "user-agent": "new" } });
    await pair.step(`POST ${at}/users/impersonate/${idOf("bob")}`, { as: "root", headers: { "user-agent": "new" } });
    await pair.aftermath(idOf("bob"));
    // Whoever changes the password starts over, and the next login is a first one.
    await pair.step(`PATCH ${at}/users/records/${idOf("cat")}`, { as: "root", body: withPassword(secret) });
    await pair.aftermath(idOf("cat"));
    // A mail server that is gone: the login stands, the origin is not kept.
    await from("UA1");
    await pair.openMail(() => ({ port: 1 }));
    await from("UA9");
    await pair.aftermath(idOf("cat"));
    await pair.openMail();
    await pair.step(`PATCH ${at}/users/records/${idOf("dan")}`, { as: "root", body: withPassword(secret) });
    const dan = await otp("dan");
    await withOtp(dan.body, { headers: { "user-agent": "code" } });
    await pair.aftermath(idOf("dan"));
    await users(quiet);
    await login("dan", { headers: { "user-agent": "unseen" } });
    await pair.aftermath(idOf("dan"));
    pair.verify();
});

test("impersonation", async () => {
    for (const as of ["guest", "bob", "root"]) {
        for (const [path, body] of [
            [`users/impersonate/${idOf("ann")}`], [`users/impersonate/${idOf("ann")}`, {}], [`users/impersonate/${idOf("ann")}`, { duration: 100 }], [`users/impersonate/${idOf("ann")}`, { duration: 0 }], [`users/impersonate/${idOf("ann")}`, { duration: null }], [`users/impersonate/${idOf("ann")}`, { duration: -1 }], [`users/impersonate/${idOf("ann")}`, { duration: 1.5 }], [`users/impersonate/${idOf("ann")}`, { duration: "100" }], [`users/impersonate/${idOf("ann")}`, { duration: "x" }],
            [`users/impersonate/${idOf("ann")}`, { duration: 99999999999 }], ["users/impersonate/nobody", {}], ["users/impersonate/nobody", { duration: -1 }], ["nope/impersonate/nobody", {}], ["_otps/impersonate/nobody", {}], [`_pb_users_auth_/impersonate/${idOf("ann")}?fields=record.id&expand=x`, {}],
        ]) await pair.step(`POST ${at}/${path}`, { as, body });
        await pair.step(`POST ${at}/users/impersonate/${idOf("ann")}`, { as, raw: "{bad" });
        await pair.step(`POST ${at}/users/impersonate/${idOf("ann")}`, { as, form: [["duration", "100"]] });
        await pair.step(`POST ${at}/users/impersonate/`, { as });
        await pair.step(`GET ${at}/users/impersonate/${idOf("ann")}`, { as });
    }
    await users({ authRule: null });
    await pair.step(`POST ${at}/users/impersonate/${idOf("ann")}`, { as: "root", body: { duration: 1000 } });
    pair.caller("static");
    await pair.tryTokens(["static"]);
    await users({ authRule: "" });
    await pair.step(`POST ${at}/users/impersonate/${idOf("ann")}`, { as: "root", body: { duration: 1000 } });
    pair.caller("static");
    const before = pair.tokens.static;
    await pair.tryTokens(["static"]);
    const kept = pair.answers.map(({ body }, n) => body.token === before[n]);
    if (!kept[0] || !kept[1]) pair.differences.push({ request: "refresh of a static token", ours: kept[0], theirs: kept[1] });
    await pair.step(`GET ${at}/users/records/${idOf("ann")}`, { as: "static" });
    await pair.step(`PATCH ${at}/users/records/${idOf("ann")}`, { as: "root", body: { "tokenKey:autogenerate": "" } });
    await pair.tryTokens(["static"]);
    pair.verify();
});

test("file tokens", async () => {
    await login("bob");
    pair.caller("bob");
    for (const as of ["guest", "bob", "root"]) {
        await pair.step("POST /api/files/token", { as });
        await pair.step("POST /api/files/token?fields=x", { as, body: {} });
        await pair.step("POST /api/files/token", { as, raw: "{bad" });
        await pair.step("GET /api/files/token", { as });
    }
    // It is for files only.
    await pair.step("POST /api/files/token", { as: "bob" });
    pair.caller("file");
    await pair.tryTokens(["file"]);
    await pair.step("POST /api/files/token", { as: "file" });
    pair.verify();
});

test("the system collections' rows, by everybody", async () => {
    const ids = { ann: idOf("ann"), bob: idOf("bob") };
    const row = (name, more) => ({ collectionRef: "_pb_users_auth_", recordRef: ids[name], ...more });
    await pair.step(`PATCH ${at}/users/records/${ids.ann}`, { as: "root", body: withPassword(secret) });
    await pair.step(`PATCH ${at}/users/records/${ids.bob}`, { as: "root", body: withPassword(secret) });
    for (const name of ["ann", "bob"]) {
        await login(name);
        pair.caller(name);
    }
    const extra = { _mfas: { method: "password" }, _otps: { password: "12345678", sentTo: "a@example.com" }, _externalAuths: { provider: "google", providerId: "g1" }, _authOrigins: { fingerprint: "f1" } };
    const wrong = { _mfas: [{ method: "" }, { method: "nonsense" }], _otps: [{ password: "" }, { password: "x", sentTo: "no mail" }], _externalAuths: [{ provider: "nope" }, { providerId: "" }], _authOrigins: [{ fingerprint: "" }] };
    let serial = 0;
    for (const [table, more] of Object.entries(extra)) {
        const path = `${at}/${table}/records`;
        for (const as of ["guest", "ann", "root"]) await pair.step(`POST ${path}`, { as, body: { id: idOf(`r${serial++}a`), ...row("ann", more) } });
        const own = idOf(`r${serial - 1}a`);
        await pair.step(`POST ${path}`, { as: "root", body: row("ann", more) });
        for (const change of [{ collectionRef: "" }, { collectionRef: "users" }, { collectionRef: "nope" }, { collectionRef: "pbc_2279338944" }, { recordRef: "" }, { recordRef: "nope" }, { recordRef: null }, { collectionRef: 5, recordRef: [] }, { collectionRef: "pbc_3142635823" }, ...wrong[table]]) {
            await pair.step(`POST ${path}`, { as: "root", body: { ...row("bob", more), ...change } });
        }
        const foreign = idOf(`r${serial++}b`);
        await pair.step(`POST ${path}`, { as: "root", body: { id: foreign, ...row("bob", { ...more, ...(more.providerId && { providerId: "g2" }) }) } });
        for (const as of ["guest", "ann", "bob", "root"]) {
            await pair.step(`GET ${path}?sort=created&fields=*`, { as });
            await pair.step(`GET ${path}/${own}`, { as });
            await pair.step(`GET ${path}/${foreign}`, { as });
            await pair.step(`PATCH ${path}/${own}`, { as, body: { [Object.keys(more)[0]]: Object.values(more)[0] } });
            await pair.step(`GET ${path}?filter=${encodeURIComponent("password != ''")}`, { as });
            await pair.step(`GET ${path}?filter=${encodeURIComponent("sentTo != ''")}`, { as });
            await pair.step(`DELETE ${path}/nope`, { as });
        }
        for (const as of ["guest", "bob", "ann", "root"]) await pair.step(`DELETE ${path}/${own}`, { as });
        for (const body of [{ listRule: "" }, { deleteRule: "" }, { createRule: "" }, { name: "renamed" }]) await pair.step(`PATCH ${at}/${table}`, { as: "root", body });
        await pair.step(`DELETE ${at}/${table}`, { as: "root" });
    }
    // What belongs to an account goes with it, and with its collection.
    await pair.step(`DELETE ${at}/users/records/${ids.bob}`, { as: "root" });
    await pair.aftermath(ids.bob);
    await pair.step(`POST ${at}`, { as: "root", body: { name: "staff", type: "auth" } });
    await pair.step(`POST ${at}/staff/records`, { as: "root", body: { id: idOf("sid"), email: "sid@example.com", ...withPassword(secret) } });
    for (const [table, more] of Object.entries(extra)) await pair.step(`POST ${at}/${table}/records`, { as: "root", body: { collectionRef: "pbc_829252413", recordRef: idOf("sid"), ...more } });
    await pair.step(`DELETE ${at}/staff`, { as: "root" });
    for (const table of Object.keys(extra)) await pair.step(`GET ${at}/${table}/records?sort=created`, { as: "root" });
    pair.verify();
});

test("superusers sign in with codes and second factors as well", async () => {
    const supers = (body) => pair.step(`PATCH ${at}/_superusers`, { as: "root", body });
    await supers({ authAlert: { enabled: false }, otp: { enabled: true } });
    await pair.step(`GET ${at}/_superusers/auth-methods`);
    const password = () => pair.step(`POST ${at}/_superusers/auth-with-password`, { body: { identity: "root@example.com", password: "root-password-1" } });
    await password();
    const mfa = pair.last("mfaId");
    await pair.step(`POST ${at}/_superusers/request-otp`, { body: { email: "root@example.com" } });
    const ids = pair.last("otpId");
    const codes = (await pair.mails("root@example.com")).map(codeIn);
    await pair.step(`POST ${at}/_superusers/auth-with-otp`, { body: (n) => ({ otpId: ids[n], password: codes[n], mfaId: mfa[n] }) });
    for (const body of [{ otp: { enabled: false } }, { mfa: { enabled: false } }, { otp: { enabled: false }, mfa: { enabled: false } }, { oauth2: { enabled: true, providers: [] } }, { passwordAuth: { enabled: false } }]) await supers(body);
    await password();
    await pair.step("PATCH /api/settings?fields=superuserIPs", { as: "root", body: { superuserIPs: ["10.0.0.1"] } });
    await password();
    await pair.step(`POST ${at}/_superusers/auth-with-password`, { body: { identity: "root@example.com", password: "wrong" } });
    pair.verify();
});
