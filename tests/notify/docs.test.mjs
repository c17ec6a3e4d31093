// docs/notifications.md does what it says: every example runs, in order, against the real executable; the service worker
// and the page's registration in a browser that is made up.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import { after, before, test } from "node:test";
import { promisify } from "node:util";
import { runInNewContext } from "node:vm";
import { startTown } from "../harness/notify.mjs";

const page = readFileSync(new URL("../../docs/notifications.md", import.meta.url), "utf8");
const blocks = [...page.matchAll(/^```(\S+)( \S+)?\n([\s\S]*?)^```$/gm)]
    .map(([, language, use = "", text]) => ({ language, use: use.trim(), text }));
const block = (use) => blocks.find((block) => block.use === use).text;

let town;
before(async () => {
    town = await startTown({ ann: "Europe/Berlin" });
    await town.root.collections.create({
        name: "orders", type: "base",
        fields: [
            { name: "number", type: "number" }, { name: "paid", type: "bool" },
            { name: "owner", type: "relation", collectionId: town.ann.pb.authStore.record.collectionId, maxSelect: 1 },
        ],
    });
    await town.expect(200, "PATCH", "/api/settings", { batch: { enabled: true }, meta: { appName: "Acme", appURL: "https://acme.test" } });
});
after(() => town?.stop());

test("the examples run one after the other", { timeout: 120_000 }, async () => {
    // What one block declares, the next ones use.
    const scripts = blocks.filter(({ language, use }) => language === "js" && !use).map(({ text }) => text);
    assert.ok(scripts.length > 15);
    const said = [];
    const console = { log: (...words) => said.push(words.join(" ")) };
    const AsyncFunction = (async () => {}).constructor;
    const script = scripts.join(";\nawait settle();\n").replaceAll(/^(const|let) /gm, "var ");
    // The clock stands until the page moves it, so that what waits goes on waiting.
    await new AsyncFunction("pb", "ann", "console", "settle", script)(town.root, town.ann.pb, console, () => town.settle());
    for (const expected of [
        " Order 42 has shipped ", "de Bestellung 42 ist unterwegs ", "true secret: true,url: true", "Good morning", "inbox sent", "wait 20",
    ]) {
        assert.ok(said.some((line) => line.includes(expected.trim())), `${expected}\n${said.join("\n")}`);
    }
});

test("the shell's examples run", async () => {
    const account = JSON.stringify(await serviceAccount());
    for (const { text } of blocks.filter(({ language }) => language === "sh")) {
        const env = { ...process.env, URL: town.url, TOKEN: town.server.token, SERVICE_ACCOUNT: account };
        await promisify(execFile)("bash", ["-euo", "pipefail", "-c", text], { env });
    }
    const settings = await town.expect(200, "GET", "/api/settings");
    assert.notEqual(settings.notify.fcm.serviceAccount, "");
});

async function serviceAccount() {
    const { generateKeyPairSync } = await import("node:crypto");
    const { privateKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
    return {
        type: "service_account", project_id: "acme", client_email: "push@acme.iam.gserviceaccount.com",
        private_key: privateKey.export({ type: "pkcs8", format: "pem" }), token_uri: "https://oauth2.googleapis.com/token",
    };
}

test("a browser that registers like the page says is a device, and its worker shows what comes", async () => {
    const { createECDH, randomBytes } = await import("node:crypto");
    const keys = createECDH("prime256v1");
    keys.generateKeys();
    const asked = [];
    const registration = {
        pushManager: {
            subscribe: async (options) => {
                asked.push(options);
                return { toJSON: () => ({
                    endpoint: "https://push.example.com/send/1", expirationTime: null,
                    keys: { p256dh: keys.getPublicKey("base64url"), auth: randomBytes(16).toString("base64url") },
                }) };
            },
        },
    };
    const browser = {
        navigator: { serviceWorker: { register: async () => registration, ready: Promise.resolve(registration) }, userAgent: "Made Up/1.0" },
        Notification: { requestPermission: async () => "granted" }, atob, Uint8Array,
    };
    const enablePush = runInNewContext(block("browser").replace("export async function enablePush", "(async function enablePush") + ")", browser);
    const device = await enablePush(town.ann.pb);
    assert.equal(asked[0].userVisibleOnly, true);
    assert.deepEqual([asked[0].applicationServerKey.length, asked[0].applicationServerKey[0]], [65, 4]);
    const devices = await town.ann.pb.collection("_devices").getFullList({ filter: "kind = 'webpush'" });
    assert.deepEqual(devices.map(({ id, label }) => [id, label]), [[device.id, "Made Up/1.0"]]);

    // The examples may have left it in her quiet hours.
    await town.expect(200, "PATCH", "/api/notify/preferences", { quietFrom: "", quietTo: "" }, town.ann.token);
    await town.post("send", { to: [town.ann.to], channels: ["push"], title: "Ding", body: "dong", link: "/orders/1", collapse: "bell" });
    await town.settle();
    const [kept] = await town.mailbox("&channel=webpush");
    const message = kept.payload;
    assert.equal(message.title, "Ding");

    const [listeners, shown, opened, told] = [{}, [], [], []];
    const worker = {
        addEventListener: (name, listener) => { listeners[name] = listener; },
        registration: { showNotification: async (title, options) => shown.push({ title, ...options }), update: async () => {} },
        clients: { matchAll: async () => [], openWindow: async (url) => opened.push(url) },
        location: { origin: "https://acme.test" },
    };
    const fetch = async (url, { body }) => { told.push(JSON.parse(body).event); return globalThis.fetch(url.replace("https://acme.test", town.url), { method: "POST", headers: { "content-type": "application/json" }, body }); };
    runInNewContext(block("worker"), { self: worker, fetch, URL, JSON, Promise, Boolean });
    const happen = async (name, event) => {
        const pending = [];
        listeners[name]({ ...event, waitUntil: (promise) => pending.push(promise) });
        await Promise.all(pending);
    };
    await happen("push", { data: { json: () => message } });
    assert.deepEqual([shown[0].title, shown[0].body, shown[0].tag === message.tag], ["Ding", "dong", true]);
    await happen("notificationclick", { notification: { close: () => {}, data: message } });
    assert.deepEqual(opened, ["https://acme.test/orders/1"]);
    if (message.receipt) {
        assert.deepEqual(told, ["delivered", "clicked"]);
        const delivery = await town.root.collection("_deliveries").getOne(message.id);
        assert.ok(delivery.deliveredAt && delivery.clickedAt);
    }
    await happen("push", { data: null });
    assert.equal(shown[1].title, "News");
    await happen("pushsubscriptionchange", {});
});
