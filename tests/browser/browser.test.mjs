// The official SDK in a page in Chromium, served from another origin; and the setup page.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { after, before, test } from "node:test";
import { chromium } from "playwright-core";
import { admin, freePort, remove, startConch, startConchFresh, temporaryDirectory } from "../harness/server.mjs";

const sdk = join(dirname(createRequire(import.meta.url).resolve("pocketbase")), "pocketbase.es.mjs");
let conch, pages, browser;

before(async () => {
    conch = await startConch();
    pages = createServer((request, answer) => {
        const script = request.url === "/sdk.mjs";
        answer.setHeader("content-type", script ? "text/javascript" : "text/html");
        answer.end(script ? readFileSync(sdk) : "<!doctype html><title>App</title>");
    });
    const port = await freePort();
    await new Promise((resolve) => pages.listen(port, "127.0.0.1", resolve));
    browser = await chromium.launch({
        executablePath: process.env.CHROMIUM_BIN ?? "/usr/bin/chromium",
        args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"],
    });
});

after(async () => {
    await browser?.close();
    pages?.close();
    await conch?.stop();
});

test("an app on another origin signs up, writes, uploads and reads", async () => {
    const root = admin(conch);
    await root.collections.create({
        name: "notes", listRule: "owner = @request.auth.id", viewRule: "owner = @request.auth.id", createRule: "owner = @request.auth.id", updateRule: "owner = @request.auth.id", deleteRule: "owner = @request.auth.id",
        fields: [{ name: "text", type: "text", required: true }, { name: "owner", type: "relation", collectionId: "_pb_users_auth_" }, { name: "file", type: "file" }],
    });
    const page = await browser.newPage();
    await page.goto(`http://127.0.0.1:${pages.address().port}/`);
    const seen = await page.evaluate(async (url) => {
        const { default: PocketBase, ClientResponseError } = await import("/sdk.mjs");
        const pb = new PocketBase(url);
        await pb.collection("users").create({ email: "web@example.com", password: "12345678", passwordConfirm: "12345678" });
        await pb.collection("users").authWithPassword("web@example.com", "12345678");
        const note = await pb.collection("notes").create({ text: "from a page", owner: pb.authStore.record.id, file: new File(["hi"], "hi.txt") });
        await pb.collection("notes").update(note.id, { text: "changed" });
        const list = await pb.collection("notes").getFullList({ filter: pb.filter("text = {:text}", { text: "changed" }) });
        const status = await pb.collection("notes").create({ text: "" }).then(() => 200, (error) => error instanceof ClientResponseError && error.status);
        await pb.collection("notes").delete(note.id);
        return { text: list[0].text, file: list[0].file, status, left: (await pb.collection("notes").getList()).totalItems };
    }, conch.url);
    assert.equal(seen.text, "changed");
    assert.match(seen.file, /^hi[a-z0-9]{10}_[a-z0-9]{10}\.txt$/);
    assert.equal(seen.status, 400);
    assert.equal(seen.left, 0);
    await page.close();
});

test("the owner of a fresh server makes the first superuser on the setup page", async () => {
    const dir = temporaryDirectory();
    const fresh = await startConchFresh(dir);
    try {
        const link = await setupLink(fresh);
        const page = await browser.newPage();
        const problems = [];
        page.on("console", (message) => message.type() === "error" && problems.push(message.text()));
        await page.goto(link);
        await page.getByLabel("E-mail").fill("owner@example.com");
        await page.getByLabel("Password", { exact: true }).fill("owner-password");
        await page.getByLabel("Password again").fill("owner-password");
        await page.getByRole("button").click();
        await page.getByRole("status").filter({ hasText: "owner@example.com" }).waitFor();
        assert.deepEqual(problems, []);
        const answer = await fetch(`${fresh.url}/api/collections/_superusers/auth-with-password`, {
            method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify({ identity: "owner@example.com", password: "owner-password" }),
        });
        assert.equal(answer.status, 200);
        // The link works once.
        await page.goto("about:blank");
        await page.goto(link);
        await page.getByText("it was used already").waitFor();
        assert.equal(await page.getByLabel("E-mail").count(), 0, "there is nothing to fill in");
        const token = /[\w-]+\.[\w-]+\.[\w-]+/.exec(link)[0];
        const thief = await fetch(`${fresh.url}/api/collections/_superusers/records`, {
            method: "POST", headers: { "content-type": "application/json", authorization: token },
            body: JSON.stringify({ email: "thief@example.com", password: "thief-password", passwordConfirm: "thief-password" }),
        });
        assert.ok([401, 403].includes(thief.status), "nobody was created");
        await page.close();
    } finally {
        await fresh.stop();
        remove(dir);
    }
});

/** The one-time link that a server without a superuser prints. */
async function setupLink(server) {
    for (let tries = 0; tries < 200; tries++) {
        const link = server.log().match(/http:\/\/\S+\/_\/#\/pbinstall\/\S+/)?.[0];
        if (link) return link;
        await new Promise((resolve) => setTimeout(resolve, 25));
    }
    return assert.fail(`no setup link in:\n${server.log()}`);
}
