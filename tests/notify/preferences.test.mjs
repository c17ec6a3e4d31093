// What somebody wants: set by them alone, checked, and obeyed in what is pending.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { startTown } from "../harness/notify.mjs";

let town;
before(async () => { town = await startTown({ ann: "", ben: "" }); });
after(() => town?.stop());

const get = (person) => town.expect(200, "GET", "/api/notify/preferences", undefined, person.token);
const patch = (person, body, status = 200) => town.expect(status, "PATCH", "/api/notify/preferences", body, person.token);

test("preferences begin blank, and change by what is named", async () => {
    await town.root.collection("_templates").create({ key: "k", title: "t", category: "news" });
    assert.deepEqual(await get(town.ann), {
        zone: "", locale: "", quietFrom: "", quietTo: "", quietMode: "", channels: {},
        defaultZone: "UTC", categories: ["news"], available: ["inbox", "email", "push", "webhook"],
    });
    const told = await patch(town.ann, { zone: "europe/berlin", locale: "de_AT", quietFrom: "22:00", quietTo: "07:00", channels: { news: { email: false } } });
    assert.equal(told.zone, "Europe/Berlin");
    assert.equal(told.locale, "de-AT");
    await patch(town.ann, { channels: { "*": { push: false } } });
    assert.deepEqual((await get(town.ann)).channels, { news: { email: false }, "*": { push: false } });
    await patch(town.ann, { channels: { news: null }, zone: null });
    assert.deepEqual((await get(town.ann)).channels, { "*": { push: false } });
    assert.equal((await get(town.ann)).zone, "");
    assert.deepEqual((await get(town.ben)).channels, {});
    const rows = await town.ann.pb.collection("_preferences").getFullList();
    assert.deepEqual(rows.map((row) => row.recordRef), [town.ann.id]);
    await assert.rejects(town.ann.pb.collection("_preferences").update(rows[0].id, { zone: "Mars" }), { status: 403 });
    await town.expect(200, "PATCH", `/api/notify/preferences?user=${town.ben.to}`, { zone: "Asia/Tokyo" });
    assert.equal((await get(town.ben)).zone, "Asia/Tokyo");
});

test("what makes no sense is refused by field and changes nothing", async () => {
    const before = await get(town.ann);
    for (const [body, field] of [
        [{ zone: "Mars/Olympus" }, "zone"], [{ zone: 7 }, "zone"], [{ locale: "german please" }, "locale"],
        [{ quietFrom: "25:00" }, "quietFrom"], [{ quietFrom: "", quietTo: "07:00" }, "quietFrom"], [{ quietMode: "never" }, "quietMode"],
        [{ channels: [] }, "channels"], [{ channels: { news: { pigeon: false } } }, "channels"], [{ channels: { news: { push: 1 } } }, "channels"],
        [{ recordRef: "x" }, "recordRef"], [{ zone: "Asia/Tokyo", locale: "!" }, "locale"],
    ]) {
        const { data } = await patch(town.ann, body, 400);
        assert.deepEqual(Object.keys(data), [field], JSON.stringify(body));
    }
    assert.deepEqual(await get(town.ann), before);
    assert.equal((await town.ask("GET", "/api/notify/preferences", undefined, "")).status, 401);
    assert.equal((await town.ask("GET", `/api/notify/preferences?user=${town.ben.to}`, undefined, town.ann.token)).status, 403);
    assert.equal((await town.ask("PATCH", "/api/notify/preferences", { channels: { x: { "*": false } }, zone: "x".repeat(100_000) }, town.ann.token)).status, 413);
});
