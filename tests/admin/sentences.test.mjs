// What the server says is said in German as well: the catalogue has every sentence of the server's source that an owner
// can meet in the admin UI, and none that the server does not say any more.

import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { startAdmin } from "../harness/admin.mjs";
import { sentences } from "../harness/sentences.mjs";

const root = fileURLToPath(new URL("../..", import.meta.url));
const folder = join(root, "assets/admin/src/i18n/de/server");
const catalogue = readdirSync(folder).filter((name) => name.endsWith(".json")).map((name) => [name, Object.entries(JSON.parse(readFileSync(join(folder, name), "utf8")))]);
const known = new Map(catalogue.flatMap(([, entries]) => entries));

/** Rooms whose errors are told with their reasons, which are sentences without a period. */
const PARTLY = ["rules/", "schema/view/", "console/guard.rs", "backups/zip/", "backups/restore.rs", "mail/", "notify/when/definition.rs", "notify/who/", "notify/what/filters.rs", "notify/how/", "outgoing/"];
/** What says nothing to somebody who uses the admin UI. */
const ELSEWHERE = [
    [/^cli\//, "the command line"],
    [/^http\/tls\//, "the start, and the log"],
    [/^(?:db\/|backups\/(?:swap|upgrade|archive|lost)|schema\/bootstrap\/|settings\/cipher|logs\/table|identity\/hashes)/, "the start of the server"],
    [/^http\/openapi\//, "the description of the API"],
    [/^http\/health\/(?:metrics|process|mod)/, "monitoring"],
    [/^http\/health\/(?:warnings|ready)/, "said in the UI's own words, by its code"],
    [/^settings\/words/, "the command line"],
    [/^snapshots\//, "tests of applications"],
    [/^http\/api\/notify\/links/, "pages of recipients"],
    [/^mail\/(?:template|text|extract|layout)/, "mails"],
];
/** The same, one by one. */
const EXEMPT = {
    "the SQL triggers of {name} are left out: what they change would reach neither log, nor caches, nor live clients": "the log",
    "what is left of a failed restore goes at the next start": "the log",
    "kept a message, see GET /api/mailbox": "the log",
    "keys that were just made are not there": "never met",
    "The API is healthy.": "monitoring",
    "Notifications reach this device.": "the body of a test",
    "SELECT `{}` FROM {DELIVERIES} WHERE notification = ?": "SQL",
    "{name} = ?": "SQL",
    "{kind}: {}.": "the template engine's own words",
    "an array": "what broken JSON is told from within",
    "an object": "what broken JSON is told from within",
};

/** What SQLite and the engine of templates say stands in no source of ours. */
const OTHERS = new Map(catalogue.find(([name]) => name === "others.json")[1]);

const { told, all } = sentences(join(root, "src"), PARTLY);

test("each sentence of the server has a German one", () => {
    const missing = [...told].filter(([text, files]) => !known.has(text) && !EXEMPT[text] && !files.every((file) => ELSEWHERE.some(([room]) => room.test(file))));
    assert.deepEqual(missing.map(([text, files]) => `${files[0]}: ${text}`), []);
    console.log(`ℹ ${known.size} sentences and parts of them, of ${told.size} in the source`);
});

test("the catalogue has nothing that the server does not say", () => {
    // Words that stand in a sentence by themselves are enough of a literal.
    assert.deepEqual([...known.keys()].filter((text) => !all.has(text) && !OTHERS.has(text)), []);
    assert.deepEqual(Object.keys(EXEMPT).filter((text) => !told.has(text) || known.has(text)), [], "not needed any more");
    const lines = catalogue.map(([name]) => readFileSync(join(folder, name), "utf8").match(/^    "/gm).length);
    assert.equal(known.size, lines.reduce((sum, count) => sum + count), "a sentence stands there twice");
});

// The part of the UI that finds a sentence's German one, without the types.
const { ready, translated } = await (async () => {
    const admin = createRequire(join(root, "assets/admin/package.json"));
    const { outputText } = admin("typescript").transpileModule(readFileSync(join(root, "assets/admin/src/lib/sentences.ts"), "utf8"), { compilerOptions: { module: "ESNext", target: "ES2022" } });
    return import(`data:text/javascript,${encodeURIComponent(outputText)}`);
})();
const german = ready(Object.fromEntries(known));

test("what is filled in stays as it was said, and sentences within sentences are German", () => {
    for (const [said, expected] of [
        ["Cannot be blank.", "Darf nicht leer sein."],
        ["Must be no less than -3.", "Muss mindestens -3 sein."],
        ["The collection \"a \"b\" {0} $& \" is not valid: fields.0.name: x.", "Die Sammlung „a \"b\" {0} $& “ ist nicht gültig: fields.0.name: x."],
        ["Invalid rule: filter: \"tilte\" means nothing.", "Die Regel ist nicht gültig: filter: „tilte“ bedeutet nichts."],
        ["Invalid rule: the text ends where an operand is expected.", "Die Regel ist nicht gültig: am Ende fehlt ein Wert."],
        ["Not here: PRAGMA x would change how the server runs.", "Das geht hier nicht: PRAGMA x würde ändern, wie der Server läuft."],
        ["2 passed over. users/ann: there is no such account; topic:x: there is no such topic", "2 übergangen. users/ann: dieses Konto gibt es nicht; topic:x: dieses Thema gibt es nicht"],
        ["\"61\" is no minute: that is from 0 to 59.", "„61“ passt hier nicht: Minute geht von 0 bis 59."],
        ["The text ends where an operand is expected.", "Am Ende fehlt ein Wert."], ["GeoDistance wants four numbers or fields: lonA, latA, lonB, latB.", "GeoDistance braucht vier Zahlen oder Felder: lonA, latA, lonB, latB."],
        ["Near \"selec\": syntax error.", "Bei „selec“ stimmt die Syntax nicht."], ["Page has to be a whole number.", "Page muss eine ganze Zahl sein."],
        ["Posts has no field \"tilte\".", "Posts hat kein Feld „tilte“."], ["Invalid query: no such table: nope.", "Die Abfrage ist nicht gültig: die Tabelle nope gibt es nicht."],
        ["body line 2: syntax error: unexpected end of input, expected end of variable block.", "body, Zeile 2: Syntaxfehler: das Ende steht, wo das Ende der Ausgabe stehen müsste."],
        ["html line 3: It becomes longer than 9 bytes.", "html, Zeile 3: Sie wird länger als 9 Byte."], ["The bucket cannot be used: \"x\" is no address.", "Der Speicher ist nicht brauchbar: „x“ ist keine Adresse."],
        ["body line 1: unknown filter: filter nope is unknown.", "body, Zeile 1: den Filter nope gibt es nicht."],
        ["Nobody said this ever.", null], ["", null], ["constructor", null], ["__proto__", null],
        // Foreign text is not said by the server.
        ["The name \"Cannot be blank.\" is taken.", "Der Name „Cannot be blank.“ ist schon vergeben."],
    ]) assert.equal(translated(german, said), expected, said);
});

test("every German sentence has its holes filled, and foreign text cannot make it slow", () => {
    for (const [said, text] of known) {
        const holes = said.match(/\{\w*(?::\?)?\}/g)?.length ?? 0, used = [...text.matchAll(/\{=?(\d)\}/g)].map(([, number]) => Number(number));
        assert.ok(used.every((number) => number < holes), text);
        assert.ok(!/\{(?!=?\d\})/.test(text.replaceAll("{8,}", "")), `${text}: a hole is named by its place`);
        // With nothing of its own around the holes it would fit everything.
        assert.ok(!holes || said.replace(/\{[^}]*\}/g, "").replace(/\W/g, "").length >= 4, said);
    }
    const began = performance.now();
    for (const foreign of ["a".repeat(1_000_000), "\"".repeat(3_999), "{} ".repeat(1_300), `Invalid rule: ${"Invalid rule: ".repeat(280)}.`, `${"; ".repeat(1_900)}.`, `1 passed over. ${"x: ".repeat(1_300)}`])
        for (let turn = 0; turn < 100; turn++) translated(german, foreign);
    assert.ok(performance.now() - began < 2_000, `${Math.round(performance.now() - began)} ms`);
});

test("who reads German meets German faults, who reads English the server's own", async () => {
    const ui = await startAdmin();
    await ui.root.collections.create({ name: "posts", type: "base", listRule: "", fields: [{ name: "title", type: "text" }] });
    const hostile = `<img src=x onerror=alert(1)> {0} $& "`;
    for (const [language, run, table, rule, name] of [
        ["de", "Ausführen", "Die Tabelle nope gibt es nicht.", "Am Ende fehlt ein Wert.", `Der Name „${hostile}“ ist schon vergeben.`],
        ["en", "Run", "No such table: nope.", "The text ends where an operand is expected.", `The name "${hostile}" is taken.`],
    ]) {
        const page = await ui.open(`#/sql?query=${encodeURIComponent("select * from nope")}`, { language });
        await page.getByRole("button", { name: run }).first().click();
        await page.getByText(table).waitFor();
        await page.goto(`${ui.url}#/collections/posts/rules`);
        await page.getByRole("radio", { name: language === "de" ? "Nach Regel" : "By a rule" }).first().check({ force: true });
        await page.locator(".cm-content").first().click();
        await page.keyboard.type("title = ");
        await page.getByText(rule).waitFor();
        assert.deepEqual(page.problems, []);
        await page.context().close();
        const other = await ui.open(`#/sql?query=${encodeURIComponent("select 1")}`, { language });
        await other.route("**/api/sql", (route) => route.fulfill({ status: 400, json: { status: 400, message: `The name "${hostile}" is taken.`, data: {} } }));
        await other.getByRole("button", { name: run }).first().click();
        await other.getByText(name).waitFor();
        assert.deepEqual(other.problems, []);
        await other.context().close();
    }
    await ui.stop();
});
