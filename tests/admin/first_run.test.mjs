// A new server in the browser: the one-time link, the first superuser, each starter, signing in and out, a session that
// ends, a connection that is lost.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { accessible, browse, startAdmin } from "../harness/admin.mjs";
import { freePort, remove, startConchFresh, startConchOn, superuser, temporaryDirectory } from "../harness/server.mjs";

let ui;
before(async () => { ui = await startAdmin(); });
after(() => ui?.stop());

/** The requests of a page that ask whether its session still holds. */
function checksOf(page) {
    const checks = [];
    page.on("request", (request) => { if (request.url().endsWith("/auth-refresh")) checks.push(request); });
    return checks;
}

/** The link that a server prints when it has no superuser yet. */
async function setupLink(server) {
    for (let attempt = 0; attempt < 200; attempt += 1) {
        const link = server.log().match(/http:\/\/\S+(\/_\/#\/pbinstall\/\S+)/);
        if (link) return link[1].slice("/_/".length);
        await new Promise((resolve) => setTimeout(resolve, 25));
    }
    return assert.fail(`no setup link in:\n${server.log()}`);
}

const starters = { "Nothing": [], "A blog": ["comments", "posts", "tags"], "A chat": ["messages", "rooms"], "A shop": ["order_lines", "orders", "products"] };
for (const [at, [starter, expected]] of Object.entries(starters).entries()) {
    test(`the first superuser, and a server that starts with: ${starter}`, async () => {
        const dir = temporaryDirectory();
        const fresh = await startConchFresh(dir);
        const browsed = await browse(fresh.url, ui.browser);
        const link = await setupLink(fresh);
        const page = await browsed.open(link, { width: at % 2 ? 390 : 1280, theme: at > 1 ? "dark" : "light" });
        await page.getByRole("heading", { name: "Set up Conch" }).waitFor();
        await accessible(page);
        await page.getByLabel("E-mail").fill("no address");
        await page.getByLabel("Password", { exact: true }).fill("short");
        await page.getByLabel("Password again").fill("other");
        await page.getByRole("button").click();
        for (const text of ["Enter an e-mail address.", "Use at least 8 characters.", "The passwords differ."]) await page.getByText(text).waitFor();
        await page.getByLabel("E-mail").fill("owner@example.com");
        await page.getByLabel("Password", { exact: true }).fill("owner-password");
        await page.getByLabel("Password again").fill("owner-password");
        await page.getByRole("radio", { name: starter }).check();
        await page.getByRole("button").click();
        await page.getByText("The superuser owner@example.com was created.").waitFor();
        await page.getByRole("link", { name: "Open the admin UI" }).click();
        await page.getByRole("heading", { name: "Home" }).waitFor();
        const names = await page.evaluate(async () => {
            const { token } = JSON.parse(localStorage.getItem("pocketbase_auth"));
            const answer = await fetch("../api/collections?perPage=200", { headers: { Authorization: token } });
            return (await answer.json()).items.filter(({ system }) => !system).map(({ name }) => name).sort();
        });
        assert.deepEqual(names, [...expected, "users"].sort());
        if (starter === "Nothing") {
            // Whoever opens the link again is told at once, and led on.
            const again = await browsed.open(link, { signedIn: false });
            await again.getByText("This link is no longer valid").waitFor();
            assert.equal(await again.getByLabel("E-mail").count(), 0);
            await again.getByRole("link", { name: "Sign in" }).click();
            await again.getByRole("heading", { name: "Sign in" }).waitFor();
            assert.deepEqual(again.problems, []);
            await again.context().close();
        }
        assert.deepEqual(page.problems, []);
        await page.context().close();
        browsed.stop();
        await fresh.stop();
        remove(dir);
    });
}

test("signing in, with a wrong password first; signing out", async () => {
    const page = await ui.open("#/logs", { signedIn: false });
    await page.getByRole("heading", { name: "Sign in" }).waitFor();
    await accessible(page);
    await page.getByLabel("E-mail").fill(superuser.email);
    await page.getByLabel("Password").fill("wrong-password");
    await page.keyboard.press("Enter");
    await page.getByText("E-mail or password is wrong.").waitFor();
    await page.getByLabel("Password").fill(superuser.password);
    await page.keyboard.press("Enter");
    await page.getByRole("heading", { name: "Logs" }).waitFor();
    await page.getByRole("button", { name: superuser.email }).click();
    await page.getByRole("menuitem", { name: "Sign out" }).click();
    await page.getByRole("heading", { name: "Sign in" }).waitFor();
    assert.equal(await page.evaluate(() => localStorage.getItem("pocketbase_auth")), null);
    assert.deepEqual(page.problems, []);
    await page.context().close();
});

test("a session that ends leads to the sign-in and back: the page stays, and what failed is done then", async () => {
    // A page that asks for nothing by itself: the sign-in would come before the click.
    const page = await ui.open("#/sql");
    const checks = checksOf(page);
    await page.getByRole("heading", { name: "SQL", level: 1 }).waitFor();
    // Another password ends all sessions.
    const { id } = ui.root.authStore.record;
    await ui.root.collection("_superusers").update(id, { password: "another-password", passwordConfirm: "another-password" });
    await page.getByRole("link", { name: "Settings" }).click();
    await page.getByText("Your session has ended.").waitFor();
    assert.equal(checks.length, 1, "whatever is refused together asks once");
    await accessible(page);
    await page.getByLabel("Password").fill("another-password");
    await page.keyboard.press("Enter");
    await page.getByText("Your session has ended.").waitFor({ state: "detached" });
    await page.getByRole("heading", { name: "Settings" }).waitFor();
    await ui.root.collection("_superusers").authWithPassword(superuser.email, "another-password");
    await ui.root.collection("_superusers").update(id, { password: superuser.password, passwordConfirm: superuser.password });
    await ui.root.collection("_superusers").authWithPassword(superuser.email, superuser.password);
    assert.deepEqual(page.problems, []);
    await page.context().close();
});

test("what is refused while the session holds says so, and asks once whether it holds", async () => {
    const page = await ui.open("#/");
    const checks = checksOf(page);
    await page.getByRole("heading", { level: 1 }).waitFor();
    await page.route(/\/api\/jobs/, (route) => route.fulfill({ status: 403, json: { status: 403, message: "Not for you.", data: {} } }));
    await page.getByRole("link", { name: "Jobs", exact: true }).click();
    await page.getByText("Not for you.").waitFor();
    assert.equal(checks.length, 1, "of three that were refused");
    assert.equal(await page.getByText("Your session has ended.").count(), 0);
    await page.context().close();
});

test("a session ends under a form: by its half-hourly renewal, and where rules make a guest of its owner", async () => {
    const notes = await ui.root.collections.create({ name: "notes", type: "base", viewRule: "@request.auth.id != ''", updateRule: "@request.auth.id != ''", fields: [{ name: "title", type: "text" }] });
    const note = await ui.root.collection("notes").create({ title: "before" });
    const superusers = ui.root.collection("_superusers");
    const email = "second@example.com";
    let password = "second-password";
    const { id } = await superusers.create({ email, password, passwordConfirm: password });
    const page = await ui.open(`#/collections/notes/records/${note.id}`, { signedIn: false });
    await page.clock.install();
    await page.reload();
    const signIn = async () => {
        await page.getByLabel("E-mail").fill(email);
        await page.getByLabel("Password").fill(password);
        await page.keyboard.press("Enter");
    };
    const ended = page.getByText("Your session has ended.");
    const another = async () => {
        password += "-";
        await superusers.update(id, { password, passwordConfirm: password });
    };
    await signIn();
    const title = page.getByRole("textbox", { name: "title" });
    await title.fill("after");
    await another();
    await page.clock.fastForward("31:00");
    await ended.waitFor();
    await signIn();
    await ended.waitFor({ state: "detached" });
    assert.equal(await title.inputValue(), "after");
    // The server does not say 401 to this: no such record, it says.
    await another();
    await page.keyboard.press("Control+s");
    await ended.waitFor();
    await signIn();
    await ended.waitFor({ state: "detached" });
    await page.getByText("Saved.").first().waitFor();
    assert.equal((await ui.root.collection("notes").getOne(note.id)).title, "after");
    await ui.root.collections.delete(notes.id);
    await superusers.delete(id);
    assert.deepEqual(page.problems, []);
    await page.context().close();
});

test("what to look after is listed; a lost connection is shown, and heals by itself", async () => {
    const dir = temporaryDirectory(), http = `127.0.0.1:${await freePort()}`;
    let server = await startConchOn(dir, { http });
    const browsed = await browse(server.url, ui.browser, server);
    const page = await browsed.open("#/");
    await page.getByRole("heading", { level: 1 }).waitFor();
    // What an owner should look after leads to where it is done, in the language of the UI.
    const german = await browsed.open("#/", { width: 390, theme: "dark", language: "de" });
    await german.getByText("Es sind keine Sicherungen geplant.").waitFor();
    await accessible(german);
    await german.getByRole("link", { name: "Eine Zeit festlegen" }).click();
    await german.waitForURL(/#\/settings\/backups$/);
    await german.context().close();
    await server.stop("SIGKILL");
    await page.getByRole("navigation", { name: "Main" }).getByRole("link", { name: "Collections" }).click();
    await page.getByText("The server cannot be reached. Trying again…").waitFor();
    server = await startConchOn(dir, { http });
    await page.getByText("The server cannot be reached. Trying again…").waitFor({ state: "detached" });
    await page.context().close();
    browsed.stop();
    await server.stop();
    remove(dir);
});

test("the tiles of the first page leave no gap at any width, and no word of theirs is cut", async () => {
    for (const [width, language] of [[1280, "en"], [900, "de"], [390, "de"]]) {
        const page = await ui.open("#/", { width, language, theme: width === 390 ? "dark" : "light" });
        await page.locator(".tile").nth(8).waitFor();
        const { gaps, cut } = await page.locator(".tiles").evaluate((tiles) => {
            const boxes = [...tiles.children].map((one) => one.getBoundingClientRect()), { right } = tiles.getBoundingClientRect();
            const lines = Map.groupBy(boxes, ({ top }) => Math.round(top));
            return { gaps: [...lines.values()].filter((line) => Math.abs(Math.max(...line.map((box) => box.right)) - right) > 1).length, cut: [...tiles.querySelectorAll("*")].filter((one) => one.scrollWidth > one.clientWidth + 1 && one.clientWidth > 0).length };
        });
        assert.deepEqual({ gaps, cut }, { gaps: 0, cut: 0 }, `${width} px`);
        assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth));
        await accessible(page);
        assert.deepEqual(page.problems, []);
        await page.context().close();
    }
});

test("the palette goes everywhere by keyboard alone", async () => {
    const page = await ui.open("#/");
    await page.getByRole("heading", { level: 1 }).waitFor();
    await page.keyboard.press("Control+k");
    await page.getByRole("combobox", { name: "Find or do" }).fill("settings");
    await page.keyboard.press("Enter");
    await page.getByRole("heading", { name: "Settings" }).waitFor();
    await page.keyboard.press("Control+k");
    await page.getByRole("combobox", { name: "Find or do" }).fill("dark");
    await page.keyboard.press("Enter");
    await page.waitForFunction(() => document.documentElement.dataset.theme === "dark");
    await page.keyboard.press("Control+k");
    await page.getByRole("combobox", { name: "Find or do" }).fill("deutsch");
    await page.keyboard.press("Enter");
    await page.getByRole("heading", { name: "Einstellungen" }).waitFor();
    await accessible(page);
    assert.deepEqual(page.problems, []);
    await page.context().close();
});
