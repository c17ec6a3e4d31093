// The build that is committed is what its source builds to, is checked by the compiler, and comes quickly.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { startAdmin } from "../harness/admin.mjs";
import { remove, temporaryDirectory } from "../harness/server.mjs";

const source = fileURLToPath(new URL("../../assets/admin", import.meta.url));
const npm = (...args) => execFileSync("npm", args, { cwd: source, encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] });
const files = (folder) => readdirSync(folder, { recursive: true }).filter((name) => statSync(join(folder, name)).isFile()).sort();

test("the committed build is the source's build, and the source has no faults", () => {
    const installed = join(source, "node_modules", ".package-lock.json");
    if (!existsSync(installed) || statSync(installed).mtimeMs < statSync(join(source, "package-lock.json")).mtimeMs) npm("ci", "--no-audit", "--no-fund");
    npm("run", "check");
    const built = temporaryDirectory();
    npm("run", "build", "--", "--outDir", built, "--emptyOutDir");
    const committed = join(source, "dist");
    assert.deepEqual(files(committed), files(built), "build it anew: cd assets/admin && npm run build");
    for (const name of files(built)) assert.ok(readFileSync(join(built, name)).equals(readFileSync(join(committed, name))), `${name} differs`);
    remove(built);
});

test("the first load is small, lasts, and asks nobody else", async () => {
    const ui = await startAdmin();
    const loaded = [];
    const context = await ui.browser.newContext();
    const fresh = await context.newPage();
    fresh.on("response", (response) => { if (response.url().includes("/_/")) loaded.push(response); });
    await fresh.addInitScript((stored) => localStorage.setItem("pocketbase_auth", stored), JSON.stringify({ token: ui.root.authStore.token, record: ui.root.authStore.record }));
    await fresh.goto(ui.url);
    await fresh.getByRole("heading", { level: 1, name: "Home" }).waitFor();
    await fresh.waitForLoadState("networkidle").catch(() => {});
    let bytes = 0;
    for (const response of loaded) {
        const headers = response.headers();
        bytes += gzipSync(await response.body(), { level: 9 }).length;
        if (response.url().includes("/assets/") && !process.env.ADMIN_DIST) {
            assert.equal(headers["cache-control"], "public, max-age=31536000, immutable");
            assert.match(response.url(), /-[\w-]{8}\.(js|css|svg)$/, "named by its content");
        }
    }
    console.log(`ℹ the first load is ${Math.round(bytes / 1024)} KB compressed, in ${loaded.length} files`);
    assert.ok(bytes <= 250 * 1024, `${bytes} bytes`);
    await context.close();
    await ui.stop();
});
