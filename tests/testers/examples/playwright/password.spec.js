import { expect, test } from "@playwright/test";

const owner = { Authorization: process.env.CONCH_TOKEN };

test.beforeEach(async ({ request }) => {
    await request.post("/api/test/reset", { headers: owner });
});

const login = (request, password) => request.post("/api/collections/users/auth-with-password", {
    data: { identity: "ann@example.com", password },
});

test("who forgot a password sets a new one by mail", async ({ page, request }) => {
    await request.post("/api/collections/users/request-password-reset", { data: { email: "ann@example.com" } });
    const kept = await request.get("/api/mailbox?to=ann@example.com&wait=10", { headers: owner });
    const [{ links }] = (await kept.json()).items;

    // Mails lead to the app's own address; here that is this server.
    await page.goto(new URL(links[0]).pathname + new URL(links[0]).hash);
    await page.getByLabel("New password", { exact: true }).fill("a new password");
    await page.getByLabel("New password again").fill("a new password");
    await page.getByRole("button", { name: "Set the password" }).click();
    await expect(page.getByText("Your new password is set")).toBeVisible();

    expect((await login(request, "correct-horse")).status()).toBe(400);
    expect((await login(request, "a new password")).status()).toBe(200);
});

test("the next test begins with the old one", async ({ request }) => {
    expect((await login(request, "correct-horse")).status()).toBe(200);
    const kept = await request.get("/api/mailbox", { headers: owner });
    expect((await kept.json()).items).toHaveLength(0);
});
