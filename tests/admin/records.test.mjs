// The grid of records in Chromium, over 100,000 of them.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, before, test } from "node:test";
import { accessible, startAdmin } from "../harness/admin.mjs";
import { seed, titleOf } from "./records.seed.mjs";

const MANY = 100_000;
let ui, seeded;
before(async () => {
    ui = await startAdmin();
    seeded = await seed(ui.root, MANY);
});
after(() => ui?.stop());

const grid = (page) => page.getByRole("grid");
/** The line that stands at an index, as screen readers count: the header is 1. */
const line = (page, index) => grid(page).locator(`[role=row][aria-rowindex="${index + 2}"]`);
const count = (page, text) => page.getByText(text, { exact: true }).waitFor();
const query = (page) => Object.fromEntries(new URLSearchParams(new URL(page.url()).hash.split("?")[1] ?? ""));

async function open(place, options) {
    const page = await ui.open(place, options);
    page.setDefaultTimeout(8_000);
    return page;
}
async function close(page) {
    assert.deepEqual(page.problems, []);
    await page.context().close();
}
/** Waits until rows fill the screen and none of them is still to come; gives their places and titles. */
async function shown(page, cell = 4) {
    await page.waitForFunction(() => {
        const grid = document.querySelector("[role=grid]"), rows = [...grid.querySelectorAll(".line")], { top, bottom } = grid.getBoundingClientRect();
        const boxes = rows.map((row) => row.getBoundingClientRect());
        return rows.length > 0 && Math.min(...boxes.map((box) => box.top)) <= top + 40 && Math.max(...boxes.map((box) => box.bottom)) >= bottom - 2
            && rows.every((row) => row.getAttribute("aria-busy") === "false");
    });
    return grid(page).evaluate((grid, cell) => {
        const { top, bottom } = grid.getBoundingClientRect();
        return [...grid.querySelectorAll(".line")].map((row) => ({
            index: Number(row.getAttribute("aria-rowindex")) - 2, title: row.querySelector(`.cell:nth-child(${cell})`)?.textContent.trim(),
            seen: row.getBoundingClientRect().bottom > top && row.getBoundingClientRect().top < bottom,
        }));
    }, cell);
}
const scroll = (page, top) => grid(page).evaluate((grid, top) => { grid.scrollTop = top; }, top);

test("100,000 records from top to bottom: whatever is shown is what belongs there", async () => {
    const page = await open("#/collections/many");
    await count(page, "100,000 records");
    const height = await grid(page).evaluate((grid) => grid.scrollHeight);
    for (let step = 0; step <= 16; step += 1) {
        await scroll(page, height * step / 16);
        const rows = await shown(page);
        assert.ok(rows.filter(({ seen }) => seen).length > 10);
        for (const { index, title } of rows) assert.equal(title, titleOf(MANY - 1 - index));
    }
    assert.equal((await shown(page)).at(-1).index, MANY - 1);
    // As fast as a scrollbar can be dragged, there and back.
    await grid(page).evaluate(async (grid) => {
        for (let step = 0; step < 90; step += 1) {
            grid.scrollTop = grid.scrollHeight * Math.abs(Math.sin(step / 9));
            await new Promise(requestAnimationFrame);
        }
        grid.scrollTop = 38 * 33_333;
    });
    const rows = await shown(page);
    assert.ok(rows.some(({ index }) => index === 33_333));
    for (const { index, title } of rows) assert.equal(title, titleOf(MANY - 1 - index));
    assert.ok(await page.locator(".line").count() < 60);
    await close(page);
});

test("the page is painted soon", async (context) => {
    const page = await open("#/collections/empty");
    await page.getByText("No records yet").waitFor();
    const took = await page.evaluate(async () => {
        const from = performance.now();
        location.hash = "#/collections/many";
        while (!document.querySelector("[role=grid] .line .cut")) await new Promise(requestAnimationFrame);
        return performance.now() - from;
    });
    await page.reload();
    await line(page, 0).getByText(titleOf(MANY - 1)).waitFor();
    const loaded = await page.evaluate(() => performance.now());
    context.diagnostic(`rows painted ${Math.round(took)} ms after the change of the address, within ${Math.round(loaded)} ms of loading the whole UI`);
    await close(page);
});

test("sort, search and filter stand in the address", async () => {
    const page = await open("#/collections/many");
    await line(page, 0).getByText(titleOf(MANY - 1)).waitFor();
    await page.getByRole("columnheader", { name: "n", exact: true }).getByRole("button").click();
    await line(page, 0).getByText(titleOf(0), { exact: true }).waitFor();
    assert.equal(await page.getByRole("columnheader", { name: /^n/ }).getAttribute("aria-sort"), "ascending");
    await page.getByRole("columnheader", { name: /^group/ }).getByRole("button").click({ modifiers: ["Shift"] });
    assert.equal(query(page).sort, "n,group");
    await page.getByRole("columnheader", { name: /^n/ }).getByRole("button").click();
    assert.equal(query(page).sort, "-n");

    await page.getByRole("searchbox", { name: "Search" }).fill("number 4242");
    await count(page, "20 records found");
    assert.equal(query(page).search, "number 4242");
    // Who types goes on typing while the address follows.
    assert.ok(await page.getByRole("searchbox", { name: "Search" }).evaluate((box) => box === document.activeElement));
    await page.getByRole("searchbox", { name: "Search" }).fill("100%_");
    await page.getByText("Nothing found").waitFor();
    await page.getByRole("button", { name: "Clear the filter" }).last().click();
    await count(page, "100,000 records");

    await grid(page).focus();
    await page.keyboard.press("/");
    await page.keyboard.type("n < 7");
    await page.keyboard.press("Enter");
    await count(page, "7 records found");
    assert.equal(query(page).filter, "n < 7");
    await page.reload();
    await count(page, "7 records found");
    await line(page, 0).getByText(titleOf(6)).waitFor();

    await page.getByRole("button", { name: "Saved filters" }).click();
    await page.getByRole("textbox", { name: "Name of the current filter" }).fill("The first");
    await page.getByRole("button", { name: "Save", exact: true }).click();
    await page.getByRole("button", { name: "Close" }).click();
    await page.getByRole("button", { name: "Clear the filter" }).click();
    await count(page, "100,000 records");
    await page.getByRole("button", { name: "Saved filters" }).click();
    await page.getByRole("button", { name: /^The first/ }).click();
    await count(page, "7 records found");
    await close(page);
});

test("a filter that is wrong says so, and nothing is lost", async () => {
    const page = await open("#/collections/many?filter=nope%3D1");
    await page.getByRole("alert").waitFor();
    assert.match(await page.getByRole("alert").innerText(), /\S/);
    await accessible(page);
    await page.getByRole("button", { name: "Clear the filter" }).click();
    await count(page, "100,000 records");
    await close(page);
});

test("every type of field reads well, and hostile values stay text", async () => {
    for (const look of [{ theme: "dark" }, { width: 390, language: "de" }]) {
        const page = await open("#/collections/every", look);
        await line(page, 3).getByText(seeded.every.id).waitFor();
        await accessible(page);
        assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), "the page scrolls sideways");
        await close(page);
    }
    const page = await open("#/collections/every", { width: 4_000 });
    const row = line(page, 3);
    await row.getByRole("link", { name: "ada@example.com" }).waitFor();
    assert.equal(await row.getByRole("link", { name: "https://example.com/a?b=c" }).getAttribute("rel"), "noopener noreferrer");
    for (const text of ["12.5", "Yes", "Hello bold world", "{\"deep\": [1, 2, {\"x\": null}]}", "52.52, 13.405", "only for superusers", "<b>bold</b> <script>1</script>", "+48"]) await row.getByText(text, { exact: true }).first().waitFor();
    await row.getByRole("link", { name: "Ada Lovelace" }).first().waitFor();
    assert.match(await row.getByRole("link", { name: "Ada Lovelace" }).first().getAttribute("href"), new RegExp(`#/collections/authors/records/${seeded.people[0].id}$`));
    await row.getByText(/^notes_.*\.txt$/).waitFor();
    // Pictures are there, the protected one with its token.
    await page.waitForFunction(() => { const found = [...document.querySelectorAll(".line img")]; return found.length === 2 && found.every((one) => one.complete && one.naturalWidth === 100); });
    await page.getByRole("columnheader", { name: /^quiet/ }).getByTitle("Hidden: only superusers see this field").waitFor();
    await line(page, 2).getByText("<script>document.title='run'").waitFor();
    assert.notEqual(await page.title(), "run");
    assert.ok(await page.locator(".line").evaluateAll((rows) => rows.every((row) => row.textContent.length < 4_000)));
    await row.hover();
    await row.getByRole("button", { name: "Copy the id" }).click();
    await page.waitForFunction(async (id) => await navigator.clipboard.readText() === id, seeded.every.id);
    await page.getByRole("button", { name: "More", exact: true }).click();
    await page.getByRole("menuitem", { name: "Times: exact, UTC" }).click();
    await row.getByText("31 Jan 2026, 12:00:00", { exact: true }).waitFor();
    await close(page);
});

test("200 fields: only what is seen is drawn; columns are chosen, moved and made wider, and it is remembered", async () => {
    const page = await open("#/collections/wide");
    await line(page, 0).getByText(/^value 0/).waitFor();
    await page.getByRole("button", { name: "Columns" }).click();
    await page.getByRole("button", { name: "Show all" }).click();
    await page.getByRole("button", { name: "Move field_0 forward" }).click();
    await accessible(page);
    await page.keyboard.press("Escape");
    await page.waitForFunction(() => document.querySelector("[role=grid]").getAttribute("aria-colcount") === "202");
    assert.ok(await page.getByRole("gridcell").count() < 15);
    await grid(page).evaluate((grid) => { grid.scrollLeft = grid.scrollWidth; });
    await line(page, 0).getByText(/^value 199/).waitFor();
    await line(page, 0).getByText(/^value 0/).waitFor();

    await grid(page).evaluate((grid) => { grid.scrollLeft = 0; });
    const width = (name) => page.getByRole("columnheader", { name, exact: true }).evaluate((head) => head.offsetWidth);
    const edge = await page.getByRole("columnheader", { name: "field_1", exact: true }).locator(".edge").boundingBox();
    await page.mouse.move(edge.x + 4, edge.y + 10);
    await page.mouse.down();
    await page.mouse.move(edge.x + 84, edge.y + 10, { steps: 4 });
    await page.mouse.up();
    assert.equal(await width("field_1"), 300);
    // By keyboard: two columns further.
    await grid(page).focus();
    for (let at = 0; at < 3; at += 1) await page.keyboard.press("ArrowRight");
    await page.keyboard.press("Alt+ArrowLeft");
    assert.equal(await width("field_2"), 196);
    await page.reload();
    await page.getByRole("columnheader", { name: "field_1", exact: true }).waitFor();
    assert.equal(await width("field_1"), 300);
    assert.equal(await page.getByRole("columnheader").nth(1).innerText(), "field_0");
    await close(page);
});

test("by keyboard alone: through the rows, into a record and back, select and delete", async () => {
    const page = await open("#/collections/many?filter=n%3C20&sort=n");
    await count(page, "20 records found");
    await grid(page).focus();
    const active = () => grid(page).evaluate((grid) => document.getElementById(grid.getAttribute("aria-activedescendant"))?.textContent.trim());
    for (const key of ["ArrowRight", "ArrowRight", "ArrowDown", "ArrowDown"]) await page.keyboard.press(key);
    assert.equal(await active(), titleOf(2));
    await page.keyboard.press("Control+End");
    await page.keyboard.press("Home");
    await page.keyboard.press("Control+Home");
    await page.keyboard.press("ArrowRight");
    assert.equal(await active(), "r00000000000000");
    await page.keyboard.press("PageDown");
    assert.match(await active(), /^r000000000000[01]\d$/);
    await page.keyboard.press("Control+Home");
    await page.keyboard.press("Enter");
    await page.getByRole("dialog").waitFor();
    await page.keyboard.press("Escape");
    await page.getByRole("dialog").waitFor({ state: "detached" });
    await page.waitForFunction(() => document.activeElement?.getAttribute("role") === "grid");
    assert.equal(query(page).filter, "n<20");

    await page.keyboard.press("Space");
    await page.keyboard.press("Shift+ArrowDown");
    await page.keyboard.press("Shift+ArrowDown");
    await page.getByText("3 selected").waitFor();
    await page.keyboard.press("Escape");
    await page.keyboard.press("Control+a");
    await page.getByText("20 selected").waitFor();
    await page.keyboard.press("Escape");
    await page.keyboard.press("Control+Home");
    await page.keyboard.press("ArrowRight");
    await page.keyboard.press("Control+c");
    await page.waitForFunction(async () => await navigator.clipboard.readText() === "r00000000000000");
    await page.keyboard.press("ArrowUp");
    await page.keyboard.press("ArrowRight");
    await page.keyboard.press("Enter");
    await line(page, 0).getByText(titleOf(19)).waitFor();
    assert.equal(query(page).sort, "-n");
    await page.keyboard.press("Enter");
    await page.waitForFunction(() => !location.hash.includes("sort"));
    assert.ok(await page.evaluate(() => document.activeElement?.getAttribute("role") === "grid"));
    await page.keyboard.press("n");
    await page.waitForFunction(() => location.hash.startsWith("#/collections/many/records/new"));
    await close(page);
});

test("a record made in the panel stands in the grid, and the panel steps through the rows", async () => {
    const page = await open("#/collections/authors");
    await page.getByText("Live", { exact: true }).waitFor();
    await page.getByRole("button", { name: "New record" }).click();
    await page.getByRole("dialog").getByRole("textbox", { name: /^name/ }).fill("Made by hand");
    await page.keyboard.press("Control+s");
    await page.waitForFunction(() => /records\/\w{15}$/.test(location.hash));
    const made = new URL(page.url()).hash.split("/").at(-1);
    await page.getByRole("button", { name: "Next record" }).click();
    await page.waitForFunction((id) => /records\/\w{15}$/.test(location.hash) && !location.hash.endsWith(id), made);
    await page.keyboard.press("Escape");
    await page.getByRole("dialog").waitFor({ state: "detached" });
    await line(page, 0).getByText("Made by hand").waitFor();
    await ui.root.collection("authors").delete(made);
    await close(page);
});

test("what others do is seen at once, and does not move what is being read", async () => {
    const page = await open("#/collections/authors");
    await page.getByText("Live", { exact: true }).waitFor();
    await line(page, 0).getByText("Author 49").waitFor();
    await grid(page).focus();
    await page.keyboard.press("ArrowDown");
    const authors = ui.root.collection("authors");
    const fresh = await authors.create({ name: "Fresh" });
    await line(page, 0).getByText("Fresh").waitFor();
    // The keyboard stays with its record.
    assert.match(await grid(page).evaluate((grid) => document.getElementById(grid.getAttribute("aria-activedescendant")).closest("[role=row]").textContent), /Author 48/);
    await authors.update(seeded.people[48].id, { name: "Renamed" });
    await line(page, 2).getByText("Renamed").waitFor();
    assert.match(await line(page, 2).getAttribute("class"), /fresh/);

    await scroll(page, 38 * 20);
    await page.waitForFunction(() => document.querySelector("[role=grid] .line[aria-rowindex='30']"));
    const before = (await shown(page, 3)).filter(({ seen }) => seen);
    assert.ok(before.every(({ title }) => /^(Author|Fresh|Renamed)/.test(title)), JSON.stringify(before));
    const later = [];
    for (const name of ["Later 1", "Later 2", "Later 3"]) later.push(await authors.create({ name }));
    await page.getByRole("button", { name: "3 new records – show" }).waitFor();
    assert.deepEqual((await shown(page, 3)).filter(({ seen }) => seen), before);
    await page.getByRole("button", { name: "3 new records – show" }).click();
    await line(page, 0).getByText("Later 3").waitFor();
    await authors.delete(fresh.id);
    await page.getByRole("button", { name: "1 deleted – show" }).click();
    await line(page, 3).getByText("Author 49").waitFor();

    // Many at once: what stands there in the end is the last of each.
    await Promise.all(later.map(async ({ id }) => { for (let at = 0; at <= 100; at += 1) await authors.update(id, { name: `Turn ${at}` }); }));
    for (const index of [0, 1, 2]) await line(page, index).getByText("Turn 100").waitFor();
    for (const { id } of later) await authors.delete(id);
    await authors.update(seeded.people[48].id, { name: "Author 48" });
    await close(page);
});

test("select, set a field, export", async () => {
    await ui.root.collection("empty").create({ title: "=1+1", n: -5 });
    for (let at = 0; at < 4; at += 1) await ui.root.collection("empty").create({ title: `Row, "${at}"`, n: at });
    const page = await open("#/collections/empty?sort=n");
    await count(page, "5 records");
    await line(page, 1).getByRole("checkbox").click();
    await line(page, 3).getByRole("checkbox").click({ modifiers: ["Shift"] });
    await page.getByText("3 selected").waitFor();
    await accessible(page);
    await page.getByRole("button", { name: "Select all 5" }).click();
    await page.getByText("5 selected").waitFor();
    await line(page, 0).getByRole("checkbox").click();
    await page.getByText("4 selected").waitFor();

    const choose = async (name) => {
        await page.getByRole("button", { name: "More for the selected" }).click();
        await page.getByRole("menuitem", { name }).click();
    };
    await choose("Copy ids");
    await page.getByText("4 ids copied.").waitFor();
    assert.equal((await page.evaluate(() => navigator.clipboard.readText())).split("\n").length, 4);
    await choose("Set a field");
    await page.getByLabel("Field", { exact: true }).selectOption("n");
    await page.getByLabel("Value", { exact: true }).fill("7");
    await page.getByRole("button", { name: "Change 4 records" }).click();
    await page.getByText("4 records changed.").waitFor();
    assert.deepEqual((await ui.root.collection("empty").getFullList({ sort: "n" })).map(({ n }) => n), [-5, 7, 7, 7, 7]);

    const download = async () => {
        const [file] = await Promise.all([page.waitForEvent("download"), page.getByRole("button", { name: "Export", exact: true }).click()]);
        return readFileSync(await file.path(), "utf8");
    };
    await page.getByRole("button", { name: "More", exact: true }).click();
    await page.getByRole("menuitem", { name: "Export" }).click();
    await accessible(page);
    const csv = (await download()).replace(/\r\n$/, "").split("\r\n");
    assert.equal(csv.length, 6);
    assert.equal(csv[0], "\uFEFFid,title,n");
    assert.match(csv[1], /^\w{15},'=1\+1,-5$/);
    assert.match(csv[2], /^\w{15},"Row, ""\d""",7$/);
    await choose("Export selected");
    await page.getByLabel("Format", { exact: true }).selectOption("json");
    const json = JSON.parse(await download());
    assert.equal(json.length, 4);
    assert.deepEqual(Object.keys(json[0]), ["id", "title", "n"]);

    await close(page);
});

test("what was deleted can be taken back", async () => {
    for (let at = 0; at < 4; at += 1) await ui.root.collection("empty").create({ title: `Back ${at}`, n: 55 });
    const page = await open("#/collections/empty?filter=n%3D55");
    await count(page, "4 records found");
    await grid(page).focus();
    await page.keyboard.press("Control+a");
    await page.getByRole("region", { name: "Selected records" }).getByRole("button", { name: "Delete" }).click();
    await page.getByRole("dialog").getByRole("button", { name: "Delete" }).click();
    await page.getByText("4 records deleted.").waitFor();
    await page.getByText("Nothing found").waitFor();
    await page.getByRole("button", { name: "Undo" }).click();
    await page.getByText("4 records restored.").waitFor();
    await count(page, "4 records found");
    await close(page);
});

test("what was missed while the server was out of reach is there afterwards", async () => {
    const page = await open("#/collections/authors");
    await page.getByText("Live", { exact: true }).waitFor();
    await page.context().setOffline(true);
    const made = await ui.root.collection("authors").create({ name: "Made meanwhile" });
    await page.getByText("The server cannot be reached. Trying again…").waitFor();
    await page.context().setOffline(false);
    await line(page, 0).getByText("Made meanwhile").waitFor();
    await ui.root.collection("authors").delete(made.id);
    page.problems = page.problems.filter((text) => !text.includes("ERR_INTERNET_DISCONNECTED"));
    await close(page);
});

test("all that fits a filter is selected, seen or not; many are deleted only by their number", async () => {
    const page = await open("#/collections/many?filter=n%3C2500");
    await count(page, "2,500 records found");
    await line(page, 0).getByRole("checkbox").click();
    await page.getByRole("button", { name: "Select all 2,500" }).click();
    await page.getByText("2,500 selected").waitFor();
    await scroll(page, 38 * 2_000);
    assert.ok((await shown(page)).every(({ index, title }) => title === titleOf(2_499 - index)));
    assert.equal(await grid(page).locator(".line.chosen").count(), await grid(page).locator(".line").count());
    await page.getByRole("region", { name: "Selected records" }).getByRole("button", { name: "Delete" }).click();
    await page.getByRole("dialog").getByRole("button", { name: "Delete", disabled: true }).waitFor();
    assert.match(await page.getByRole("dialog").getByText(/deleted one by one/).getByRole("link", { name: "Settings" }).getAttribute("href"), /settings\/batch$/);
    await page.keyboard.press("Escape");
    await page.getByRole("button", { name: "Select none" }).click();
    // A range over rows that were never fetched.
    await scroll(page, 0);
    await line(page, 0).getByRole("checkbox").click();
    await scroll(page, 38 * 2_200);
    await shown(page);
    await line(page, 2_205).getByRole("checkbox").click({ modifiers: ["Shift"] });
    await page.getByText("2,206 selected").waitFor();
    await close(page);
});

test("records that cannot be deleted are named, those that can be are gone", async () => {
    await ui.root.collections.import([{ name: "holders", type: "base", fields: [{ name: "of", type: "relation", required: true, maxSelect: 1, collectionId: (await ui.root.collections.getOne("empty")).id }] }]);
    const held = await ui.root.collection("empty").create({ title: "held", n: 99 });
    const loose = await ui.root.collection("empty").create({ title: "loose", n: 99 });
    await ui.root.collection("holders").create({ of: held.id });
    const page = await open("#/collections/empty?filter=n%3D99");
    await count(page, "2 records found");
    await grid(page).focus();
    await page.keyboard.press("Control+a");
    await page.keyboard.press("Delete");
    await page.getByRole("dialog").getByText("are emptied (holders.of); an undo does not fill them again").waitFor();
    await page.getByRole("dialog").getByRole("button", { name: "Delete" }).click();
    await page.locator(".toast").getByText("1 record deleted. An undo does not bring back what pointed here (holders.of).").waitFor();
    await page.getByRole("dialog", { name: "Some records were refused" }).getByText(held.id).waitFor();
    await page.keyboard.press("Escape");
    // It stays selected: something else may be done about it.
    await page.getByText("1 selected").waitFor();
    await line(page, 1).waitFor({ state: "detached" });
    await assert.rejects(ui.root.collection("empty").getOne(loose.id));
    await close(page);
});

test("accounts: verified is seen, and a token for one can be had; superusers and views work, too", async () => {
    const page = await open("#/collections/users");
    await line(page, 0).getByTitle("Verified").waitFor();
    await line(page, 0).getByRole("checkbox").click();
    await page.getByRole("button", { name: "More for the selected" }).click();
    await page.getByRole("menuitem", { name: "Act as this account" }).click();
    await page.getByLabel("Good for").selectOption("900");
    await accessible(page);
    await page.getByRole("button", { name: "Create and copy the token" }).click();
    await page.getByText("The token is on the clipboard.").waitFor();
    const token = await page.evaluate(() => navigator.clipboard.readText());
    const claims = JSON.parse(Buffer.from(token.split(".")[1], "base64url"));
    assert.equal(claims.id, seeded.account.id);
    assert.ok(claims.exp - Date.now() / 1000 < 901);
    await close(page);

    const supers = await open("#/collections/_superusers");
    await line(supers, 0).getByRole("link", { name: "root@example.com" }).waitFor();
    await close(supers);

    const view = await open("#/collections/looked");
    await count(view, "50 records");
    await view.getByText("Read only").waitFor();
    assert.equal(await view.getByRole("button", { name: "New record" }).count(), 0);
    await grid(view).focus();
    await view.keyboard.press("Control+a");
    await view.getByText("50 selected").waitFor();
    assert.equal(await view.getByRole("button", { name: "Delete" }).count(), 0);
    await close(view);
});

test("on a phone every action can be reached, and the first column stays in sight", async () => {
    const page = await open("#/collections/many?filter=n%3C30", { width: 390, height: 760 });
    await count(page, "30 records found");
    await grid(page).evaluate((grid) => { grid.scrollLeft = 400; });
    assert.ok(await line(page, 0).getByText("r00000000000029").isVisible());
    await line(page, 0).getByRole("checkbox").click();
    await page.getByRole("button", { name: "More for the selected" }).click();
    await page.getByRole("menuitem", { name: "Duplicate" }).click();
    await page.getByRole("dialog").waitFor();
    await close(page);
});
