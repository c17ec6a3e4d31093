// Templates: what they say in which language, what they may not do, and that broken ones are told by field and line.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { startTown } from "../harness/notify.mjs";

let town;
before(async () => {
    town = await startTown({ ann: "Asia/Tokyo" });
    await town.expect(200, "PATCH", "/api/settings", { meta: { appName: "Acme", appURL: "https://acme.test" } });
    await town.root.collections.create({
        name: "orders", type: "base",
        fields: [{ name: "number", type: "number" }, { name: "secret", type: "text", hidden: true }],
    });
    const templates = town.root.collection("_templates");
    await templates.create({
        key: "shipped", title: "Order {{ data.number }} shipped", body: "Hello {{ user.name }}, it left.",
        html: "<p>Hello {{ user.name }}</p>", link: "{{ app.url }}/orders/{{ data.number }}", category: "orders", data: { number: 0 },
    });
    await templates.create({ key: "shipped", locale: "de", title: "Bestellung {{ data.number }}", body: "Hallo {{ user.name }}.", data: { number: 0 } });
});
after(() => town?.stop());

const preview = (body) => town.post("preview", body);

test("every language is shown, or the one that is asked for, or the one that stands for it", async () => {
    const all = await preview({ template: "shipped", user: town.ann.to, data: { number: 7 } });
    assert.deepEqual(all.items.map(({ locale, title }) => [locale, title]), [["", "Order 7 shipped"], ["de", "Bestellung 7"]]);
    assert.equal(all.items[0].body, "Hello Ann, it left.");
    assert.equal(all.items[0].link, "https://acme.test/orders/7");
    for (const [locale, title] of [["de-AT", "Bestellung 0"], ["de", "Bestellung 0"], ["fr", "Order 0 shipped"]]) {
        const { items } = await preview({ template: "shipped", locale });
        assert.deepEqual(items.map((item) => item.title), [title], locale);
    }
});

test("a template speaks of the account and the record, and never of what is hidden", async () => {
    const order = await town.root.collection("orders").create({ number: 12, secret: "hush" });
    const { items: [item] } = await preview({
        title: "{{ record.number }}", body: "{{ user }} {{ record }} {{ user.tokenKey }}{{ user.password }}|{{ record.secret }}|",
        user: town.ann.to, record: `orders/${order.id}`,
    });
    assert.equal(item.title, "12");
    assert.match(item.body, /ann@example\.com/);
    assert.doesNotMatch(item.body, /hush|tokenKey|password/);
    assert.match(item.body, /\|\|$/);
});

test("dates and numbers are told as the reader writes them, where they are", async () => {
    const body = "{{ data.at | datetime }} {{ data.n | number }}";
    const data = { at: "2026-12-24 17:30:00.000Z", n: 1234567.5 };
    for (const [locale, expected] of [
        ["de", "25.12.2026 02:30 1.234.567,5"], ["en", "12/25/2026 2:30 AM 1,234,567.5"], ["en-GB", "25/12/2026 02:30 1,234,567.5"],
    ]) {
        const { items: [item] } = await preview({ body, data, locale, user: town.ann.to });
        assert.equal(item.body, expected, locale);
    }
});

test("only HTML is escaped", async () => {
    const data = { name: "<b>&'" };
    const { items: [item] } = await preview({ title: "{{ data.name }}", body: "{{ data.name }}", html: "<i>{{ data.name }}</i>", data });
    assert.equal(item.title, "<b>&'");
    assert.equal(item.body, "<b>&'");
    assert.equal(item.html, "<i>&lt;b&gt;&amp;&#x27;</i>");
});

test("what is broken or costs too much is told by field and line, quickly", async () => {
    for (const [texts, field, line] of [
        [{ body: "a\n{{ user." }, "body", 2],
        [{ title: "x", html: "{% if %}" }, "html", 1],
        [{ body: "{% for x in range(1000) %}{% for y in range(1000) %}{{ y }}{% endfor %}{% endfor %}" }, "body"],
        [{ body: "{% for x in range(100000000) %}x{% endfor %}" }, "body", 1],
        [{ body: "{% for x in [1] recursive %}{{ loop([1]) }}{% endfor %}" }, "body"],
        [{ body: "{{ 'x' * 1000000 }}" }, "body"],
        [{ body: "{% include '/etc/passwd' %}" }, "body", 1],
        [{ body: `${"{% for x in [1] %}".repeat(3000)}` }, "body"],
        [{ body: "{{ (" + "(".repeat(20_000) + "}}" }, "body", 1],
        [{ title: "x", link: "javascript:alert(1)" }, "link"],
    ]) {
        const started = Date.now();
        const { items: [{ error }] } = await preview(texts);
        assert.equal(error?.field, field, JSON.stringify(texts).slice(0, 80));
        if (line) assert.equal(error.line, line);
        assert.ok(Date.now() - started < 2000);
    }
});

test("what cannot be previewed is refused by field", async () => {
    for (const [body, ...fields] of [
        [{}, "template"],
        [{ template: "nothing" }, "template"],
        [{ template: 5, user: [] }, "template", "user"],
        [{ body: "x", user: "users/nobody" }, "user"],
        [{ body: "x", user: "orders/x" }, "user"],
        [{ body: "x", record: "nowhere/x" }, "record"],
        [{ body: "x", data: [] }, "data"],
        [{ body: "x", locale: "german please" }, "locale"],
        [{ body: "x", items: [1] }, "items"],
    ]) {
        const answer = await town.ask("POST", "/api/notify/preview", body);
        assert.equal(answer.status, 400, JSON.stringify(body));
        assert.deepEqual(Object.keys(answer.body.data).sort(), fields.sort(), JSON.stringify(body));
    }
    assert.equal((await town.ask("POST", "/api/notify/preview", { body: "x" }, town.ann.token)).status, 403);
    assert.equal((await town.ask("POST", "/api/notify/preview", { body: "x" }, "")).status, 401);
    assert.equal((await town.ask("POST", "/api/notify/preview", { body: "x".repeat(3 << 20) })).status, 413);
});
