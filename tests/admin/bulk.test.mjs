// The same thing done to many records, with batches and without: bounded, broken off, told, and taken back.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { startAdmin } from "../harness/admin.mjs";

const MANY = 1_201;
let ui, root;
before(async () => {
    ui = await startAdmin();
    root = ui.root;
    await root.collections.create({ name: "heap", type: "base", fields: [{ name: "n", type: "number" }] });
    const query = `INSERT INTO heap (id, n) WITH RECURSIVE up(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM up WHERE n < ${MANY - 1}) SELECT printf('r%014d', n), n FROM up`;
    await root.send("/api/sql", { method: "POST", body: { query } });
});
after(() => ui?.stop());

const left = async (filter = "") => (await root.collection("heap").getList(1, 1, { filter })).totalItems;

/** Selects all that fits, and asks for its end. */
async function ask(place, count) {
    const page = await ui.open(place);
    await page.getByText(`${count.toLocaleString("en")} records`, { exact: false }).first().waitFor();
    await page.getByRole("grid").locator("[role=row][aria-rowindex=\"2\"]").getByRole("checkbox").click();
    await page.getByRole("button", { name: `Select all ${count.toLocaleString("en")}` }).click();
    await page.getByText(`${count.toLocaleString("en")} selected`).waitFor();
    await page.getByRole("region", { name: "Selected records" }).getByRole("button", { name: "Delete" }).click();
    const dialog = page.getByRole("dialog");
    if (count > 100) await dialog.getByRole("textbox").fill(String(count));
    return { page, confirm: () => dialog.getByRole("button", { name: "Delete", exact: true }).click() };
}

test("without batches: a few at a time, with its progress; broken off, what was under way is told and comes back", async () => {
    const { page, confirm } = await ask("#/collections/heap?filter=n%3C90", 90);
    let under = 0, most = 0, begun = 0;
    const held = [];
    await page.route("**/api/collections/heap/records/*", async (route) => {
        if (route.request().method() !== "DELETE") return route.fallback();
        most = Math.max(most, ++under);
        begun += 1;
        // The first few go through; then those under way wait for the hand that breaks it off.
        if (begun > 12) await new Promise((go) => held.push(go));
        const answer = await route.fetch();
        under -= 1;
        await route.fulfill({ response: answer });
    });
    await confirm();
    const running = page.getByRole("dialog", { name: "Deleting" });
    await running.getByText("12 of 90").waitFor();
    assert.equal(await running.getByRole("progressbar").getAttribute("value"), "12");
    await running.getByRole("button", { name: "Stop" }).click();
    await running.locator("[aria-busy=true]").waitFor();
    assert.equal(held.length, 3);
    for (const go of held) go();
    await page.locator(".toast").getByText("15 records deleted.").waitFor();
    assert.equal(most, 3);
    assert.equal(begun, 15);
    assert.equal(await left("n<90"), 75);
    await page.getByText("75 selected").waitFor();
    await page.getByRole("button", { name: "Undo" }).click();
    await page.locator(".toast").getByText("15 records restored.").waitFor();
    assert.equal(await left("n<90"), 90);
    assert.deepEqual(page.problems, []);
    await page.context().close();
});

test("without batches: what is refused is named, the rest is gone", async () => {
    const { page, confirm } = await ask("#/collections/heap?filter=n%3E%3D90%26%26n%3C100", 10);
    await page.route("**/api/collections/heap/records/r00000000000095", (route) => (route.request().method() === "DELETE"
        ? route.fulfill({ status: 400, json: { status: 400, message: "Not this one.", data: {} } }) : route.fallback()));
    await confirm();
    await page.getByRole("dialog", { name: "Some records were refused" }).getByText("r00000000000095: Not this one.").waitFor();
    await page.locator(".toast").getByText("9 records deleted.").waitFor();
    assert.equal(await left("n>=90 && n<100"), 1);
    assert.deepEqual(page.problems, []);
    await page.context().close();
});

test("with batches: over a thousand go, and come back a thousand at a time", async () => {
    await root.settings.update({ batch: { enabled: true, maxRequests: 100, timeout: 10 } });
    const count = MANY - 9;
    const { page, confirm } = await ask("#/collections/heap", count);
    const asked = [];
    page.on("request", (request) => { if (request.url().endsWith("/undelete")) asked.push(request.postDataJSON().ids.length); });
    await confirm();
    await page.locator(".toast").getByText("1,192 records deleted.").waitFor();
    assert.equal(await left(), 0);
    await page.getByRole("button", { name: "Undo" }).click();
    await page.locator(".toast").getByText("1,192 records restored.").waitFor();
    assert.deepEqual(asked, [1_000, count - 1_000]);
    assert.equal(await left(), count);
    assert.deepEqual(page.problems, []);
    await page.context().close();
});
