// The admin UI: jobs, crons, the timeline, the clock of a temporary server, and captured mail.

import assert from "node:assert/strict";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { accessible, startAdmin } from "../harness/admin.mjs";
import { run } from "../harness/server.mjs";

let ui;
const shown = { timeout: 10_000 };

before(async () => {
    ui = await startAdmin();
    await ui.root.collection("users").create({ email: "ann@example.com", password: "a-long-password-1", passwordConfirm: "a-long-password-1", name: "Ann" });
    await ui.root.collection("users").requestPasswordReset("ann@example.com");
    await ui.root.send("/api/crons/files.tidy", { method: "POST" });
    await ui.root.send("/api/mailbox", { query: { to: "ann@example.com", wait: 20 } });
    await ui.root.send("/api/test/run-due", { method: "POST" });
});
after(() => ui.stop());

// Jobs are the server's own: the API makes none, and the SQL console does not show them.
const write = (sql) => {
    const script = "import sqlite3, sys\ndb = sqlite3.connect(sys.argv[1], timeout=10)\ndb.execute(sys.argv[2])\ndb.commit()";
    run("python3", ["-c", script, join(ui.conch.dir, "data.db"), sql]);
};
const calm = (page) => assert.deepEqual(page.problems, []);

for (const [width, theme, language] of [[1280, "light", "en"], [390, "dark", "de"]]) {
    describe(`at ${width} px, ${theme}`, () => {
        test("the queue says what waits, and its jobs can be looked at", async () => {
            const page = await ui.open("#/jobs", { width, theme, language });
            // In the words of the crons, not by its name on the wire.
            const cron = page.getByRole("button", { name: language === "de" ? /Einmalcodes/ : /Removes one-time codes that have expired/ });
            await cron.waitFor(shown);
            await accessible(page);
            assert.equal(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), true);
            await cron.focus();
            await page.keyboard.press("Enter");
            await page.getByRole("dialog").getByText("at 1", { exact: false }).first().waitFor(shown);
            await accessible(page);
            await page.keyboard.press("Escape");
            await page.getByRole("dialog").waitFor({ state: "hidden" });
            calm(page);
            await page.context().close();
        });

        test("the timeline shows each kind in a lane, and what came of each run", async () => {
            const page = await ui.open("#/jobs/timeline", { width, theme, language });
            await page.getByRole("img", { name: language === "de" ? /^Entfernt, was abgebrochene Uploads.*: 1/ : /^Removes what cut-off uploads.*: 1/ }).waitFor(shown);
            await page.getByRole("cell", { name: "account-mail" }).first().waitFor(shown);
            await accessible(page);
            await page.getByRole("combobox").selectOption("files.tidy");
            await page.getByRole("cell", { name: "account-mail" }).waitFor({ state: "hidden" });
            assert.match(page.url(), /kind=files\.tidy/);
            calm(page);
            await page.context().close();
        });

        test("captured mail is shown as a page, where nothing runs and nothing is loaded", async () => {
            const page = await ui.open("#/mailbox", { width, theme, language });
            const line = page.getByRole("link", { name: /ann@example\.com/ }).first();
            await line.waitFor(shown);
            await accessible(page);
            await line.click();
            const frame = page.frameLocator("iframe");
            await frame.locator("a").first().waitFor(shown);
            assert.equal(await frame.locator("script").count(), 0);
            await accessible(page);
            assert.equal(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), true);
            calm(page);
            await page.context().close();
        });
    });
}

test("the timeline of a single run, and of none; both filters stand in the address", async () => {
    const page = await ui.open("#/jobs/timeline?kind=files.tidy", { width: 390 });
    const bar = page.getByRole("img", { name: /^Removes what cut-off uploads.*: 1/ }).locator("rect");
    await bar.waitFor(shown);
    const x = Number(await bar.getAttribute("x"));
    assert.ok(x > 40 && x < 60, `in the middle: ${x}`);
    const ticks = await page.locator(".ticks span").allTextContents();
    assert.equal(new Set(ticks).size, ticks.length, `each says something else: ${ticks}`);
    const boxes = (await page.locator(".ticks span").evaluateAll((all) => all.map((one) => one.getBoundingClientRect()).map(({ left, right }) => [left, right]))).filter(([left, right]) => right > left);
    for (const [at, [left]] of boxes.entries()) assert.ok(!at || left > boxes[at - 1][1], "they do not run into each other");
    if (process.env.SHOT) await page.screenshot({ path: `${process.env.SHOT}/single-run.png` });
    await page.getByRole("switch", { name: "Only failures" }).click();
    await page.getByRole("heading", { name: "No run fits the filter" }).waitFor(shown);
    assert.match(page.url(), /timeline\?kind=files\.tidy&failures=1$/);
    await page.reload();
    await page.getByRole("heading", { name: "No run fits the filter" }).waitFor(shown);
    assert.equal(await page.getByRole("switch", { name: "Only failures" }).isChecked(), true);
    await page.goto(`${ui.url}#/jobs/timeline?kind=there.is.none`);
    await page.reload();
    await page.getByRole("heading", { name: "No run fits the filter" }).waitFor(shown);
    assert.equal(await page.locator(".lanes, .card:empty").count(), 0);
    await accessible(page);
    await page.getByRole("combobox").selectOption("");
    await page.getByRole("img", { name: /^Sends a mail to an account: 1/ }).waitFor(shown);
    assert.match(page.url(), /timeline$/);
    await page.goto(`${ui.url}#/jobs?state=waiting`);
    await page.getByRole("combobox", { name: "Kind" }).selectOption("files.tidy");
    assert.match(page.url(), /state=waiting&kind=files\.tidy$/);
    await page.reload();
    await page.getByRole("cell", { name: /files\.tidy/ }).first().waitFor(shown);
    assert.equal(await page.getByRole("combobox", { name: "State" }).inputValue(), "waiting");
    calm(page);
    await page.context().close();
});

test("dead letters are told with their error, filtered, and started anew together", async () => {
    // Put there as a handler that gave up would leave them; files.tidy does what it is asked to when it starts anew.
    write(`INSERT INTO __conch_jobs (kind, payload, state, due, created, ended, attempts, error)
        SELECT 'files.tidy', '{"to": "zoe@example.com"}', 'dead', 0, 1700000000000, 1700000000000, 8,
            replace(hex(zeroblob(2000)), '00', '<img src=x onerror=alert(1)> ') FROM (VALUES (1), (2), (3))`);
    const page = await ui.open("#/jobs");
    await page.getByLabel("State").selectOption("dead");
    await page.getByText("<img src=x onerror=alert(1)>").first().waitFor(shown);
    assert.match(page.url(), /state=dead/);
    await page.getByRole("button", { name: /Details of job/ }).first().click();
    await page.getByRole("dialog").getByText("zoe@example.com").waitFor(shown);
    await page.getByRole("dialog").getByRole("button", { name: "Start anew" }).click();
    await page.getByText("1 job starts anew.").waitFor(shown);
    await page.getByLabel("Choose all dead jobs on this page").check();
    await accessible(page);
    await page.getByRole("button", { name: "Start 2 anew" }).click();
    await page.getByText("2 jobs start anew.").waitFor(shown);
    await page.getByRole("heading", { name: "No job is like that" }).waitFor(shown);
    calm(page);
    await page.context().close();
});

test("a job that waits is forgotten after a question", async () => {
    write("INSERT INTO __conch_jobs (kind, payload, due, created) VALUES ('account-mail', '{}', 4000000000000, 1700000000000)");
    const page = await ui.open("#/jobs?state=waiting&kind=account-mail");
    await page.getByRole("button", { name: /Sends a mail to an account/ }).click();
    await page.getByRole("dialog").getByRole("button", { name: "Forget" }).click();
    await page.getByRole("dialog").filter({ hasText: "Forget this job?" }).getByRole("button", { name: "Forget" }).click();
    await page.getByText("The job is forgotten.").waitFor(shown);
    calm(page);
    await page.context().close();
});

test("a cron runs when it is told to", async () => {
    const page = await ui.open("#/jobs/crons");
    const row = page.getByRole("row", { name: /__pbOTPCleanup__/ });
    await row.getByText("every hour").waitFor(shown);
    await row.getByText("not yet").waitFor(shown);
    await accessible(page);
    await row.getByRole("button", { name: "Run __pbOTPCleanup__ now" }).click();
    await row.getByText("done").waitFor(shown);
    calm(page);
    await page.context().close();
    const phone = await ui.open("#/jobs/crons", { width: 390 });
    const box = await phone.getByRole("button", { name: "Run __pbOTPCleanup__ now" }).boundingBox();
    assert.ok(box.x + box.width <= 390, "what runs a cron is out of sight");
    calm(phone);
    await phone.context().close();
});

test("the clock is held, set forward, and what is due then is done", async () => {
    const page = await ui.open("#/jobs");
    const clock = page.getByRole("region", { name: "Clock of this temporary server" });
    await clock.getByRole("button", { name: "Hold it" }).click();
    await clock.getByText("It stands still").waitFor(shown);
    const before = await clock.locator("time").textContent();
    await clock.getByLabel("Forward by").fill("soon");
    await clock.getByRole("button", { name: "Set forward" }).click();
    await clock.getByRole("alert").waitFor(shown);
    await clock.getByLabel("Forward by").fill("90m");
    await clock.getByRole("button", { name: "Set forward" }).click();
    await page.waitForFunction((before) => document.querySelector(".clock time").textContent !== before, before);
    await clock.getByRole("button", { name: "Do what is due" }).click();
    await page.getByText("Nothing is due any more.").waitFor(shown);
    await clock.getByRole("button", { name: "Let it go on" }).click();
    await clock.getByText("It goes").waitFor(shown);
    calm(page);
    await page.context().close();
});

test("a mail that means harm is shown without it", async () => {
    await ui.root.send("/api/notify/send", { method: "POST", body: {
        to: ["evil@example.com"], title: "<script>alert(1)</script> \u202Eסוד", category: "x",
        html: "<style>p { color: rgb(1, 2, 3) } @import url(https://evil.example/a.css); .x { background: url(https://evil.example/b.png) }</style><p style=\"font-weight: 900; background: url('https://evil.example/c.png')\" onclick='alert(1)'>Harm</p><img src='https://evil.example/d.png' srcset='/api/x 2x' onerror=alert(1)><img src=/api/notify/open/x><script>parent.document.title = 'stolen'</script><a href=\"javascript:alert(1)\">go</a><iframe src=https://evil.example/></iframe><form action=/api/settings><button>b</button></form><svg onload=alert(1)><p style='", body: "x",
    } });
    await ui.root.send("/api/mailbox", { query: { to: "evil@example.com", wait: 20 } });
    const asked = [];
    const page = await ui.open("#/mailbox?q=evil");
    page.on("request", (request) => asked.push(request.url()));
    await page.getByRole("link", { name: /evil@example\.com/ }).click();
    const harm = page.frameLocator("iframe").getByText("Harm");
    await harm.waitFor(shown);
    assert.deepEqual(await harm.evaluate((element) => [getComputedStyle(element).color, getComputedStyle(element).fontWeight]), ["rgb(1, 2, 3)", "900"]);
    await page.getByText("Images from elsewhere and scripts are left out.").waitFor(shown);
    assert.equal(await page.frameLocator("iframe").locator("[href], [onclick], script, svg, iframe").count(), 0);
    assert.deepEqual(asked.filter((url) => !/\/api\/(mailbox|test\/clock|collections\?|settings\?fields=meta$)/.test(url) && !url.includes("/_/")), []);
    assert.match(await page.title(), /Captured mail/);
    await page.getByRole("button", { name: "Source" }).click();
    await page.getByRole("region", { name: "Source" }).getByText("evil.example").waitFor(shown);
    calm(page);
    await page.context().close();
});

test("the mailbox is emptied after a question, and says what it is for", async () => {
    const page = await ui.open("#/mailbox");
    await page.getByRole("searchbox").fill("no such mail");
    await page.getByText("Nothing is like that").waitFor(shown);
    await page.getByRole("button", { name: "Empty it" }).click();
    await page.getByRole("dialog").getByRole("button", { name: "Empty it" }).click();
    await page.getByRole("heading", { name: "Nothing was captured" }).waitFor(shown);
    await accessible(page);
    calm(page);
    await page.context().close();
});
