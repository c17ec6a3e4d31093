// Settings, backups and superusers in the browser.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { accessible, startAdmin } from "../harness/admin.mjs";

let ui;
before(async () => { ui = await startAdmin({ env: { CONCH_BATCH_ENABLED: "true" } }); });
after(() => ui?.stop());

const ended = async (page) => {
    assert.deepEqual(page.problems, []);
    await page.context().close();
};

test("every tab, on a desk and on a phone, light and dark", async () => {
    for (const [tab, title] of [["general", "Your app"], ["mail", "Mail server"], ["storage", "Where uploaded files are kept"], ["backups", "Schedule"], ["limits", "Rate limits"], ["notify", "Web Push"], ["superusers", "Superusers"], ["started", "How this server was started"]]) {
        const wide = await ui.open(`#/settings/${tab}`);
        await wide.getByRole("heading", { name: title }).waitFor();
        await accessible(wide);
        await ended(wide);
        const phone = await ui.open(`#/settings/${tab}`, { width: 390, theme: "dark", language: "de" });
        await phone.getByRole("heading", { level: 2 }).first().waitFor();
        await accessible(phone);
        assert.ok(await phone.evaluate(() => document.documentElement.scrollWidth) <= 390, `${tab} is too wide`);
        const { left, right } = await phone.locator(".tabs [aria-current]").evaluate((one) => one.getBoundingClientRect());
        assert.ok(left >= 0 && right <= 390, `the tab ${tab} is out of sight`);
        await ended(phone);
    }
});

test("the way around has room for longer words", async () => {
    const page = await ui.open("#/notifications", { language: "de" });
    const icon = await page.getByRole("link", { name: "Benachrichtigungen" }).locator("svg").boundingBox();
    assert.equal(icon.width, 17);
    assert.ok(await page.getByRole("button", { name: /^Finden oder tun/ }).locator(".cut").evaluate((one) => one.scrollWidth <= one.clientWidth), "words are cut");
    await ended(page);
});

test("what the server was started with is told, and where each option comes from", async () => {
    const page = await ui.open("#/settings/started");
    await page.getByRole("row", { name: /^http flag --http$/ }).waitFor();
    await page.getByText(/options at their defaults/).click();
    await page.getByText("query-timeout", { exact: true }).waitFor();
    await ended(page);
});

test("the colour is used where it can be read; what changes collections is hidden", async () => {
    const accent = (page) => page.evaluate(() => document.documentElement.style.getPropertyValue("--accent"));
    const page = await ui.open("#/settings/general");
    await page.getByRole("textbox", { name: "Colour" }).last().fill("#8b1e5c");
    await page.getByLabel("Hide what changes collections").click();
    await page.getByRole("button", { name: "Save" }).click();
    await page.waitForFunction(() => document.documentElement.style.getPropertyValue("--accent").includes("#8b1e5c"));
    await page.getByRole("link", { name: "Collections", exact: true }).click();
    await page.getByRole("link", { name: "Diagram" }).waitFor();
    assert.equal(await page.getByRole("button", { name: "New collection" }).count(), 0);
    assert.equal(await page.getByRole("button", { name: /^More/ }).count(), 0);
    await ended(page);
    for (const [place, options] of [["#/collections/users/schema", {}], ["#/collections/users/rules", { width: 390, theme: "dark" }], ["#/import", { theme: "dark" }], ["#/collections?new=1", { width: 390 }]]) {
        const other = await ui.open(place, options);
        await other.waitForFunction(() => document.documentElement.style.getPropertyValue("--accent").includes("#8b1e5c"));
        await other.getByRole("heading", { level: 1 }).waitFor();
        await other.getByRole("button", { name: /^(Add field|Save|New collection|Import)$/ }).first().waitFor({ state: "detached" });
        if (place.endsWith("schema")) await other.getByText(/changed elsewhere, not here/).waitFor();
        await accessible(other);
        await ended(other);
    }
    // Yellow on white is not to be read: it is darkened as far as that goes, or left out. What is no colour is nothing.
    for (const [colour, expected] of [["#ffe600", /^light-dark\(#0f4fb5, #ffe600\)$/], ["red", /^light-dark\(#0f4fb5, #86b4ff\)$/]]) {
        const saved = await ui.root.settings.update({ meta: { accentColor: colour, hideControls: false } }).then(() => true, () => false);
        if (!saved) continue;
        const other = await ui.open("#/settings/superusers");
        await other.waitForFunction(() => document.documentElement.style.getPropertyValue("--accent"));
        assert.match(await accent(other), expected);
        await ended(other);
    }
    await ui.root.settings.update({ meta: { accentColor: "#1055c9", hideControls: false } });
});

test("a setting is saved; what is wrong stands beside it; nothing unsaved is lost by leaving", async () => {
    const page = await ui.open("#/settings/general");
    const name = page.getByLabel("Name", { exact: true }), address = page.getByLabel("Address", { exact: true });
    await name.fill("Shell & Co. <b>");
    await address.fill("nonsense");
    await page.getByRole("button", { name: "Save" }).click();
    await page.locator("[aria-invalid=true]").waitFor();
    assert.equal(await address.getAttribute("aria-invalid"), "true");
    // Leaving asks; staying keeps what was typed.
    await page.getByRole("link", { name: "Jobs" }).click();
    await page.getByRole("dialog").getByRole("button", { name: "Cancel" }).click();
    assert.equal(await name.inputValue(), "Shell & Co. <b>");
    await address.fill("https://shells.example.com");
    await page.getByRole("button", { name: "Save" }).click();
    await page.getByText("Saved.", { exact: true }).first().waitFor();
    assert.equal(await page.getByText("The settings cannot be saved.").count(), 0);
    assert.equal((await ui.root.settings.getAll()).meta.appName, "Shell & Co. <b>");
    await page.getByRole("link", { name: "Jobs" }).click();
    await page.getByRole("heading", { name: "Jobs" }).waitFor();
    await ended(page);
});

test("what the server refuses is said in German too", async () => {
    const page = await ui.open("#/settings/general", { language: "de" });
    await page.getByLabel("Adresse", { exact: true }).fill("nonsense");
    await page.getByRole("button", { name: "Speichern" }).click();
    await page.getByText("Das ist keine Adresse im Web (URL).").waitFor();
    await page.getByText("Die Einstellungen lassen sich so nicht speichern.").waitFor();
    await ended(page);
});

test("rate limits: rules are added, told apart from faulty ones, saved", async () => {
    const page = await ui.open("#/settings/limits");
    await page.getByRole("switch", { name: "Limit how often clients may ask" }).check();
    await page.getByRole("button", { name: "Add a rule" }).click();
    const label = page.getByRole("textbox", { name: "Label" }).last();
    await label.fill("not a label!");
    await page.getByRole("button", { name: "Save" }).click();
    await page.waitForFunction(() => document.querySelectorAll("td [aria-invalid=true]").length === 1);
    await label.fill("posts:create");
    await page.getByRole("button", { name: "Save" }).click();
    await page.getByText("Saved.", { exact: true }).first().waitFor();
    assert.equal((await ui.root.settings.getAll()).rateLimits.rules.at(-1).label, "posts:create");
    await page.getByRole("switch", { name: "Limit how often clients may ask" }).uncheck();
    await page.getByRole("button", { name: "Save" }).click();
    await page.waitForFunction(() => document.querySelector("form button[type=submit]").disabled);
    await ended(page);
});

test("a test mail goes out with what is stored", async () => {
    const page = await ui.open("#/settings/mail");
    await page.getByLabel("To", { exact: true }).fill("somebody@example.com");
    await page.getByRole("button", { name: "Send a test mail" }).click();
    await page.getByText("The mail to somebody@example.com was handed over.").waitFor();
    const { items } = await ui.root.send("/api/mailbox", { query: { to: "somebody@example.com" } });
    assert.equal(items.length, 1);
    await ended(page);
});

test("a backup is made, given out, uploaded, restored and deleted", async () => {
    await ui.root.collections.create({ name: "kept", type: "base", fields: [{ name: "title", type: "text" }] });
    await ui.root.collection("kept").create({ title: "before" });
    const page = await ui.open("#/settings/backups");
    await page.getByText("No backups yet").waitFor();
    await page.getByRole("button", { name: "New backup" }).click();
    await page.getByRole("dialog").getByLabel("Name").fill("Not A Name");
    await page.getByRole("button", { name: "Create" }).click();
    await page.getByRole("dialog").locator("[aria-invalid=true]").waitFor();
    await page.getByRole("dialog").getByLabel("Name").fill("first.zip");
    await page.getByRole("button", { name: "Create" }).click();
    await page.getByRole("cell", { name: "first.zip", exact: true }).waitFor();
    const [download] = await Promise.all([page.waitForEvent("download"), page.getByRole("button", { name: "Download: first.zip" }).click()]);
    const file = await download.path();
    await page.getByRole("button", { name: "Delete: first.zip" }).click();
    await page.getByRole("dialog").getByRole("button", { name: "Delete" }).click();
    await page.getByText("No backups yet").waitFor();
    const { readFileSync } = await import("node:fs");
    await page.locator("input[type=file]").setInputFiles({ name: "again.zip", mimeType: "application/zip", buffer: readFileSync(file) });
    await page.getByRole("cell", { name: "again.zip", exact: true }).waitFor();
    await ui.root.collection("kept").create({ title: "after" });
    await page.getByRole("button", { name: "Restore: again.zip" }).click();
    const restore = page.getByRole("dialog").getByRole("button", { name: "Restore" });
    assert.equal(await restore.isDisabled(), true, "its name has to be typed");
    await page.getByRole("dialog").getByRole("textbox").fill("again.zip");
    await restore.click();
    for (const end = Date.now() + 20_000; Date.now() < end;) {
        const list = await ui.root.collection("kept").getFullList().catch(() => undefined);
        if (list?.length === 1) break;
        await new Promise((resolve) => setTimeout(resolve, 100));
    }
    assert.deepEqual((await ui.root.collection("kept").getFullList()).map(({ title }) => title), ["before"]);
    await page.context().close();
});

test("a session that ends before an upload leads to the sign-in, and the upload goes on from there", async () => {
    const account = { email: "third@example.com", password: "third-password", passwordConfirm: "third-password" };
    const third = await ui.root.collection("_superusers").create(account);
    const page = await ui.open("#/settings/backups", { signedIn: false });
    const signIn = async (password) => {
        await page.getByLabel("E-mail").fill(account.email);
        await page.getByLabel("Password").fill(password);
        await page.getByRole("button", { name: "Sign in" }).click();
    };
    await signIn(account.password);
    await page.getByRole("button", { name: "New backup" }).waitFor();
    await ui.root.backups.create("kept.zip");
    const buffer = Buffer.from(await (await fetch(ui.root.backups.getDownloadURL(await ui.root.files.getToken(), "kept.zip"))).arrayBuffer());
    // What the page asks by itself every few seconds would find it out, too: it is not to come first.
    await page.route("**/api/backups/progress", (route) => route.fulfill({ json: { running: null } }));
    await ui.root.collection("_superusers").update(third.id, { password: "another-password", passwordConfirm: "another-password" });
    await page.locator("input[type=file]").setInputFiles({ name: "later.zip", mimeType: "application/zip", buffer });
    await page.getByText("Your session has ended.").waitFor();
    await signIn("another-password");
    await page.locator(".toast").getByText("later.zip").waitFor();
    await page.getByRole("cell", { name: "later.zip", exact: true }).waitFor();
    // What is no archive is still refused in words.
    await page.locator("input[type=file]").setInputFiles({ name: "no.zip", mimeType: "application/zip", buffer: Buffer.from("no archive") });
    await page.locator(".toast.failed").waitFor();
    assert.doesNotMatch(await page.locator(".toast.failed").textContent(), /cannot be reached/);
    await ui.root.collection("_superusers").delete(third.id);
    for (const key of ["kept.zip", "later.zip"]) await ui.root.backups.delete(key);
    await ended(page);
});

test("the schedule of backups: usual choices, read back in words with their next times, by the clock of UTC", async () => {
    const page = await ui.open("#/settings/backups", { width: 390, theme: "dark" });
    const expression = page.getByLabel("Expression"), usual = page.getByLabel("How often"), next = page.getByRole("group", { name: "Next" });
    const times = () => next.locator("li > time").evaluateAll((all) => all.map((one) => one.getAttribute("datetime")));
    const described = () => expression.evaluate((input) => document.getElementById(input.getAttribute("aria-describedby")).textContent);
    await page.getByText("backups are made by hand only").waitFor();
    await usual.selectOption({ label: "every day at 03:00 UTC" });
    assert.equal(await expression.inputValue(), "0 3 * * *");
    assert.equal(await described(), "every day at 03:00, UTC");
    const [first, second, third] = (await times()).map(Date.parse);
    assert.ok(first > Date.now() && first - Date.now() <= 86_400_000);
    assert.deepEqual([new Date(first).getUTCHours(), second - first, third - second], [3, 86_400_000, 86_400_000]);
    await accessible(page);
    if (process.env.SHOT) await page.screenshot({ path: `${process.env.SHOT}/schedule.png`, fullPage: true });
    // What the page reckons, for expressions of every kind.
    for (const [text, said, check] of [
        ["@weekly", "Sunday at 00:00, UTC", (at) => at.getUTCDay() === 0 && at.getUTCHours() === 0 && at.getUTCMinutes() === 0],
        ["30 1-5/2 * * 1,6", "By the clock of UTC.", (at) => [1, 3, 5].includes(at.getUTCHours()) && at.getUTCMinutes() === 30 && [1, 6].includes(at.getUTCDay())],
        ["0 0 29 2 1", "By the clock of UTC.", (at) => at.getUTCMonth() === 1 && at.getUTCDate() === 29 && at.getUTCDay() === 1],
    ]) {
        await expression.fill(text);
        assert.equal(await described(), said);
        const told = await times();
        assert.ok(told.length > 0 && told.every((one) => check(new Date(one))), `${text}: ${told}`);
        assert.equal(await usual.evaluate((one) => one.selectedOptions[0].textContent), "another expression");
    }
    await expression.fill("0 0 31 2 *");
    await next.getByText("This day never comes.").waitFor();
    for (const text of ["nonsense", "5/10 * * * *", "60 * * * *", "0 0 * * 7", "0 9 * * MON"]) {
        await expression.fill(text);
        await page.getByText("such as 0 3 * * * for three at night").waitFor();
        assert.equal(await next.count(), 0, text);
        await page.getByRole("button", { name: "Save" }).click();
        await page.locator("[aria-invalid=true]").waitFor();
        await page.getByRole("button", { name: "Discard" }).press("Enter");
    }
    await usual.selectOption({ label: "Sunday at 03:00 UTC" });
    const planned = (await times())[0];
    await page.getByRole("button", { name: "Save" }).click();
    await page.getByText("Saved.", { exact: true }).first().waitFor();
    assert.equal((await ui.root.settings.getAll()).backups.cron, "0 3 * * 0");
    const { backup } = await ui.root.send("/api/overview");
    assert.equal(Date.parse(backup.next), Date.parse(planned), "the server means the same time");
    await usual.selectOption({ label: "only by hand" });
    await page.getByRole("button", { name: "Save" }).click();
    await page.waitForFunction(() => document.querySelector("form button[type=submit]").disabled);
    assert.equal((await ui.root.settings.getAll()).backups.cron, "");
    await ended(page);
    const german = await ui.open("#/settings/backups", { language: "de" });
    await german.getByLabel("Wie oft").selectOption({ index: 2 });
    await german.getByRole("group", { name: "Nächste Male" }).waitFor();
    await accessible(german);
    if (process.env.SHOT) await german.screenshot({ path: `${process.env.SHOT}/schedule-de.png`, fullPage: true });
    await ended(german);
});

test("superusers come and go; one's own new password keeps one signed in", async () => {
    const page = await ui.open("#/settings/superusers");
    await page.getByRole("button", { name: "New superuser" }).click();
    await page.getByLabel("E-mail").fill("second@example.com");
    await page.getByLabel("Password", { exact: true }).fill("second-password");
    await page.getByLabel("Password again").fill("different");
    await page.getByRole("button", { name: "Save" }).click();
    await page.locator("[aria-invalid=true]").first().waitFor();
    await page.getByLabel("Password again").fill("second-password");
    await page.getByRole("button", { name: "Save" }).click();
    await page.getByRole("cell", { name: "second@example.com", exact: true }).waitFor();
    await page.setViewportSize({ width: 390, height: 800 });
    const box = await page.getByRole("button", { name: "Delete: second@example.com" }).boundingBox();
    assert.ok(box.x + box.width <= 378, "the buttons of a superuser are cut");
    await page.getByRole("button", { name: "Delete: second@example.com" }).click();
    await page.getByRole("dialog").getByRole("button", { name: "Delete" }).click();
    await page.getByRole("cell", { name: "second@example.com", exact: true }).waitFor({ state: "detached" });
    await ended(page);
});
