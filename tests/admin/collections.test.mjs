// The collections part of the admin UI: the list, the schema editor and what it says before it saves, views, the options
// of accounts, the diagram, import and export.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, before, test } from "node:test";
import { accessible, startAdmin } from "../harness/admin.mjs";

let ui, root;
before(async () => { ui = await startAdmin(); root = ui.root; });
after(async () => { await ui?.stop(); });

const PHONE = { width: 390, height: 800, theme: "dark" };

/** Opens a place, does something there, and looks after what the browser said. */
async function on(place, options, act) {
    const page = await ui.open(place, options);
    page.on("response", async (response) => { if (response.status() >= 500) page.problems.push(`${response.request().method()} ${response.url()}: ${await response.text()}`); });
    try {
        await act(page);
        assert.deepEqual(page.problems, []);
    } catch (failure) {
        if (process.env.SHOT) await page.screenshot({ path: `${process.env.SHOT}/fail-${Date.now()}.png` });
        throw failure;
    } finally {
        await page.context().close();
    }
}
/** The page itself does not scroll sideways. */
async function fits(page) {
    const wide = await page.evaluate(() => [document.documentElement, document.querySelector("main")].map(({ scrollWidth, clientWidth }) => scrollWidth - clientWidth));
    assert.ok(Math.max(...wide) <= 1, `${wide} too wide`);
}
const dialog = (page) => page.getByRole("dialog");
const fieldRow = (page, name) => page.locator("[data-row]").filter({ has: page.locator(".head strong", { hasText: new RegExp(`^${name}$`) }) });
async function unfold(page, name) {
    const one = fieldRow(page, name);
    if (await one.locator(".head").getAttribute("aria-expanded") === "false") await one.locator(".head").click();
    return one;
}
/** What stands in an editor. Not by fill(): Chromium copies colours of what it replaces as inline styles, which the policy refuses. */
async function write(editor, text) {
    // The plain text area that stands there until the editor is loaded takes nothing from the test.
    await editor.and(editor.page().locator(".cm-content")).waitFor();
    await editor.focus();
    await editor.press("Control+a");
    await editor.press("Backspace");
    await editor.page().keyboard.insertText(text);
}
const save = (page) => page.getByRole("button", { name: "Save", exact: true }).click();
const saved = (page) => page.getByText("Saved.", { exact: true }).first().waitFor();
const names = async (collection) => (await root.collections.getOne(collection)).fields.map(({ name }) => name);

test("an empty server says what collections are for, and the first one is made by keyboard alone", async () => {
    await root.collections.delete("users");
    await on("#/collections", {}, async (page) => {
        await page.getByRole("heading", { name: "No collections yet" }).waitFor();
        await accessible(page);
        await page.getByRole("button", { name: "Create the first collection" }).focus();
        await page.keyboard.press("Enter");
        await dialog(page).getByLabel("Name").waitFor();
        await dialog(page).getByLabel("Name").focus();
        await page.keyboard.type("Größe notes!");
        await dialog(page).getByText("Will be called Groe_notes.").waitFor();
        await page.keyboard.press("Control+a");
        await page.keyboard.type("notes");
        await accessible(page);
        await page.keyboard.press("Enter");
        await page.getByRole("heading", { level: 1, name: "notes" }).waitFor();
        await page.getByRole("button", { name: "Add field" }).focus();
        await page.keyboard.press("Enter");
        await dialog(page).getByRole("button", { name: /^Text/ }).focus();
        await page.keyboard.press("Enter");
        // The cursor stands in the name of the new field.
        await page.waitForFunction(() => document.activeElement?.tagName === "INPUT" && document.activeElement.value === "text");
        await page.keyboard.type("title");
        await page.keyboard.press("Control+s");
        await saved(page);
    });
    assert.deepEqual(await names("notes"), ["id", "title", "created", "updated"]);
});

test("a collection whose name is taken or odd is refused beside its name", async () => {
    await on("#/collections?new=1", PHONE, async (page) => {
        await dialog(page).getByLabel("Name").fill("notes");
        await dialog(page).getByRole("button", { name: "Create" }).click();
        await dialog(page).getByRole("alert").waitFor();
        assert.equal(await dialog(page).getByLabel("Name").getAttribute("aria-invalid"), "true");
        await fits(page);
        await dialog(page).getByRole("button", { name: "Cancel" }).click();
        await dialog(page).waitFor({ state: "detached" });
        assert.ok(!page.url().includes("new="));
    });
});

test("fields of every type are added with their options", async () => {
    await root.collections.create({ name: "everything", fields: [] });
    const notes = await root.collections.getOne("notes");
    await on("#/collections/everything/schema", {}, async (page) => {
        const add = async (type, name, set) => {
            await page.getByRole("button", { name: "Add field" }).click();
            await dialog(page).getByRole("button", { name: new RegExp(`^${type}`) }).first().click();
            const input = page.locator("[data-row] .body input:focus");
            await input.waitFor();
            await input.fill(name);
            await set?.(fieldRow(page, name));
            await fieldRow(page, name).locator(".head").click();
        };
        await add("Text", "t", async (one) => {
            await one.getByLabel("Least characters").fill("2");
            await one.getByLabel("Most characters").fill("90");
            await one.getByLabel("Pattern").fill("^[a-z]+$");
            await one.getByRole("switch", { name: "Required" }).check();
            await one.getByLabel("Help text").fill("Small letters 😀");
        });
        await add("Number", "n", async (one) => { await one.getByLabel("Least").fill("-5"); await one.getByRole("switch", { name: "Whole numbers only" }).check(); });
        await add("Yes or no", "b");
        await add("Choice", "s", async (one) => { await one.getByLabel("Values").fill("red\n<b>green</b>\nred\n\n עברית "); await one.getByLabel("How many at most").fill("2"); });
        await add("Relation", "r", async (one) => { await one.getByLabel("Points at").selectOption("notes"); await one.getByRole("switch", { name: "Delete together" }).check(); });
        await add("File", "f", async (one) => { await one.getByLabel("Allowed types").fill("image/png"); await one.getByLabel("Thumbnails").fill("100x100"); await one.getByRole("switch", { name: "Protected" }).check(); });
        await add("Date", "d", async (one) => { await one.getByLabel("Least").fill("2026-01-02T03:04:05"); });
        await add("Automatic date", "a", async (one) => { await one.getByRole("switch", { name: "Set on each change" }).check(); });
        await add("E-mail", "e", async (one) => { await one.getByLabel("Only these domains").fill("example.com"); });
        await add("Link", "u", async (one) => { await one.getByLabel("Not these domains").fill("example.org"); });
        await add("Rich text", "w", async (one) => { await one.getByRole("switch", { name: "Shorten links to this server" }).check(); });
        await add("JSON", "j", async (one) => { await one.getByLabel("Largest size in bytes").fill("4000"); await one.getByRole("switch", { name: "Hidden" }).check(); });
        await add("Place", "g");
        await add("Password", "p", async (one) => { await one.getByLabel("Cost").fill("5"); });
        await save(page);
        await saved(page);
        await accessible(page);
    });
    const { fields } = await root.collections.getOne("everything");
    const field = (name) => fields.find((one) => one.name === name);
    const has = (name, wanted) => { for (const [key, value] of Object.entries(wanted)) assert.deepEqual(field(name)[key], value, `${name}.${key}`); };
    has("t", { type: "text", min: 2, max: 90, pattern: "^[a-z]+$", required: true, help: "Small letters 😀" });
    has("n", { type: "number", min: -5, max: null, onlyInt: true });
    has("b", { type: "bool" });
    has("s", { type: "select", values: ["red", "<b>green</b>", "עברית"], maxSelect: 2 });
    has("r", { type: "relation", collectionId: notes.id, cascadeDelete: true, maxSelect: 1 });
    has("f", { type: "file", mimeTypes: ["image/png"], thumbs: ["100x100"], protected: true });
    has("d", { type: "date", min: "2026-01-02 03:04:05.000Z", max: "" });
    has("a", { type: "autodate", onCreate: true, onUpdate: true });
    has("e", { type: "email", onlyDomains: ["example.com"] });
    has("u", { type: "url", exceptDomains: ["example.org"] });
    has("w", { type: "editor", convertURLs: true });
    has("j", { type: "json", maxSize: 4000, hidden: true });
    has("g", { type: "geoPoint" });
    has("p", { type: "password", cost: 5 });
});

test("fields are moved by buttons and by dragging, duplicated, removed and brought back", async () => {
    await root.collections.create({ name: "ordered", fields: ["one", "two", "three"].map((name) => ({ name, type: "text" })) });
    const shown = (page) => page.locator("[data-row] .head strong").allTextContents();
    await on("#/collections/ordered/schema", {}, async (page) => {
        await page.getByRole("button", { name: "Move three up" }).click();
        assert.deepEqual(await shown(page), ["id", "one", "three", "two"]);
        // Focus stays on the button, so that it can be pressed again; the place is read out.
        await page.keyboard.press("Enter");
        assert.deepEqual(await shown(page), ["id", "three", "one", "two"]);
        await page.getByRole("status").filter({ hasText: "three is now field 2 of 4." }).waitFor();
        const from = await fieldRow(page, "two").locator(".grip").boundingBox(), to = await fieldRow(page, "three").boundingBox();
        await page.mouse.move(from.x + 5, from.y + 10);
        await page.mouse.down();
        await page.mouse.move(from.x + 5, to.y + 30, { steps: 8 });
        await page.mouse.move(from.x + 5, to.y + 5, { steps: 4 });
        await page.mouse.up();
        assert.deepEqual(await shown(page), ["id", "two", "three", "one"]);
        await (await unfold(page, "one")).getByRole("button", { name: "Duplicate field" }).click();
        await fieldRow(page, "one_copy").getByText("New").waitFor();
        await page.getByRole("button", { name: "Remove two" }).click();
        await fieldRow(page, "two").getByText("Will be deleted").waitFor();
        await fieldRow(page, "two").getByRole("button", { name: "Restore" }).click();
        await page.getByRole("button", { name: "Remove one_copy" }).click();
        assert.deepEqual(await shown(page), ["id", "two", "three", "one"]);
        await save(page);
        await saved(page);
    });
    assert.deepEqual(await names("ordered"), ["id", "two", "three", "one"]);
    await on("#/collections/ordered/schema", PHONE, async (page) => {
        await unfold(page, "two");
        await fits(page);
        await accessible(page);
    });
});

test("before it is saved, the page says what becomes of the data", async () => {
    const posts = await root.collections.create({
        name: "posts", listRule: "title != '' && @request.body.title:isset = false", viewRule: "'title' != ''",
        fields: [{ name: "title", type: "text" }, { name: "body", type: "text" }, { name: "tags", type: "select", values: ["a", "b"], maxSelect: 2 }, { name: "rank", type: "number" }],
        indexes: ["CREATE UNIQUE INDEX idx_posts_title ON posts (title) WHERE title != 'title'", "CREATE INDEX idx_posts_body ON posts (body)"],
    });
    await root.collections.create({ name: "comments", listRule: "post.title != ''", fields: [{ name: "post", type: "relation", collectionId: posts.id }] });
    await root.collections.create({ name: "titles", type: "view", viewQuery: "SELECT id, title FROM posts" });
    for (let count = 0; count < 3; count += 1) await root.collection("posts").create({ title: `T${count}`, body: count ? "text" : "", tags: ["a", "b"] });
    await on("#/collections/posts/schema", {}, async (page) => {
        const title = await unfold(page, "title");
        await title.getByLabel("Name of the field").fill("headline");
        await page.keyboard.press("Tab");
        await page.getByRole("button", { name: "Remove body" }).click();
        await page.getByText("Goes with body").waitFor();
        await (await unfold(page, "tags")).getByLabel("How many at most").fill("1");
        await (await unfold(page, "rank")).getByRole("switch", { name: "Required" }).check();
        await save(page);
        const said = dialog(page).getByRole("listitem");
        await said.filter({ hasText: "body: The field and all its values are deleted. 2 records lose a value." }).waitFor();
        await said.filter({ hasText: "tags: Becomes a single value" }).filter({ hasText: "3 records lose values." }).waitFor();
        await said.filter({ hasText: "rank: Now required." }).filter({ hasText: "3 records have none." }).waitFor();
        const renamed = said.filter({ hasText: "title is now called headline" });
        assert.match(await renamed.textContent(), /posts \(List rule\), comments \(List rule\), titles \(Query\)/);
        await said.filter({ hasText: "The index idx_posts_body goes with the field body." }).waitFor();
        await accessible(page);
        const go = dialog(page).getByRole("button", { name: "Save and delete" });
        assert.ok(await go.isDisabled(), "read first");
        await dialog(page).getByRole("checkbox", { name: /I have read this/ }).check();
        assert.ok(await dialog(page).getByRole("checkbox", { name: /new name into 1 rule/ }).isChecked());
        await go.click();
        await saved(page);
        await page.getByRole("button", { name: "Save", exact: true }).waitFor({ state: "detached" });
    });
    await root.collections.delete("titles");
    const now = await root.collections.getOne("posts");
    assert.deepEqual(now.fields.map(({ name }) => name), ["id", "headline", "tags", "rank"]);
    assert.equal(now.listRule, "headline != '' && @request.body.headline:isset = false");
    assert.equal(now.viewRule, "'title' != ''");
    assert.equal(now.indexes.length, 1);
    assert.match(now.indexes[0], /\(`?headline`?\) WHERE `?headline`? != 'title'/);
    const [record] = await root.collection("posts").getFullList({ sort: "headline" });
    assert.equal(record.headline, "T0");
    assert.equal(record.tags, "b");
});

test("another type is another field, and that is said", async () => {
    await root.collections.create({ name: "typed", fields: [{ name: "amount", type: "text" }] });
    await root.collection("typed").create({ amount: "12" });
    await on("#/collections/typed/schema", {}, async (page) => {
        const amount = await unfold(page, "amount");
        await amount.getByLabel("Type of the field").selectOption("number");
        await amount.getByText("Other type", { exact: true }).waitFor();
        await save(page);
        await dialog(page).getByText("Type Text becomes Number").waitFor();
        await dialog(page).getByText("1 record loses a value.").waitFor();
        await dialog(page).getByRole("checkbox", { name: /I have read this/ }).check();
        await dialog(page).getByRole("button", { name: "Save and delete" }).click();
        await saved(page);
    });
    assert.equal((await root.collections.getOne("typed")).fields[1].type, "number");
    assert.equal((await root.collection("typed").getFullList())[0].amount, 0);
});

test("what the server refuses stands beside its field; unsaved work is not lost by leaving", async () => {
    await root.collections.create({ name: "faulty", fields: [{ name: "first", type: "text" }, { name: "second", type: "number" }] });
    await on("#/collections/faulty/schema", {}, async (page) => {
        const second = await unfold(page, "second");
        await second.getByLabel("Least", { exact: true }).fill("9");
        await second.getByLabel("Most", { exact: true }).fill("1");
        await (await unfold(page, "first")).getByLabel("Name of the field").fill("not a name");
        await page.keyboard.press("Tab");
        await page.getByRole("button", { name: "Move second up" }).click();
        await save(page);
        await dialog(page).getByRole("button", { name: "Save", exact: true }).click();
        await fieldRow(page, "not a name").getByRole("alert").waitFor();
        assert.equal(await fieldRow(page, "not a name").getByLabel("Name of the field").getAttribute("aria-invalid"), "true");
        await second.getByRole("alert").waitFor();
        assert.equal(await second.getByLabel("Most", { exact: true }).getAttribute("aria-invalid"), "true");
        await accessible(page);
        await page.getByRole("link", { name: "Logs" }).click();
        await dialog(page).getByText("Leave without saving?").waitFor();
        await dialog(page).getByRole("button", { name: "Cancel" }).click();
        assert.match(page.url(), /faulty\/schema/);
        await page.getByRole("button", { name: "Discard" }).click();
        await dialog(page).getByRole("button", { name: "Discard" }).click();
        await fieldRow(page, "first").waitFor();
        await page.getByRole("link", { name: "Logs" }).click();
        await page.waitForURL(/#\/logs/);
    });
    assert.deepEqual(await names("faulty"), ["id", "first", "second"]);
});

test("indexes: by their fields, as SQL, and what is wrong with them beside them", async () => {
    await root.collections.create({ name: "indexed", fields: [{ name: "slug", type: "text" }, { name: "lang", type: "text" }] });
    await on("#/collections/indexed/schema", PHONE, async (page) => {
        await page.getByRole("button", { name: "Add index" }).click();
        await dialog(page).getByRole("switch", { name: /^Unique/ }).check();
        await dialog(page).getByRole("checkbox", { name: /slug/ }).check();
        await dialog(page).getByRole("checkbox", { name: /lang/ }).check();
        await dialog(page).getByText("CREATE UNIQUE INDEX `idx_indexed_slug_lang` ON `indexed` (`slug`, `lang`)").waitFor();
        await accessible(page);
        await dialog(page).getByRole("button", { name: "Apply" }).click();
        await page.getByRole("button", { name: "Add index" }).click();
        await dialog(page).getByRole("switch", { name: "Write it as SQL" }).check();
        const sql = dialog(page).getByRole("textbox", { name: "CREATE INDEX statement" });
        await write(sql, "CREATE INDEX idx_lower ON indexed (nothing)");
        await dialog(page).getByRole("button", { name: "Apply" }).click();
        await save(page);
        await page.getByText("The index idx_indexed_slug_lang keeps values unique.").or(page.getByRole("alert")).first().waitFor();
        const confirm = dialog(page).getByRole("button", { name: "Save", exact: true });
        if (await confirm.count()) await confirm.click();
        await page.getByRole("alert").filter({ hasText: "idx_lower" }).or(page.getByRole("alert").filter({ hasText: "nothing" })).first().waitFor();
        await page.getByRole("button", { name: "Remove index idx_lower" }).click();
        await fits(page);
        await save(page);
        if (await confirm.count()) await confirm.click();
        await saved(page);
    });
    assert.deepEqual((await root.collections.getOne("indexed")).indexes, ["CREATE UNIQUE INDEX `idx_indexed_slug_lang` ON `indexed` (`slug`, `lang`)"]);
});

test("a view is made, its query tried while it is typed, and saved", async () => {
    await root.collection("notes").create({ title: "<img src=x onerror=alert(1)>" });
    await on("#/collections?new=1", {}, async (page) => {
        await dialog(page).getByLabel("Name").fill("short_notes");
        await dialog(page).getByRole("radio", { name: /^View/ }).check();
        await dialog(page).getByLabel("Reads from").selectOption("notes");
        await dialog(page).getByRole("button", { name: "Create" }).click();
        await page.getByRole("heading", { level: 1, name: "short_notes" }).waitFor();
        await page.getByRole("columnheader", { name: /id/ }).waitFor();
        const query = page.getByRole("textbox", { name: "Query" });
        await write(query, "SELECT id, titel FROM notes");
        await page.getByRole("alert").filter({ hasText: "no such column: titel" }).waitFor();
        await accessible(page);
        await write(query, "SELECT id, title, length(title) AS size FROM notes");
        await page.getByRole("cell", { name: "<img src=x onerror=alert(1)>" }).waitFor();
        await page.getByRole("columnheader", { name: /size/ }).waitFor();
        await page.getByRole("alert").waitFor({ state: "detached" });
        await save(page);
        await dialog(page).getByText("The view shows what its new query gives.").waitFor();
        await dialog(page).getByRole("button", { name: "Save", exact: true }).click();
        await saved(page);
    });
    assert.deepEqual(await names("short_notes"), ["id", "title", "size"]);
    await on("#/collections/short_notes/schema", PHONE, async (page) => {
        await page.getByRole("columnheader", { name: /size/ }).waitFor();
        await fits(page);
    });
});

test("accounts: ways to sign in, providers with their secrets, tokens and mails", async () => {
    await root.collections.create({ name: "members", type: "auth", fields: [{ name: "handle", type: "text" }], indexes: ["CREATE UNIQUE INDEX idx_handle ON members (handle) WHERE handle != ''"] });
    await root.collection("members").create({ email: "a@example.com", password: "password-1", passwordConfirm: "password-1" });
    const { token } = await root.collection("members").authWithPassword("a@example.com", "password-1").catch(() => ({}));
    await root.collection("_superusers").authWithPassword("root@example.com", "root-password-1");
    const valid = async () => (await fetch(`${ui.conch.url}/api/collections/members/auth-refresh`, { method: "POST", headers: { Authorization: token } })).status;
    assert.equal(await valid(), 200);
    await on("#/collections/members/schema", { height: 1600 }, async (page) => {
        const part = async (name) => {
            const one = page.locator("details").filter({ has: page.getByRole("heading", { name, exact: true }) });
            await one.locator("summary").first().click();
            return one;
        };
        const password = await part("Password");
        await password.getByRole("checkbox", { name: "handle" }).check();
        const oauth = await part("OAuth2");
        await oauth.getByLabel("Add a provider").selectOption("github");
        const mfa = await part("Second factor");
        await mfa.getByRole("switch", { name: /Ask for a second way/ }).check();
        await save(page);
        await dialog(page).getByRole("button", { name: "Save", exact: true }).click();
        await oauth.getByRole("alert").first().waitFor();
        assert.equal(await oauth.getByLabel("Client ID").getAttribute("aria-invalid"), "true");
        await oauth.getByLabel("Client ID").fill("client-1");
        await oauth.getByLabel("Client secret").fill("hush-hush");
        const tokens = await part("Tokens");
        await tokens.getByLabel("Sign-in", { exact: true }).fill("3600");
        await tokens.getByText("Seconds: 1 h").waitFor();
        await tokens.getByRole("button", { name: "Sign-in: New secret" }).click();
        const mails = await part("Mails");
        await mails.getByText("Choose a new password").click();
        await mails.getByLabel("Subject").fill("A new password for {APP_NAME}");
        await accessible(page);
        await save(page);
        await dialog(page).getByText("Everybody who is signed in to this collection is signed out.").waitFor();
        await dialog(page).getByRole("button", { name: "Save", exact: true }).click();
        await saved(page);
    });
    const members = await root.collections.getOne("members");
    assert.deepEqual(members.passwordAuth.identityFields, ["email", "handle"]);
    assert.equal(members.oauth2.providers[0].clientId, "client-1");
    assert.equal(members.oauth2.enabled, true);
    assert.equal(members.mfa.enabled, true);
    assert.equal(members.authToken.duration, 3600);
    assert.equal(members.resetPasswordTemplate.subject, "A new password for {APP_NAME}");
    assert.notEqual(await valid(), 200, "the token of before");
    // A secret that is stored is kept when its box stays empty.
    await on("#/collections/members/schema", { ...PHONE, language: "de" }, async (page) => {
        await page.getByRole("heading", { name: "OAuth2" }).click();
        const secret = page.getByLabel("Client-Geheimnis");
        assert.equal(await secret.inputValue(), "");
        await page.getByLabel("Client-ID").fill("client-2");
        await accessible(page);
        await fits(page);
        await page.getByRole("button", { name: "Speichern" }).click();
        await page.getByRole("button", { name: "Speichern" }).waitFor({ state: "detached" });
    });
    assert.equal((await root.collections.getOne("members")).oauth2.providers[0].clientId, "client-2");
});

test("duplicated, emptied and deleted from the list; the name has to be typed", async () => {
    const tree = await root.collections.create({ name: "tree", fields: [{ name: "label", type: "text" }], indexes: ["CREATE INDEX idx_tree_label ON tree (label)"] });
    await root.collections.update("tree", { fields: [...tree.fields, { name: "parent", type: "relation", collectionId: tree.id }], listRule: "parent.label != ''" });
    await root.collection("tree").create({ label: "root" });
    await on("#/collections", {}, async (page) => {
        const line = page.getByRole("listitem").filter({ has: page.getByRole("link", { name: "tree", exact: true }) });
        await line.getByText("1 record").waitFor();
        await line.getByRole("button", { name: "More about tree" }).click();
        await page.getByRole("menuitem", { name: "Duplicate without records" }).click();
        await page.getByRole("heading", { level: 1, name: "tree_copy" }).waitFor();
        await page.getByRole("link", { name: "Collections" }).click();
        await line.getByRole("button", { name: "More about tree" }).click();
        await page.getByRole("menuitem", { name: "Delete all records" }).click();
        const sure = dialog(page).getByRole("button", { name: "Delete all records" });
        assert.ok(await sure.isDisabled());
        await dialog(page).getByRole("textbox").fill("tree");
        await sure.click();
        await line.getByText("0 records").waitFor();
        const other = page.getByRole("listitem").filter({ has: page.getByRole("link", { name: "tree_copy", exact: true }) });
        await other.getByRole("button", { name: "More about tree_copy" }).click();
        await page.getByRole("menuitem", { name: "Delete", exact: true }).click();
        await dialog(page).getByRole("textbox").fill("tree_copy");
        await page.keyboard.press("Enter");
        await other.waitFor({ state: "detached" });
    });
    assert.equal((await root.collection("tree").getList(1, 1)).totalItems, 0);
    await assert.rejects(root.collections.getOne("tree_copy"));
});

test("the diagram shows relations, is moved by keys and pointer, and opens what is clicked", async () => {
    await on("#/diagram", {}, async (page) => {
        const canvas = page.getByRole("group", { name: /Diagram of the collections/ });
        await canvas.getByRole("link", { name: /^comments/ }).waitFor();
        await accessible(page);
        const place = () => canvas.locator("svg > g").getAttribute("transform");
        const first = await place();
        await canvas.focus();
        await page.keyboard.press("ArrowRight");
        await page.keyboard.press("+");
        assert.notEqual(await place(), first);
        await page.keyboard.press("0");
        assert.equal(await place(), first);
        const box = await canvas.boundingBox();
        await page.mouse.move(box.x + 5, box.y + 5);
        await page.mouse.down();
        await page.mouse.move(box.x + 105, box.y + 55, { steps: 4 });
        await page.mouse.up();
        assert.notEqual(await place(), first);
        await page.getByText(/relations as a list/).click();
        const line = page.getByRole("row").filter({ has: page.getByRole("cell", { name: "comments", exact: true }) });
        assert.match(await line.textContent(), /comments\s*post\s*posts\s*one record/);
        await page.getByLabel("Find a collection").fill("posts");
        await page.keyboard.press("Enter");
        await page.waitForFunction(() => document.activeElement?.closest("[data-box]"));
        await page.keyboard.press("Enter");
        await page.getByRole("heading", { level: 1, name: "posts" }).waitFor();
    });
    await on("#/diagram", PHONE, async (page) => {
        await page.getByRole("link", { name: /^comments/ }).waitFor();
        await fits(page);
        await accessible(page);
    });
});

test("collections that have nothing to do with each other stand in rows beside each other", async () => {
    const names = Array.from({ length: 9 }, (_, at) => `lone_${at}`);
    await root.collections.import(names.map((name) => ({ name, fields: Array.from({ length: 6 }, (_, at) => ({ name: `f${at}`, type: "text" })) })));
    await on("#/diagram", {}, async (page) => {
        await page.getByRole("link", { name: /^lone_8/ }).waitFor();
        const places = await page.locator("[data-box] .paper").evaluateAll((all) => all.map((one) => one.getBoundingClientRect()).map(({ left, top }) => [Math.round(left), Math.round(top)]));
        assert.ok(new Set(places.map(([left]) => left)).size >= 3, JSON.stringify(places));
        assert.equal(new Set(places.map(String)).size, places.length);
    });
    for (const name of names) await root.collections.delete(name);
});

test("export gives chosen collections; import says what it would do, and does it", async () => {
    await root.collections.create({ name: "guests", type: "auth", oauth2: { enabled: true, providers: [{ name: "github", clientId: "client", clientSecret: "hush" }] } });
    const list = (await root.collections.getFullList()).filter(({ system }) => !system);
    await on("#/import?tab=export", {}, async (page) => {
        await page.getByRole("button", { name: "None" }).click();
        await page.getByRole("checkbox", { name: "posts", exact: true }).check();
        await page.getByRole("checkbox", { name: "guests", exact: true }).check();
        await accessible(page);
        const [download] = await Promise.all([page.waitForEvent("download"), page.getByRole("button", { name: "Download" }).click()]);
        const given = JSON.parse(readFileSync(await download.path(), "utf8"));
        assert.deepEqual(given.map(({ name }) => name).sort(), ["guests", "posts"]);
        assert.equal(given.find(({ name }) => name === "guests").oauth2.providers, undefined);
        await page.getByRole("button", { name: "Copy" }).click();
        assert.deepEqual(JSON.parse(await page.evaluate(() => navigator.clipboard.readText())), given);
        // What was exported is what is there.
        await page.getByRole("link", { name: "Import", exact: true }).click();
        await write(page.getByRole("textbox", { name: "Collections as JSON" }), JSON.stringify(given));
        await page.getByText("Everything is like that already.").waitFor();
        assert.ok(await page.getByRole("button", { name: "Import", exact: true }).isDisabled());
        await write(page.getByRole("textbox", { name: "Collections as JSON" }), "[{");
        await page.getByRole("alert").filter({ hasText: "This is no JSON" }).waitFor();
        await page.getByRole("button", { name: "Clear" }).click();
    });
    const next = list.filter(({ name }) => name !== "comments" && name !== "typed").map((one) => (one.name !== "posts" ? one : {
        ...one, listRule: null, fields: one.fields.filter(({ name }) => name !== "rank").map((field) => (field.name === "headline" ? { ...field, max: 77 } : field)),
    }));
    await on("#/import", PHONE, async (page) => {
        const file = (collections) => page.locator("input[type=file]").setInputFiles({ name: "c.json", mimeType: "application/json", buffer: Buffer.from(JSON.stringify(collections)) });
        const entry = (name) => page.getByRole("listitem").filter({ has: page.getByText(name, { exact: true }) }).first();
        await file([...next, { name: "brand_new", fields: [{ name: "x", type: "text" }] }, { name: "broken", type: "view", viewQuery: "SELECT 1" }]);
        await page.getByText("2 new, 1 changed, 0 deleted").waitFor();
        await page.getByRole("button", { name: "Import", exact: true }).click();
        await entry("broken").getByRole("alert").waitFor();
        await page.getByText("The server refused the import; nothing was changed.").waitFor();
        await file([...next, { name: "brand_new", fields: [{ name: "x", type: "text" }] }]);
        await page.getByRole("switch", { name: /Delete what the import does not have/ }).check();
        await page.getByText("1 new, 1 changed, 2 deleted").waitFor();
        await entry("posts").getByText("Deletes values").waitFor();
        await entry("posts").getByText(/^\d+ differences$/).click();
        assert.match(await entry("posts").locator("li", { hasText: "fields.headline.max" }).textContent(), /0\s*77/);
        await entry("posts").getByText("List rule: superusers only from now on.").waitFor();
        await accessible(page);
        await fits(page);
        await page.getByRole("button", { name: "Import", exact: true }).click();
        await dialog(page).getByText("2 collections are deleted with all their records.").waitFor();
        await dialog(page).getByRole("textbox").fill("delete");
        await dialog(page).getByRole("button", { name: "Import", exact: true }).click();
        await page.getByText("Imported. The collections are now as the file says.").waitFor();
    });
    assert.deepEqual(await names("brand_new"), ["id", "x"]);
    assert.deepEqual(await names("posts"), ["id", "headline", "tags"]);
    await assert.rejects(root.collections.getOne("comments"));
});

test("500 collections with odd names stay tidy, are found, and are counted only where one looks", async () => {
    const long = "L".repeat(200);
    const many = Array.from({ length: 500 }, (_, at) => ({
        name: at ? `${["shop", "crm", "blog", "hr"][at % 4]}_table_${at}` : long, listRule: at % 3 ? null : "",
        fields: [{ name: "F".repeat(100), type: "text", help: "<script>alert(1)</script>\u202E" }, { name: "v", type: "select", values: ["<img src=x onerror=alert(1)>", "עברית", "😀".repeat(40)] }],
    }));
    await root.collections.import(many);
    for (const options of [{ theme: "dark" }, { width: 390, height: 800 }]) {
        await on("#/collections", options, async (page) => {
            let counted = 0;
            page.on("request", (request) => { if (/\/records\?/.test(request.url())) counted += 1; });
            await page.getByRole("button", { name: /^Tables · blog_/ }).waitFor();
            await page.getByRole("link", { name: long.slice(0, 99), exact: false }).first().waitFor();
            await fits(page);
            // All are links that can be found and reached; the rest of a line comes when it is nearly in sight.
            const lines = page.locator("main li");
            await lines.filter({ has: page.locator(".links") }).first().waitFor();
            assert.ok(await lines.count() >= 500);
            assert.ok(await lines.locator("a.name").count() >= 500);
            const whole = await lines.locator(".links").count();
            assert.ok(whole < 80, `${whole} lines were drawn whole`);
            assert.ok(counted < 60, `${counted} were counted`);
            assert.equal(await page.getByRole("link", { name: "Schema: shop_table_8", exact: true }).count(), 0);
            await page.getByRole("link", { name: "shop_table_8", exact: true }).focus();
            await page.getByRole("link", { name: "Schema: shop_table_8", exact: true }).waitFor();
            await page.keyboard.press("Tab");
            assert.equal(await page.evaluate(() => document.activeElement.getAttribute("aria-label")), "Schema: shop_table_8");
            await fits(page);
            await page.getByRole("searchbox", { name: "Search collections" }).fill("table_499");
            await page.getByText("1 found").waitFor();
            await page.getByRole("link", { name: "hr_table_499", exact: true }).waitFor();
            // Those that one went to were, too.
            assert.ok(counted < 100, `${counted} were counted`);
            await accessible(page);
            await page.getByRole("searchbox", { name: "Search collections" }).fill("nobody");
            await page.getByText("No collection is called that.").waitFor();
        });
        await on(`#/collections/${long}/schema`, options, async (page) => {
            await unfold(page, "v");
            await unfold(page, "F+…?");
            await fits(page);
        });
    }
    await on("#/diagram", {}, async (page) => {
        // Those that have nothing to do with others stand aside until they are wanted or sought.
        const aside = page.getByRole("switch", { name: /^Show those without relations/ });
        await aside.waitFor();
        assert.ok(await page.locator("[data-box]").count() < 60);
        await page.getByLabel("Find a collection").fill("crm_table_497");
        await page.keyboard.press("Enter");
        await page.waitForFunction(() => document.activeElement?.closest("[data-box]")?.textContent.startsWith("crm_table_497"));
        assert.ok(await aside.isChecked());
        assert.ok(await page.locator("[data-box]").count() >= 500);
        const drawn = await page.locator("[data-box] .kind").count();
        assert.ok(drawn > 0 && drawn < 150, `the fields of ${drawn} were drawn`);
        await accessible(page);
        await aside.uncheck();
        await page.waitForFunction(() => document.querySelectorAll("[data-box]").length < 60);
    });
    await on("#/import?tab=export", PHONE, async (page) => {
        await page.getByRole("checkbox", { name: "crm_table_497", exact: true }).waitFor();
        await fits(page);
    });
    await on("#/import", {}, async (page) => {
        const next = (await root.collections.getFullList()).filter(({ system }) => !system).map((one) => ({ ...one, viewRule: "" }));
        await page.locator("input[type=file]").setInputFiles({ name: "all.json", mimeType: "application/json", buffer: Buffer.from(JSON.stringify(next)) });
        const entries = page.locator("#plan").locator("xpath=ancestor::section").locator("ul.stack > li");
        await entries.locator("details").first().waitFor();
        assert.equal(await entries.count(), next.length);
        const whole = await entries.locator("details").count();
        assert.ok(whole < 60, `${whole} were drawn whole`);
        await entries.last().scrollIntoViewIfNeeded();
        await entries.last().locator("summary").waitFor();
        await page.getByRole("button", { name: "Clear" }).click();
    });
});

test("collections that point at each other in circles make a picture, not a chain", async () => {
    const name = (at) => `ring_${at}`;
    await root.collections.import(Array.from({ length: 60 }, (_, at) => ({ name: name(at), fields: [{ name: "t", type: "text" }] })));
    const ids = new Map((await root.collections.getFullList()).map((one) => [one.name, one.id]));
    await root.collections.import(Array.from({ length: 60 }, (_, at) => ({
        id: ids.get(name(at)), name: name(at), fields: [{ name: "t", type: "text" }, ...[at * 7 + 1, at * 3 + 2].map((to, which) => ({ name: `r${which}`, type: "relation", maxSelect: 1, collectionId: ids.get(name(to % 60)) }))],
    })));
    for (const options of [{}, PHONE]) {
        await on("#/diagram", options, async (page) => {
            const box = (one) => page.locator(`[data-box="${ids.get(one)}"]`);
            await box("ring_59").waitFor();
            const places = await page.evaluate(() => [...document.querySelectorAll("g:has(> [data-box])")].map((one) => one.getAttribute("transform").match(/-?[\d.]+/g).map(Number)));
            const columns = new Set(places.map(([x]) => x)).size;
            assert.ok(columns > 2 && columns < 20, `${columns} columns`);
            // It opens so that something is seen of it, and shows all when it is asked to.
            const scale = () => page.locator(".canvas svg > g").getAttribute("transform").then((text) => Number(/scale\(([\d.]+)/.exec(text)[1]));
            assert.ok(await scale() >= .2);
            await page.getByRole("button", { name: "Show all" }).click();
            const [frame, ...boxes] = await page.evaluate(() => [".canvas", "[data-box] .paper"].flatMap((those) => [...document.querySelectorAll(those)]).map((one) => one.getBoundingClientRect()).map(({ left, right, top, bottom }) => ({ left, right, top, bottom })));
            assert.ok(boxes.every(({ left, right, top, bottom }) => left >= frame.left && right <= frame.right && top >= frame.top && bottom <= frame.bottom));
            await fits(page);
        });
    }
});

test("a schema of 200 fields opens with those that are seen, and works to its last", async () => {
    await root.collections.create({ name: "broad", fields: Array.from({ length: 199 }, (_, at) => ({ name: `field_${at}`, type: at % 2 ? "number" : "text", required: true })) });
    for (const options of [{}, PHONE]) {
        await on("#/collections/broad/schema", options, async (page) => {
            const rows = page.locator("[data-row]"), last = rows.last();
            await rows.locator(".tools").first().waitFor();
            assert.equal(await rows.count(), 200);
            assert.equal(await rows.locator("button[aria-expanded]").count(), 200);
            const whole = await rows.locator(".tools").count();
            assert.ok(whole < 60, `${whole} were drawn whole`);
            const tall = await page.evaluate(() => document.querySelector("[data-row]").parentElement.scrollHeight);
            assert.equal(await last.locator(".tools").count(), 0);
            await last.locator(".head").focus();
            await last.getByRole("button", { name: "Move field_198 up" }).press("Enter");
            await page.getByText("field_198 is now", { exact: false }).waitFor({ state: "attached" });
            await unfold(page, "field_197");
            await fieldRow(page, "field_197").getByLabel("Name").fill("very_last");
            await accessible(page);
            await fits(page);
            // What comes later takes the place that was kept for it.
            await unfold(page, "very_last").then((one) => one.locator(".head").click());
            const after = await page.evaluate(() => document.querySelector("[data-row]").parentElement.scrollHeight);
            assert.ok(Math.abs(after - tall) < tall * .2, `${tall} became ${after}`);
        });
    }
});
