// Records from a file: CSV as programs write it, JSON, what cannot be converted, what the server refuses, big files.

import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, beforeEach, test } from "node:test";
import { accessible, startAdmin } from "../harness/admin.mjs";

let ui, root;

before(async () => {
    ui = await startAdmin();
    root = ui.root;
    await root.collections.create({
        name: "goods", type: "base", indexes: ["CREATE UNIQUE INDEX idx_goods_sku ON goods (sku)"], fields: [
            { name: "sku", type: "text", required: true },
            { name: "name", type: "text" },
            { name: "price", type: "number", max: 10_000 },
            { name: "sold", type: "bool" },
            { name: "since", type: "date" },
            { name: "kinds", type: "select", values: ["red", "green", "blue"], maxSelect: 3 },
            { name: "data", type: "json" },
            { name: "place", type: "geoPoint" },
        ],
    });
});
after(() => ui?.stop());
beforeEach(async () => {
    await root.collections.truncate("goods");
    await batches(true);
});

const batches = (enabled) => root.settings.update({ batch: { enabled, maxRequests: 50, timeout: 3 } });
const stored = () => root.collection("goods").getFullList({ sort: "sku" });

async function chooseImport(page) {
    await page.getByRole("button", { name: "More", exact: true }).click();
    await page.getByRole("menuitem", { name: "Import CSV or JSON" }).click();
}

/** The import of the collection with a file given. */
async function given(name, content, options) {
    const page = await ui.open("#/collections/goods", options);
    page.setDefaultTimeout(8_000);
    await chooseImport(page);
    const dialog = page.getByRole("dialog", { name: "Import into goods" });
    await dialog.locator("input[type=file]").setInputFiles({ name, mimeType: "text/plain", buffer: Buffer.from(content) });
    return { page, dialog };
}
const finished = async (page) => {
    assert.deepEqual(page.problems, []);
    await page.context().close();
};

test("a CSV with everything that CSV allows", async () => {
    const csv = "\uFEFFSKU,Name,Price,sold,since,kinds,data,place,other\r\n"
        + "a1,\"Chair, \"\"blue\"\"\nof wood\",12.5,yes,2026-05-01,\"red,blue\",\"{\"\"a\"\":12345678901234567890}\",\"52.5, 13.4\",x\r\n"
        + "a2,<script>alert(1)</script>,\"1,234.5\",no,31.12.2025 10:30,,,,\n"
        + "\n"
        + "a3,שלום,,,,green,,,";
    const { page, dialog } = await given("goods.csv", csv);
    await dialog.getByText("All 3 rows can be converted.").waitFor();
    assert.equal(await dialog.getByLabel("Field for SKU").inputValue(), "sku");
    assert.equal(await dialog.getByLabel("Field for other").inputValue(), "");
    await accessible(page, ".dialog");
    await dialog.getByRole("button", { name: "Import 3 rows" }).click();
    await dialog.getByText("Done: all 3 rows were taken over.").waitFor();
    const [one, two, three] = await stored();
    assert.equal(one.name, "Chair, \"blue\"\nof wood");
    assert.equal(one.price, 12.5);
    assert.equal(one.sold, true);
    assert.equal(one.since, "2026-05-01 00:00:00.000Z");
    assert.deepEqual(one.kinds, ["red", "blue"]);
    assert.deepEqual(one.place, { lon: 13.4, lat: 52.5 });
    assert.equal(two.name, "<script>alert(1)</script>");
    assert.equal(two.price, 1234.5);
    assert.equal(two.since, "2025-12-31 10:30:00.000Z");
    assert.equal(three.name, "שלום");
    await finished(page);
});

test("semicolons, Latin-1 and decimal commas are found out", async () => {
    const { page, dialog } = await given("a.csv", Buffer.from("sku;name;price\nb1;M\xfcller;1.234,50\nb2;\xc4rger;7,25\n", "latin1"));
    await dialog.getByText("All 2 rows can be converted.").waitFor();
    assert.equal(await dialog.getByLabel("Separated by").inputValue(), ";");
    assert.equal(await dialog.getByLabel("Encoding").inputValue(), "windows-1252");
    await dialog.getByRole("button", { name: "Import 2 rows" }).click();
    await dialog.getByText("Done: all 2 rows").waitFor();
    assert.deepEqual((await stored()).map(({ name, price }) => [name, price]), [["Müller", 1234.5], ["Ärger", 7.25]]);
    await finished(page);
});

test("what cannot be converted is said by row, left out, and given back", async () => {
    const { page, dialog } = await given("bad.csv", "sku,name,price,sold,since,kinds,data\nc1,fine,1,true,2026-01-01,red,{}\nc2,bad,cheap,maybe,01/02/2026,yellow,{x\n,none,1,,,,\nc4,dear,99999,,2026-02-30,,\n");
    await dialog.getByText("3 rows cannot be taken over as they are.").waitFor();
    await dialog.getByText("Show the reasons").click();
    for (const text of ["“cheap” is not a number.", "“maybe” is neither yes nor no.", "“01/02/2026” is not a date", "“yellow” is not one of the values.", "Not valid JSON.", "Needs a value.", "More than 10000.", "“2026-02-30” is not a date"]) {
        await dialog.getByRole("listitem").filter({ hasText: text }).first().waitFor();
    }
    await accessible(page, ".dialog");
    await dialog.getByRole("button", { name: "Import 1 row", exact: true }).click();
    await dialog.getByText("Done, but 3 rows were not taken over.").waitFor();
    const [download] = await Promise.all([page.waitForEvent("download"), dialog.getByRole("button", { name: "Download as CSV" }).click()]);
    assert.equal(download.suggestedFilename(), "bad-failed.csv");
    const lines = readFileSync(await download.path(), "utf8").split("\r\n");
    assert.equal(lines[0], "sku,name,price,sold,since,kinds,data,error");
    assert.match(lines[1], /^c2,bad,cheap,maybe,01\/02\/2026,yellow,\{x,/);
    assert.deepEqual((await stored()).map(({ sku }) => sku), ["c1"]);
    await finished(page);
});

test("rows that the server refuses do not take their batch along, and records are changed by a unique field", async () => {
    await root.collection("goods").create({ sku: "d2", name: "old", price: 5 });
    const csv = `sku,name,price\n${Array.from({ length: 120 }, (_, index) => `d${index},row ${index},${index === 2 ? "" : index}`).join("\n")}\nd7,again,700\n`;
    const first = await given("d.csv", csv);
    await first.dialog.getByText("All 121 rows can be converted.").waitFor();
    await first.dialog.getByRole("button", { name: "Import 121 rows" }).click();
    await first.dialog.getByText("Done, but 2 rows were not taken over.").waitFor();
    assert.equal((await stored()).length, 120);
    assert.equal((await root.collection("goods").getFirstListItem("sku='d2'")).name, "old");
    await finished(first.page);

    const { page, dialog } = await given("d.csv", csv);
    await dialog.getByText("All 121 rows can be converted.").waitFor();
    await dialog.getByLabel("Records").selectOption("sku");
    await dialog.getByRole("button", { name: "Import 121 rows" }).click();
    await dialog.getByText("Done: all 121 rows").waitFor();
    assert.equal((await stored()).length, 120);
    const two = await root.collection("goods").getFirstListItem("sku='d2'");
    assert.equal(two.name, "row 2");
    assert.equal(two.price, 5, "an empty cell leaves what is stored");
    assert.equal((await root.collection("goods").getFirstListItem("sku='d7'")).price, 700, "the later row counts");
    await finished(page);
});

test("JSON goes in as well, one by one where batches are off", async () => {
    await batches(false);
    const rows = Array.from({ length: 30 }, (_, index) => ({ sku: `e${index}`, name: "\"[{}]\\", price: index + 1, data: { deep: [index, { "}": "{" }] }, kinds: ["red"], place: { lon: 1, lat: 2 } }));
    const { page, dialog } = await given("e.json", JSON.stringify(rows, null, 1));
    await dialog.getByText("All 30 rows can be converted.").waitFor();
    await dialog.getByText("Batch requests are switched off").waitFor();
    await dialog.getByRole("button", { name: "Import 30 rows" }).click();
    await dialog.getByText("Done: all 30 rows").waitFor();
    const found = await root.collection("goods").getFirstListItem("sku='e9'");
    assert.deepEqual(found.data, { deep: [9, { "}": "{" }] });
    assert.equal(found.name, "\"[{}]\\");
    await finished(page);
});

test("broken files say where they break", async () => {
    const { page, dialog } = await given("empty.json", "[]");
    await dialog.getByText("There are no rows in this file.").waitFor();
    await dialog.getByRole("button", { name: "Another file" }).click();
    for (const [name, content, text] of [
        ["open.csv", "sku,name\nf1,\"never closed\nf2,x\n", "a quote is not closed"],
        ["cut.json", "[{\"sku\":\"g1\"},{\"sku\":", "Entry 2 is not a whole JSON object"],
        ["empty.csv", "", "There are no rows in this file."],
        ["numbers.json", "[1,2,3]", "There are no rows in this file."],
    ]) {
        await dialog.locator("input[type=file]").setInputFiles({ name, mimeType: "text/plain", buffer: Buffer.from(content) });
        await dialog.getByText(text).waitFor();
        await dialog.getByRole("button", { name: "Another file" }).click();
    }
    await finished(page);
});

test("a big file keeps the page awake, and can be stopped and gone on with", async () => {
    const line = (index) => `h${index},${"word ".repeat(60)},${index % 9000}\n`;
    const big = `sku,name,price\n${Array.from({ length: 100_000 }, (_, index) => line(index)).join("")}`;
    const folder = mkdtempSync(join(tmpdir(), "conch-import-")), path = join(folder, "big.csv");
    writeFileSync(path, big);
    const page = await ui.open("#/collections/goods", { width: 390 });
    await chooseImport(page);
    const dialog = page.getByRole("dialog", { name: "Import into goods" });
    await page.evaluate(() => {
        window.longest = 0;
        let last = performance.now();
        const tick = () => { const now = performance.now(); window.longest = Math.max(window.longest, now - last); last = now; requestAnimationFrame(tick); };
        requestAnimationFrame(tick);
    });
    await dialog.locator("input[type=file]").setInputFiles(path);
    await page.evaluate(() => { window.longest = 0; });
    await dialog.getByText("All 100,000 rows can be converted.").waitFor({ timeout: 30_000 });
    assert.ok(await page.evaluate(() => window.longest) < 1000, "the page was frozen while the file was read");
    await dialog.getByRole("button", { name: "Import 100,000 rows" }).click();
    await dialog.getByText(/^[1-9][\d,]* of 100,000 rows$/).waitFor();
    await dialog.getByRole("button", { name: "Stop" }).click();
    await dialog.getByText("Stopped. What has been stored stays.").waitFor();
    const before = (await root.collection("goods").getList(1, 1)).totalItems;
    assert.ok(before > 0 && before < 100_000);
    await accessible(page, ".dialog");
    await dialog.getByRole("button", { name: "Go on" }).click();
    await dialog.getByText(/^[1-9][\d,]* of 100,000 rows$/).waitFor();
    await dialog.getByRole("button", { name: "Stop" }).click();
    await dialog.getByRole("button", { name: "End here" }).click();
    rmSync(folder, { recursive: true });
    await dialog.getByText(/^Ended: [\d,]+ of 100,000 rows were taken over/).waitFor();
    await finished(page);
});
