// What was uploaded cannot run a script on the server's origin, however a page gets at it.

import assert from "node:assert/strict";
import { createServer } from "node:http";
import { after, before, test } from "node:test";
import { chromium } from "playwright-core";
import { pictures } from "../harness/pictures.mjs";
import { admin, startConch } from "../harness/server.mjs";

let conch, root, elsewhere, browser, control;
/** Who has run a script: each one calls home. */
const ran = [];

const script = (who) => `fetch("${elsewhere}/ran?${who}"); new Image().src = "${elsewhere}/ran?${who}-image"`;
const html = (who) => `<!doctype html><title>x</title><h1>${who}</h1><script>${script(who)}</script><img src=x onerror='${script(who)}'>`;
const svg = (who) => `<svg xmlns="http://www.w3.org/2000/svg" width="50" height="50" onload='${script(who)}'><rect width="50" height="50"/><script>${script(who)}</script></svg>`;

before(async () => {
    conch = await startConch();
    root = admin(conch);
    await root.collections.create({ name: "pages", type: "base", viewRule: "", fields: [{ name: "f", type: "file" }] });
    const server = createServer((request, answer) => {
        if (request.url.startsWith("/ran")) ran.push(request.url);
        answer.setHeader("access-control-allow-origin", "*");
        answer.setHeader("content-type", request.url === "/control.svg" ? "image/svg+xml" : "text/html");
        answer.end({ "/control.html": html("control"), "/control.svg": svg("control-svg") }[request.url] ?? "<!doctype html><title>elsewhere</title>");
    });
    await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
    control = server;
    elsewhere = `http://127.0.0.1:${server.address().port}`;
    browser = await chromium.launch({
        executablePath: process.env.CHROMIUM_BIN ?? "/usr/bin/chromium",
        args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"],
    });
});

after(async () => {
    await browser?.close();
    control?.close();
    await conch?.stop();
});

const settle = () => new Promise((resolve) => setTimeout(resolve, 350));

async function stored(name, content) {
    const record = await root.collection("pages").create({ f: new File([content], name) });
    return root.files.getURL(record, record.f);
}

/** Shows `url` in every element that shows something. */
const embed = (page, url) => page.evaluate((url) => {
    for (const tag of ["iframe", "object", "embed", "img"]) {
        const element = document.createElement(tag);
        element[tag === "object" ? "data" : "src"] = url;
        document.body.append(element);
    }
}, url);

test("the control runs its scripts, so this test could see one", async () => {
    const page = await browser.newPage();
    await page.goto(`${elsewhere}/control.html`);
    await embed(page, `${elsewhere}/control.svg`);
    await settle();
    assert.ok(ran.some((who) => who.includes("control")) && ran.some((who) => who.includes("control-svg")), ran.join(" "));
    await page.close();
    ran.length = 0;
});

test("stored HTML and SVG run nothing: opened, framed, embedded, from this origin and from another", async () => {
    const png = pictures["plain.png"];
    for (const [name, content] of [
        ["page.html", html("html")], ["page.svg", svg("svg")], ["page.xhtml", `<html xmlns="http://www.w3.org/1999/xhtml"><script>${script("xhtml")}</script></html>`], ["page.xml", `<?xml-stylesheet type="text/xsl" href="#x"?>${svg("xml")}`], ["page.htm", html("htm")], ["page.png", html("html-as-png")],
        ["picture.svg", Buffer.concat([png, Buffer.from(svg("png-as-svg"))])], ["page.txt", html("txt")], ["page.pdf", `%PDF-1.4\n${html("pdf")}`], ["noname", html("none")],
    ]) {
        const url = await stored(name, content);
        for (const address of [url, `${url}?download=0`, `${url}?thumb=100x100`]) {
            const opened = await browser.newPage();
            // A download ends the navigation.
            await opened.goto(address).catch(() => {});
            await opened.close();
        }
        for (const from of [`${conch.url}/api/health`, elsewhere]) {
            const page = await browser.newPage();
            await page.goto(from);
            await embed(page, url);
            await settle();
            await page.close();
        }
        assert.deepEqual(ran, [], name);
    }
});

test("a picture is shown by a page of another origin, and in a frame", async () => {
    const url = await stored("plain.png", pictures["plain.png"]);
    const page = await browser.newPage();
    await page.goto(elsewhere);
    const width = await page.evaluate((url) => new Promise((resolve) => {
        const image = new Image();
        image.onload = () => resolve(image.naturalWidth);
        image.onerror = () => resolve(0);
        image.src = url;
    }), url);
    assert.equal(width, 200);
    await embed(page, url);
    await settle();
    const framed = page.frames().find((frame) => frame.url() === url);
    assert.ok(framed, "a frame of another origin may show it");
    await page.close();
});
