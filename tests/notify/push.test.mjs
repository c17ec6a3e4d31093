// Pushes: what browsers and apps get, checked by independent implementations (http_ece, jose) and by a service worker in
// Chromium; what becomes of dead, busy, lying and forbidden endpoints; how devices register and are tried out.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { after, before, describe, test } from "node:test";
import { chromium } from "playwright-core";
import { Browser, startFcm, startPushService, vapidClaims } from "../harness/push_service.mjs";
import { admin, client, remove, startConch, startConchOn, temporaryDirectory } from "../harness/server.mjs";

let dir, conch, pb, service, fcm;

before(async () => {
    dir = temporaryDirectory();
    [conch, service, fcm] = await Promise.all([startConchOn(dir), startPushService(), startFcm()]);
    pb = admin(conch);
    await pb.settings.update({ meta: { appURL: conch.url }, notify: { allowPrivate: true, webPush: { subject: "mailto:push@example.com" }, fcm: fcm.settings } });
});

after(async () => {
    await conch?.stop();
    await Promise.all([service?.stop(), fcm?.stop()]);
    remove(dir);
});

let accounts = 0;

/** A new account, signed in. */
async function account() {
    const email = `user${++accounts}@example.com`;
    const record = await pb.collection("users").create({ email, password: "password-1", passwordConfirm: "password-1", verified: true });
    const user = client(conch);
    await user.collection("users").authWithPassword(email, "password-1");
    return { id: record.id, name: `users/${record.id}`, pb: user };
}

const register = (who, body) => who.pb.send("/api/notify/devices", { method: "POST", body });
const tryOut = (who, device) => who.pb.send(`/api/notify/devices/${device.id}/test`, { method: "POST" });
const notify = (values) => pb.collection("_notifications").create({ title: "Hello", body: "text", channels: ["push"], ...values });

/** An account with one browser. */
async function withBrowser(path) {
    const [who, browser] = [await account(), new Browser(service, path)];
    const device = await register(who, { kind: "webpush", subscription: browser.subscription, label: "Laptop" });
    return { who, browser, device };
}

/** An account with one app. */
async function withApp(token) {
    const who = await account();
    return { who, device: await register(who, { kind: "fcm", token, platform: "android" }) };
}

/** Polls `ask` until it gives something. */
async function until(ask, what, seconds = 20) {
    for (const deadline = Date.now() + seconds * 1000; Date.now() < deadline;) {
        const found = await ask();
        if (found) return found;
        await new Promise((resolve) => setTimeout(resolve, 25));
    }
    throw new Error(`${what}: not within ${seconds} seconds\n${conch.log().slice(-2000)}`);
}

const FINAL = ["sent", "failed", "cancelled", "suppressed", "skipped", "expired"];

/** The only delivery of a notification, as soon as `is` says so. */
const delivery = (notification, is = ({ state }) => FINAL.includes(state), seconds = 20) => until(async () => {
    const filter = pb.filter("notification = {:id}", { id: notification.id });
    return (await pb.collection("_deliveries").getFullList({ filter })).find(is);
}, `the delivery of ${notification.title}`, seconds);

const devicesOf = (who) => pb.collection("_devices").getFullList({ filter: pb.filter("recordRef = {:id}", { id: who.id }) });
const failure = (promise) => promise.then(() => assert.fail("it should have failed"), (error) => error);

describe("keys", () => {
    test("are made once, whoever comes first, and the private one is nobody's to see", async () => {
        const keys = await Promise.all(Array.from({ length: 8 }, () => fetch(`${conch.url}/api/notify/vapid-key`).then((answer) => answer.json())));
        assert.equal(new Set(keys.map(({ publicKey }) => publicKey)).size, 1);
        assert.equal(Buffer.from(keys[0].publicKey, "base64url").length, 65);
        const { notify } = await pb.settings.getAll();
        assert.deepEqual(notify.webPush, { subject: "mailto:push@example.com", publicKey: keys[0].publicKey });
        assert.ok(!("serviceAccount" in notify.fcm));
    });
});

describe("browsers", () => {
    test("read what was sent, and push services who sent it", async () => {
        const { who, browser } = await withBrowser("/read");
        const sent = await notify({
            to: [who.name], title: "Größe ✓", body: "Zeile 1\nZeile 2", link: "https://app.example/x", category: "orders", data: { n: 1, deep: { a: ["ü"] } },
            collapse: "score", expires: "1h", priority: "low",
        });
        const done = await delivery(sent);
        assert.equal(done.state, "sent", JSON.stringify(done));
        const [message, ...more] = service.to("/read");
        assert.deepEqual(more, []);
        const { receipt, link, ...said } = browser.open(message);
        assert.deepEqual(said, { id: done.id, title: "Größe ✓", body: "Zeile 1\nZeile 2", data: { n: 1, deep: { a: ["ü"] } }, category: "orders", tag: "score" });
        assert.ok(link);
        const { headers } = message;
        assert.equal(headers["content-encoding"], "aes128gcm");
        assert.match(headers.topic, /^[\w-]{32}$/);
        assert.equal(headers.urgency, "low");
        assert.ok(Number(headers.ttl) > 3500 && Number(headers.ttl) <= 3600, headers.ttl);
        const claims = await vapidClaims(message);
        assert.equal(claims.aud, service.origin);
        assert.equal(claims.sub, "mailto:push@example.com");
        assert.ok(claims.exp - Date.now() / 1000 <= 12 * 3600 && claims.exp - Date.now() / 1000 > 10 * 3600);
        assert.equal(claims.key, (await pb.settings.getAll()).notify.webPush.publicKey);
    });

    test("share a token for a service, and get a long letter cut to what it takes", async () => {
        const { who, browser } = await withBrowser("/long");
        const sent = await notify({ to: [who.name], title: "T", body: "😀".repeat(5000), data: { x: "y".repeat(1000) } });
        assert.equal((await delivery(sent)).state, "sent");
        const [message] = service.to("/long");
        assert.ok(message.body.length <= 4096, String(message.body.length));
        const said = browser.open(message);
        assert.ok(said.cut && said.body.endsWith("…") && said.body.length > 1000 && said.data.x.length === 1000);
        assert.equal(message.headers.authorization, service.to("/read")[0].headers.authorization);
    });

    test("that are gone are forgotten", async () => {
        for (const status of [404, 410]) {
            const { who } = await withBrowser(`/gone/${status}`);
            service.answers[`/gone/${status}`] = { status, body: "no such subscription" };
            const done = await delivery(await notify({ to: [who.name] }));
            assert.notEqual(done.state, "sent");
            await until(async () => (await devicesOf(who)).length === 0, "the device to go");
        }
    });

    test("whose service is busy are told later, when it said, under the same topic", async () => {
        const { who, browser } = await withBrowser("/busy");
        service.answers["/busy"] = (count) => (count === 1 ? { status: 429, headers: { "retry-after": "2" } } : { status: 201 });
        const done = await delivery(await notify({ to: [who.name] }));
        assert.deepEqual([done.state, done.attempts], ["sent", 2]);
        const [first, second] = service.to("/busy");
        assert.ok(second.at - first.at >= 1900, `${second.at - first.at} ms`);
        assert.equal(first.headers.topic, second.headers.topic);
        assert.equal(browser.open(first).id, browser.open(second).id);
        assert.notDeepEqual(first.body, second.body);
    });

    test("whose service took it are told once, however it babbles, breaks off or hangs then", async () => {
        const body = "x".repeat(300_000);
        for (const [path, answer] of [
            ["/babbles", { status: 201, body }],
            ["/breaks", { status: 201, body, headers: { "content-length": "400000" } }],
        ]) {
            service.answers[path] = answer;
            const { who } = await withBrowser(path);
            const done = await delivery(await notify({ to: [who.name] }));
            assert.deepEqual([done.state, done.attempts, service.to(path).length], ["sent", 1, 1], `${path}: ${JSON.stringify(done)}`);
        }
    });

    test("behind a service that hangs do not keep the others waiting", async () => {
        service.answers["/hangs"] = { hang: true };
        const { who: first } = await withBrowser("/hangs");
        const stuck = await notify({ to: [first.name], title: "stuck" });
        await until(() => service.to("/hangs").length, "the request that hangs");
        const { who } = await withBrowser("/beside");
        const begun = Date.now();
        assert.equal((await delivery(await notify({ to: [who.name] }))).state, "sent");
        assert.ok(Date.now() - begun < 5000, `${Date.now() - begun} ms`);
        service.answers["/hangs"] = { status: 201 };
        const done = await delivery(stuck, undefined, 90);
        assert.equal(done.state, "sent");
        const [a, b] = service.to("/hangs");
        assert.equal(a.headers.topic, b.headers.topic);
    });

    test("whose service refuses are not tried again", async () => {
        for (const status of [400, 401, 403, 413, 302]) {
            const path = `/refused/${status}`;
            const { who } = await withBrowser(path);
            service.answers[path] = { status, headers: { location: `${service.origin}/elsewhere` }, body: `because ${"x".repeat(70_000 * (status === 403))}` };
            const done = await delivery(await notify({ to: [who.name] }));
            assert.deepEqual([done.state, done.attempts], ["failed", 1], `${status}: ${JSON.stringify(done)}`);
            assert.ok(JSON.stringify(done).includes("because"), JSON.stringify(done));
            assert.equal((await devicesOf(who)).length, 1);
        }
        assert.deepEqual(service.to("/elsewhere"), []);
    });
});

describe("a service worker in Chromium", () => {
    let browser, pages;
    before(async () => {
        // The one of the documentation, word for word.
        const [, worker] = /```js worker\n([\s\S]*?)```/.exec(readFileSync(new URL("../../docs/notifications.md", import.meta.url), "utf8"));
        pages = createServer((request, answer) => {
            const script = request.url === "/sw.js";
            answer.setHeader("content-type", script ? "text/javascript" : "text/html");
            answer.end(script ? worker : "<!doctype html><title>App</title>");
        });
        await new Promise((resolve) => pages.listen(0, "127.0.0.1", resolve));
        browser = await chromium.launch({
            executablePath: process.env.CHROMIUM_BIN ?? "/usr/bin/chromium",
            args: ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"],
        });
    });
    after(async () => {
        await browser?.close();
        pages?.close();
    });

    test("shows what was sent, and says so", async () => {
        const { who, browser: subscriber } = await withBrowser("/shown");
        const sent = await notify({ to: [who.name], title: "Ihre Bestellung", body: "ist da", collapse: "order-1" });
        assert.equal((await delivery(sent)).state, "sent");
        // Chromium's own push service is out of reach: what came to ours is handed in where that would hand it in.
        const data = JSON.stringify(subscriber.open(service.to("/shown")[0]));

        const origin = `http://127.0.0.1:${pages.address().port}`;
        const context = await browser.newContext();
        await context.grantPermissions(["notifications"], { origin });
        const page = await context.newPage();
        const tools = await context.newCDPSession(page);
        const registered = new Promise((resolve) => tools.on("ServiceWorker.workerRegistrationUpdated", ({ registrations }) => registrations[0] && resolve(registrations[0])));
        await tools.send("ServiceWorker.enable");
        await page.goto(origin);
        await page.evaluate(async () => {
            await navigator.serviceWorker.register("/sw.js");
            await navigator.serviceWorker.ready;
        });
        const { registrationId } = await registered;
        await tools.send("ServiceWorker.deliverPushMessage", { origin, registrationId, data });
        const shown = await page.evaluate(async () => {
            const registration = await navigator.serviceWorker.ready;
            for (let tries = 0; tries < 200; tries++) {
                const [notification] = await registration.getNotifications();
                if (notification) return { title: notification.title, body: notification.body, tag: notification.tag };
                await new Promise((resolve) => setTimeout(resolve, 50));
            }
        });
        assert.deepEqual(shown, { title: "Ihre Bestellung", body: "ist da", tag: "order-1" });
        await delivery(sent, ({ deliveredAt }) => deliveredAt);
        await context.close();
    });
});

describe("apps", () => {
    test("are told through FCM, with a token that is asked for once", async () => {
        const { who } = await withApp("app-1");
        const values = { to: [who.name], title: "T", body: "B", data: { n: 1, o: { a: 1 }, from: "x" }, collapse: "c", expires: "90s", priority: "critical" };
        const done = await delivery(await notify(values));
        assert.equal(done.state, "sent", JSON.stringify(done));
        assert.deepEqual(fcm.problems, []);
        const message = fcm.messages.find(({ token }) => token === "app-1");
        assert.deepEqual(message.notification, { title: "T", body: "B" });
        assert.deepEqual([message.data.n, message.data.o, message.data._from, message.data.id], ["1", '{"a":1}', "x", done.id]);
        assert.ok(Object.values(message.data).every((value) => typeof value === "string"));
        assert.equal(message.android.priority, "HIGH");
        assert.match(message.android.ttl, /^(8\d|90)s$/);
        assert.equal(message.android.collapse_key, message.apns.headers["apns-collapse-id"]);
        const others = await Promise.all(Array.from({ length: 5 }, (_, index) => withApp(`many-${index}`)));
        const sent = await notify({ to: others.map(({ who }) => who.name) });
        await until(() => others.every((_, index) => fcm.messages.some(({ token }) => token === `many-${index}`)), "five messages");
        assert.equal(fcm.tokens(), 1);
        assert.ok(sent.id);
    });

    test("get a fresh token when it was taken back", async () => {
        const { who } = await withApp("revoked");
        const before = fcm.tokens();
        fcm.revoke();
        assert.equal((await delivery(await notify({ to: [who.name] }))).state, "sent");
        assert.equal(fcm.tokens(), before + 1);
    });

    test("that are no longer registered are forgotten, and only those", async () => {
        for (const [token, answer, left] of [
            ["unregistered", fcm.fcmError(404, "UNREGISTERED"), 0],
            ["invalid", fcm.fcmError(400, "INVALID_ARGUMENT"), 1],
            ["stranger", fcm.fcmError(403, "SENDER_ID_MISMATCH"), 1],
            ["lost", { status: 404, body: "<html>not here</html>" }, 1],
        ]) {
            const { who } = await withApp(token);
            fcm.answers[token] = answer;
            const done = await delivery(await notify({ to: [who.name] }));
            assert.notEqual(done.state, "sent", token);
            await until(async () => (await devicesOf(who)).length === left, `${token}: ${left} devices`);
        }
    });

    test("are told later when FCM says so", async () => {
        const { who } = await withApp("later");
        fcm.answers.later = (count) => (count === 1 ? fcm.fcmError(503, "UNAVAILABLE", { "retry-after": "1" }) : undefined);
        const done = await delivery(await notify({ to: [who.name] }));
        assert.deepEqual([done.state, done.attempts], ["sent", 2]);
    });
});

describe("devices", () => {
    test("that are malformed are refused, field by field", async () => {
        const who = await account();
        const { keys } = new Browser(service, "/x").subscription;
        const off = Buffer.from(keys.p256dh, "base64url").fill(1, 60).toString("base64url");
        for (const [body, ...fields] of [
            [{}, "kind"],
            [{ kind: "webpush" }, "subscription"],
            [{ kind: "webpush", subscription: { endpoint: "nonsense", keys } }, "subscription.endpoint"],
            [{ kind: "webpush", subscription: { endpoint: "ftp://x.y/", keys } }, "subscription.endpoint"],
            [{ kind: "webpush", subscription: { endpoint: "http://169.254.169.254/", keys } }, "subscription.endpoint"],
            [{ kind: "webpush", subscription: { endpoint: `https://x.y/${"z".repeat(5000)}`, keys } }, "subscription.endpoint"],
            [{ kind: "webpush", subscription: { endpoint: "https://x.y/", keys: { ...keys, p256dh: off } } }, "subscription.keys.p256dh"],
            [{ kind: "webpush", subscription: { endpoint: "https://x.y/", keys: { p256dh: keys.auth, auth: keys.p256dh } } }, "subscription.keys.auth", "subscription.keys.p256dh"],
            [{ kind: "fcm" }, "token"],
            [{ kind: "webhook", url: "x", secret: "short" }, "secret", "url"],
        ]) {
            const { status, response } = await failure(register(who, body));
            assert.equal(status, 400, JSON.stringify(body));
            const leaves = (node, path) => (node.code ? [path] : Object.entries(node).flatMap(([name, inner]) => leaves(inner, path ? `${path}.${name}` : name)));
            assert.deepEqual(leaves(response.data, "").sort(), fields, JSON.stringify(response));
        }
        assert.deepEqual(await devicesOf(who), []);
        assert.equal((await failure(client(conch).send("/api/notify/devices", { method: "POST", body: {} }))).status, 401);
        const large = { kind: "fcm", token: "t", label: "x".repeat(1 << 20) };
        assert.equal((await failure(register(who, large))).status, 413);
    });

    test("follow whoever signs in there, are the owner's to see and to delete, and keep their secrets", async () => {
        const { who: ann, browser, device } = await withBrowser("/moves");
        assert.deepEqual([device.kind, device.label, device.user], ["webpush", "Laptop", ann.name]);
        const [seen] = await ann.pb.collection("_devices").getFullList();
        assert.equal(seen.id, device.id);
        assert.ok(!("token" in seen) && !("secrets" in seen));
        const bob = await account();
        assert.equal((await register(bob, { kind: "webpush", subscription: browser.subscription })).id, device.id);
        assert.deepEqual(await ann.pb.collection("_devices").getFullList(), []);
        assert.equal((await failure(ann.pb.collection("_devices").delete(device.id))).status, 404);
        assert.equal((await failure(tryOut(ann, device))).status, 404);
        await bob.pb.collection("_devices").delete(device.id);
        assert.equal((await failure(register(bob, { kind: "fcm", token: "t", user: ann.name }))).status, 403);
        const made = await pb.send("/api/notify/devices", { method: "POST", body: { kind: "fcm", token: "by-root", user: ann.name } });
        assert.equal(made.user, ann.name);
    });

    test("can be tried out, and tell which step failed", async () => {
        const { who, browser, device } = await withBrowser("/tried");
        const told = await tryOut(who, device);
        assert.deepEqual([told.ok, told.outcome, told.failed, told.status], [true, "sent", null, 201]);
        assert.equal(browser.open(service.to("/tried")[0]).category, "test");
        const endpoints = [
            [{ endpoint: "https://nobody.invalid/x" }, "resolve", "later"],
            [{ endpoint: "http://127.0.0.1:1/x" }, "connect", "later"],
            [{ endpoint: service.origin.replace("http:", "https:") + "/x" }, "tls", "later"],
            [{ endpoint: `${service.origin}/words`, answer: { status: 403, body: "the key is not the one" } }, "accepted", "refused"],
            [{ endpoint: `${service.origin}/over`, answer: { status: 410 } }, "accepted", "gone"],
        ];
        for (const [{ endpoint, answer }, failed, outcome] of endpoints) {
            const another = await account();
            if (answer) service.answers[new URL(endpoint).pathname] = answer;
            const device = await register(another, { kind: "webpush", subscription: { endpoint, keys: browser.subscription.keys } });
            const told = await tryOut(another, device);
            assert.deepEqual([told.ok, told.failed, told.outcome], [false, failed, outcome], JSON.stringify(told));
            assert.deepEqual(told.steps.at(-1), { step: failed, ok: false });
            assert.ok(told.steps.slice(0, -1).every(({ ok }) => ok));
            // What stands in a private network is told to the owner of the server only.
            if (answer?.body) {
                assert.equal(told.message, "");
                const all = await tryOut({ pb }, device);
                assert.ok(all.message.includes(answer.body), all.message);
            }
            assert.equal((await devicesOf(another)).length, outcome === "gone" ? 0 : 1);
        }
        for (let left = 5; left > 0; left--) await tryOut(who, device);
        const { status, originalError } = await failure(tryOut(who, device));
        assert.equal(status, 429, String(originalError));
    });

    test("are no more than fifty an account", async () => {
        const who = await account();
        for (let index = 0; index < 52; index++) await register(who, { kind: "fcm", token: `of-many-${index}` });
        assert.equal((await devicesOf(who)).length, 50);
    });

    test("in private networks are refused unless they are allowed, also when they get there by name", async () => {
        const { who, device } = await withBrowser("/private");
        const named = await register(who, { kind: "webpush", subscription: { ...new Browser(service, "/named").subscription, endpoint: service.origin.replace("http://127.0.0.1", "https://localhost") } });
        await pb.settings.update({ notify: { allowPrivate: false } });
        try {
            for (const known of [device, named]) {
                const told = await tryOut(who, known);
                assert.deepEqual([told.failed, told.outcome], ["address", "refused"], JSON.stringify(told));
            }
            const { response } = await failure(register(who, { kind: "webpush", subscription: new Browser(service, "/y").subscription }));
            assert.ok(response.data.subscription.endpoint.code);
            assert.deepEqual(service.to("/private"), []);
        } finally {
            await pb.settings.update({ notify: { allowPrivate: true } });
        }
    });
});

describe("a temporary server", () => {
    test("keeps every push in the capture box, made as if it left", async () => {
        const temporary = await startConch();
        try {
            const root = admin(temporary);
            const user = await root.collection("users").create({ email: "t@example.com", password: "password-1", passwordConfirm: "password-1" });
            const browser = new Browser({ origin: "https://push.example" }, "/kept");
            for (const body of [{ kind: "webpush", subscription: browser.subscription }, { kind: "fcm", token: "kept-token" }]) {
                const device = await root.send("/api/notify/devices", { method: "POST", body: { ...body, user: `users/${user.id}` } });
                const told = await root.send(`/api/notify/devices/${device.id}/test`, { method: "POST" });
                assert.deepEqual([told.ok, told.message], [true, "captured"], JSON.stringify(told));
            }
            const { items: [app, web] } = await root.send("/api/mailbox", { query: { wait: 5 } });
            assert.deepEqual([web.channel, web.target, app.channel, app.target], ["webpush", "https://push.example/kept", "fcm", "kept-token"]);
            assert.deepEqual(browser.open({ body: Buffer.from(web.body, "base64") }), web.payload);
            assert.equal((await vapidClaims({ headers: web.headers })).aud, "https://push.example");
            assert.equal(app.payload.message.token, "kept-token");
        } finally {
            await temporary.stop();
        }
    });
});
