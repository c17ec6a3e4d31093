// The admin UI: the SQL console, and the logs.

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { accessible, startAdmin } from "../harness/admin.mjs";

/** Modules of the UI that need no browser. */
const compiled = mkdtempSync(join(tmpdir(), "conch-admin-"));
after(() => rmSync(compiled, { recursive: true }));
const modules = ["pages/sql/statements.ts", "pages/logs/query.ts", "lib/files.ts"].map((path) => new URL(`../../assets/admin/src/${path}`, import.meta.url).pathname);
writeFileSync(join(compiled, "package.json"), "{\"type\":\"module\"}");
const tsc = new URL("../node_modules/typescript/lib/tsc.js", import.meta.url).pathname;
const said = spawnSync(process.execPath, [tsc, "--ignoreConfig", "--noCheck", "--noResolve", "--module", "esnext", "--target", "es2022", "--outDir", compiled, "--rootDir", new URL("../../assets/admin/src", import.meta.url).pathname, ...modules], { encoding: "utf8" });
const pure = (path) => import(join(compiled, path.replace(/ts$/, "js"))).catch(() => assert.fail(said.stdout + said.stderr));

let ui, ann;
const HOSTILE = "<img src=x onerror=window.hurt=1>\u202E";
const calm = (page) => assert.deepEqual(page.problems, []);
const fits = async (page) => assert.equal(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), true, "the page does not scroll sideways");

before(async () => {
    ui = await startAdmin();
    await ui.root.collections.create({ name: "things", type: "base", listRule: "", fields: [{ name: "title", type: "text" }, { name: "count", type: "number" }] });
    await ui.root.settings.update({ logs: { logAuthId: true, maxDays: 7 } });
    ann = await ui.root.collection("users").create({ email: "ann@example.com", name: "Ann", password: "a-long-password-1", passwordConfirm: "a-long-password-1" });
    for (let number = 1; number <= 3; number += 1) await ui.root.collection("things").create({ title: `Thing ${number} ${HOSTILE}`, count: number });
});
after(() => ui.stop());

const { statements, page: pageOf } = await pure("pages/sql/statements.ts");
const { filterOf, fromAddress, bars, like } = await pure("pages/logs/query.ts");

describe("a statement is known to read, or counts as writing", () => {
    const cases = [
        ["SELECT 1", [["SELECT", false]]],
        ["select 1; values (2);", [["SELECT", false], ["VALUES", false]]],
        ["-- DELETE\nSELECT 'a; DELETE FROM x' /* ; DROP */", [["SELECT", false]]],
        ["SELECT \"a;b\", [c;d], `e;f`, 'it''s; x'", [["SELECT", false]]],
        ["/* open SELECT 1", []],
        [" ;; ", []],
        ["EXPLAIN QUERY PLAN DELETE FROM x", [["EXPLAIN", false]]],
        ["WITH a AS (SELECT 1) SELECT * FROM a", [["SELECT", false]]],
        ["WITH a AS (SELECT 1) DELETE FROM x WHERE id IN a", [["DELETE", true]]],
        ["with recursive a(i) as (select 1 union all select i+1 from a) insert into x select i from a", [["INSERT", true]]],
        ["WITH a AS (SELECT 'DELETE') SELECT replace(x, 'a', 'b') FROM a", [["SELECT", false]]],
        ["WITH a AS (SELECT 1) REPLACE INTO x SELECT 1", [["REPLACE", true]]],
        ["PRAGMA table_info(things)", [["PRAGMA", false]]],
        ["PRAGMA main.table_info('things')", [["PRAGMA", false]]],
        ["PRAGMA user_version", [["PRAGMA", false]]],
        ["PRAGMA user_version = 3", [["PRAGMA", true]]],
        ["PRAGMA user_version(3)", [["PRAGMA", true]]],
        ["PRAGMA writable_schema", [["PRAGMA", true]]],
        ["SELECT 1; UPDATE x SET a = 1", [["SELECT", false], ["UPDATE", true]]],
        ["CREATE TRIGGER t AFTER INSERT ON x BEGIN SELECT CASE WHEN 1 THEN 2 END; DELETE FROM y; END; SELECT 1", [["CREATE", true], ["SELECT", false]]],
        ["\u00a0SELECT 1", [["SELECT", false]]],
        ["BEGIN", [["BEGIN", true]]], ["VACUUM", [["VACUUM", true]]], ["ATTACH 'x' AS y", [["ATTACH", true]]], ["sElEcTx 1", [["SELECTX", true]]], ["'SELECT' 1", [["'SELECT'", true]]], ["(SELECT 1)", [["(", true]]],
    ];
    for (const [text, wanted] of cases) test(text, () => assert.deepEqual(statements(text).map(({ verb, writes }) => [verb, writes]), wanted));
    test("more rows are asked for in the statement's own words", () => {
        const [one] = statements("SELECT * FROM x -- all\n;");
        assert.equal(pageOf(one, 1000, 1000), "SELECT * FROM (\nSELECT * FROM x -- all\n) LIMIT 1000 OFFSET 1000");
        assert.equal(pageOf(statements("PRAGMA table_info(x)")[0], 0, 1), undefined);
    });
});

test("tables become CSV and JSON", async () => {
    const { csv, objects } = await pure("lib/files.ts");
    assert.equal(csv(["a", "b,c"], [["1", "say \"hi\""], [null, ""], ["x\ny", { z: 1 }], [" s", true]]), "a,\"b,c\"\r\n1,\"say \"\"hi\"\"\"\r\n,\"\"\r\n\"x\ny\",\"{\"\"z\"\":1}\"\r\n\" s\",true\r\n");
    assert.deepEqual(objects(["id", "id", "x"], [["1", "2", null]]), [{ id: "1", id_2: "2", x: null }]);
});

describe("the filter of the logs", () => {
    const now = new Date("2026-03-14T12:30:00.000Z");
    const cases = [
        ["", "created >= '2026-03-13 12:30:00.000Z'"],
        ["range=all", ""],
        ["range=all&filter=level=0 // why&errors=1", "(\nlevel=0 // why\n) && level >= 8"],
        ["range=hour&level=4&class=4", "level >= 4 && created >= '2026-03-14 11:30:00.000Z' && data.status >= 400 && data.status < 500"],
        ["range=all&user=a'b", "data.authId = 'a\\'b'"],
        ["range=own&from=nonsense&slow=1", "data.execTime >= 500"],
    ];
    for (const [address, wanted] of cases) test(address || "a day", () => assert.equal(filterOf(fromAddress(new URLSearchParams(address)), now), wanted));
    test("others like it", () => assert.equal(like.path("/api/100%/it's?x=1"), "data.url ~ '/api/100\\\\%/it\\'s'"));
    test("bars have no holes", () => {
        const found = bars([{ date: "2026-03-14 10:00:00.000Z", total: 3 }, { date: "2026-03-14 12:00:00.000Z", total: 2 }], {}, now);
        assert.deepEqual([found.values, found.daily, found.times[1] - found.times[0]], [[3, 0, 2], false, 3600]);
        assert.deepEqual(bars([], {}, now).times, []);
        const month = bars([{ date: "2026-02-14 10:00:00.000Z", total: 3 }, { date: "2026-02-14 11:00:00.000Z", total: 1 }], {}, now);
        assert.deepEqual([month.daily, month.values[0], month.values.length], [true, 4, 29]);
    });
});

async function ask(page, text) {
    await page.locator(".cm-content").waitFor();
    await page.getByRole("textbox", { name: "SQL" }).click();
    await page.keyboard.press("Control+A");
    await page.keyboard.press("Delete");
    await page.keyboard.insertText(text);
    await page.keyboard.press("Control+Enter");
}
const title = async (number) => (await ui.root.collection("things").getFirstListItem(`count = ${number}`)).title;

for (const [width, theme, language] of [[1280, "light", "en"], [390, "dark", "de"]]) {
    test(`a query shows its rows, at ${width} px`, async () => {
        const page = await ui.open("#/sql", { width, theme, language });
        await page.getByRole("heading", { name: language === "en" ? "Nothing was asked yet" : "Noch nichts gefragt" }).waitFor();
        await accessible(page);
        await ask(page, "SELECT title, count, NULL AS absent FROM things ORDER BY count");
        const grid = page.getByRole("grid");
        await grid.getByRole("gridcell", { name: /^Thing 1/ }).waitFor();
        assert.deepEqual(await grid.getByRole("columnheader").allTextContents(), ["title", "count", "absent"]);
        assert.equal(await grid.getByRole("gridcell", { name: "NULL" }).count(), 3);
        await page.getByText(language === "en" ? /^3 rows/ : /^3 Zeilen/).waitFor();
        await accessible(page);
        await fits(page);
        assert.equal(await page.evaluate(() => window.hurt), undefined);
        calm(page);
        await page.context().close();
    });
}

test("what writes is refused unless that is allowed, and only once", async () => {
    const page = await ui.open("#/sql");
    const sent = [];
    page.on("request", (request) => { if (request.url().endsWith("/api/sql")) sent.push(request.postDataJSON().query); });
    const text = "WITH a AS (SELECT 1) UPDATE things SET title = 'Changed' WHERE count = 1";
    await ask(page, text);
    await page.getByText("UPDATE writes. Nothing was sent.", { exact: false }).waitFor();
    assert.deepEqual(sent, []);
    await page.getByRole("button", { name: "Allow writing" }).click();
    await page.getByText("The next run may change or delete data", { exact: false }).waitFor();
    await accessible(page);
    await page.getByRole("button", { name: "Run, may write" }).click();
    await page.getByText("One row changed", { exact: false }).waitFor();
    assert.equal(await title(1), "Changed");
    assert.equal(await page.getByRole("switch", { name: "Allow writing" }).isChecked(), false);
    await page.getByRole("button", { name: "Run", exact: true }).click();
    await page.getByText("UPDATE writes. Nothing was sent.", { exact: false }).waitFor();
    assert.equal(sent.length, 1);

    // All of it or nothing.
    await page.getByRole("switch", { name: "Allow writing" }).check();
    await ask(page, "UPDATE things SET title = 'Again' WHERE count = 2; UPDATE absent SET x = 1");
    await page.getByText(/no such table/i).waitFor();
    assert.match(await title(2), /^Thing 2/);

    // After five minutes by itself.
    await page.clock.install();
    await page.getByRole("switch", { name: "Allow writing" }).check();
    await page.clock.fastForward("05:01");
    await page.getByText("The next run may change or delete data", { exact: false }).waitFor({ state: "detached" });
    assert.equal(await page.getByRole("switch", { name: "Allow writing" }).isChecked(), false);
    calm(page);
    await page.context().close();
});

test("100,000 rows and a cell of a megabyte stay quick, by keyboard too", async () => {
    const page = await ui.open("#/sql");
    await ask(page, "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 30000) SELECT i, 'row ' || i AS name FROM n");
    const grid = page.getByRole("grid");
    await page.getByText(/^1,000 rows/).waitFor();
    await page.getByRole("button", { name: "1000 more" }).click();
    await page.getByText(/^2,000 rows/).waitFor();
    await page.getByRole("button", { name: "All", exact: true }).click();
    await page.getByText(/^30,000 rows/).waitFor();
    assert.equal(await page.getByText("There are more.").count(), 0);
    assert.equal(await grid.getAttribute("aria-rowcount"), "30001");
    assert.ok(await grid.getByRole("row").count() < 100, "only what is looked at is in the page");
    await grid.focus();
    await page.keyboard.press("Control+End");
    await grid.getByRole("gridcell", { name: "row 30000", exact: true }).waitFor();
    await page.keyboard.press("Enter");
    await page.getByRole("dialog", { name: "name" }).getByText("row 30000").waitFor();
    await page.keyboard.press("Escape");
    await page.getByRole("dialog").waitFor({ state: "detached" });

    await ask(page, "SELECT printf('%.*c', 1000000, 'x') AS big, '' AS blank");
    await grid.getByRole("gridcell", { name: /^x+$/ }).waitFor();
    assert.equal((await grid.getByRole("gridcell").first().textContent()).length, 200);
    await grid.focus();
    await page.keyboard.press("Enter");
    await page.getByText("the whole value has 1,000,000 characters", { exact: false }).waitFor();
    await page.getByRole("dialog").getByRole("button", { name: "Copy" }).click();
    assert.equal(await page.evaluate(async () => (await navigator.clipboard.readText()).length), 1_000_000);
    calm(page);
    await page.context().close();
});

test("several statements have a result each; a failure is told", async () => {
    const page = await ui.open("#/sql");
    await ask(page, "SELECT 1 AS one; SELECT 2 AS two; SELECT nonsense");
    await page.getByText(/no such column: nonsense/i).waitFor();
    const results = page.getByRole("group", { name: "Results" }).getByRole("button");
    assert.equal(await results.count(), 3);
    await results.first().click();
    await page.getByRole("columnheader", { name: "one" }).waitFor();
    calm(page);
    await page.context().close();
});

test("the history is searched and run again; queries are saved by name; results are exported", async () => {
    const page = await ui.open("#/sql");
    await ask(page, "SELECT 'first' AS x");
    await page.getByRole("gridcell", { name: "first" }).waitFor();
    await ask(page, "SELECT 'second' AS x, 'a,b' AS y");
    await page.getByRole("gridcell", { name: "second" }).waitFor();

    for (const [kind, wanted] of [["CSV", "x,y\r\nsecond,\"a,b\"\r\n"], ["JSON", JSON.stringify([{ x: "second", y: "a,b" }], null, 2)]]) {
        await page.getByRole("button", { name: "Export" }).click();
        const [download] = await Promise.all([page.waitForEvent("download"), page.getByRole("menuitem", { name: kind }).click()]);
        assert.equal(readFileSync(await download.path(), "utf8"), wanted);
    }

    await page.getByRole("button", { name: "Save query" }).click();
    await page.getByRole("textbox", { name: "Name" }).fill("My query");
    await page.keyboard.press("Enter");
    await page.getByText("The query is saved in this browser.").waitFor();

    await page.reload();
    await page.getByRole("textbox", { name: "SQL" }).getByText("second").waitFor();
    await page.getByRole("button", { name: "History" }).click();
    const shelf = page.getByRole("dialog", { name: "History" });
    await shelf.getByText("'second'", { exact: false }).waitFor();
    await accessible(page);
    await shelf.getByLabel("Search").fill("first");
    await shelf.getByText("'second'", { exact: false }).waitFor({ state: "detached" });
    await shelf.getByRole("button", { name: "Run it again" }).click();
    await page.getByRole("gridcell", { name: "first" }).waitFor();

    await page.getByRole("button", { name: "Saved" }).click();
    const saved = page.getByRole("dialog", { name: "Saved" });
    await saved.getByRole("heading", { name: "My query" }).waitFor();
    await saved.getByRole("button", { name: "Delete: My query" }).click();
    await saved.getByText("Nothing yet.").waitFor();
    calm(page);
    await page.context().close();
});

test("names of tables and columns are suggested", async () => {
    const page = await ui.open("#/sql");
    await page.locator(".cm-content").click();
    await page.keyboard.type("SELECT * FROM thin");
    await page.getByRole("listbox", { name: "Completions" }).getByRole("option", { name: /things/ }).click();
    await page.keyboard.type(" WHERE things.cou");
    await page.getByRole("listbox", { name: "Completions" }).getByRole("option", { name: /count/ }).waitFor();
    calm(page);
    await page.context().close();
});

describe("logs", () => {
    const things = (query = "") => fetch(`${ui.conch.url}/api/collections/things/records${query}`);
    const line = (page) => page.getByRole("grid", { name: "Logs" }).getByRole("row");
    before(async () => {
        for (let number = 0; number < 5; number += 1) await things(`?number=${number}&x=${encodeURIComponent(HOSTILE)}`);
        await fetch(`${ui.conch.url}/api/collections/nothing/records`);
        const { token } = await (await fetch(`${ui.conch.url}/api/collections/users/auth-with-password`, {
            method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ identity: "ann@example.com", password: "a-long-password-1" }),
        })).json();
        await fetch(`${ui.conch.url}/api/collections/things/records?of=ann`, { headers: { Authorization: token } });
        // Written a few seconds later.
        const url = `${ui.conch.url}/api/logs?filter=${encodeURIComponent("data.url ~ 'of=ann'")}`;
        for (let found = 0; !found; await new Promise((resolve) => setTimeout(resolve, 200))) found = (await (await fetch(url, { headers: { Authorization: ui.root.authStore.token } })).json()).totalItems;
    });

    for (const [width, theme, language] of [[1280, "light", "en"], [390, "dark", "de"]]) {
        test(`list, chart and detail at ${width} px`, async () => {
            const page = await ui.open("#/logs", { width, theme, language });
            const rows = page.getByRole("grid").getByRole("row");
            await rows.first().waitFor();
            await page.getByRole("img", { name: language === "en" ? /logs by the hour/ : /Einträge je Stunde/ }).locator("canvas").waitFor();
            await page.getByText(language === "en" ? /of the last 7 days/ : /der letzten 7 Tage/).waitFor();
            await accessible(page);
            await fits(page);
            await page.getByRole("button", { name: "4xx" }).click();
            await page.getByRole("grid").getByText("/api/collections/nothing/records").first().waitFor();
            await page.getByRole("grid").focus();
            await page.keyboard.press("Home");
            await page.keyboard.press("Enter");
            const detail = page.getByRole("dialog");
            await detail.getByText("\"status\": 404", { exact: false }).waitFor();
            await accessible(page);
            await fits(page);
            await page.keyboard.press("Escape");
            await detail.waitFor({ state: "detached" });
            assert.match(page.url(), /class=4/, "what is filtered stands in the address");
            calm(page);
            await page.context().close();
        });
    }

    test("the filter has its own completion, and says what is wrong with it", async () => {
        const page = await ui.open("#/logs");
        await line(page).first().waitFor();
        await page.locator(".cm-content").click();
        await page.keyboard.type("data.sta");
        const option = page.getByRole("listbox", { name: "Completions" }).getByRole("option");
        await option.first().waitFor();
        assert.deepEqual(await option.locator(".cm-completionLabel").allTextContents(), ["status"]);
        // A click: Enter takes nothing in the moment in which the list comes up.
        await option.first().click();
        await page.keyboard.type(" = 404");
        await page.keyboard.press("Enter");
        await page.getByText("1 log", { exact: true }).waitFor();
        await page.keyboard.type(" nonsense");
        await page.keyboard.press("Escape");
        await page.keyboard.press("Enter");
        // Beside the box, at its place; what was found before stays.
        const alert = page.getByRole("alert").filter({ hasText: "Expected && or || between comparisons." });
        await alert.waitFor();
        assert.equal(await page.locator(".cm-lintRange-error").textContent(), "nonsense");
        assert.equal(await page.getByRole("group", { name: "Filter" }).evaluate((group) => document.getElementById(group.getAttribute("aria-describedby")).textContent), await alert.textContent());
        await page.getByText("1 log", { exact: true }).waitFor();
        assert.match(page.url(), /filter=data\.status\+%3D\+404(&|$)/);
        for (const filter of ["id != ''", "data.url ~ 'things' && level >= 0 && created > @yesterday && message != '' && data.details.deep:length != 5"]) {
            await page.goto(`${ui.url}#/logs?filter=${encodeURIComponent(filter)}`);
            await line(page).first().waitFor();
            await page.locator(".cm-content").click();
            await page.keyboard.press("Control+End");
            const [answer] = await Promise.all([page.waitForResponse(/api\/rules\/check/), page.keyboard.press("Enter")]);
            assert.deepEqual(await answer.json(), { ok: true });
        }
        // One that stands in the address is told with its place, too.
        await page.goto(`${ui.url}#/logs?filter=${encodeURIComponent("datta.status = 404")}`);
        await page.getByRole("alert").filter({ hasText: "datta" }).waitFor();
        assert.equal(await page.locator(".cm-lintRange-error").textContent(), "datta.status");
        await page.getByRole("heading", { name: "The logs could not be read" }).waitFor();
        if (process.env.SHOT) await page.screenshot({ path: `${process.env.SHOT}/logs-wrong.png` });
        await page.getByRole("button", { name: "Show all" }).click();
        await line(page).first().waitFor();
        calm(page);
        await page.context().close();
    });

    test("from one log to others of its request, its account and its path", async () => {
        const page = await ui.open(`#/logs?filter=${encodeURIComponent("data.url ~ 'of=ann'")}`);
        await line(page).first().click();
        const detail = page.getByRole("dialog", { name: "Log" });
        await detail.getByRole("button", { name: "Of this path" }).click();
        await line(page).filter({ hasText: "number=0" }).waitFor();
        await line(page).filter({ hasText: "of=ann" }).waitFor();
        assert.equal(await line(page).filter({ hasText: "/nothing/" }).count(), 0);
        await page.goto(`${ui.url}#/logs?filter=${encodeURIComponent("data.url ~ 'of=ann'")}`);
        await page.getByText("1 log", { exact: true }).waitFor();
        await line(page).first().click();
        await detail.getByRole("button", { name: "Of this account" }).click();
        await page.getByRole("button", { name: `Of ${ann.id}` }).waitFor();
        await line(page).filter({ hasText: "of=ann" }).waitFor();
        await line(page).first().click();
        await detail.getByRole("button", { name: "Of this request" }).click();
        await page.getByRole("button", { name: `Of ${ann.id}` }).waitFor({ state: "detached" });
        await page.getByText("1 log", { exact: true }).waitFor();

        await page.getByRole("button", { name: "Of an account" }).click();
        const choice = page.getByRole("dialog", { name: "Of an account" });
        await choice.getByLabel("Collection").selectOption("users");
        await choice.getByRole("combobox", { name: "Account" }).last().fill("ann@");
        await choice.getByRole("option", { name: /ann@example.com/ }).waitFor();
        await page.keyboard.press("Enter");
        await choice.getByRole("button", { name: "Show" }).click();
        await page.getByRole("button", { name: `Of ${ann.id}` }).waitFor();
        calm(page);
        await page.context().close();
    });

    test("live: new rows come by themselves, and nothing jumps for who reads further down", async () => {
        for (let number = 0; number < 60; number += 1) await things(`?filler=${number}`);
        const page = await ui.open(`#/logs?filter=${encodeURIComponent("data.url ~ '/things/'")}`);
        await line(page).first().waitFor();
        await page.getByRole("switch", { name: "Live" }).check();
        await things("?fresh=1");
        await line(page).filter({ hasText: "fresh=1" }).waitFor();
        await line(page).filter({ hasText: "filler=0" }).first().waitFor({ state: "detached" });

        const grid = page.getByRole("grid", { name: "Logs" });
        await grid.evaluate((view) => { view.scrollTop = 600; });
        const seen = () => grid.evaluate((view) => {
            const middle = view.getBoundingClientRect().top + view.clientHeight / 2;
            return [...view.querySelectorAll("[role=row]")].find((row) => row.getBoundingClientRect().bottom > middle)?.id;
        });
        await page.waitForFunction(() => document.querySelector("[role=grid]").scrollTop === 600);
        // The rows of the new place are drawn a frame later.
        let before;
        for (const end = Date.now() + 5_000; !before && Date.now() < end;) before = await seen();
        assert.ok(before);
        for (let number = 0; number < 5; number += 1) await things(`?later=${number}`);
        await page.getByRole("button", { name: /^\d+ new$/ }).waitFor();
        assert.equal(await seen(), before);
        await page.getByRole("button", { name: /^\d+ new$/ }).click();
        await line(page).filter({ hasText: "later=" }).first().waitFor();
        calm(page);
        await page.context().close();
    });

    test("export of what is shown, and deleting all of it after a question", async () => {
        const page = await ui.open("#/logs?class=4");
        await line(page).first().waitFor();
        await page.getByRole("button", { name: "More" }).click();
        const [download] = await Promise.all([page.waitForEvent("download"), page.getByRole("menuitem", { name: /CSV/ }).click()]);
        assert.match(readFileSync(await download.path(), "utf8"), /^id,created,level,message,data\r\n[^]*,8,GET \/api\/collections\/nothing\/records,/);
        await page.getByRole("button", { name: "More" }).click();
        await page.getByRole("menuitem", { name: "Delete all logs" }).click();
        await page.getByRole("dialog").getByRole("button", { name: "Delete all logs" }).click();
        await page.getByText("All logs are deleted.", { exact: true }).waitFor();
        await page.getByRole("heading", { name: "No logs" }).waitFor();
        await accessible(page);
        assert.equal(await page.evaluate(() => window.hurt), undefined);
        calm(page);
        await page.context().close();
    });
});
