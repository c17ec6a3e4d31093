// The main flow with the keyboard alone: sign in, make a collection with a field, write, find, change and delete records.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { startAdmin } from "../harness/admin.mjs";
import { superuser } from "../harness/server.mjs";

let ui;
before(async () => { ui = await startAdmin(); });
after(() => ui?.stop());

/** Presses Tab until what has the focus fits; fails when it does not come. */
async function tabTo(page, role, name) {
    for (let step = 0; step < 120; step += 1) {
        const found = await page.evaluate(([role, name]) => {
            const element = document.activeElement;
            const roles = { button: "button, [role=button]", textbox: "input, textarea, [role=textbox]", link: "a", switch: "[role=switch]", tab: "[role=tab]" };
            const labels = [element.getAttribute("aria-label"), ...(element.labels ? [...element.labels].map((label) => label.textContent) : []), element.matches("button, a") ? element.textContent : ""];
            return element.matches(roles[role]) && labels.some((label) => label && new RegExp(name, "i").test(label.trim()));
        }, [role, name]);
        if (found) return;
        await page.keyboard.press("Tab");
    }
    assert.fail(`no ${role} "${name}" could be reached with Tab`);
}

test("from signing in to a record that is gone again", async () => {
    const page = await ui.open("#/", { signedIn: false });
    await page.getByRole("heading", { name: "Sign in" }).waitFor();
    await page.keyboard.type(superuser.email);
    await page.keyboard.press("Tab");
    await page.keyboard.type(superuser.password);
    await page.keyboard.press("Enter");
    await page.getByRole("heading", { name: "Home" }).waitFor();

    await page.keyboard.press("Control+k");
    await page.getByRole("combobox", { name: "Find or do" }).waitFor();
    await page.keyboard.type("new coll");
    await page.keyboard.press("Enter");
    const dialog = page.getByRole("dialog");
    await dialog.waitFor();
    await tabTo(page, "textbox", "^name");
    await page.keyboard.type("shells");
    await page.keyboard.press("Enter");
    await page.getByRole("heading", { level: 1, name: "shells" }).waitFor();
    await page.getByRole("heading", { name: /^Fields/ }).waitFor();

    await tabTo(page, "button", "add field");
    await page.keyboard.press("Enter");
    await page.getByRole("dialog").waitFor();
    await tabTo(page, "button", "^text");
    await page.keyboard.press("Enter");
    await page.waitForFunction(() => document.activeElement.matches("input"));
    await page.keyboard.press("Control+a");
    await page.keyboard.type("title");
    await tabTo(page, "button", "^save");
    await page.keyboard.press("Enter");
    for (const end = Date.now() + 10_000; Date.now() < end;) {
        if ((await ui.root.collections.getOne("shells").catch(() => undefined))?.fields.some(({ name }) => name === "title")) break;
        await new Promise((resolve) => setTimeout(resolve, 50));
    }
    assert.ok((await ui.root.collections.getOne("shells")).fields.some(({ name }) => name === "title"));
    // Until the page knows that as well, leaving it asks about what is not saved.
    await page.getByText("Saved.", { exact: true }).first().waitFor();

    await page.keyboard.press("Control+k");
    await page.getByRole("combobox", { name: "Find or do" }).waitFor();
    await page.keyboard.type("shells records");
    await page.keyboard.press("Enter");
    await page.getByRole("button", { name: "New record" }).first().waitFor();
    await tabTo(page, "button", "new record");
    await page.keyboard.press("Enter");
    await page.getByRole("dialog").waitFor();
    await tabTo(page, "textbox", "^title");
    await page.keyboard.type("Triton");
    await page.keyboard.press("Control+Enter").catch(() => {});
    await tabTo(page, "button", "^(save|create)$");
    await page.keyboard.press("Enter");
    await page.getByRole("dialog").waitFor({ state: "detached" });
    await page.getByRole("gridcell", { name: "Triton" }).waitFor();
    assert.equal((await ui.root.collection("shells").getFullList())[0].title, "Triton");

    // Into the grid, to the record, and into it.
    for (let step = 0; step < 60 && !await page.evaluate(() => document.activeElement.closest("[role=grid]")); step += 1) await page.keyboard.press("Tab");
    await page.keyboard.press("Control+Home");
    for (let step = 0; step < 3 && !await page.evaluate(() => document.activeElement.closest("[role=row]")?.textContent.includes("Triton")); step += 1) await page.keyboard.press("ArrowDown");
    await page.keyboard.press("Enter");
    await page.getByRole("dialog").waitFor();
    await tabTo(page, "textbox", "^title");
    await page.keyboard.press("Control+a");
    await page.keyboard.type("Charonia");
    await tabTo(page, "button", "^save$");
    await page.keyboard.press("Enter");
    await page.getByRole("dialog").waitFor({ state: "detached" });
    await page.getByRole("gridcell", { name: "Charonia" }).waitFor();
    await page.waitForFunction(() => document.activeElement.closest("[role=grid]"));
    await page.keyboard.press("Delete");
    await page.getByRole("dialog").waitFor();
    await tabTo(page, "button", "^delete");
    await page.keyboard.press("Enter");
    await page.getByRole("gridcell", { name: "Charonia" }).waitFor({ state: "detached" });
    assert.equal((await ui.root.collection("shells").getFullList()).length, 0);
    assert.deepEqual(page.problems, []);
    await page.context().close();
});
