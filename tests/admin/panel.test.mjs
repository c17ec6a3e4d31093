// The panel of one record: every type of field, made and changed, with others at work and with hostile data.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { accessible, startAdmin } from "../harness/admin.mjs";

let ui, root;
const PNG = Buffer.from("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==", "base64");

before(async () => {
    ui = await startAdmin();
    root = ui.root;
    await root.collections.create({ name: "tags", type: "base", fields: [{ name: "name", type: "text", presentable: true }, { name: "note", type: "text" }] });
    const tags = await root.collections.getOne("tags");
    for (let index = 0; index < 60; index += 1) await root.collection("tags").create({ id: `tag${String(index).padStart(12, "0")}`, name: `Tag ${index}`, note: `note ${index}` });
    await root.collections.create({
        name: "everything", type: "base", fields: [
            { name: "title", type: "text", required: true, max: 100, help: "What the page is called" },
            { name: "code", type: "text", autogeneratePattern: "[A-Z]{6}" },
            { name: "amount", type: "number", min: -10, max: 1000 },
            { name: "active", type: "bool" },
            { name: "mail", type: "email", onlyDomains: ["example.com"] },
            { name: "site", type: "url" },
            { name: "body", type: "editor" },
            { name: "at", type: "date" },
            { name: "kind", type: "select", values: ["one", "two", "three"] },
            { name: "kinds", type: "select", values: ["red", "green", "blue"], maxSelect: 3 },
            { name: "words", type: "select", values: Array.from({ length: 300 }, (_, index) => `word ${index}`), maxSelect: 5 },
            { name: "data", type: "json" },
            { name: "place", type: "geoPoint" },
            { name: "picture", type: "file", mimeTypes: ["image/png"], maxSize: 200_000 },
            { name: "papers", type: "file", maxSelect: 5, protected: true, maxSize: 20_000_000 },
            { name: "tag", type: "relation", collectionId: tags.id },
            { name: "tags", type: "relation", collectionId: tags.id, maxSelect: 9 },
            { name: "secret", type: "password", min: 8 },
            { name: "inner", type: "text", hidden: true },
            { name: "created", type: "autodate", onCreate: true },
            { name: "updated", type: "autodate", onCreate: true, onUpdate: true },
        ],
    });
    await root.collections.create({ name: "rows", type: "view", viewQuery: "select id, title, amount from everything" });
});
after(() => ui?.stop());

/** Writes into an editor as people do: over all that was there. */
async function write(editor, text) {
    // The plain text area that stands there until the editor is loaded takes nothing from the test.
    await editor.and(editor.page().locator(".cm-content")).waitFor();
    await editor.click();
    await editor.press("Control+a");
    await editor.page().keyboard.insertText(text);
}
const dialogOf = (page) => page.locator(".dialog.side");
const files = (panel, name) => panel.getByRole("group", { name }).locator("input[type=file]");
/** The panel of a record, open. */
async function opened(collection, id, options) {
    const page = await ui.open(`#/collections/${collection}/records/${id}`, options);
    const panel = dialogOf(page);
    await panel.locator("[data-name]").first().waitFor();
    page.setDefaultTimeout(8_000);
    return { page, panel };
}

test("a record is made from every type of field", async () => {
    const { page, panel } = await opened("everything", "new");
    await panel.getByRole("textbox", { name: "title" }).fill("Hello");
    await panel.getByLabel("amount").fill("12.5");
    await panel.getByLabel("active").check();
    await panel.getByLabel("mail").fill("a@example.com");
    await panel.getByLabel("site").fill("https://example.com/x");
    await panel.getByLabel("UTC", { exact: true }).fill("2026-05-01T10:00:07.123");
    await panel.getByLabel("kind", { exact: true }).selectOption("two");
    await panel.getByLabel("green").check();
    await panel.getByLabel("blue").check();
    const words = panel.getByRole("combobox", { name: "words" });
    await words.fill("word 29");
    await words.press("ArrowDown");
    await words.press("Enter");
    await panel.getByRole("textbox", { name: "data" }).last().fill('{"b":1,"a":[12345678901234567890]}');
    await panel.getByLabel("Latitude").fill("52.52");
    await panel.getByLabel("Longitude").fill("13.405");
    await files(panel, "picture").setInputFiles({ name: "Dot.png", mimeType: "image/png", buffer: PNG });
    await files(panel, "papers").setInputFiles([{ name: "a one.txt", mimeType: "text/plain", buffer: Buffer.from("1") }, { name: "a two.txt", mimeType: "text/plain", buffer: Buffer.from("2") }]);
    await panel.getByRole("button", { name: "Choose…: tags" }).click();
    const picker = page.locator(".dialog").last();
    await picker.getByRole("searchbox").fill("Tag 4");
    await picker.getByLabel("Tag 42").check();
    await picker.getByLabel("Tag 47").check();
    await picker.getByRole("button", { name: "Choose", exact: true }).click();
    await panel.getByText("Tag 47").waitFor();
    await panel.getByLabel("secret").fill("long-secret-1");
    await accessible(page, ".dialog.side");
    await panel.getByRole("button", { name: "Save and stay" }).click();
    await page.getByText("Saved.").waitFor();
    const made = (await root.collection("everything").getList(1, 1, { filter: "title='Hello'" })).items[0];
    assert.equal(made.amount, 12.5);
    assert.equal(made.active, true);
    assert.equal(made.at, "2026-05-01 10:00:07.123Z");
    assert.equal(made.kind, "two");
    assert.deepEqual(made.kinds, ["green", "blue"]);
    assert.deepEqual(made.words, ["word 290"]);
    assert.match(made.code, /^[A-Z]{6}$/);
    assert.deepEqual(made.place, { lon: 13.405, lat: 52.52 });
    assert.match(made.picture, /^dot_\w+\.png$/);
    assert.equal(made.papers.length, 2);
    assert.deepEqual(made.tags, ["tag000000000042", "tag000000000047"]);
    assert.deepEqual(page.problems, []);
    await page.context().close();
});

const create = (values) => root.collection("everything").create({ title: "t", ...values });
const stored = (id) => root.collection("everything").getOne(id);
const saved = (page) => page.getByText("Saved.").first().waitFor();
const finished = async (page) => {
    assert.deepEqual(page.problems, []);
    await page.context().close();
};

test("only what was changed is sent; what the server refuses stands beside its field", async () => {
    const record = await create({ title: "first", amount: 1, at: "2026-05-01 10:00:07.123Z", data: { b: 1 } });
    const { page, panel } = await opened("everything", record.id);
    assert.equal(await panel.getByLabel("UTC", { exact: true }).inputValue(), "2026-05-01T10:00:07.123");
    await panel.getByRole("textbox", { name: "title" }).fill("second");
    const [request] = await Promise.all([page.waitForRequest((one) => one.method() === "PATCH"), page.keyboard.press("Control+s")]);
    assert.deepEqual(request.postDataJSON(), { title: "second" });
    await saved(page);
    await panel.getByLabel("mail").fill("a@elsewhere.org");
    await panel.getByLabel("site").fill("no address");
    await panel.getByLabel("amount").fill("5000");
    await panel.getByText("At most 1000").waitFor();
    await panel.getByLabel("amount").fill("7");
    await panel.getByRole("button", { name: "Save", exact: true }).click();
    await panel.getByText("2 fields need another look.").waitFor();
    assert.equal(await panel.getByLabel("mail").getAttribute("aria-invalid"), "true");
    assert.equal(await panel.getByLabel("site").getAttribute("aria-invalid"), "true");
    await panel.getByLabel("mail").fill("a@example.com");
    await panel.getByLabel("site").fill("https://example.com");
    await panel.getByRole("button", { name: "Save", exact: true }).click();
    await panel.waitFor({ state: "hidden" });
    assert.equal((await stored(record.id)).amount, 7);
    await finished(page);
});

test("nothing is left unsaved by mistake, and a reload brings it back", async () => {
    const record = await create({ title: "kept" });
    const { page, panel } = await opened("everything", record.id);
    await panel.getByRole("textbox", { name: "title" }).fill("typed");
    await page.keyboard.press("Escape");
    const question = page.getByRole("dialog", { name: "Leave without saving?" });
    await question.getByRole("button", { name: "Cancel" }).click();
    assert.equal(await panel.getByRole("textbox", { name: "title" }).inputValue(), "typed");
    await page.evaluate(() => { location.hash = "#/logs"; });
    await question.getByRole("button", { name: "Cancel" }).click();
    assert.match(page.url(), new RegExp(`records/${record.id}$`));
    page.on("dialog", (dialog) => void dialog.accept().catch(() => {}));
    await page.reload();
    await panel.getByRole("textbox", { name: "title" }).waitFor();
    assert.equal(await panel.getByRole("textbox", { name: "title" }).inputValue(), "typed");
    await panel.getByRole("button", { name: "Close" }).click();
    await question.getByRole("button", { name: "Leave" }).click();
    await panel.waitFor({ state: "hidden" });
    assert.equal((await stored(record.id)).title, "kept");
    await finished(page);
});

test("others change it meanwhile: untouched fields follow, the same ones are asked about", async () => {
    const record = await create({ title: "base", amount: 1, code: "AAAAAA" });
    const { page, panel } = await opened("everything", record.id);
    // Whether the page listens already cannot be seen from outside: changes are made until one is noticed.
    const noticed = panel.getByText("brought up to date here: amount");
    let amount = 1;
    for (; amount < 40 && !await noticed.isVisible(); amount += 1) {
        await root.collection("everything").update(record.id, { amount: amount + 1 });
        await noticed.waitFor({ timeout: 250 }).catch(() => {});
    }
    await panel.getByRole("textbox", { name: "title" }).fill("mine");
    await root.collection("everything").update(record.id, { title: "theirs", amount: 99 });
    await panel.getByRole("group", { name: "title", exact: true }).waitFor();
    assert.equal(await panel.getByLabel("amount").inputValue(), "99");
    assert.equal(await panel.getByRole("textbox", { name: "title" }).inputValue(), "mine");
    const clash = panel.getByRole("group", { name: "title", exact: true });
    await clash.getByText("theirs", { exact: true }).waitFor();
    await clash.getByRole("button", { name: "Take theirs" }).click();
    assert.equal(await panel.getByRole("textbox", { name: "title" }).inputValue(), "theirs");
    await panel.getByRole("textbox", { name: "title" }).fill("mine again");
    await root.collection("everything").update(record.id, { title: "theirs again" });
    await clash.getByRole("button", { name: "Keep mine" }).click();
    await page.keyboard.press("Control+s");
    await saved(page);
    assert.equal((await stored(record.id)).title, "mine again");
    await root.collection("everything").delete(record.id);
    await panel.getByText("Somebody else has deleted this record.").waitFor();
    await finished(page);
});

test("a session that ends leads to the sign-in over the panel, and nothing typed is lost", async () => {
    await root.collection("_superusers").create({ email: "second@example.com", password: "second-password", passwordConfirm: "second-password" });
    const record = await create({ title: "before" });
    const page = await ui.open(`#/collections/everything/records/${record.id}`, { signedIn: false });
    page.setDefaultTimeout(8_000);
    const signIn = async (password) => {
        await page.getByLabel("E-mail").fill("second@example.com");
        await page.getByLabel("Password").fill(password);
        await page.getByRole("button", { name: "Sign in" }).click();
    };
    await signIn("second-password");
    const panel = dialogOf(page);
    await panel.getByRole("textbox", { name: "title" }).fill("typed before it ended");
    const second = await root.collection("_superusers").getFirstListItem("email='second@example.com'");
    await root.collection("_superusers").update(second.id, { password: "another-password", passwordConfirm: "another-password" });
    await page.keyboard.press("Control+s");
    await page.getByText("Your session has ended.").waitFor();
    await signIn("another-password");
    await saved(page);
    assert.equal(await panel.getByRole("textbox", { name: "title" }).inputValue(), "typed before it ended");
    assert.equal((await stored(record.id)).title, "typed before it ended");
    await finished(page);
});

test("formatted text: written, pasted without what runs, and HTML that is not known stays to the letter", async () => {
    const strange = "<div class=\"x\" style=\"color:red\" onclick=\"alert(1)\"><!-- c --><table><tr><td>cell</td></tr></table><script>alert(2)</script></div>";
    const record = await create({ body: strange });
    const { page, panel } = await opened("everything", record.id);
    await panel.getByText("parts that the visual editor does not know").waitFor();
    await panel.getByRole("textbox", { name: "title" }).fill("other");
    await page.keyboard.press("Control+s");
    await saved(page);
    assert.equal((await stored(record.id)).body, strange);
    // The preview shows what can be shown without running or asking anything, and follows what is typed.
    const source = panel.getByRole("textbox", { name: "body" });
    await panel.getByText("Preview", { exact: true }).click();
    const preview = panel.getByRole("textbox", { name: "Preview" });
    await preview.getByText("cell").waitFor();
    await write(source, `<h2>Seen</h2><p style="position:fixed" onclick="window.bad=1">and <a href="https://example.com/">linked</a><img src="https://example.com/x.png" alt="far"><img src=x onerror="window.bad=1"></p><script>window.bad=1</script><iframe src="https://example.com/"></iframe>`);
    await preview.getByRole("heading", { name: "Seen" }).waitFor();
    await preview.getByText("▨ far").waitFor();
    await preview.getByText("linked").click();
    assert.equal(await preview.locator("script, iframe, [style], [onclick], [onerror]").count(), 0);
    assert.equal(await preview.getAttribute("contenteditable"), "false");
    assert.ok(page.url().startsWith(ui.url));
    assert.equal(await page.evaluate(() => window.bad), undefined);
    await accessible(page, ".dialog.side");
    if (process.env.SHOT) await page.screenshot({ path: `${process.env.SHOT}/preview.png` });
    await write(source, "<p>Hello <b>you</b></p><ul><li>one</li><li>two</li></ul>");
    await panel.getByRole("button", { name: "Visual" }).click();
    const paper = panel.locator(".ProseMirror");
    await paper.getByText("Hello").waitFor();
    assert.equal(await panel.getByText("cannot be shown here").count(), 0);
    await paper.click();
    await page.keyboard.press("Control+End");
    await page.waitForFunction(() => getSelection().anchorNode?.textContent === "two" && getSelection().anchorOffset === 3);
    await page.keyboard.press("Enter");
    await page.keyboard.press("Enter");
    await panel.getByRole("toolbar").getByRole("button", { name: "Italic" }).click();
    await page.keyboard.type("slanted");
    await page.evaluate(() => {
        const data = new DataTransfer();
        data.setData("text/html", "<p style='color:red' onclick='alert(1)'>pasted <a href='javascript:alert(1)'>bad</a> <a href='https://example.com/'>good</a><img src=x onerror=alert(1)><script>alert(1)</script></p>");
        document.querySelector(".ProseMirror").dispatchEvent(new ClipboardEvent("paste", { clipboardData: data, bubbles: true, cancelable: true }));
    });
    await accessible(page, ".dialog.side");
    await Promise.all([page.waitForResponse((answer) => answer.request().method() === "PATCH"), page.keyboard.press("Control+s")]);
    const { body } = await stored(record.id);
    assert.match(body, /^<p>Hello <strong>you<\/strong><\/p><ul><li>one<\/li><li>two<\/li><\/ul><p><em>slanted/);
    assert.match(body, /<a href="https:\/\/example.com\/">.*good/);
    assert.doesNotMatch(body, /javascript|onclick|onerror|script|style/);
    await finished(page);
});

test("files: several, with previews, put in order, removed, refused before they are sent", async () => {
    const { page, panel } = await opened("everything", "new");
    await panel.getByRole("textbox", { name: "title" }).fill("Files");
    await files(panel, "picture").setInputFiles({ name: "note.txt", mimeType: "text/plain", buffer: Buffer.from("x") });
    await panel.getByText("note.txt is of another type than image/png.").waitFor();
    await files(panel, "picture").setInputFiles({ name: "big.png", mimeType: "image/png", buffer: Buffer.alloc(300_000) });
    await panel.getByText("big.png is too big").waitFor();
    await files(panel, "picture").setInputFiles({ name: "dot.png", mimeType: "image/png", buffer: PNG });
    await files(panel, "papers").setInputFiles(["one", "two", "three"].map((name) => ({ name: `${name}.txt`, mimeType: "text/plain", buffer: Buffer.from(name) })));
    await page.keyboard.press("Control+s");
    await saved(page);
    await page.waitForFunction(() => [...document.querySelectorAll(".dialog img")].some((image) => image.src.includes("thumb=") && image.naturalWidth > 0));
    const [{ id, papers }] = (await root.collection("everything").getList(1, 1, { filter: "title='Files'" })).items;
    const rows = panel.getByRole("group", { name: "papers" }).getByRole("listitem");
    await rows.nth(2).getByRole("button", { name: /up$/ }).click();
    await rows.nth(0).getByRole("button", { name: /^Remove/ }).click();
    await files(panel, "papers").setInputFiles({ name: "four.txt", mimeType: "text/plain", buffer: Buffer.alloc(3_000_000, "4") });
    await Promise.all([page.waitForResponse((answer) => answer.request().method() === "PATCH"), page.keyboard.press("Control+s")]);
    const after = (await stored(id)).papers;
    assert.deepEqual(after.slice(0, 2), [papers[2], papers[1]]);
    assert.match(after[2], /^four_/);
    await rows.nth(1).getByRole("button", { name: /^Remove/ }).click();
    await root.collection("everything").update(id, { "papers-": papers[2] });
    await rows.nth(1).waitFor({ state: "hidden" });
    await Promise.all([page.waitForResponse((answer) => answer.request().method() === "PATCH"), page.keyboard.press("Control+s")]);
    assert.deepEqual((await stored(id)).papers, [after[2]]);
    await finished(page);
});

test("a duplicate starts with the values, not with the files; a delete can be taken back", async () => {
    const record = await create({ title: "original", kinds: ["red"], picture: new File([PNG], "dot.png", { type: "image/png" }) });
    const { page, panel } = await opened("everything", record.id);
    await panel.getByRole("button", { name: "More about this record" }).click();
    await page.getByRole("menuitem", { name: "Duplicate" }).click();
    await panel.getByText("Files are not copied").waitFor();
    await panel.getByRole("button", { name: "Create" }).click();
    await panel.waitFor({ state: "hidden" });
    const both = await root.collection("everything").getFullList({ filter: "title='original'" });
    assert.equal(both.length, 2);
    assert.equal(both.find(({ id }) => id !== record.id).picture, "");
    // What the log does not hold cannot be brought back, and that is said; everything else can.
    const plain = await root.collections.create({ name: "plain", type: "base", fields: [{ name: "title", type: "text" }] });
    const simple = await root.collection("plain").create({ title: "simple" });
    await page.reload();
    const copy = both.find(({ id }) => id !== record.id);
    for (const [collection, id, said] of [["everything", copy.id, /password/], ["everything", record.id, /file/], [plain.name, simple.id, "Record restored."]]) {
        await page.goto(`${ui.url}#/collections/${collection}/records/${id}`);
        await panel.getByRole("textbox", { name: "title" }).waitFor();
        await panel.getByRole("button", { name: "More about this record" }).click();
        await page.getByRole("menuitem", { name: "Delete" }).click();
        await page.getByRole("dialog", { name: "Delete this record?" }).getByRole("button", { name: "Delete" }).click();
        await panel.waitFor({ state: "hidden" });
        await assert.rejects(root.collection(collection).getOne(id));
        await page.getByRole("button", { name: "Undo" }).last().click();
        await page.locator(".toast").getByText(said).first().waitFor();
    }
    assert.equal((await root.collection("plain").getOne(simple.id)).title, "simple");
    await assert.rejects(stored(record.id));
    await finished(page);
});

test("accounts: a password is set with the generator and never shown", async () => {
    await root.collections.create({ name: "people", type: "auth", fields: [{ name: "name", type: "text" }] });
    const { page, panel } = await opened("people", "new");
    await panel.getByRole("textbox", { name: "email" }).fill("new@example.com");
    await panel.getByRole("switch", { name: "emailVisibility" }).check();
    await panel.getByRole("switch", { name: "verified" }).check();
    await panel.getByRole("button", { name: "Generate" }).click();
    const password = await panel.getByLabel("password").inputValue();
    assert.equal(password.length, 20);
    await page.keyboard.press("Control+s");
    await saved(page);
    assert.equal(await panel.getByLabel("password").inputValue(), "");
    await root.collection("people").getFirstListItem("email='new@example.com' && verified=true && emailVisibility=true");
    const { default: PocketBase } = await import("pocketbase");
    await new PocketBase(ui.conch.url).collection("people").authWithPassword("new@example.com", password);
    await finished(page);
});

test("rows of a view are shown and cannot be changed", async () => {
    const record = await create({ title: "seen" });
    const { page, panel } = await opened("rows", record.id);
    await panel.getByText("Rows of a view are computed").waitFor();
    assert.equal(await panel.getByRole("textbox", { name: "title" }).getAttribute("readonly"), "");
    assert.equal(await panel.getByRole("button", { name: "Save" }).count(), 0);
    await panel.getByRole("button", { name: "More about this record" }).click();
    await page.getByRole("menuitem", { name: "Show as JSON" }).click();
    await panel.getByRole("button", { name: "Copy" }).click();
    assert.equal(JSON.parse(await page.evaluate(() => navigator.clipboard.readText())).title, "seen");
    await finished(page);
});

test("broken JSON is kept, and marked where it breaks", async () => {
    const record = await create({ data: { a: [1, 2] } });
    const { page, panel } = await opened("everything", record.id);
    const data = panel.getByRole("textbox", { name: "data" });
    await write(data, "{\n  \"a\": [1, 2,]\n}");
    await panel.getByText("Not valid JSON from line 2, column 14 on.").waitFor();
    await page.keyboard.press("Control+s");
    assert.equal((await stored(record.id)).updated, record.updated);
    await write(data, "{\"n\":12345678901234567890,\"a\":[],\"b\":{}}");
    await panel.getByRole("button", { name: "Format" }).click();
    await page.keyboard.press("Control+s");
    await saved(page);
    const raw = await fetch(`${ui.conch.url}/api/collections/everything/records/${record.id}`, { headers: { Authorization: root.authStore.token } }).then((answer) => answer.text());
    assert.match(raw, /"n":\s*12345678901234567890,\s*"a":\s*\[\],\s*"b":\s*\{\}/);
    await finished(page);
});

test("200 fields, a megabyte of script and writing from right to left open at once", async () => {
    await root.collections.create({ name: "wide", type: "base", fields: Array.from({ length: 200 }, (_, index) => (index % 10 === 9 ? { name: `field_${index}`, type: "json" } : { name: `field_${index}`, type: "text", max: 2_000_000 })) });
    const bad = "<img src=x onerror=\"window.bad=1\"><script>window.bad=1</script>\u202Eשלום 🐚";
    const record = await root.collection("wide").create({ field_0: bad, field_1: "<script>window.bad=1</script>".repeat(36_000), field_9: { [bad]: bad }, field_199: { last: true } });
    for (const options of [{}, { width: 390, theme: "dark", language: "de" }]) {
        const { page, panel } = await opened("wide", record.id, options);
        await panel.getByLabel("field_0", { exact: true }).waitFor();
        assert.equal(await panel.getByLabel("field_0", { exact: true }).inputValue(), bad);
        await panel.getByRole("button", { name: options.language ? /Ganzen Text bearbeiten/ : /Edit the whole text/ }).waitFor();
        assert.ok(await panel.locator("textarea").count() < 100, "far fields are not made before they are seen");
        await panel.getByRole("searchbox").fill("field_198");
        await panel.getByLabel("field_198").fill("near");
        await Promise.all([page.waitForResponse((answer) => answer.request().method() === "PATCH"), page.keyboard.press("Control+s")]);
        assert.equal(await page.evaluate(() => window.bad), undefined);
        assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth));
        await accessible(page, ".dialog.side");
        await finished(page);
        await root.collection("wide").update(record.id, { field_198: "" });
    }
});

test("the keyboard begins where there is something to do: never at the cross", async () => {
    const focused = (page, what) => page.waitForFunction(what);
    await root.collections.create({ name: "notes", type: "base", fields: [{ name: "made", type: "autodate", onCreate: true }, { name: "data", type: "json" }] });
    for (let n = 0; n < 3; n += 1) await root.collection("notes").create({ id: `note${String(n).padStart(11, "0")}`, data: n });
    const record = await create({ title: "looked at" });
    const { page, panel } = await opened("everything", record.id);
    await panel.getByRole("button", { name: "Save", exact: true }).waitFor();
    await focused(page, () => document.activeElement?.matches(".dialog-title"));
    assert.equal(await panel.evaluate((one) => document.getElementById(one.getAttribute("aria-labelledby")) === document.activeElement), true, "the title names the dialog");
    await page.keyboard.press("Tab");
    assert.equal(await page.evaluate(() => document.activeElement.getAttribute("aria-label")), "Close");
    await page.keyboard.press("Escape");
    await focused(page, () => document.activeElement?.getAttribute("role") === "grid");
    await page.goto(`${ui.url}#/collections/everything/records/new`);
    await focused(page, () => document.activeElement?.closest("[data-name]")?.dataset.name === "title");
    await page.keyboard.press("Escape");
    await panel.waitFor({ state: "hidden" });
    await focused(page, () => document.activeElement?.getAttribute("role") === "grid");
    // An editor takes the keyboard over from the plain field that stood for it.
    await page.goto(`${ui.url}#/collections/notes/records/new`);
    await focused(page, () => document.activeElement?.closest("[data-name]")?.dataset.name === "data" && document.activeElement.shadowRoot?.activeElement?.matches(".cm-content"));
    await page.keyboard.press("Escape");
    await panel.waitFor({ state: "hidden" });
    // Through the records: the button that is pressed stays under the finger.
    await page.goto(`${ui.url}#/collections/notes?sort=id`);
    await page.getByText("3 records", { exact: true }).waitFor();
    await page.getByRole("grid").getByText("note00000000000").dblclick();
    await focused(page, () => document.activeElement?.matches(".dialog-title"));
    for (const id of ["note00000000001", "note00000000002"]) {
        // Not while the grid learns what has come meanwhile.
        await panel.getByRole("button", { name: "Next record", disabled: false }).press("Enter");
        await page.waitForFunction((id) => location.hash.includes(id) && document.querySelector(".dialog.side [data-name=id] input")?.value === id, id);
        if (id.endsWith("1")) await focused(page, () => document.activeElement?.dataset.step === "next");
    }
    await finished(page);
});

test("everything by keyboard, on a phone, in German", async () => {
    const { page, panel } = await opened("everything", "new", { width: 390, height: 800, language: "de", theme: "dark" });
    await panel.getByRole("textbox", { name: "title" }).focus();
    await page.keyboard.type("Nur Tasten");
    for (let step = 0; step < 60 && !await page.evaluate(() => document.activeElement?.textContent?.trim() === "Anlegen"); step += 1) await page.keyboard.press("Tab");
    await page.keyboard.press("Enter");
    await panel.waitFor({ state: "hidden" });
    assert.equal((await root.collection("everything").getList(1, 1, { filter: "title='Nur Tasten'" })).totalItems, 1);
    await finished(page);
});
