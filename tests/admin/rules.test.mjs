// The admin UI: the rules of a collection, their completion, faults and tester, and the API page.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { accessible, startAdmin } from "../harness/admin.mjs";

let ui, users, posts, ann, bob, draft;
const HOSTILE = "<img src=x onerror=window.hurt=1> \u202Eevil " + "x".repeat(5_000);

before(async () => {
    ui = await startAdmin();
    users = await ui.root.collections.getOne("users");
    posts = await ui.root.collections.create({
        name: "posts", type: "base", listRule: "", viewRule: "@request.auth.id != ''", fields: [
            { name: "title", type: "text", required: true, presentable: true, max: 10_000 }, { name: "status", type: "select", values: ["draft", "live", "<b>gone</b>"], maxSelect: 1 },
            { name: "author", type: "relation", collectionId: users.id, maxSelect: 1 }, { name: "views", type: "number" }, { name: "place", type: "geoPoint" },
            { name: "cover", type: "file", maxSelect: 1 }, { name: "due", type: "date" }, { name: "created", type: "autodate", onCreate: true },
        ],
    });
    await ui.root.collections.create({ name: "comments", type: "base", fields: [{ name: "text", type: "text" }, { name: "post", type: "relation", collectionId: posts.id, maxSelect: 1 }] });
    await ui.root.collections.create({ name: "titles", type: "view", viewQuery: "SELECT id, title FROM posts" });
    const account = (email, name) => ui.root.collection("users").create({ email, name, password: "a-long-password-1", passwordConfirm: "a-long-password-1", verified: true });
    ann = await account("ann@example.com", "Ann");
    bob = await account("bob@example.com", "Bob");
    draft = await ui.root.collection("posts").create({ title: "Hello", status: "draft", author: ann.id, views: 3 });
    await ui.root.collection("posts").create({ title: HOSTILE, status: "live", author: bob.id, views: 5 });
});
after(() => ui.stop());

const calm = (page) => assert.deepEqual(page.problems, []);
const card = (page, name) => page.getByRole("region", { name, exact: true });
const fits = async (page) => assert.equal(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), true, "the page does not scroll sideways");
/** Chooses "By a rule" and writes one. */
async function write(page, name, text, rule = "By a rule") {
    await card(page, name).getByRole("radio", { name: rule }).check();
    const editor = card(page, name).locator(".cm-content");
    await editor.click();
    await page.keyboard.press("Control+A");
    await page.keyboard.press("Delete");
    if (text) await page.keyboard.insertText(text);
    await page.keyboard.press("Escape");
    return editor;
}
const stored = async (name = "posts") => ui.root.collections.getOne(name);

for (const [width, theme, language] of [[1280, "light", "en"], [390, "dark", "de"]]) {
    test(`the three states of each rule are shown at ${width} px`, async () => {
        const page = await ui.open("#/collections/posts/rules", { width, theme, language });
        const [list, view, create, locked, open, rule, words] = language === "en"
            ? ["List and search", "View", "Create", "Superusers only", "Everybody", "By a rule", /when somebody is signed in/]
            : ["Auflisten und suchen", "Ansehen", "Anlegen", "Nur Superuser", "Alle", "Nach Regel", /jemand ist angemeldet/];
        await card(page, list).getByRole("radio", { name: open }).waitFor();
        assert.equal(await card(page, list).getByRole("radio", { name: open }).isChecked(), true);
        assert.equal(await card(page, view).getByRole("radio", { name: rule }).isChecked(), true);
        assert.equal(await card(page, create).getByRole("radio", { name: locked }).isChecked(), true);
        await card(page, view).getByText(words).waitFor();
        await accessible(page);
        await fits(page);
        calm(page);
        await page.context().close();
    });
}

test("a view has two rules, an auth collection seven", async () => {
    const page = await ui.open("#/collections/titles/rules");
    await card(page, "View").waitFor();
    assert.equal(await page.getByRole("radiogroup").count(), 2);
    await page.goto(`${ui.url}#/collections/users/rules`);
    await card(page, "Manage accounts").waitFor();
    assert.equal(await page.getByRole("radiogroup").count(), 7);
    await page.goto(`${ui.url}#/collections/nothing-of-this-name/rules`);
    await page.getByText("There is no collection called nothing-of-this-name.").waitFor();
    calm(page);
    await page.context().close();
});

describe("completion", () => {
    const cases = [
        ["sta", ["status"], []],
        ["author.na", ["name"], ["title"]],
        ["comments_v", ["comments_via_post"], []],
        ["comments_via_post.", ["text", "post"], ["title"]],
        ["@request.auth.", ["id", "email", "collectionName"], ["title"]],
        ["@request.body.", ["title", "views"], ["created"]],
        ["@request.body.status:", ["isset", "changed", "length", "each"], []],
        ["@collection.", ["posts", "comments", "users"], []],
        ["@collection.comments.", ["text"], ["title"]],
        ["@collection.comments:other.", ["text"], ["title"]],
        ["place.", ["lon", "lat"], []],
        ["due > @tod", ["@todayStart", "@todayEnd"], []],
        ["geoD", ["geoDistance"], []],
        ["status = '", ["draft", "live", "<b>gone</b>"], ["title"]],
        ["title != '' && aut", ["author"], []],
    ];
    let page;
    before(async () => {
        page = await ui.open("#/collections/posts/rules");
        await card(page, "View").getByRole("radio", { name: "By a rule" }).waitFor();
    });
    after(() => page.context().close());
    for (const [text, offered, not] of cases) {
        test(text, async () => {
            await write(page, "View", text.slice(0, -1));
            await page.keyboard.type(text.slice(-1));
            const list = page.getByRole("listbox", { name: "Completions" });
            await list.getByRole("option").first().waitFor();
            const options = (await list.getByRole("option").locator(".cm-completionLabel").allTextContents());
            for (const one of offered) assert.ok(options.includes(one), `${one} in ${options.slice(0, 20)}`);
            for (const one of not) assert.ok(!options.includes(one), `${one} is not in ${options.slice(0, 20)}`);
        });
    }
    test("nothing inside a text or a comment", async () => {
        for (const text of ["title = 'sta", "// sta"]) {
            await write(page, "View", text);
            await page.keyboard.type("t");
            assert.equal(await page.getByRole("listbox", { name: "Completions" }).count(), 0);
        }
        calm(page);
    });
});

test("a fault is shown where it is, and what is saved with one is explained beside the rule", async () => {
    const page = await ui.open("#/collections/posts/rules");
    await write(page, "View", "title = 'a' && nope = 1");
    const fault = card(page, "View").getByRole("alert");
    await fault.waitFor();
    assert.match(await fault.textContent(), /nope/);
    const marked = card(page, "View").locator(".cm-lintRange-error");
    await marked.first().waitFor();
    assert.match(await marked.first().textContent(), /nope/);
    await page.getByRole("button", { name: "Save", exact: true }).click();
    await page.getByText("Nothing was saved: a rule has a fault.", { exact: false }).waitFor();
    assert.equal((await stored()).viewRule, "@request.auth.id != ''");
    await page.getByRole("button", { name: "Discard" }).click();
    await fault.waitFor({ state: "detached" });
    calm(page);
    await page.context().close();
});

test("rules are copied, undone, guarded and saved", async () => {
    const page = await ui.open("#/collections/comments/rules");
    await write(page, "View", "@request.auth.id != '' && text ~ 'x'");
    await card(page, "View").getByRole("button", { name: "Copy from: View" }).click();
    await page.getByRole("menuitem", { name: "Copy to all others" }).click();
    assert.equal(await card(page, "Delete").getByRole("radio", { name: "By a rule" }).isChecked(), true);
    await page.getByRole("button", { name: "Undo" }).click();
    assert.equal(await card(page, "Delete").getByRole("radio", { name: "Superusers only" }).isChecked(), true);
    await card(page, "View").getByRole("button", { name: "Copy from: View" }).click();
    await page.getByRole("menuitem", { name: "Copy to: List and search" }).click();
    await card(page, "Create").getByRole("radio", { name: "Everybody" }).check();
    await card(page, "Create").getByText("Everybody on the internet can create records").waitFor();

    // Leaving asks first.
    await page.getByRole("link", { name: "Schema" }).click();
    await page.getByRole("dialog").getByRole("button", { name: "Cancel" }).click();
    assert.match(page.url(), /comments\/rules$/);

    await page.keyboard.press("Control+s");
    await page.getByText("The rules are saved").waitFor();
    const { listRule, viewRule, createRule, deleteRule } = await stored("comments");
    assert.deepEqual([listRule, viewRule, createRule, deleteRule], ["@request.auth.id != '' && text ~ 'x'", "@request.auth.id != '' && text ~ 'x'", "", null]);
    await page.getByRole("button", { name: "Save", exact: true }).waitFor({ state: "detached" });
    await card(page, "Create").getByRole("radio", { name: "Superusers only" }).check();
    await page.getByRole("button", { name: "Save", exact: true }).click();
    await page.getByRole("button", { name: "Save", exact: true }).waitFor({ state: "detached" });
    assert.equal((await stored("comments")).createRule, null);
    calm(page);
    await page.context().close();
});

for (const [width, theme] of [[1280, "light"], [390, "dark"]]) {
    test(`the tester says whether an unsaved rule lets somebody, and which part decided, at ${width} px`, async () => {
        const page = await ui.open("#/collections/posts/rules", { width, theme });
        await write(page, "Update", "author = @request.auth.id && (status = 'draft' || views > 100)");
        await card(page, "Update").getByRole("button", { name: "Try: Update" }).click();
        const bench = card(page, "Try a rule");
        await bench.getByText("Unsaved rule").waitFor();
        await bench.getByLabel("As whom").selectOption({ label: "Somebody of users" });
        await bench.getByRole("button", { name: "Try it" }).click();
        await bench.getByText("Choose an account.").waitFor();

        // By the keyboard only: a few letters, down to it, Enter.
        await bench.getByRole("combobox", { name: "Account in users" }).fill("bob");
        await bench.getByRole("option", { name: /bob@example.com/ }).waitFor();
        await page.keyboard.press("Enter");
        await bench.getByRole("combobox", { name: "Record" }).fill("Hel");
        await bench.getByRole("option", { name: /Hello/ }).waitFor();
        await page.keyboard.press("Enter");
        await bench.getByRole("button", { name: "Try it" }).click();
        await bench.getByText("Refused", { exact: true }).waitFor();
        await bench.getByText("Because this does not hold: author = @request.auth.id").waitFor();
        await bench.getByText("This decided").waitFor();
        await bench.getByText(JSON.stringify(bob.id)).waitFor();
        await bench.getByText("One of these has to hold:").waitFor();
        await accessible(page);
        await fits(page);

        // As the author it is allowed; what was said before is known to be old.
        await bench.getByRole("combobox", { name: "Account in users" }).fill("ann@");
        await bench.getByText("Something was changed since; try it again.").waitFor();
        await bench.getByRole("option", { name: /ann@example.com/ }).waitFor();
        assert.equal(await bench.getByRole("combobox", { name: "Account in users" }).inputValue(), "ann@", "what is being written stays");
        await page.keyboard.press("Enter");
        await bench.getByRole("button", { name: "Try it" }).click();
        await bench.getByText("Allowed", { exact: true }).waitFor();
        assert.equal((await stored()).updateRule, null, "nothing was saved");
        calm(page);
        await page.context().close();
    });
}

test("the tester takes a body, a query and headers, and says what is wrong with them", async () => {
    const page = await ui.open("#/collections/posts/rules");
    await write(page, "Create", "@request.body.title = 'Let me in' && @request.query.key = 'k' && @request.headers.x_one = '1'");
    await card(page, "Create").getByRole("button", { name: "Try: Create" }).click();
    const bench = card(page, "Try a rule");
    const body = bench.locator(".cm-content");
    await body.getByText("A good title").waitFor();
    const put = async (text) => {
        await body.click();
        await page.keyboard.press("Control+A");
        await page.keyboard.press("Delete");
        await page.keyboard.insertText(text);
    };
    await put("[");
    await bench.getByRole("button", { name: "Try it" }).click();
    await bench.getByText("This is not a JSON object.").waitFor();
    await put(JSON.stringify({ title: "Let me in", status: "draft" }));
    await bench.getByRole("button", { name: "Try it" }).click();
    await bench.getByText("Refused", { exact: true }).waitFor();
    await bench.getByText("Query and headers").click();
    for (const [name, key, value] of [["Query", "key", "k"], ["Headers", "X-One", "1"]]) {
        const group = bench.getByRole("group", { name });
        await group.getByRole("button", { name: "Add" }).click();
        await group.getByRole("textbox", { name: `Name (${name})` }).fill(key);
        await group.getByRole("textbox", { name: `Value (${name})` }).fill(value);
    }
    await bench.getByRole("button", { name: "Try it" }).click();
    await bench.getByText("Allowed", { exact: true }).waitFor();
    await bench.getByLabel("What", { exact: true }).selectOption({ label: "Delete" });
    await bench.getByRole("combobox", { name: "Record" }).fill(draft.id);
    await bench.getByRole("option", { name: /Hello/ }).waitFor();
    await page.keyboard.press("Enter");
    await bench.getByRole("button", { name: "Try it" }).click();
    await bench.getByText("Only superusers may.").waitFor();
    calm(page);
    await page.context().close();
});

for (const [width, theme, language] of [[1280, "light", "en"], [390, "dark", "de"]]) {
    test(`the API page shows real names in three languages at ${width} px`, async () => {
        const page = await ui.open("#/collections/posts/api", { width, theme, language });
        const code = page.getByRole("tabpanel").getByRole("region");
        await page.getByRole("tab", { name: "JavaScript" }).waitFor();
        assert.match(await code.textContent(), /pb\.collection\("posts"\)\.getList\(1, 30/);
        assert.match(await code.textContent(), new RegExp(`new PocketBase\\("${new URL(ui.url).origin}"\\)`));
        await page.getByRole("tab", { name: "JavaScript" }).focus();
        await page.keyboard.press("ArrowRight");
        assert.match(await code.textContent(), /import 'package:pocketbase/);
        await page.keyboard.press("ArrowRight");
        assert.match(await code.textContent(), /^curl --get/);
        await accessible(page);
        await fits(page);
        calm(page);
        await page.context().close();
    });
}

test("the examples of the API page run as they are", async () => {
    const page = await ui.open("#/collections/posts/api");
    const nav = page.getByRole("navigation", { name: "Actions" });
    const code = page.getByRole("tabpanel").getByRole("region");
    await page.getByRole("tab", { name: "JavaScript" }).click();
    const said = [];
    for (const name of ["List and search", "View", "Create", "Update", "Delete", "Batch"]) {
        await nav.getByRole("link", { name, exact: true }).click();
        await page.getByRole("heading", { level: 2, name }).waitFor();
        said.push([name, await code.textContent()]);
    }
    // Only the names that an example leaves open are filled in, and the file is left out.
    const AsyncFunction = (async () => {}).constructor;
    const made = await ui.root.collection("posts").create({ title: "Mine", author: ann.id });
    const other = await ui.root.collection("posts").create({ title: "Other", author: ann.id });
    await ui.root.settings.update({ batch: { enabled: true } });
    const { default: PocketBase } = await import("pocketbase");
    const connected = class extends PocketBase {
        constructor(url) {
            super(url);
            this.authStore.save(ui.root.authStore.token, ui.root.authStore.record);
        }
    };
    for (const [name, text] of said) {
        const filled = text.replace(/^import .*$/m, "").replaceAll("fileInput.files[0]", "null").replaceAll("USERS_ID", ann.id).replaceAll("RECORD_ID", made.id).replaceAll("OTHER_ID", other.id)
            .replace(/const first = await .*$/m, name === "List and search" ? "" : "$&");
        await new AsyncFunction("PocketBase", filled)(connected).catch((failure) => assert.fail(`${name}: ${failure.message} ${JSON.stringify(failure.response)}\n${filled}`));
        if (name === "Delete") await ui.root.collection("posts").create({ id: made.id, title: "Mine", author: ann.id });
    }
    calm(page);
    await page.context().close();
});

test("an auth collection shows the ways to sign in that are switched on", async () => {
    const page = await ui.open("#/collections/users/api");
    const nav = page.getByRole("navigation", { name: "Actions" });
    await nav.getByRole("link", { name: "Sign in: password" }).waitFor();
    assert.equal(await nav.getByRole("link", { name: "Sign in: one-time code" }).count(), 0);
    await ui.root.collections.update("users", { otp: { enabled: true, duration: 180, length: 8 } });
    await page.reload();
    await nav.getByRole("link", { name: "Sign in: one-time code" }).click();
    assert.match(await page.getByRole("tabpanel").textContent(), /requestOTP/);
    assert.match(page.url(), /action=otp/);
    await page.getByRole("tab", { name: "curl" }).click();
    await page.reload();
    assert.match(await page.getByRole("tabpanel").textContent(), /request-otp/, "the language is remembered");
    await ui.root.collections.update("users", { otp: { enabled: false } });
    calm(page);
    await page.context().close();
});

for (const [language, label, records, vain, none] of [
    ["en", "Record", "Try a rule", "Nothing is found for “zzz”.", "There is nothing to choose from."],
    ["de", "Datensatz", "Regel ausprobieren", "Zu „zzz“ ist nichts zu finden.", "Es gibt nichts zur Auswahl."],
]) {
    test(`whoever looks for what is not there is told, seen and read out, in ${language}`, async () => {
        const page = await ui.open("#/collections/posts/rules", { language, width: language === "de" ? 390 : 1280, theme: language === "de" ? "dark" : "light" });
        const box = card(page, records).getByRole("combobox", { name: label, exact: true });
        await box.fill("zzz");
        const told = card(page, records).getByRole("status").filter({ hasText: vain });
        await told.waitFor({ state: "attached" });
        await card(page, records).locator("p", { hasText: vain }).waitFor();
        assert.equal(await box.getAttribute("aria-expanded"), "false");
        await fits(page);
        await accessible(page);
        if (process.env.SHOT) await page.screenshot({ path: `${process.env.SHOT}/nothing-${language}.png` });
        // It is gone with the words, and with the place.
        await box.fill("Hel");
        await card(page, records).getByRole("option", { name: /Hello/ }).waitFor();
        assert.equal(await told.count(), 0);
        await box.fill("zzz");
        await told.waitFor({ state: "attached" });
        await page.keyboard.press("Escape");
        await told.waitFor({ state: "detached" });
        await page.goto(`${ui.url}#/collections/comments/rules`);
        await card(page, records).getByRole("combobox", { name: label, exact: true }).click();
        await card(page, records).locator("p", { hasText: none }).waitFor();
        calm(page);
        await page.context().close();
    });
}

test("nothing hostile runs", async () => {
    const page = await ui.open("#/collections/posts/rules");
    await card(page, "Try a rule").getByRole("combobox", { name: "Record" }).fill("evil");
    await card(page, "Try a rule").getByRole("option", { name: /onerror/ }).waitFor();
    await page.keyboard.press("Enter");
    await fits(page);
    assert.equal(await page.evaluate(() => window.hurt), undefined);
    calm(page);
    await page.context().close();
});
