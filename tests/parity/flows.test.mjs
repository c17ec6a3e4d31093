// Proving an address, a forgotten password, another address: mails, tokens, and what each of them ends
// (docs/wire/auth.md §3.7, §9, §10). Tokens come from the mails of both servers.

import { after, before, test } from "node:test";
import { claimsOf, codeIn, idOf, startMailedPair, tokenIn, withPassword } from "../harness/accounts.mjs";

let pair;
const at = "/api/collections";
const secret = "password-1";
const mailOf = (name) => `${name}@example.com`;
const users = (body) => pair.step(`PATCH ${at}/users`, { as: "root", body });
const post = (route, body, options) => pair.step(`POST ${at}/users/${route}`, { ...options, body });
const login = (name, password = secret, identity = mailOf(name)) => post("auth-with-password", { identity, password });
const people = ["ann", "bob", "cat", "dan", "eve", "fay", "gus", "hal", "ida", "jon"];

before(async () => {
    pair = await startMailedPair();
    await pair.cheapPasswords();
    await users({ authAlert: { enabled: false }, otp: { enabled: true }, updateRule: "id = @request.auth.id || @request.auth.name = 'bob'", manageRule: "@request.auth.name = 'bob'" });
    for (const name of people) {
        await pair.step(`POST ${at}/users/records`, { as: "root", body: { id: idOf(name), email: mailOf(name), ...withPassword(secret), name } });
    }
    await pair.step(`POST ${at}`, { as: "root", body: { name: "staff", type: "auth" } });
    await pair.step(`POST ${at}/staff/records`, { as: "root", body: { id: idOf("sid"), email: mailOf("sid"), ...withPassword(secret) } });
    for (const name of ["ann", "bob"]) {
        await login(name);
        pair.caller(name);
    }
    pair.verify();
});
after(() => pair?.stop());

/** Both servers' next tokens for an address. */
const token = async (to) => (await pair.mails(to)).map(tokenIn);
const asked = async (route, name) => {
    await post(route, { email: mailOf(name) });
    return token(mailOf(name));
};
const link = (id, provider = "google") => pair.step(`POST ${at}/_externalAuths/records`, { as: "root", body: { collectionRef: "_pb_users_auth_", recordRef: id, provider, providerId: `${provider}-${id}` } });
/** Gives an account a row in each system collection and a session, whose end the next steps tell. */
async function furnish(name, email = mailOf(name), password = secret) {
    for (const [table, more] of [["_otps", { password: "12345678", sentTo: email }], ["_mfas", { method: "otp" }], ["_authOrigins", { fingerprint: `f-${name}` }]]) {
        await pair.step(`POST ${at}/${table}/records`, { as: "root", body: { collectionRef: "_pb_users_auth_", recordRef: idOf(name), ...more } });
    }
    await login(name, password, email);
    pair.caller(name);
}

/** The reference notes that it has sent a mail some time after it was taken. */
const marked = () => new Promise((resolve) => setTimeout(resolve, 300));

test("the claims of every mailed token", async () => {
    const differ = (what, ours, theirs) => { if (JSON.stringify(ours) !== JSON.stringify(theirs)) pair.differences.push({ request: what, ours, theirs }); };
    const compare = (what, tokens) => {
        const [ours, theirs] = tokens.map((text) => {
            const { exp, ...claims } = claimsOf(text);
            // Durations, to half a minute.
            return { header: text.split(".")[0], keys: Object.keys({ exp, ...claims }).sort(), ...claims, lasts: Math.round((exp - Date.now() / 1000) / 30) };
        });
        differ(what, ours, theirs);
    };
    await login("ann");
    compare("auth", pair.last("token"));
    await pair.step("POST /api/files/token", { as: "ann" });
    compare("file", pair.last("token"));
    await pair.step(`POST ${at}/users/impersonate/${idOf("ann")}`, { as: "root", body: { duration: 600 } });
    compare("impersonate", pair.last("token"));
    compare("verification", await asked("request-verification", "ann"));
    compare("passwordReset", await asked("request-password-reset", "ann"));
    await post("request-email-change", { newEmail: "ann-2@example.com" }, { as: "ann" });
    compare("emailChange", await token("ann-2@example.com"));
    pair.verify();
});

test("the words of mails: placeholders, escaping, recipients, sender", async () => {
    const words = "{APP_NAME}|{APP_URL}|{RECORD:id}|{RECORD:name}|{RECORD:email}|{RECORD:verified}|{RECORD:created}|{RECORD:tokenKey}|{RECORD:password}|{RECORD:nope}|{RECORD:}|{record:name}|{OTP}|{OTP_ID}|{ALERT_INFO}|{ TOKEN }|{UNKNOWN}";
    const template = { subject: `S ${words}`, body: `<p>[[${words}|{TOKEN}]]</p>` };
    await users({ verificationTemplate: template, resetPasswordTemplate: template, confirmEmailChangeTemplate: template, otp: { emailTemplate: template }, authAlert: { emailTemplate: template } });
    await pair.step(`PATCH ${at}/users/records/${idOf("jon")}`, { as: "root", body: { name: `<b>"J&J"</b> 'ü' $1` } });
    const compare = async (what, to) => {
        const shown = (await pair.mails(to)).map((mail) => {
            const fold = (text) => (text ?? "").replace(/eyJ[\w-]+\.[\w-]+\.[\w-]+/g, "<token>").replace(/\b\d{8}\b/g, "<code>").replace(/\b[a-z0-9]{15}\b/g, (id) => id.startsWith("jon") ? id : "<id>").replace(/\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}Z/g, "<now>");
            return { subject: fold(mail.subject), words: fold(/\[\[[^]*\]\]/.exec(mail.html)?.[0]), from: mail.from, to: mail.to, text: /\[\[/.test(mail.text) };
        });
        if (JSON.stringify(shown[0]) !== JSON.stringify(shown[1])) pair.differences.push({ request: `mail: ${what}`, ours: shown[0], theirs: shown[1] });
    };
    await post("request-verification", { email: mailOf("jon") });
    await compare("verification", mailOf("jon"));
    await post("request-password-reset", { email: mailOf("jon") });
    await compare("password reset", mailOf("jon"));
    await post("request-otp", { email: mailOf("jon") });
    await compare("one-time code", mailOf("jon"));
    await login("jon");
    pair.caller("jon");
    await post("request-email-change", { newEmail: "jon-2@example.com" }, { as: "jon" });
    await compare("e-mail change", "jon-2@example.com");
    for (const template of ["verification", "password-reset", "email-change", "otp", "login-alert"]) {
        await pair.step("POST /api/settings/test/email", { as: "root", body: { template, email: `test-${template}@example.com`, collection: "staff" } });
        await pair.mails(`test-${template}@example.com`);
    }
    for (const body of [{}, { email: "x@example.com" }, { email: "bad", template: "otp" }, { email: "x@example.com", template: "nope" }, { email: "x@example.com", template: "otp", collection: "nope" }, { email: "x@example.com", template: "otp", collection: "_otps" }, { email: "x".repeat(300), template: "" }]) {
        for (const as of ["root", "ann", "guest"]) await pair.step("POST /api/settings/test/email", { as, body });
    }
    pair.verify();
});

test("forms of the three flows", async () => {
    const emails = [undefined, "", null, "bad", "a@b", "a@localhost", "\"q r\"@x.co", `${"x".repeat(250)}@example.com`, "nobody@example.com", "ü@x.co"];
    for (const route of ["request-verification", "request-password-reset"]) {
        for (const email of emails) await post(route, { email });
        await pair.step(`POST ${at}/_superusers/${route}`, { body: { email: "nobody@example.com" } });
        await pair.step(`POST ${at}/_superusers/${route}`, { body: {} });
    }
    await users({ passwordAuth: { enabled: false } });
    await post("request-password-reset", { email: "nobody@example.com" });
    await post("request-password-reset", {});
    await post("confirm-password-reset", {});
    await users({ passwordAuth: { enabled: true } });
    for (const as of ["guest", "ann", "bob", "root"]) {
        for (const newEmail of [...emails, mailOf("ann"), "ANN@example.com", mailOf("bob"), mailOf("sid")]) {
            if (as === "bob" && newEmail === "nobody@example.com") continue;
            await post("request-email-change", { newEmail }, { as });
        }
        for (const path of ["nope", "_otps", "staff", "_superusers"]) await pair.step(`POST ${at}/${path}/request-email-change`, { as, body: { newEmail: "x@example.com" } });
        await pair.step(`POST ${at}/users/request-email-change`, { as, raw: "{bad" });
    }
    const strange = ["", "x", "a.b.c", "eyJ9.e30.x"];
    for (const token of strange) {
        for (const passwords of [{}, withPassword("new-pass-1"), withPassword("short"), { password: "new-pass-1", passwordConfirm: "x" }, withPassword("x".repeat(256)), withPassword("x".repeat(72)), { password: "", passwordConfirm: "new" }]) {
            await post("confirm-password-reset", { token, ...passwords });
        }
        for (const password of [undefined, "", secret, "x".repeat(100), "x".repeat(101)]) await post("confirm-email-change", { token, password });
        await post("confirm-verification", { token });
        for (const route of ["confirm-verification", "confirm-email-change", "confirm-password-reset"]) await pair.step(`POST ${at}/_superusers/${route}`, { body: { token } });
    }
    // Every kind of token at every door, of the right and of the wrong collection.
    const tokens = { verification: await asked("request-verification", "bob"), reset: await asked("request-password-reset", "bob"), auth: pair.tokens.bob };
    await post("request-email-change", { newEmail: "bob-2@example.com" }, { as: "bob" });
    tokens.change = await token("bob-2@example.com");
    await pair.step("POST /api/files/token", { as: "bob" });
    tokens.file = pair.last("token");
    for (const [name, pairOf] of Object.entries(tokens)) {
        const body = (more) => (n) => ({ token: pairOf[n], ...more });
        for (const collection of ["users", "staff", "_superusers", "nope"]) {
            if (collection !== "users" || name !== "reset") await pair.step(`POST ${at}/${collection}/confirm-password-reset`, { body: body(withPassword("new-pass-1")) });
            if (collection !== "users" || name !== "verification") await pair.step(`POST ${at}/${collection}/confirm-verification`, { body: body() });
            if (collection !== "users" || name !== "change") await pair.step(`POST ${at}/${collection}/confirm-email-change`, { body: body({ password: secret }) });
        }
        pair.tokens[`as-${name}`] = pairOf;
        await pair.tryTokens([`as-${name}`]);
        await pair.step("POST /api/files/token", { as: `as-${name}` });
    }
    await pair.aftermath(idOf("bob"));
    // The right door, with forms that fail.
    for (const passwords of [{}, withPassword("short"), { password: "new-pass-1", passwordConfirm: "x" }, withPassword("x".repeat(72)), withPassword("ü".repeat(71))]) await post("confirm-password-reset", (n) => ({ token: tokens.reset[n], ...passwords }));
    for (const password of [undefined, "", "wrong", "x".repeat(101)]) await post("confirm-email-change", (n) => ({ token: tokens.change[n], password }));
    await pair.tryTokens(["bob"]);
    pair.verify();
});

test("verification", async () => {
    const cat = await asked("request-verification", "cat");
    await marked();
    await post("request-verification", { email: mailOf("cat") });
    await pair.silence(mailOf("cat"));
    await furnish("cat");
    const confirm = (tokens) => post("confirm-verification", (n) => ({ token: tokens[n] }));
    await confirm(cat);
    await pair.aftermath(idOf("cat"));
    await pair.tryTokens(["cat"]);
    await confirm(cat);
    await post("request-verification", { email: mailOf("cat") });
    await pair.silence(mailOf("cat"));
    // With links of providers, and with passwords switched off.
    const dan = await asked("request-verification", "dan");
    await link(idOf("dan"));
    await furnish("dan");
    await confirm(dan);
    await pair.aftermath(idOf("dan"));
    await pair.tryTokens(["dan"]);
    await confirm(dan);
    const eve = await asked("request-verification", "eve");
    await furnish("eve");
    await users({ passwordAuth: { enabled: false } });
    await confirm(eve);
    await users({ passwordAuth: { enabled: true } });
    await pair.aftermath(idOf("eve"));
    await pair.tryTokens(["eve"]);
    await login("eve");
    // The address has changed meanwhile: the key has, too. And by the superuser's hand to verified.
    const fay = await asked("request-verification", "fay");
    await pair.step(`PATCH ${at}/users/records/${idOf("fay")}`, { as: "root", body: { email: "fay-2@example.com" } });
    await confirm(fay);
    await pair.step(`PATCH ${at}/users/records/${idOf("fay")}`, { as: "root", body: { email: mailOf("fay") } });
    await link(idOf("fay"));
    await furnish("fay");
    await pair.step(`PATCH ${at}/users/records/${idOf("fay")}`, { as: "root", body: { verified: true } });
    await pair.aftermath(idOf("fay"));
    await pair.tryTokens(["fay"]);
    pair.verify();
});

test("password reset", async () => {
    const confirm = (tokens, password) => post("confirm-password-reset", (n) => ({ token: tokens[n], ...withPassword(password) }));
    const gus = await asked("request-password-reset", "gus");
    await marked();
    await post("request-password-reset", { email: mailOf("gus") });
    await pair.silence(mailOf("gus"));
    await link(idOf("gus"));
    await furnish("gus");
    await confirm(gus, "new-pass-1");
    await pair.aftermath(idOf("gus"));
    await pair.tryTokens(["gus"]);
    await confirm(gus, "new-pass-2");
    await login("gus");
    await login("gus", "new-pass-1");
    // The confirmation ends the wait for the next mail. This time the account is verified, and passwords are off.
    const again = await asked("request-password-reset", "gus");
    await link(idOf("gus"), "github");
    await furnish("gus", mailOf("gus"), "new-pass-1");
    await users({ passwordAuth: { enabled: false } });
    await confirm(again, "new-pass-3");
    await users({ passwordAuth: { enabled: true } });
    await pair.aftermath(idOf("gus"));
    await login("gus", "new-pass-3");
    // A new address ends the token; the field's own limits apply.
    const hal = await asked("request-password-reset", "hal");
    const { body: { fields } } = await pair.step(`GET ${at}/users`, { as: "root" });
    await users({ fields: fields.map((field) => field.name === "password" ? { ...field, min: 10, max: 12, pattern: "^[a-z0-9]+$" } : field) });
    for (const password of ["short1", "nineninen", "thirteenlongs", "UPPERCASE10"]) await confirm(hal, password);
    await users({ fields });
    await pair.step(`PATCH ${at}/users/records/${idOf("hal")}`, { as: "root", body: { email: "hal-2@example.com" } });
    await confirm(hal, "new-pass-1");
    // Superusers forget, too.
    await pair.step(`POST ${at}/_superusers/request-password-reset`, { body: { email: "root@example.com" } });
    const root = await token("root@example.com");
    await pair.step(`POST ${at}/_superusers/confirm-password-reset`, { body: (n) => ({ token: root[n], ...withPassword("root-password-2") }) });
    await pair.tryTokens(["root"], "_superusers");
    await pair.step(`POST ${at}/_superusers/auth-with-password`, { body: { identity: "root@example.com", password: "root-password-2" } });
    pair.caller("root");
    pair.verify();
});

test("another address", async () => {
    const request = (name, newEmail) => post("request-email-change", { newEmail }, { as: name });
    const confirm = (tokens, password = secret) => post("confirm-email-change", (n) => ({ token: tokens[n], password }));
    await link(idOf("ida"));
    await furnish("ida");
    await request("ida", "ida-2@example.com");
    const first = await token("ida-2@example.com");
    await request("ida", "ida-3@example.com");
    const second = await token("ida-3@example.com");
    await confirm(first, "wrong");
    await pair.aftermath(idOf("ida"));
    await confirm(first);
    await pair.aftermath(idOf("ida"));
    await pair.tryTokens(["ida"]);
    await confirm(first);
    await confirm(second);
    await login("ida", secret, "ida-2@example.com");
    pair.caller("ida");
    // Somebody else takes the address between the mail and the click.
    await request("ida", "taken@example.com");
    const late = await token("taken@example.com");
    await pair.step(`POST ${at}/users/records`, { as: "root", body: { id: idOf("kim"), email: "taken@example.com", ...withPassword(secret) } });
    await confirm(late);
    await confirm(late, "wrong");
    // Only the case differs.
    await request("ida", "IDA-2@example.com");
    await confirm(await token("IDA-2@example.com"));
    await pair.step(`GET ${at}/users/records/${idOf("ida")}`, { as: "root" });
    await login("ida", secret, "IDA-2@example.com");
    pair.caller("ida");
    // No mail server: the request fails.
    await pair.openMail(() => ({ port: 1 }));
    await request("ida", "ida-9@example.com");
    await pair.openMail();
    // By other hands: nobody else than managers and superusers, and what it ends.
    await furnish("ida", "IDA-2@example.com");
    await pair.step(`PATCH ${at}/users/records/${idOf("ida")}`, { as: "ida", body: { email: "ida-4@example.com" } });
    await pair.step(`PATCH ${at}/users/records/${idOf("ida")}`, { as: "bob", body: { email: "ida-4@example.com" } });
    await pair.aftermath(idOf("ida"));
    await pair.tryTokens(["ida"]);
    pair.verify();
});

test("what each change of an account ends", async () => {
    const changes = [
        [{ name: "other" }, "root"], [{ emailVisibility: true }, "hal"], [{ ...withPassword(secret) }, "root"], [{ ...withPassword(secret), oldPassword: secret }, "hal"], [{ email: "hal-5@example.com" }, "root"], [{ email: "HAL-5@example.com" }, "bob"], [{ verified: true }, "root"], [{ verified: false }, "root"], [{ "tokenKey:autogenerate": "" }, "root"],
        [{ tokenKey: "k".repeat(40) }, "root"], [{ email: "hal-6@example.com", verified: true, ...withPassword(secret) }, "root"], [{ tokenKey: "m".repeat(40), ...withPassword(secret) }, "root"],
    ];
    let email = "hal-2@example.com";
    for (const [index, [body, as]] of changes.entries()) {
        await furnish("hal", email);
        await link(idOf("hal"), ["google", "github", "gitlab", "discord", "spotify", "twitch", "strava", "box", "notion", "linear", "trakt", "lark"][index]);
        await pair.step(`PATCH ${at}/users/records/${idOf("hal")}`, { as, body });
        email = body.email ?? email;
        await pair.aftermath(idOf("hal"));
        await pair.tryTokens(["hal"]);
        await login("hal", secret, email);
        if (index === 6) await pair.step(`PATCH ${at}/users/records/${idOf("hal")}`, { as: "root", body: { verified: false } });
    }
    await furnish("hal", email);
    // The key of all sessions changes with the rule of signing in, and with the secret.
    await users({ authRule: "id != ''" });
    await pair.tryTokens(["hal", "bob"]);
    await login("hal", secret, email);
    pair.caller("hal");
    await users({ authRule: "id != ''", authToken: { duration: 999 } });
    await pair.tryTokens(["hal"]);
    await users({ authToken: { secret: "z".repeat(40) } });
    await pair.tryTokens(["hal"]);
    await pair.step(`DELETE ${at}/users/records/${idOf("hal")}`, { as: "root" });
    await pair.aftermath(idOf("hal"));
    pair.verify();
});

test("codes and links of yesterday's account serve nobody", async () => {
    await users({ authRule: "" });
    const body = { id: idOf("lee"), email: mailOf("lee"), ...withPassword(secret), name: "lee" };
    await pair.step(`POST ${at}/users/records`, { as: "root", body });
    const tokens = await asked("request-password-reset", "lee");
    const verify = await asked("request-verification", "lee");
    await post("request-otp", { email: mailOf("lee") });
    const ids = pair.last("otpId");
    const codes = (await pair.mails(mailOf("lee"))).map(codeIn);
    await pair.step(`DELETE ${at}/users/records/${idOf("lee")}`, { as: "root" });
    await pair.step(`POST ${at}/users/records`, { as: "root", body });
    await post("confirm-password-reset", (n) => ({ token: tokens[n], ...withPassword("new-pass-1") }));
    await post("confirm-verification", (n) => ({ token: verify[n] }));
    await post("auth-with-otp", (n) => ({ otpId: ids[n], password: codes[n] }));
    await pair.aftermath(idOf("lee"));
    pair.verify();
});
