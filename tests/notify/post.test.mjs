// What leaves by post: mails through a real mail server, webhooks checked by an independent library, what comes back of
// them (receipts, the one-click way out of RFC 8058), and the capture box that keeps them in tests.

import assert from "node:assert/strict";
import { createServer } from "node:http";
import { after, before, describe, test } from "node:test";
import { Webhook } from "standardwebhooks";
import { admin, remove, startConch, startConchOn, temporaryDirectory } from "../harness/server.mjs";
import { startSmtp } from "../harness/smtp.mjs";

const SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", NEW_SECRET = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";

/** Polls `ask` until it gives something. */
async function until(ask, what, seconds = 20) {
    const deadline = Date.now() + seconds * 1000;
    for (;;) {
        const found = await ask();
        if (found) return found;
        if (Date.now() > deadline) throw new Error(`${what}: not within ${seconds} seconds`);
        await new Promise((resolve) => setTimeout(resolve, 25));
    }
}

const notify = (pb, values) => pb.collection("_notifications").create({ title: "Hello", body: "text", ...values });
const deliveries = (pb, notification) =>
    pb.collection("_deliveries").getFullList({ filter: pb.filter("notification = {:id}", { id: notification.id }) });

/** The only delivery of a notification, as soon as `is` says so. */
const delivery = (pb, notification, is = ({ state }) => !["scheduled", "sending", "batched"].includes(state)) =>
    until(async () => (await deliveries(pb, notification)).find(is), `the delivery of ${notification.title}`);

async function account(pb, name) {
    const values = { email: `${name}@example.com`, password: "password-1", passwordConfirm: "password-1", verified: true };
    return pb.collection("users").create(values);
}

const header = (mail, name) => mail.headers.filter(([known]) => known === name).map(([, value]) => value.replace(/\s+/g, ""));
const oneClick = (url, body = "List-Unsubscribe=One-Click") =>
    fetch(url, { method: "POST", headers: { "content-type": "application/x-www-form-urlencoded" }, body });

describe("mails", () => {
    let dir, smtp, conch, pb;
    before(async () => {
        dir = temporaryDirectory();
        smtp = await startSmtp();
        conch = await startConchOn(dir);
        pb = admin(conch);
        await pb.settings.update({
            meta: { appName: "Shop & Co", appURL: conch.url, senderName: "Shop", senderAddress: "shop@example.com" },
            smtp: { enabled: true, host: smtp.host, port: smtp.port },
        });
    });
    after(async () => {
        await conch?.stop();
        await smtp?.stop();
        remove(dir);
    });

    /** The newest mail to an address with this subject. */
    const mailTo = (to, subject) =>
        until(async () => (await smtp.mails()).find((mail) => mail.to.includes(to) && mail.subject === subject), `a mail to ${to}`);

    test("go out as HTML and text, named after their delivery, with a way out of their category", async () => {
        const ann = await account(pb, "ann");
        const sent = await notify(pb, {
            to: [`users/${ann.id}`], channels: ["email"], category: "orders", title: "Shipped <1>", body: "Hi\n\nit is & was", link: "/orders/1",
        });
        const { id, sentAt } = await delivery(pb, sent, ({ state }) => state === "sent");
        assert.ok(sentAt);
        const mail = await mailTo("ann@example.com", "Shipped <1>");
        assert.deepEqual(header(mail, "message-id"), [`<${id}@example.com>`]);
        const [unsubscribe] = header(mail, "list-unsubscribe").map((value) => value.slice(1, -1));
        assert.ok(unsubscribe.startsWith(`${conch.url}/api/notify/unsubscribe/`), unsubscribe);
        assert.deepEqual(header(mail, "list-unsubscribe-post"), ["List-Unsubscribe=One-Click"]);
        assert.deepEqual(header(mail, "auto-submitted"), ["auto-generated"]);
        assert.deepEqual(header(mail, "references"), []);
        assert.ok(mail.text.startsWith("Hi\n\nit is & was\n\n") && mail.text.includes(`${conch.url}/orders/1`) && mail.text.includes(unsubscribe), mail.text);
        assert.ok(mail.html.includes("it is &amp; was") && mail.html.includes(`href="${conch.url}/orders/1"`) && mail.html.includes(`href="${unsubscribe}"`), mail.html);
        assert.ok(!mail.html.includes("<img"), "nothing is tracked unless asked for");
    });

    test("without a category have no way out; of one collapse key they are one conversation", async () => {
        const bob = await account(pb, "bob");
        for (const title of ["1:0", "2:0"]) {
            await delivery(pb, await notify(pb, { to: [`users/${bob.id}`], channels: ["email"], collapse: "score-7", title }), ({ state }) => state === "sent");
        }
        const [first, second] = [await mailTo("bob@example.com", "1:0"), await mailTo("bob@example.com", "2:0")];
        assert.deepEqual(header(first, "list-unsubscribe"), []);
        assert.equal(header(first, "references").length, 1);
        assert.deepEqual(header(first, "references"), header(second, "references"));
        assert.deepEqual(header(first, "in-reply-to"), header(second, "references"));
        assert.notDeepEqual(header(first, "message-id"), header(second, "message-id"));
    });

    test("nothing in a text becomes a header", async () => {
        const title = "x\r\nBcc: victim@example.com\r\n\r\n<p>";
        const sent = await notify(pb, { to: ["carl@example.com"], channels: ["email"], category: "a\r\nBcc: v@example.com", title });
        await delivery(pb, sent);
        const mail = await until(async () => (await smtp.mails()).find((it) => it.to.includes("carl@example.com")), "the mail");
        assert.deepEqual(mail.to, ["carl@example.com"]);
        assert.deepEqual(header(mail, "bcc"), []);
    });

    test("one click ends a category for an account, what waits included; looking at the link does not", async () => {
        const eve = await account(pb, "eve");
        const to = [`users/${eve.id}`];
        const send = (values) => notify(pb, { to, channels: ["email"], category: "news", ...values });
        await delivery(pb, await send({ title: "one" }), ({ state }) => state === "sent");
        const [url] = header(await mailTo("eve@example.com", "one"), "list-unsubscribe").map((value) => value.slice(1, -1));
        const waits = await send({ title: "later", when: { after: "7d" } });
        const other = await send({ title: "other", category: "orders", when: { after: "7d" } });
        await delivery(pb, waits, ({ state }) => state === "scheduled");
        await delivery(pb, other, ({ state }) => state === "scheduled");

        for (const method of ["GET", "HEAD", "GET"]) {
            const page = await fetch(url, { method });
            assert.equal(page.status, 200);
            assert.match(page.headers.get("content-security-policy"), /default-src 'none'/);
            assert.equal(page.headers.get("cache-control"), "no-store, private");
            const html = await page.text();
            if (method === "GET") assert.ok(html.includes("Shop &amp; Co") && html.includes("<form method=\"post\">") && !html.includes("<script"), html);
        }
        assert.deepEqual(await pb.collection("_preferences").getFullList({ filter: `recordRef = "${eve.id}"` }), []);
        assert.equal((await delivery(pb, waits, () => true)).state, "scheduled");

        for (const body of ["List-Unsubscribe=One-Click", "stop=1"]) assert.equal((await oneClick(url, body)).status, 200);
        const [preferences] = await pb.collection("_preferences").getFullList({ filter: `recordRef = "${eve.id}"` });
        assert.deepEqual(preferences.channels, { news: { email: false } });
        const ended = await delivery(pb, waits);
        assert.deepEqual([ended.state, ended.reason.split(":")[0]], ["cancelled", "opted_out"]);
        assert.equal((await delivery(pb, other, () => true)).state, "scheduled");
        assert.equal((await delivery(pb, await send({ title: "two" }))).state, "suppressed");
        assert.equal((await delivery(pb, await send({ title: "three", category: "orders" }))).state, "sent");

        // RFC 8058 §3.2 has multipart as well; and a page can take it back.
        const form = new FormData();
        form.set("List-Unsubscribe", "One-Click");
        assert.equal((await fetch(url, { method: "POST", body: form })).status, 200);
        assert.match(await (await oneClick(url, "undo=1")).text(), /subscribed again/);
        assert.equal((await delivery(pb, await send({ title: "four" }))).state, "sent");
    });

    test("one click works for a bare address, too, and long after its delivery is gone", async () => {
        const send = (values) => notify(pb, { to: ["Dora@example.com"], channels: ["email"], category: "news", ...values });
        const first = await delivery(pb, await send({ title: "first" }), ({ state }) => state === "sent");
        const [url] = header(await mailTo("dora@example.com", "first"), "list-unsubscribe").map((value) => value.slice(1, -1));
        await pb.collection("_deliveries").delete(first.id);
        await conch.stop();
        conch = await startConchOn(dir);
        pb = admin(conch);
        const here = new URL(new URL(url).pathname, conch.url);
        assert.match(await (await fetch(here)).text(), /dora@example\.com/);
        assert.equal((await oneClick(here)).status, 200);
        const [row] = await pb.collection("_suppressions").getFullList({ filter: "address = 'dora@example.com'" });
        assert.deepEqual([row.reason, row.note], ["unsubscribed", "news"]);
        assert.equal((await delivery(pb, await send({ title: "second" }))).state, "suppressed");
        assert.equal((await delivery(pb, await send({ title: "third", category: "orders" }))).state, "sent");
        await pb.settings.update({ meta: { appURL: conch.url } });
    });

    test("tokens that are not ours do nothing and tell nothing", async () => {
        const bad = ["x", "e30.AAAA", "W10.AAAAAAAAAAAAAAAAAAAAAA", "a".repeat(9000), "..%2F..", "%00"];
        for (const token of bad) {
            for (const [method, route] of [["GET", "unsubscribe"], ["POST", "unsubscribe"], ["GET", "click"], ["POST", "receipts"]]) {
                const answer = await fetch(`${conch.url}/api/notify/${route}/${token}`, { method, redirect: "manual" });
                assert.equal(answer.status, 404, `${method} ${route} ${token}`);
                assert.equal(answer.headers.get("location"), null);
            }
            const picture = await fetch(`${conch.url}/api/notify/open/${token}`);
            assert.deepEqual([picture.status, picture.headers.get("content-type")], [200, "image/gif"]);
        }
    });

    test("tell that they are read where they are asked to, the first time", async () => {
        const fay = await account(pb, "fay");
        const sent = await notify(pb, {
            to: [`users/${fay.id}`], channels: ["email", "inbox"], track: true, category: "news", title: "tracked",
            html: "<p><a href='https://example.com/?a=1&amp;b=2'>here</a> <a href='/there'>there</a> <a href='unsubscribe:'>out</a></p>",
        });
        const mailed = () => delivery(pb, sent, ({ channel, state }) => channel === "email" && state === "sent");
        await mailed();
        const { html } = await mailTo("fay@example.com", "tracked");
        const targets = [...html.matchAll(/(?:href|src)=['"]([^'"]+)/g)].map(([, target]) => target);
        const [here, there, out, picture] = targets;
        assert.equal(targets.length, 4, html);
        assert.ok([here, there].every((target) => target.startsWith(`${conch.url}/api/notify/click/`)));
        assert.ok(out.includes("/unsubscribe/") && picture.includes("/open/"));

        await fetch(picture, { method: "HEAD" });
        assert.equal((await mailed()).openedAt, "");
        const pixel = await fetch(picture);
        assert.equal(pixel.headers.get("cache-control"), "no-store, private");
        const { openedAt, clickedAt } = await mailed();
        assert.ok(openedAt && !clickedAt);
        await fetch(picture);
        assert.equal((await mailed()).openedAt, openedAt);

        const read = async () => (await pb.collection("_inbox").getFirstListItem(`notification = "${sent.id}"`)).read;
        await until(async () => read().then(() => true, () => false), "the item in the inbox");
        assert.equal(await read(), "");
        for (const [link, location] of [[here, "https://example.com/?a=1&b=2"], [there, `${conch.url}/there`]]) {
            // Nothing that is added to it leads anywhere else.
            const answer = await fetch(`${link}?url=https://evil.example&target=//evil.example`, { redirect: "manual" });
            assert.deepEqual([answer.status, answer.headers.get("location"), answer.headers.get("referrer-policy")], [302, location, "no-referrer"]);
        }
        const clicked = await mailed();
        assert.ok(clicked.clickedAt && clicked.openedAt === openedAt);
        assert.ok(await read(), "who follows a link has seen it");
    });

    test("an address that is refused for good is not tried again", async () => {
        const strict = await startSmtp({ refuse: "550 5.1.1 no such user" });
        try {
            await pb.settings.update({ smtp: { port: strict.port } });
            const send = () => notify(pb, { to: ["nobody@example.com"], channels: ["email"] });
            const first = await delivery(pb, await send());
            assert.equal(first.state, "failed");
            assert.match(first.reason, /5\.1\.1/);
            const [row] = await pb.collection("_suppressions").getFullList({ filter: "address = 'nobody@example.com'" });
            assert.equal(row.reason, "bounce");
            await pb.settings.update({ smtp: { port: smtp.port } });
            assert.equal((await delivery(pb, await send())).state, "suppressed");
        } finally {
            await pb.settings.update({ smtp: { port: smtp.port } });
            await strict.stop();
        }
    });
});

/** A receiver that keeps what it is sent and answers as `answer(request, count)` says: [status, headers, body], or null for nothing. */
async function receiver(answer = () => [204]) {
    const seen = [];
    const sockets = new Set();
    const server = createServer((request, response) => {
        const chunks = [];
        request.on("data", (chunk) => chunks.push(chunk));
        request.on("end", () => {
            seen.push({ path: request.url, headers: request.headers, body: Buffer.concat(chunks).toString() });
            const [status, headers = {}, body = ""] = answer(request, seen.length) ?? [];
            if (status) response.writeHead(status, headers).end(body);
        });
    });
    server.on("connection", (socket) => { sockets.add(socket); socket.on("close", () => sockets.delete(socket)); socket.on("error", () => {}); });
    await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
    const stop = () => { for (const socket of sockets) socket.destroy(); return new Promise((resolve) => server.close(resolve)); };
    return { url: `http://127.0.0.1:${server.address().port}/hook`, seen, stop };
}

describe("webhooks", () => {
    let dir, conch, pb, count = 0;
    const started = [];
    before(async () => {
        dir = temporaryDirectory();
        conch = await startConchOn(dir);
        pb = admin(conch);
        await pb.settings.update({ notify: { allowPrivate: true } });
    });
    after(async () => {
        await conch?.stop();
        await Promise.all(started.map(({ stop }) => stop()));
        remove(dir);
    });

    async function listening(answer) {
        const made = await receiver(answer);
        started.push(made);
        return made;
    }

    /** Somebody with one webhook. */
    async function hooked(token, secret = SECRET) {
        const user = await account(pb, `hook${++count}`);
        const owner = { collectionRef: user.collectionId, recordRef: user.id };
        const device = await pb.collection("_devices").create({ kind: "webhook", token, secrets: { secret }, ...owner });
        return { user, device, send: (values) => notify(pb, { to: [`users/${user.id}`], channels: ["webhook"], ...values }) };
    }

    test("are signed as the standard says: checked by its own library", async () => {
        const { url, seen } = await listening();
        const { user, device, send } = await hooked(url);
        const sent = await send({ category: "order.shipped", title: "é", data: { id: 7 }, link: "/o/7" });
        const { id } = await delivery(pb, sent, ({ state }) => state === "sent");
        assert.equal(seen.length, 1);
        const [{ headers, body }] = seen;
        const payload = new Webhook(SECRET).verify(body, headers);
        assert.equal(payload.type, "notification.order.shipped");
        assert.equal(headers["webhook-id"], `${id}_${device.id}`);
        assert.ok(Math.abs(Date.parse(payload.timestamp) - Date.now()) < 60_000);
        assert.deepEqual([payload.data.title, payload.data.data, payload.data.link, payload.data.recipient.record], ["é", { id: 7 }, "/o/7", user.id]);
        assert.throws(() => new Webhook(NEW_SECRET).verify(body, headers));
        assert.throws(() => new Webhook(SECRET).verify(body.replace("é", "e"), headers));
    });

    test("are signed with both secrets while one takes over", async () => {
        const { url, seen } = await listening();
        const { send } = await hooked(url, [NEW_SECRET, SECRET]);
        await delivery(pb, await send(), ({ state }) => state === "sent");
        for (const secret of [SECRET, NEW_SECRET]) assert.ok(new Webhook(secret).verify(seen[0].body, seen[0].headers));
    });

    test("wait for whoever is busy, and are the same when they come back", async () => {
        const { url, seen } = await listening((_, count) => (count === 1 ? [429, { "retry-after": "1" }] : [200]));
        const sent = await (await hooked(url)).send();
        const done = await until(async () => (await deliveries(pb, sent)).find(({ state }) => state === "sent"), "the second attempt", 60);
        assert.equal(done.attempts, 2);
        assert.equal(seen.length, 2);
        assert.equal(seen[0].headers["webhook-id"], seen[1].headers["webhook-id"]);
        for (const { headers, body } of seen) assert.ok(new Webhook(SECRET).verify(body, headers));
    });

    test("are not led elsewhere, not flooded, and forget who is gone", async () => {
        const elsewhere = await listening();
        for (const [answer, state, left] of [
            [() => [307, { location: elsewhere.url }], "failed", 1],
            [() => [302, { location: elsewhere.url }], "failed", 1],
            [() => [404], "failed", 1],
            [() => [400, {}, "x".repeat(10_000)], "failed", 1],
            [() => [410], "failed", 0],
            [() => [201, {}, "{}"], "sent", 1],
        ]) {
            const { url } = await listening(answer);
            const { send, user } = await hooked(url);
            const ended = await delivery(pb, await send());
            assert.equal(ended.state, state, JSON.stringify(ended));
            assert.ok(ended.reason.length < 2000);
            await until(async () => (await pb.collection("_devices").getFullList({ filter: `recordRef = "${user.id}"` })).length === left, `${left} devices`);
        }
        assert.equal(elsewhere.seen.length, 0);
        // Whoever took it has taken it, however much they say about it.
        const { url, seen } = await listening(() => [200, {}, "x".repeat(200_000)]);
        const { send } = await hooked(url);
        assert.equal((await delivery(pb, await send())).state, "sent");
        assert.equal(seen.length, 1);
    });

    test("whoever hangs is given up, and nobody waits behind them", async () => {
        const [silent, quick] = [await listening(() => null), await listening()];
        const [slow, fast] = [await hooked(silent.url), await hooked(quick.url)];
        const hanging = await slow.send();
        await until(async () => silent.seen.length, "the call that hangs");
        await delivery(pb, await fast.send(), ({ state }) => state === "sent");
        const waits = await until(async () => (await deliveries(pb, hanging)).find(({ state, attempts }) => state === "scheduled" && attempts === 1), "it to be given up", 60);
        assert.match(waits.reason, /too long/);
    });

    test("need HTTPS and a public address unless private ones are allowed", async () => {
        const { url, seen } = await listening();
        const plain = await hooked(url);
        const secure = await hooked(url.replace("http:", "https:"));
        const broken = await hooked(`${url}/broken`, "whsec_short");
        await pb.settings.update({ notify: { allowPrivate: false } });
        try {
            const ends = await Promise.all([plain, secure, broken].map(async ({ send }) => delivery(pb, await send())));
            assert.deepEqual(ends.map(({ state }) => state), ["failed", "failed", "failed"]);
            for (const { reason } of ends.slice(0, 2)) assert.match(reason, /not a public address/);
            assert.match(ends[2].reason, /secret/);
            assert.equal(seen.length, 0);
        } finally {
            await pb.settings.update({ notify: { allowPrivate: true } });
        }
    });
});

describe("the capture box", () => {
    let conch, pb;
    before(async () => { conch = await startConch(); pb = admin(conch); });
    after(() => conch?.stop());

    const runDue = () => pb.send("/api/test/run-due", { method: "POST" });
    const mailbox = (query) => pb.send("/api/mailbox", { query });

    test("keeps mails and webhooks of a temporary server, made as if they left", async () => {
        const user = await account(pb, "ann");
        const hook = (token, secret) =>
            pb.collection("_devices").create({ kind: "webhook", token, secrets: { secret }, collectionRef: user.collectionId, recordRef: user.id });
        await hook("https://hooks.example.com/a", SECRET);
        const broken = await hook("https://hooks.example.com/b", "whsec_!");
        const sent = await notify(pb, { to: [`users/${user.id}`], channels: ["email", "webhook"], category: "orders", data: { a: 1 } });
        await runDue();

        const { items: [kept], total } = await mailbox({ channel: "webhook" });
        assert.equal(total, 1);
        assert.equal(kept.target, "https://hooks.example.com/a");
        assert.equal(kept.to, `${user.collectionId}/${user.id}`);
        assert.deepEqual(new Webhook(SECRET).verify(kept.body, kept.headers), kept.payload);
        assert.deepEqual((await mailbox({ target: kept.target })).items, [kept]);
        assert.equal((await mailbox({ channel: "webhook", to: kept.to })).total, 1);
        assert.equal((await mailbox({ channel: "fcm" })).total, 0);

        const { items: [mail] } = await mailbox({ channel: "email", to: "ann@example.com" });
        const byChannel = Object.fromEntries((await deliveries(pb, sent)).map((it) => [it.channel, it]));
        assert.equal(mail.headers["Message-ID"].split("@")[0], `<${byChannel.email.id}`);
        assert.equal(mail.headers["List-Unsubscribe-Post"], "List-Unsubscribe=One-Click");
        assert.ok(mail.links.some((link) => `<${link}>` === mail.headers["List-Unsubscribe"]), JSON.stringify(mail));
        assert.deepEqual([byChannel.email.state, byChannel.webhook.state], ["sent", "sent"]);
        assert.equal(byChannel.webhook.detail.devices[broken.id].state, "refused", "a broken device fails in tests, too");
        const answer = await fetch(`${conch.url}/api/mailbox?channel=pigeon`, { headers: { authorization: conch.token } });
        assert.equal(answer.status, 400);
    });

    test("a link from it can be followed", async () => {
        const { items: [mail] } = await mailbox({ channel: "email", to: "ann@example.com" });
        const path = new URL(mail.headers["List-Unsubscribe"].slice(1, -1)).pathname;
        assert.equal((await oneClick(`${conch.url}${path}`)).status, 200);
        const { items } = await pb.collection("_preferences").getList(1, 1);
        assert.deepEqual(items[0].channels, { orders: { email: false } });
    });
});
