// How the admin UI is served (docs/admin.md).

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { gunzipSync } from "node:zlib";
import { startConch } from "../harness/server.mjs";
import { get as raw } from "node:http";

let conch;
before(async () => { conch = await startConch(); });
after(() => conch?.stop());

/** Without what fetch does to a body. */
const get = (path, headers = {}) => new Promise((resolve, reject) => {
    raw(conch.url + path, { headers }, (answer) => {
        const chunks = [];
        answer.on("data", (chunk) => chunks.push(chunk));
        answer.on("end", () => resolve({ status: answer.statusCode, headers: answer.headers, body: Buffer.concat(chunks) }));
    }).on("error", reject);
});

test("the page and all that it loads are there, each as often as it changes", async () => {
    const page = await get("/_/");
    assert.equal(page.status, 200);
    assert.equal(page.headers["cache-control"], "no-cache");
    assert.equal((await get("/_/", { "if-none-match": page.headers.etag })).status, 304);
    const names = [...page.body.toString().matchAll(/(?:src|href)="(?:\.\/|\/_\/)?([^"#]+)"/g)].map(([, name]) => name);
    assert.ok(names.length > 1, page.body.toString());
    for (const name of names) {
        const [plain, zipped] = [await get(`/_/${name}`), await get(`/_/${name}`, { "accept-encoding": "gzip" })];
        assert.equal(plain.status, 200, name);
        assert.equal(plain.headers["cache-control"], name.startsWith("assets/") ? "public, max-age=31536000, immutable" : "no-cache", name);
        const unpacked = zipped.headers["content-encoding"] === "gzip" ? gunzipSync(zipped.body) : zipped.body;
        assert.ok(unpacked.equals(plain.body), name);
        assert.ok(zipped.body.length <= plain.body.length);
    }
});

test("nothing inline, nothing from elsewhere, and nothing that is not there", async () => {
    for (const path of ["/_/", "/_/nope", "/_/assets/nope-12345678.js", "/_/assets", "/_/assets/..%2Findex.html", "/_/.gitkeep"]) {
        const answer = await get(path);
        assert.equal(answer.status, path === "/_/" ? 200 : 404, path);
        const policy = answer.headers["content-security-policy"];
        assert.match(policy, /^default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data: blob:;/);
        assert.doesNotMatch(policy, /unsafe/);
        if (path !== "/_/") assert.equal(JSON.parse(answer.body).status, 404);
    }
    assert.doesNotMatch((await get("/_/")).body.toString(), /<style|style=|<script>|https?:\/\//);
});
