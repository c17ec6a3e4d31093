// The admin UI: notifications written, sent and followed, with what goes into them.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { accessible, startAdmin } from "../harness/admin.mjs";

let ui, root;
const people = {};
const shown = { timeout: 15_000 };
const password = "a-long-password-1";
const post = (path, body) => root.send(`/api/notify/${path}`, { method: "POST", body });

before(async () => {
    ui = await startAdmin();
    root = ui.root;
    for (const name of ["ann", "ben", "cem"]) people[name] = await root.collection("users").create({ email: `${name}@example.com`, password, passwordConfirm: password, name });
    await root.collections.create({ name: "orders", type: "base", fields: [{ name: "number", type: "number" }, { name: "paid", type: "bool" }, { name: "owner", type: "relation", collectionId: "_pb_users_auth_", maxSelect: 1 }] });
    await root.collection("_topics").create({ key: "news", name: "News", open: true });
    await root.send(`/api/notify/preferences?user=users/${people.cem.id}`, { method: "PATCH", body: { channels: { promo: { "*": false } } } });
    await root.collection("_templates").create({ key: "evil", title: "<img src=x onerror=alert(1)>\u202E", body: "x".repeat(20_000), html: "<script>alert(1)</script><p style='color: rgb(1, 2, 3)'>Seen</p><img src='https://evil.example/x.png'>" });
});
after(() => ui.stop());

const calm = async (page) => {
    assert.deepEqual(page.problems, []);
    await page.context().close();
};
const narrow = (page) => page.evaluate(() => document.documentElement.scrollWidth <= innerWidth && document.querySelector("main").scrollWidth <= document.querySelector("main").clientWidth);
const dialog = (page, name) => page.getByRole("dialog", { name });

/** What has come is scrolled to. */
async function inSight(page, what) {
    await what.waitFor(shown);
    await page.waitForFunction((one) => { const { top, bottom } = one.getBoundingClientRect(); return top >= 0 && bottom <= innerHeight; }, await what.elementHandle());
}

test("with nothing sent, the overview says what this is for", async () => {
    const page = await ui.open("#/notifications");
    await page.getByRole("heading", { name: "Nothing was sent yet" }).waitFor(shown);
    await accessible(page);
    await page.getByRole("main").getByRole("link", { name: "Compose" }).last().click();
    await page.getByRole("group", { name: "Who", exact: true }).waitFor(shown);
    await calm(page);
});

test("compose: people, a live preview, a dry run that says why not, and sending after a question", async () => {
    const page = await ui.open("#/notifications/compose");
    const find = page.getByRole("combobox", { name: "Add somebody" });
    for (const name of ["ann", "cem"]) {
        await find.fill(name);
        await page.getByRole("option", { name: `${name}@example.com` }).waitFor(shown);
        await page.keyboard.press("Enter");
        await page.getByRole("button", { name: `Take out ${name}@example.com` }).waitFor(shown);
    }
    await page.getByLabel("Title", { exact: true }).fill("Hello {{ user.name");
    await page.getByText(/Title, line 1/).waitFor(shown);
    await page.getByLabel("Title", { exact: true }).fill("Hello {{ user.name }}");
    await page.getByText("Hello ann").waitFor(shown);
    await page.getByLabel("Category").fill("promo");
    await page.getByRole("button", { name: "Add a channel" }).click();
    await page.getByLabel("Channel of step 1").selectOption("email");
    await page.getByRole("button", { name: "Who gets it?" }).click();
    const plan = page.getByRole("region", { name: "Who would get it" }).first();
    await plan.getByText("They opted out").waitFor(shown);
    await inSight(page, plan.getByRole("heading", { name: "Who would get it" }));
    await plan.getByText("is sent", { exact: true }).waitFor(shown);
    await accessible(page);
    await page.getByRole("button", { name: "Send", exact: true }).click();
    await dialog(page, /Send to 2 recipients\?/).getByRole("button", { name: "Send" }).click();
    await page.getByRole("region", { name: "Notification" }).getByRole("heading", { name: "Hello {{ user.name }}" }).waitFor(shown);
    await page.getByRole("row", { name: /ann@example\.com.*sent/ }).waitFor(shown);
    await page.getByRole("row", { name: /cem@example\.com.*They opted out/ }).waitFor(shown);
    const { items } = await root.send("/api/mailbox", { query: { to: "ann@example.com" } });
    assert.equal(items[0].subject, "Hello ann");
    await calm(page);
});

test("compose: what is wrong is told beside its field; a test goes to oneself", async () => {
    const page = await ui.open("#/notifications/compose");
    await page.getByRole("button", { name: "Who gets it?" }).click();
    await inSight(page, page.getByRole("group", { name: "Who", exact: true }).getByRole("alert"));
    await page.getByRole("radio", { name: "Later" }).check();
    await page.getByLabel("After", { exact: true }).fill("soon");
    await page.getByRole("button", { name: "Addresses" }).click();
    // Whoever forgets to press "Add" means them all the same.
    await page.getByLabel("E-mail addresses").fill("zoe@example.com, Yan@example.com");
    await page.getByLabel("Title", { exact: true }).fill("Test me");
    await page.getByRole("button", { name: "Who gets it?" }).click();
    await inSight(page, page.getByRole("group", { name: "When", exact: true }).getByRole("alert"));
    await page.waitForFunction(() => document.activeElement?.ariaInvalid === "true");
    await page.getByRole("button", { name: "Take out yan@example.com" }).waitFor(shown);
    await page.getByRole("button", { name: "Send a test to me" }).click();
    await page.getByText("A test is on its way to root@example.com.").waitFor(shown);
    const { items } = await root.send("/api/mailbox", { query: { to: "root@example.com", wait: 10 } });
    assert.equal(items[0].subject, "Test me");
    // What is written is not lost by a click.
    await page.getByRole("link", { name: "Templates" }).click();
    await dialog(page, "Leave without saving?").getByRole("button", { name: "Cancel" }).click();
    assert.equal(await page.getByLabel("Title", { exact: true }).inputValue(), "Test me");
    await calm(page);
});

test("compose: a filter says how many it finds; what recurs becomes a schedule", async () => {
    const page = await ui.open("#/notifications/compose");
    await page.getByRole("button", { name: "By filter" }).click();
    await page.getByText("3 accounts fit").waitFor(shown);
    await page.getByRole("button", { name: "Add these" }).click();
    await page.getByLabel("Title", { exact: true }).fill("Every Monday");
    await page.getByRole("radio", { name: "Again and again" }).check();
    await page.getByText("Monday at 09:00").waitFor(shown);
    await page.getByLabel("Time zone").fill("Europe/Berlin");
    await page.getByRole("button", { name: "Schedule", exact: true }).click();
    await dialog(page, "Schedule this?").getByText("3 recipients would get it.", { exact: false }).waitFor(shown);
    await dialog(page, "Schedule this?").getByRole("button", { name: "Schedule" }).click();
    await page.getByRole("row", { name: /Monday at 09:00.*Europe\/Berlin/ }).waitFor(shown);
    await calm(page);
});

test("a schedule that follows changes is made, complained about, mended, run and switched off", async () => {
    const page = await ui.open("#/notifications/schedules");
    await page.getByRole("button", { name: "New schedule" }).click();
    const form = dialog(page, "New schedule");
    await form.getByLabel(/^Name/).fill("Unpaid orders");
    await form.getByLabel("What sets it off").selectOption("change");
    await form.getByLabel("Collection", { exact: true }).selectOption("orders");
    await form.getByLabel("How much later").fill("24h");
    await form.getByRole("button", { name: "From the record" }).click();
    await form.getByRole("button", { name: "owner", exact: true }).click();
    await form.getByLabel("Title", { exact: true }).fill("Still interested?");
    await accessible(page);
    await form.getByRole("button", { name: "Save" }).click();
    await page.getByRole("row", { name: /Unpaid orders.*when something is created in orders/ }).waitFor(shown);
    const stored = await root.collection("_schedules").getFirstListItem("name = 'Unpaid orders'");
    assert.deepEqual([stored.collection, stored.delay, stored.notification], ["orders", "24h", { to: [{ field: "owner" }], title: "Still interested?" }]);
    await root.collection("_schedules").update(stored.id, { condition: "paid = " });
    await page.getByText(/^condition:/).waitFor(shown);
    await page.getByRole("button", { name: "What to do with Unpaid orders" }).click();
    await page.getByRole("menuitem", { name: "Switch off" }).click();
    await page.getByRole("row", { name: /Unpaid orders off/ }).waitFor(shown);
    await accessible(page);
    await page.getByRole("button", { name: /^What to do with Every|^What to do with/ }).first().click();
    await page.getByRole("menuitem", { name: "Run now" }).click();
    await page.getByText("It is on its way.").waitFor(shown);
    await calm(page);
});

test("a template is written in two languages, seen as an account would, and hostile ones do no harm", async () => {
    const page = await ui.open("#/notifications/templates");
    await page.getByRole("button", { name: "New template" }).click();
    await dialog(page, "New template").getByLabel(/^Key/).fill("shipped");
    await page.keyboard.press("Enter");
    await page.getByLabel("Title", { exact: true }).fill("Order {{ data.number }} has shipped");
    await page.getByLabel("Text", { exact: true }).fill("Hello {{ user.name }}");
    const find = page.getByRole("combobox", { name: "As seen by" });
    await find.fill("ben");
    await page.getByRole("option", { name: /ben@example\.com/ }).waitFor(shown);
    await page.keyboard.press("Enter");
    await page.getByText("Hello ben", { exact: true }).waitFor(shown);
    await page.getByLabel("Add a language").first().fill("de");
    await page.keyboard.press("Enter");
    await page.getByLabel("Title", { exact: true }).fill("Bestellung {{ data.number }} ist unterwegs");
    await accessible(page);
    await page.getByRole("button", { name: "Save" }).click();
    await page.getByText("Saved.").waitFor(shown);
    const rows = await root.collection("_templates").getFullList({ filter: "key = 'shipped'", sort: "locale" });
    assert.deepEqual(rows.map(({ locale, title }) => [locale, title.slice(0, 5)]), [["", "Order"], ["de", "Beste"]]);
    await page.getByRole("link", { name: "Templates" }).last().click();
    await page.getByRole("row", { name: /shipped.*any language.*de/ }).waitFor(shown);
    await page.getByRole("link", { name: "evil" }).click();
    assert.equal(await page.frameLocator("iframe").getByText("Seen").evaluate((element) => getComputedStyle(element).color), "rgb(1, 2, 3)");
    assert.equal(await narrow(page), true);
    await calm(page);
});

test("deliveries: by state, tried again, called back, in detail", async () => {
    await root.collection("_suppressions").create({ address: "gone@example.com", reason: "bounce" });
    await post("send", { to: ["gone@example.com"], title: "Hi" });
    await root.send("/api/test/run-due", { method: "POST" });
    const page = await ui.open("#/notifications/deliveries?state=suppressed");
    const row = page.getByRole("row", { name: /gone@example\.com/ });
    await row.getByText("The address gets no mail").waitFor(shown);
    await accessible(page);
    await row.getByRole("button", { name: /^Details of delivery/ }).click();
    await dialog(page, "Delivery").getByText("What happened").waitFor(shown);
    await accessible(page);
    await page.keyboard.press("Escape");
    const { items: [lock] } = await root.collection("_suppressions").getList(1, 1, { filter: "address = 'gone@example.com'" });
    await root.collection("_suppressions").delete(lock.id);
    await row.getByRole("checkbox").check();
    await page.getByRole("button", { name: "Try 1 again" }).click();
    await page.getByText("1 delivery goes out again.").waitFor(shown);
    await page.getByLabel("State").selectOption("sent");
    await page.getByRole("row", { name: /gone@example\.com.*sent/ }).waitFor(shown);
    const later = await post("send", { to: Object.values(people).map(({ id }) => `users/${id}`), title: "Later", when: { after: "2h" } });
    await page.goto(`${ui.url}#/notifications/deliveries?notification=${later.id}`);
    await page.getByRole("button", { name: "Call back" }).click();
    await dialog(page, /Call this notification back/).getByRole("button", { name: "Call back" }).click();
    await page.getByText("3 deliveries were called back.").waitFor(shown);
    await page.getByRole("row", { name: /ann@example\.com.*called back/ }).waitFor(shown);
    await calm(page);
});

test("thousands of deliveries are paged by the server, by state and by recipient", async () => {
    const to = Array.from({ length: 4_000 }, (_, index) => `many${index}@example.com`);
    await post("send", { to, title: "Many", when: { after: "300h" } });
    await root.send("/api/test/run-due", { method: "POST" });
    const page = await ui.open("#/notifications/deliveries?state=scheduled");
    await page.getByText(/1–50 of 4,0\d\d/).waitFor(shown);
    assert.ok(await page.getByRole("row").count() <= 52);
    await page.getByRole("button", { name: "Next" }).click();
    await page.getByText(/51–100 of 4,0\d\d/).waitFor(shown);
    assert.match(page.url(), /page=2/);
    await page.getByRole("combobox", { name: "Recipient" }).fill("many7@example.com");
    await page.getByRole("option", { name: /only this address/ }).waitFor(shown);
    await page.keyboard.press("Enter");
    await page.getByText("1–1 of 1").waitFor(shown);
    // The keyboard stays where it is, and whoever was chosen is taken out by it, too.
    const recipient = page.getByRole("combobox", { name: "Recipient" });
    const active = () => recipient.evaluate((input) => input === document.activeElement);
    assert.equal(await recipient.inputValue(), "many7@example.com");
    assert.equal(await recipient.getAttribute("aria-expanded"), "false");
    assert.ok(await active());
    await page.keyboard.press("Tab");
    await page.keyboard.press("Enter");
    await page.getByText(/1–50 of 4,0\d\d/).waitFor(shown);
    assert.equal(await recipient.inputValue(), "");
    assert.ok(await active());
    // Down opens the list; Escape closes it and leaves what is written.
    await page.keyboard.press("ArrowDown");
    const offered = page.getByRole("listbox", { name: "Recipient" }).getByRole("option"), first = offered.first();
    await first.waitFor(shown);
    assert.equal(await recipient.getAttribute("aria-activedescendant"), await first.getAttribute("id"));
    await page.keyboard.press("ArrowDown");
    assert.equal(await recipient.getAttribute("aria-activedescendant"), await offered.nth(1).getAttribute("id"));
    await page.keyboard.type("ann");
    await page.keyboard.press("Escape");
    await first.waitFor({ state: "hidden" });
    assert.equal(await recipient.inputValue(), "ann");
    await calm(page);
});

test("a topic is made, followed, and written to", async () => {
    const page = await ui.open("#/notifications/topics");
    await page.getByRole("button", { name: "New topic" }).click();
    await dialog(page, "New topic").getByLabel(/^Key/).fill("beta");
    await page.keyboard.press("Enter");
    await page.getByRole("row", { name: /beta/ }).getByRole("button", { name: "Show the followers of beta: 0" }).click();
    await dialog(page, "Followers of beta").getByRole("combobox").fill("ben");
    await page.getByRole("option", { name: /ben@example\.com/ }).waitFor(shown);
    await page.keyboard.press("Enter");
    await dialog(page, "Followers of beta").getByRole("link", { name: "ben@example.com" }).waitFor(shown);
    await accessible(page);
    await dialog(page, "Followers of beta").getByRole("button", { name: "Close" }).click();
    await page.getByRole("row", { name: /beta.*1/ }).getByRole("button", { name: "What to do with beta" }).click();
    await page.getByRole("menuitem", { name: "Write to its followers" }).click();
    await page.getByText("Topic beta").waitFor(shown);
    await calm(page);
});

test("a device is tried, and its test says how far it came; then it is removed", async () => {
    await root.collection("_devices").create({ kind: "webhook", token: "https://hook.example/in", label: "<b>Ann's</b>", collectionRef: people.ann.collectionId, recordRef: people.ann.id });
    const page = await ui.open("#/notifications/devices");
    const row = page.getByRole("row", { name: /<b>Ann's<\/b>/ });
    await row.getByRole("button", { name: "Send a test" }).click();
    await dialog(page, "What came of the test").getByText("It did not arrive.").waitFor(shown);
    await accessible(page);
    await page.keyboard.press("Escape");
    await row.getByRole("button", { name: /What to do with/ }).click();
    await page.getByRole("menuitem", { name: "Remove" }).click();
    await dialog(page, "Remove this device?").getByRole("button", { name: "Remove" }).click();
    await page.getByRole("heading", { name: "No device is registered" }).waitFor(shown);
    await calm(page);
});

test("somebody's preferences are looked up and changed; an address is put on the list and taken off", async () => {
    const page = await ui.open("#/notifications/people");
    let asked = 0;
    page.on("request", (request) => { if (request.method() === "GET" && request.url().includes("/_suppressions/records")) asked += 1; });
    await page.getByRole("combobox", { name: "Account" }).fill("cem");
    await page.getByRole("option", { name: /cem@example\.com/ }).waitFor(shown);
    await page.keyboard.press("Enter");
    await page.getByLabel("Time zone").fill("Nowhere/Land");
    await page.getByRole("button", { name: "Save" }).click();
    await page.getByRole("alert").first().waitFor(shown);
    await page.getByLabel("Time zone").fill("Asia/Tokyo");
    await page.getByRole("button", { name: "Save" }).click();
    await page.getByText("Saved.").waitFor(shown);
    await page.getByLabel("promo, all channels").selectOption("");
    await page.waitForFunction(() => !document.querySelector("select[aria-label='promo, all channels']")?.disabled);
    const wants = await root.send("/api/notify/preferences", { method: "GET", query: { user: `users/${people.cem.id}` } });
    assert.deepEqual([wants.zone, wants.channels], ["Asia/Tokyo", {}]);
    await page.getByRole("button", { name: "Add an address" }).click();
    await dialog(page, "Add an address").getByLabel(/^Address/).fill("stop@example.com");
    await page.keyboard.press("Enter");
    const row = page.getByRole("row", { name: /stop@example\.com.*added by hand/ });
    await row.waitFor(shown);
    await accessible(page);
    await row.getByRole("button", { name: "Remove" }).click();
    await dialog(page, "Send to this address again?").getByRole("button", { name: "Remove" }).click();
    await row.waitFor({ state: "hidden" });
    assert.ok(asked <= 6, `the list was asked for ${asked} times`);
    await calm(page);
});

for (const [width, theme, language] of [[1280, "light", "en"], [390, "dark", "de"]]) {
    test(`every part fits and is accessible at ${width} px, ${theme}`, async () => {
        const page = await ui.open("#/notifications", { width, theme, language });
        for (const [part, sign] of [["", ".figures"], ["/compose", "form fieldset"], ["/deliveries", "table"], ["/schedules", "table"], ["/templates", "table"], ["/topics", "table"], ["/devices", "h2"], ["/people", "h2"]]) {
            await page.goto(`${ui.url}#/notifications${part}`);
            await page.locator(`main ${sign}`).first().waitFor(shown);
            assert.equal(await narrow(page), true, `#/notifications${part} is too wide`);
            await accessible(page);
        }
        await calm(page);
    });
}
