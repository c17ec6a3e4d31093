// The admin UI in a real browser.
//
//   const ui = await startAdmin();                    a server, a superuser, Chromium
//   const page = await ui.open("#/logs");             signed in; { width, height, theme, language, signedIn: false }
//   page.problems                                     what the browser complained about: must stay empty
//   await accessible(page);                           what axe-core calls serious or worse fails
//   await ui.stop();
//
// ADMIN_DIST=assets/admin/dist shows a build that is not in the executable yet, under the same policy.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createServer, request as send } from "node:http";
import { createRequire } from "node:module";
import { extname, join } from "node:path";
import { chromium } from "playwright-core";
import { admin, startConch, superuser } from "./server.mjs";

const POLICY = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data: blob:; media-src 'self' blob:; font-src 'self'; worker-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
const TYPES = { ".html": "text/html", ".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml" };
const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

/** Serves a build's folder as /_/ and passes everything else on to the server. */
async function served(folder, to) {
    const { hostname, port } = new URL(to);
    const server = createServer((request, answer) => {
        const name = request.url.startsWith("/_/") && request.url.slice(3).replace(/[?#].*/, "");
        if (name !== false) {
            try {
                answer.setHeader("Content-Security-Policy", POLICY).setHeader("Content-Type", TYPES[extname(name)] ?? "text/html");
                return answer.end(readFileSync(join(folder, name || "index.html")));
            } catch {
                return answer.writeHead(404).end();
            }
        }
        const passed = send({ hostname, port, path: request.url, method: request.method, headers: request.headers }, (from) => {
            answer.writeHead(from.statusCode, from.headers);
            from.pipe(answer);
        });
        passed.on("error", () => answer.destroy());
        answer.on("close", () => passed.destroy());
        request.pipe(passed);
    });
    await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
    return { url: `http://127.0.0.1:${server.address().port}`, stop: () => { server.close(); server.closeAllConnections(); } };
}

/** A browser over a server that somebody else started; `owner` has the token of its superuser. */
export async function browse(url, browser, owner) {
    const front = process.env.ADMIN_DIST ? await served(process.env.ADMIN_DIST, url) : { url, stop: () => {} };
    const open = async (place = "#/", { width = 1280, height = 800, theme = "light", language = "en", signedIn = true } = {}) => {
        const context = await browser.newContext({ viewport: { width, height }, colorScheme: theme, locale: language, permissions: ["clipboard-read", "clipboard-write"], acceptDownloads: true });
        const record = owner?.record ?? { collectionName: "_superusers", email: superuser.email };
        const stored = JSON.stringify({ token: owner?.token, record });
        await context.addInitScript(([stored, language]) => {
            if (stored && !sessionStorage.getItem("seeded")) localStorage.setItem("pocketbase_auth", stored);
            sessionStorage.setItem("seeded", "1");
            localStorage.setItem("conch.language", language);
        }, [signedIn && owner && stored, language]);
        const page = await context.newPage();
        page.setDefaultTimeout(15_000);
        page.problems = [];
        page.on("pageerror", (error) => page.problems.push(error.message));
        page.on("console", (message) => {
            if (message.type() === "error" && !/status of (400|401|403|404)|ERR_CONNECTION_REFUSED/.test(message.text())) page.problems.push(message.text());
        });
        page.on("request", (request) => {
            if (/^https?:/.test(request.url()) && !request.url().startsWith(front.url)) page.problems.push(`asked ${request.url()}`);
        });
        await page.goto(`${front.url}/_/${place}`);
        return page;
    };
    return { url: `${front.url}/_/`, open, stop: front.stop };
}

export async function startAdmin(options = {}) {
    const conch = await startConch(options);
    const browser = await chromium.launch({
        executablePath: process.env.CHROMIUM_BIN ?? "/usr/bin/chromium",
        args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"],
    });
    const root = admin(conch);
    await root.collection("_superusers").create({ ...superuser, passwordConfirm: superuser.password });
    await root.collection("_superusers").authWithPassword(superuser.email, superuser.password);
    const browsed = await browse(conch.url, browser, root.authStore);
    const stop = async () => {
        await browser.close();
        browsed.stop();
        await conch.stop();
    };
    return { conch, root, browser, url: browsed.url, open: browsed.open, stop };
}

/** Nothing that axe-core finds is serious or critical. */
export async function accessible(page, within) {
    // Playwright's own channel: no script tag, which the policy would refuse.
    await page.evaluate(axe);
    const found = await page.evaluate((within) => window.axe.run(within ?? document, { resultTypes: ["violations"] }), within);
    const bad = found.violations.filter(({ impact }) => impact === "serious" || impact === "critical");
    assert.deepEqual(bad.map(({ id, nodes }) => `${id}: ${nodes.slice(0, 3).map(({ html }) => html.slice(0, 160)).join(" ¦ ")}`), []);
}
