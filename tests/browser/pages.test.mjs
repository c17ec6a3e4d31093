// The pages behind mailed links, clicked through from the mails, and the ends of sign-ins with other sites.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { chromium } from "playwright-core";
import { admin, client, startConch } from "../harness/server.mjs";

let conch, root, browser;
let count = 0;

before(async () => {
    conch = await startConch();
    root = admin(conch);
    await root.settings.update({ meta: { appURL: conch.url } });
    browser = await chromium.launch({
        executablePath: process.env.CHROMIUM_BIN ?? "/usr/bin/chromium",
        args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"],
    });
});

after(async () => {
    await browser?.close();
    await conch?.stop();
});

/** A new account and a client of its own. */
async function person() {
    const email = `person${++count}@example.com`;
    await root.collection("users").create({ email, password: "old-password", passwordConfirm: "old-password" });
    return { email, pb: client(conch) };
}

/** The link in the newest mail to this address, as soon as it is there. */
async function mailedLink(to, after = 0) {
    for (let attempt = 0; attempt < 200; attempt++) {
        const box = await root.send("/api/mailbox", { query: { to } });
        const mail = box.items.find((mail) => mail.id > after);
        if (mail) return { id: mail.id, link: mail.links.find((link) => link.includes("/_/#/auth/")) };
        await new Promise((resolve) => setTimeout(resolve, 25));
    }
    throw new Error(`no mail to ${to}`);
}

/** A page that notes everything the browser complains about; expected 400s are its own words, not ours. */
async function open(link) {
    const page = await browser.newPage();
    page.problems = [];
    page.on("pageerror", (error) => page.problems.push(error.message));
    page.on("console", (message) => message.type() === "error"
        && !/status of 400/.test(message.text()) && page.problems.push(message.text()));
    await page.goto(link);
    return page;
}

async function status(page, expected) {
    await page.getByRole("status").filter({ hasText: expected }).waitFor();
    assert.deepEqual(page.problems, []);
}

async function signsIn(pb, email, password) {
    return pb.collection("users").authWithPassword(email, password).then(() => true, () => false);
}

test("an address is confirmed by a click, not by opening the link", async () => {
    const { email, pb } = await person();
    await pb.collection("users").requestVerification(email);
    const { link } = await mailedLink(email);
    const page = await open(link);
    await page.getByText(email).waitFor();
    const verified = async () => (await root.collection("users").getFirstListItem(`email = "${email}"`)).verified;
    assert.equal(await verified(), false, "a program that only follows links confirms nothing");
    assert.match(page.url(), /confirm-verification/, "not yet used");
    await page.getByRole("button", { name: "confirm" }).click();
    await status(page, `${email} is confirmed`);
    assert.equal(await verified(), true);
    assert.equal(page.url(), `${conch.url}/_/`, "the token has left the address");
    await page.close();
});

test("a new password is set; the link works once and offers a new one", async () => {
    const { email, pb } = await person();
    await pb.collection("users").requestPasswordReset(email);
    const { id, link } = await mailedLink(email);
    const page = await open(link);
    assert.equal(await page.getByLabel("Account").inputValue(), email);
    const button = page.getByRole("button");
    await button.click();
    await page.getByText("Enter a new password.").waitFor();
    assert.equal(await page.evaluate(() => document.activeElement.name), "password");
    await page.getByLabel("New password", { exact: true }).fill("new");
    await page.getByLabel("New password again").fill("other");
    await button.click();
    await page.getByText("The passwords differ.").waitFor();
    await page.getByLabel("New password again").fill("new");
    await button.click();
    await page.getByText("The length must be between 8 and 255.").waitFor();
    await page.getByLabel("New password", { exact: true }).fill("new-password");
    await page.getByLabel("New password again").fill("new-password");
    await page.getByLabel("New password again").press("Enter");
    await status(page, "Your new password is set.");
    assert.equal(page.url(), `${conch.url}/_/`);
    assert.equal(await signsIn(pb, email, "old-password"), false);
    assert.equal(await signsIn(pb, email, "new-password"), true);
    await page.close();

    const again = await open(link);
    await again.getByLabel("New password", { exact: true }).fill("third-password");
    await again.getByLabel("New password again").fill("third-password");
    await again.getByRole("button").click();
    await status(again, "no longer valid");
    assert.equal(await again.getByLabel("Account").count(), 0, "nothing is left to try");
    await again.getByRole("button", { name: `Mail a new link to ${email}` }).click();
    await status(again, "a new mail is on its way");
    const second = await mailedLink(email, id);
    // The new link is opened in the same window: nothing but the part behind the # changes.
    await again.goto(second.link);
    await again.getByLabel("New password", { exact: true }).fill("third-password");
    await again.getByLabel("New password again").fill("third-password");
    await again.getByRole("button").click();
    await status(again, "Your new password is set.");
    assert.equal(await signsIn(pb, email, "third-password"), true);
    await again.close();
});

test("another address is confirmed with the password", async () => {
    const { email, pb } = await person();
    await pb.collection("users").authWithPassword(email, "old-password");
    await pb.collection("users").requestEmailChange(`new-${email}`);
    const { link } = await mailedLink(`new-${email}`);
    const page = await open(link);
    await page.getByText(`new-${email}`).waitFor();
    await page.getByLabel("Password").fill("wrong-password");
    await page.getByRole("button").click();
    await page.getByText("The password is wrong.").waitFor();
    await page.getByLabel("Password").fill("old-password");
    await page.getByRole("button").click();
    await status(page, `Your address is new-${email} now`);
    assert.equal(page.url(), `${conch.url}/_/`);
    assert.equal(await signsIn(pb, `new-${email}`, "old-password"), true);
    await page.close();

    const again = await open(link);
    await again.getByLabel("Password").fill("old-password");
    await again.getByRole("button").click();
    await status(again, "no longer valid");
    await again.getByText("ask there for the new address once more").waitFor();
    await again.close();
});

test("a broken link says what to do", async () => {
    for (const name of ["confirm-verification", "confirm-password-reset", "confirm-email-change"]) {
        for (const token of ["", "/a.b.c"]) {
            const page = await open(`${conch.url}/_/#/auth/${name}${token}`);
            await status(page, "This link is not complete.");
            await page.getByText("Open it from the mail again.").waitFor();
            assert.equal(await page.locator("form").count(), 0);
            await page.close();
        }
    }
});

test("the window of a sign-in with another site closes itself", async () => {
    const opener = await open(`${conch.url}/_/`);
    for (const [name, heading] of [["success", "The other site said yes"], ["failure", "Signing in did not work"]]) {
        const popup = opener.waitForEvent("popup");
        await opener.evaluate((url) => void window.open(url), `${conch.url}/_/#/auth/oauth2-redirect-${name}`);
        const window = await popup;
        if (!window.isClosed()) await window.waitForEvent("close");
        // One that nobody opened stays, and says what to do.
        const page = await open(`${conch.url}/_/#/auth/oauth2-redirect-${name}`);
        await page.getByRole("heading", { name: heading }).waitFor();
        await page.getByText("go back to the app").waitFor();
        await page.close();
    }
    await opener.close();
});

test("the pages come with a strict policy and work on a phone", async () => {
    const answer = await fetch(`${conch.url}/_/`);
    const policy = answer.headers.get("content-security-policy");
    assert.match(policy, /default-src 'none'/);
    assert.doesNotMatch(policy, /unsafe|\*|https?:/);
    assert.equal(answer.headers.get("referrer-policy"), "no-referrer");
    const phone = await browser.newContext({ viewport: { width: 320, height: 600 }, colorScheme: "dark" });
    const claims = Buffer.from(JSON.stringify({ collectionId: "_pb_users_auth_", newEmail: `${"n".repeat(60)}@example.com`, email: `${"o".repeat(60)}@example.com` })).toString("base64url");
    for (const name of ["confirm-verification", "confirm-password-reset", "confirm-email-change"]) {
        const page = await phone.newPage();
        await page.goto(`${conch.url}/_/#/auth/${name}/x.${claims}.x`);
        await page.getByRole("button").waitFor();
        const width = await page.evaluate(() => document.documentElement.scrollWidth);
        assert.ok(width <= 320, `${name} is ${width} pixels wide`);
        await page.close();
    }
    await phone.close();
});
