// Mail: the capture box, templates, and every way out of the house (docs/wire/services.md §4.1, §4.4; docs/mailbox.md).

import assert from "node:assert/strict";
import { chmodSync, existsSync, readFileSync, writeFileSync } from "node:fs";
import { networkInterfaces } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { admin, client, remove, startConch, startConchOn, temporaryDirectory } from "../harness/server.mjs";
import { startSmtp } from "../harness/smtp.mjs";

const TO = "ann@example.com";
/** What a mail may take at the most, and some air for a busy machine. */
const BUDGET_MS = 15_000, AIR_MS = 5_000;

const testMail = (pb, body) => pb.send("/api/settings/test/email", { method: "POST", body });
const mailbox = (pb, query = {}) => pb.send("/api/mailbox", { query });

/** The failure of `promise`, as { status, data, message }. */
async function failure(promise) {
    const error = await promise.then(() => assert.fail("it should have failed"), (error) => error);
    assert.ok(error.response, String(error.stack ?? error));
    return { status: error.status, ...error.response };
}

const codes = (data) => Object.fromEntries(Object.entries(data).map(([name, { code }]) => [name, code]));

describe("the capture box", () => {
    let conch, pb;
    before(async () => { conch = await startConch(); pb = admin(conch); });
    after(() => conch?.stop());

    test("has every mail of a temporary server, with its links and codes", async () => {
        for (const template of ["verification", "password-reset", "email-change", "otp", "login-alert"]) {
            const answer = await fetch(`${conch.url}/api/settings/test/email`, {
                method: "POST", headers: { authorization: conch.token, "content-type": "application/json" },
                body: JSON.stringify({ email: TO, template, collection: "users" }),
            });
            assert.equal(answer.status, 204);
            assert.equal(await answer.text(), "");
            const { items: [mail], total } = await mailbox(pb, { template });
            assert.equal(total, 1);
            assert.equal(mail.to, TO);
            assert.equal(mail.template, template);
            assert.match(mail.from, /^.+ <support@example\.com>$/);
            assert.ok(mail.html.startsWith("<!doctype html>") && !mail.text.includes("<p>"));
            assert.deepEqual(await pb.send(`/api/mailbox/${mail.id}`, {}), mail);
            if (template === "otp") assert.deepEqual(mail.codes, ["123456"]);
            if (template === "login-alert") assert.match(mail.text, /TEST_IP TEST_USER_AGENT/);
            const flow = { verification: "verification", "password-reset": "password-reset", "email-change": "email-change" }[template];
            if (flow) {
                assert.equal(mail.links.length, 1);
                assert.equal(mail.links[0], `http://localhost:8090/_/#/auth/confirm-${flow}/${mail.tokens[0]}`);
                const claims = JSON.parse(Buffer.from(mail.tokens[0].split(".")[1], "base64url"));
                assert.equal(claims.id, "__pb_test_id__");
                assert.equal(claims.collectionId, "_pb_users_auth_");
            }
        }
        const { items, total } = await mailbox(pb);
        assert.equal(total, 5);
        assert.deepEqual(items.map(({ id }) => Number(id)), [...items.map(({ id }) => Number(id))].sort((a, b) => b - a));
    });

    test("can be searched and cut, and refuses nonsense", async () => {
        const { items: [newest] } = await mailbox(pb);
        assert.equal((await mailbox(pb, { after: newest.id })).total, 0);
        assert.equal((await mailbox(pb, { limit: 2 })).items.length, 2);
        assert.equal((await mailbox(pb, { to: TO.toUpperCase() })).total, 5);
        assert.equal((await mailbox(pb, { to: "bob@example.com" })).total, 0);
        assert.deepEqual(Object.keys((await mailbox(pb, { fields: "id", limit: 1 })).items[0]), ["id"]);
        for (const query of [{ limit: "x" }, { limit: 501 }, { wait: 31 }, { wait: -1 }, { after: "a" }, { template: "nope" }]) {
            assert.equal((await failure(mailbox(pb, query))).status, 400, JSON.stringify(query));
        }
        for (const id of ["999999", "x", "-1"]) assert.equal((await failure(pb.send(`/api/mailbox/${id}`, {}))).status, 404);
    });

    test("a wait ends with the mail, not before and not much later", async () => {
        const { items: [newest] } = await mailbox(pb);
        const started = Date.now();
        const query = { to: "later@example.com", after: newest.id, wait: 20 };
        const waiting = Promise.all([mailbox(pb, query), mailbox(pb, { ...query, to: TO, wait: 1 })]);
        await new Promise((resolve) => setTimeout(resolve, 300));
        await testMail(pb, { email: "later@example.com", template: "otp" });
        const [found, nothing] = await waiting;
        assert.equal(found.total, 1);
        assert.equal(nothing.total, 0);
        assert.ok(Date.now() - started < 10_000);
    });

    test("carries a flow of the SDK from the request to the confirmation", async () => {
        const ann = client(conch);
        await ann.collection("users").create({ email: "flow@example.com", password: "12345678", passwordConfirm: "12345678" });
        await ann.collection("users").requestVerification("flow@example.com");
        const { items: [mail] } = await mailbox(pb, { to: "flow@example.com", template: "verification", wait: 20 });
        await ann.collection("users").confirmVerification(mail.tokens[0]);
        const record = await pb.collection("users").getFirstListItem("email = 'flow@example.com'");
        assert.equal(record.verified, true);
    });

    test("is for superusers", async () => {
        await pb.collection("users").create({ email: "u@example.com", password: "12345678", passwordConfirm: "12345678" });
        const user = client(conch);
        const signedIn = await user.collection("users").authWithPassword("u@example.com", "12345678");
        for (const [token, status] of [["", 401], [signedIn.token, 403]]) {
            for (const [method, path] of [
                ["GET", "/api/mailbox"], ["GET", "/api/mailbox/1"], ["DELETE", "/api/mailbox"], ["POST", "/api/settings/test/email"],
            ]) {
                const answer = await fetch(conch.url + path, { method, headers: token ? { authorization: token } : {} });
                assert.equal(answer.status, status, `${method} ${path}`);
            }
        }
    });

    test("is emptied", async () => {
        await pb.send("/api/mailbox", { method: "DELETE" });
        assert.deepEqual(await mailbox(pb), { items: [], total: 0 });
    });

    test("a test mail is checked like the wire checks it", async () => {
        const required = "validation_required";
        for (const [body, expected] of [
            [{}, { email: required, template: required }],
            [{ email: "x", template: "y" }, { email: "validation_is_email", template: "validation_in_invalid" }],
            [{ email: TO, template: "OTP" }, { template: "validation_in_invalid" }],
            [{ email: TO, template: "otp", collection: "nope" }, { collection: "validation_invalid_auth_collection" }],
            [{ email: TO, template: "otp", collection: "_otps" }, { collection: "validation_invalid_auth_collection" }],
            [{ email: `${"a".repeat(250)}@example.com`, template: "otp" }, { email: "validation_length_out_of_range" }],
            [{ email: `${TO}\r\nBcc: eve@example.com`, template: "otp" }, { email: "validation_is_email" }],
            [{ email: 1, template: "otp" }, {}],
        ]) {
            const { status, data } = await failure(testMail(pb, body));
            assert.deepEqual([status, codes(data)], [400, expected], JSON.stringify(body));
        }
        for (const collection of ["", null, undefined, "USERS", "_superusers"]) {
            await testMail(pb, { email: TO, template: "otp", collection });
        }
    });

    test("templates are filled in one pass, and no value becomes markup or a header", async () => {
        const text = "{APP_NAME}|{RECORD:name}|{RECORD:email}|{RECORD:verified}|{RECORD:created}|{RECORD:tokenKey}|{RECORD:nope}|{OTP}";
        const users = await pb.collections.getOne("users");
        await pb.collections.update("users", { verificationTemplate: { subject: text, body: `<p>${text}</p>` } });
        await pb.settings.update({ meta: { appName: "{TOKEN}\r\nBcc: eve@example.com <&>", senderName: "Ä\r\nBcc: eve@example.com" } });
        await testMail(pb, { email: "o'b@example.com", template: "verification", collection: "users" });
        const { items: [mail] } = await mailbox(pb);
        const rest = "__pb_test_name__|o&#39;b@example.com|false||{RECORD:tokenKey}|{RECORD:nope}|{OTP}";
        assert.equal(mail.subject, `{TOKEN} Bcc: eve@example.com <&>|${rest}`);
        assert.ok(mail.html.includes(`<p>{TOKEN}\r\nBcc: eve@example.com &lt;&amp;&gt;|${rest}</p>`), mail.html);
        assert.equal(mail.from, "Ä Bcc: eve@example.com <support@example.com>");
        assert.deepEqual(mail.tokens, []);
        await pb.collections.update("users", { verificationTemplate: users.verificationTemplate });
    });
});

test("--dev keeps mails although a mail server is set up", async () => {
    const dir = temporaryDirectory();
    const conch = await startConchOn(dir, { args: ["--dev"] });
    try {
        const pb = admin(conch);
        await pb.settings.update({ smtp: { enabled: true, host: "127.0.0.1", port: 1 } });
        await testMail(pb, { email: TO, template: "otp" });
        assert.equal((await mailbox(pb)).total, 1);
    } finally {
        await conch.stop();
        remove(dir);
    }
});

describe("a mail server", () => {
    let conch, pb, dir;
    before(async () => { dir = temporaryDirectory(); conch = await startConchOn(dir); pb = admin(conch); });
    after(async () => { await conch?.stop(); remove(dir); });

    /** Runs `story` with the server set up in the settings. */
    async function withServer(options, settings, story) {
        const smtp = await startSmtp(options);
        try {
            await pb.settings.update({
                smtp: { enabled: true, host: smtp.host, port: smtp.port, username: "", password: "", authMethod: "", tls: false, localName: "", ...settings },
            });
            await story(smtp);
        } finally {
            await smtp.stop();
        }
    }

    const send = (body = {}) => testMail(pb, { email: TO, template: "otp", collection: "users", ...body });

    test("gets a whole mail", async () => {
        await pb.settings.update({ meta: { senderName: 'Ä "Co"', senderAddress: "desk@example.org", appName: "Büro" } });
        await withServer({}, {}, async (smtp) => {
            await send({ template: "verification" });
            const [mail] = await smtp.mails(1);
            assert.equal(mail.from, "desk@example.org");
            assert.deepEqual(mail.to, [TO]);
            assert.match(mail.subject, /Büro/);
            assert.equal(mail.ehlo, "localhost");
            const header = (wanted) => mail.headers.filter(([name]) => name === wanted).map(([, value]) => value);
            assert.equal(header("from").length, 1);
            assert.match(header("from")[0], /Ä/);
            assert.deepEqual(header("to"), [TO]);
            assert.deepEqual(header("auto-submitted"), ["auto-generated"]);
            assert.match(header("message-id")[0], /^<[^<>@]+@example\.org>$/);
            assert.ok(Math.abs(Date.parse(header("date")[0]) - Date.now()) < 60_000);
            assert.match(header("content-type")[0], /^multipart\/alternative/);
            assert.ok(mail.html.includes("<!doctype html>"));
            const link = /http:\/\/localhost:8090\/_\/#\/auth\/confirm-verification\/eyJ\S+\)/;
            assert.match(mail.text, link, "links stand behind their text");
            // Nothing of a mail that was really sent is kept.
            assert.equal((await mailbox(pb)).total, 0);
        });
    });

    for (const mechanism of ["PLAIN", "LOGIN"]) {
        test(`is signed in to with ${mechanism}`, async () => {
            const auth = { user: "desk", password: "geh heim ü", only: mechanism };
            const settings = { username: auth.user, password: auth.password, authMethod: mechanism, localName: "app.example.org" };
            await withServer({ auth }, settings, async (smtp) => {
                await send();
                const [mail] = await smtp.mails(1);
                assert.deepEqual([mail.login, mail.mechanism, mail.ehlo], ["desk", mechanism, "app.example.org"]);

                await pb.settings.update({ smtp: { password: "wrong" } });
                const { status, data } = await failure(send());
                assert.deepEqual([status, data], [400, {}]);
                await pb.settings.update({ smtp: { password: auth.password, authMethod: mechanism === "PLAIN" ? "LOGIN" : "PLAIN" } });
                assert.equal((await failure(send())).status, 400, "the server does not know the other mechanism");
                assert.equal((await smtp.mails()).length, 1);
            });
        });
    }

    for (const tls of ["starttls", "implicit"]) {
        test(`is not trusted on its own word (${tls})`, async () => {
            await withServer({ tls }, { host: "localhost", tls: tls === "implicit" }, async (smtp) => {
                const { status, data } = await failure(send());
                assert.deepEqual([status, data], [400, {}]);
                assert.deepEqual(await smtp.mails(), []);
            });
        });

        test(`is trusted when the machine trusts its certificate, under its name only (${tls})`, async () => {
            const smtp = await startSmtp({ tls, auth: { user: "u", password: "p" } });
            const [ours, at] = [temporaryDirectory(), { env: { SSL_CERT_FILE: smtp.certificate } }];
            const trusting = await startConchOn(ours, at);
            try {
                const root = admin(trusting);
                const settings = { enabled: true, port: smtp.port, username: "u", password: "p", tls: tls === "implicit" };
                for (const host of ["localhost", "127.0.0.1"]) {
                    await root.settings.update({ smtp: { ...settings, host } });
                    await testMail(root, { email: TO, template: "otp" });
                }
                const mails = await smtp.mails(2);
                assert.deepEqual(mails.map((mail) => [mail.encrypted, mail.login]), [[true, "u"], [true, "u"]]);
                // The same server under a name that its certificate does not have.
                await root.settings.update({ smtp: { ...settings, host: "127.0.0.2" } });
                assert.equal((await failure(testMail(root, { email: TO, template: "otp" }))).status, 400);
                assert.equal((await smtp.mails()).length, 2);
            } finally {
                await trusting.stop();
                await smtp.stop();
                remove(ours);
            }
        });
    }

    const elsewhere = Object.values(networkInterfaces()).flat().find(({ family, internal }) => family === "IPv4" && !internal);
    test("never sees a password in the open beyond this machine", { skip: !elsewhere && "no network" }, async () => {
        const auth = { user: "u", password: "p" };
        await withServer({ auth, host: elsewhere.address }, { username: "u", password: "p" }, async (smtp) => {
            const { status, data, message } = await failure(send());
            assert.deepEqual([status, data], [400, {}]);
            assert.match(message, /no encryption/);
            assert.deepEqual(await smtp.mails(), []);
        });
    });

    test("that refuses is quoted to the owner", async () => {
        await withServer({ refuse: "550 no such user here" }, {}, async (smtp) => {
            const { status, data, message } = await failure(send());
            assert.deepEqual([status, data], [400, {}]);
            assert.match(message, /550.*no such user here/);
            assert.deepEqual(await smtp.mails(), []);
        });
    });

    test("that never answers costs the budget and no more, and nobody else anything", async () => {
        await withServer({ silent: true }, {}, async () => {
            const started = Date.now();
            const sending = failure(send());
            const others = [];
            while (Date.now() - started < 2000) {
                const asked = Date.now();
                await pb.health.check();
                others.push(Date.now() - asked);
            }
            const { status, data } = await sending;
            assert.deepEqual([status, data], [400, {}]);
            const took = Date.now() - started;
            assert.ok(took >= BUDGET_MS - 1000 && took < BUDGET_MS + AIR_MS, `${took} ms`);
            others.sort((a, b) => a - b);
            assert.ok(others[Math.floor(others.length / 2)] < 200, `others waited ${others.at(-1)} ms`);
        });
    });

    test("that is not there is an error, and its settings are checked", async () => {
        await pb.settings.update({ smtp: { enabled: true, host: "127.0.0.1", port: 1 } });
        assert.equal((await failure(send())).status, 400);
        const { data } = await failure(pb.settings.update({ smtp: { enabled: true, host: "", port: 0 } }));
        assert.deepEqual(codes(data.smtp), { host: "validation_required", port: "validation_required" });
    });

    test("gets a mail with foreign letters in the address, if it knows how", async () => {
        await withServer({}, {}, async (smtp) => {
            await send({ email: "änn@example.com" });
            const [mail] = await smtp.mails(1);
            assert.deepEqual(mail.to, ["änn@example.com"]);
        });
        await withServer({ utf8: false }, {}, async (smtp) => {
            assert.match((await failure(send({ email: "änn@example.com" }))).message, /SMTPUTF8/);
            await send({ email: "ann@bücher.example" });
            const [mail] = await smtp.mails(1);
            assert.deepEqual(mail.to, ["ann@xn--bcher-kva.example"]);
        });
    });
});

test("without a mail server the machine's sendmail gets it, and without that the capture box", async () => {
    const [dir, bin] = [temporaryDirectory(), temporaryDirectory()];
    const program = join(bin, "sendmail");
    const conch = await startConchOn(dir, { env: { PATH: bin } });
    try {
        const pb = admin(conch);
        if (!["/usr/sbin/sendmail", "/usr/lib/sendmail"].some(existsSync)) {
            await testMail(pb, { email: TO, template: "otp" });
            await testMail(pb, { email: TO, template: "otp" });
            assert.equal((await mailbox(pb)).total, 2);
            assert.equal(conch.log().match(/MAILS ARE NOT SENT/g)?.length, 1, conch.log());
            await pb.send("/api/mailbox", { method: "DELETE" });
        }
        const script = (end) => `#!/bin/sh\nfor a in "$@"; do echo "$a"; done > ${bin}/args\n/bin/cat > ${bin}/mail\n${end}\n`;
        writeFileSync(program, script(""));
        chmodSync(program, 0o755);
        await testMail(pb, { email: TO, template: "otp", collection: "users" });
        assert.equal((await mailbox(pb)).total, 0);
        const args = readFileSync(join(bin, "args"), "utf8").trim().split("\n");
        assert.deepEqual(args.slice(-2), ["--", TO]);
        assert.ok(args.includes("support@example.com"));
        const mail = readFileSync(join(bin, "mail"), "utf8");
        assert.match(mail, /^Auto-Submitted: auto-generated\r?$/m);
        assert.match(mail, /123456/);

        writeFileSync(program, script("echo broken >&2; exit 75"));
        assert.equal((await failure(testMail(pb, { email: TO, template: "otp" }))).status, 400);

        // One that hangs is ended with the budget.
        writeFileSync(program, `#!/bin/sh\necho $$ > ${bin}/pid\nexec /bin/sleep 600\n`);
        const started = Date.now();
        assert.equal((await failure(testMail(pb, { email: TO, template: "otp" }))).status, 400);
        assert.ok(Date.now() - started < BUDGET_MS + AIR_MS);
        const pid = Number(readFileSync(join(bin, "pid"), "utf8"));
        await new Promise((resolve) => setTimeout(resolve, 500));
        assert.ok(!alive(pid), "the program still runs");
    } finally {
        await conch.stop();
        remove(dir);
        remove(bin);
    }
});

/** True for a process that runs and is no zombie. */
function alive(pid) {
    try {
        return !/^\d+ \(.*\) Z/.test(readFileSync(`/proc/${pid}/stat`, "utf8"));
    } catch {
        return false;
    }
}
