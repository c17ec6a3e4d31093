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
    await panel.getByLabel("title").fill("Hello");
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
    await picker.getByRole("button", { name: "Take over" }).click();
    await panel.getByText("Tag 47").waitFor();
    await panel.getByLabel("secret").fill("long-secret-1");
    await accessible(page);
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
