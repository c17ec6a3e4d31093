// What every request passes, and the static folder, against the reference (docs/wire/services.md §2, §3).

import assert from "node:assert/strict";
import { mkdirSync, symlinkSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { startPair } from "../harness/parity.mjs";
import { ask } from "../harness/raw.mjs";
import { remove, temporaryDirectory } from "../harness/server.mjs";

const root = join(temporaryDirectory(), "public");
let pair;
before(async () => {
    for (const dir of ["sub/empty", ".well-known", "assets"]) mkdirSync(join(root, dir), { recursive: true });
    for (const [name, content] of [
        ["index.html", "<h1>root</h1>"], ["sub/index.html", "<h1>sub</h1>"], ["a.css", "body{}"], ["assets/m.js", "1"], ["assets/m.mjs", "1"],
        ["a.json", "{}"], ["w.wasm", "x"], ["pic.svg", "<svg/>"], ["plain", "text"], ["bin", "\0\x01\x02"], ["font.woff2", "x"], ["UP.HTML", "x"],
        [".dotted", "dot"], [".well-known/x", "wk"], ["sp ace.txt", "s"], ["ü.txt", "u"], ["a.unknownext", "text"],
    ]) {
        writeFileSync(join(root, name), content);
        utimesSync(join(root, name), 1_700_000_000, 1_700_000_000);
    }
    symlinkSync("a.css", join(root, "link.css"));
    pair = await startPair({ conch: ["--public-dir", root], reference: ["--publicDir", root] });
});
after(async () => {
    await pair?.stop();
    remove(join(root, ".."));
});

const compared = [
    "content-type", "location", "vary", "accept-ranges", "content-range", "last-modified", "cache-control", "content-encoding", "retry-after",
    "access-control-allow-origin", "access-control-allow-methods", "access-control-allow-headers", "access-control-allow-credentials",
    "access-control-max-age", "access-control-expose-headers", "x-xss-protection", "x-content-type-options", "x-frame-options",
    "cross-origin-opener-policy", "strict-transport-security", "content-disposition",
];

/** The same request to both, as it is written: status, headers and body have to be the same. */
async function same(line, { except = [], as = "guest", ...init } = {}) {
    const [method, path] = line.split(" ");
    pair.steps += 1;
    const answers = await Promise.all(pair.servers.map((server, index) => ask(server, path, { method, token: pair.tokens[as][index], ...init })));
    const [ours, theirs] = answers.map(({ status, headers, text }) => {
        const told = compared.filter((name) => !except.includes(name)).map((name) => [name, headers[name]]);
        return { status, headers: Object.fromEntries(told), body: except.includes("body") ? "" : folded(text) };
    });
    if (JSON.stringify(ours) !== JSON.stringify(theirs)) pair.differences.push({ request: `${line} as ${as}`, body: init.headers, ours, theirs });
    return answers[0];
}

/** What texts for people say is free, so are the ids of new records and the order of keys. */
function folded(text) {
    try {
        return fold(JSON.parse(text));
    } catch {
        return text.replaceAll(/[0-9a-f]{60}/g, "<boundary>");
    }
}

function fold(value) {
    if (Array.isArray(value)) return value.map(fold);
    if (value === null || typeof value !== "object") return /^[a-z0-9]{15}$/.test(value) ? "<id>" : value;
    return Object.fromEntries(Object.keys(value).sort().map((key) => [key, key === "message" ? typeof value[key] : fold(value[key])]));
}

const settings = (body) => pair.step("PATCH /api/settings", { as: "root", body });

test("cross-origin requests and security headers", async () => {
    const origins = [{}, { origin: "http://a.example" }, { origin: "null" }];
    for (const headers of origins) {
        for (const line of ["GET /api/health", "GET /nope", "POST /nope", "GET /api/collections/nope/records", "GET /api/settings", "GET /a.css", "HEAD /api/health"]) {
            await same(line, { headers });
        }
        for (const path of ["/api/health", "/nope", "/a.css", "/", "/_/", "/api/collections/users/records"]) {
            await same(`OPTIONS ${path}`, { headers });
            await same(`OPTIONS ${path}`, { headers: { ...headers, "access-control-request-method": "PATCH", "access-control-request-headers": "authorization,x-a" } });
        }
    }
    for (const line of ["GET //api/health", "GET /api/../a.css", "POST //x", "GET /_"]) {
        await same(line, { headers: { origin: "http://a.example" }, except: ["body", "content-type"] });
    }
    for (const path of ["/api/health", "/a.css", "/nope"]) await same(`GET ${path}`, { headers: { "accept-encoding": "gzip, br" } });
    pair.verify();
});

test("body limits", async () => {
    const long = { "content-length": String(33 << 20), "content-type": "application/json" };
    for (const line of ["PATCH /api/settings", "POST /api/realtime", "POST /nope", "POST /api/files/token", "POST /api/collections"]) {
        // Nothing is sent: the declared length is enough.
        await same(line, { headers: long, as: "root", except: ["body"] });
    }
    const chunks = Array(34).fill(Buffer.alloc(1 << 20, 32));
    await same("POST /api/collections/_externalAuths/records", { headers: { "content-type": "application/json" }, as: "root", body: chunks, except: ["body"] });
    pair.verify();
});

test("trusted proxies", async () => {
    for (const trustedProxy of [
        { headers: [] }, { headers: ["X-Forwarded-For"] }, { headers: ["X-Forwarded-For"], useLeftmostIP: true }, { headers: ["X-Real-IP", "x-forwarded-for"], useLeftmostIP: false },
    ]) {
        await settings({ trustedProxy });
        for (const headers of [
            {}, { "x-forwarded-for": "1.1.1.1" }, { "x-forwarded-for": "1.1.1.1, 2.2.2.2" }, { "x-forwarded-for": "1.1.1.1, bad" }, { "x-forwarded-for": "bad" }, { "x-forwarded-for": "" },
            { "x-forwarded-for": " 1.1.1.1 ,, 3.3.3.3 " }, { "x-forwarded-for": ["4.4.4.4", "5.5.5.5"] }, { "x-forwarded-for": "2001:db8::1" }, { "x-forwarded-for": "1.1.1.1:80" },
            { "x-forwarded-for": "[2001:db8::1]" }, { "x-real-ip": "6.6.6.6", "x-forwarded-for": "7.7.7.7" }, { "x-real-ip": "bad", "x-forwarded-for": "7.7.7.7" },
        ]) await same("GET /api/health", { as: "root", headers });
    }
    await settings({ trustedProxy: { headers: [] } });
    pair.verify();
});

test("www", async () => {
    for (const host of ["www.127.0.0.1", "127.0.0.1", "www.127.0.0.1:80", "www.example.com", "WWW.127.0.0.1"]) {
        for (const line of ["GET /api/health?x=%20&y", "POST /api/collections/users/records", "OPTIONS /api/health"]) {
            // Letter case counts there, and not here: hosts have none.
            if (host.startsWith("WWW")) continue;
            await same(line, { headers: { host, origin: "http://a.example" }, except: ["body", "content-type"] });
        }
    }
    pair.verify();
});

test("static files", async () => {
    for (const path of [
        "/", "/a.css", "/assets/m.js", "/assets/m.mjs", "/a.json", "/w.wasm", "/pic.svg", "/plain", "/bin", "/font.woff2", "/UP.HTML", "/.well-known/x", "/sp%20ace.txt", "/%C3%BC.txt",
        "/a.unknownext", "/link.css", "/a%2Ecss", "/sub", "/sub/", "/sub/index.html", "/index.html", "/sub%2Findex.html", "/sub%2F", "/index.html/", "/a.css/", "/a.css%2f", "/sub/empty", "/sub/empty/",
        "/nope", "/nope/", "/nope.js", "/nope/deep/er/than/any/route/is/x", "/%2e%2e/outside", "/sub%2f..%2fa.css", "/%2e/a.css", "/a.css%00", "/%ff", "/%5c..%5coutside", "/%2fsub", "/sub?x=1", "/a.css/?x=1", "/.well-known",
        "/api", "/api/", "/api/unknown", "/api/health/", "/api/collections/", "/api/collections/users/records/", "/api/collections/users/records/x/", "/api/files/a/b/", "/api/settings/", "/api/batch", "/api/files/token", "/api/collections/users/auth-with-password",
    ]) {
        for (const method of ["GET", "HEAD"]) await same(`${method} ${path}`);
        await same(`POST ${path}`, { except: ["body"] });
    }
    for (const headers of [
        { range: "bytes=0-2" }, { range: "bytes=4-100" }, { range: "bytes=-2" }, { range: "bytes=0-0,2-3" }, { "if-modified-since": "Sun, 22 Nov 2026 13:59:42 GMT" },
        { "if-modified-since": "Sun, 22 Nov 2020 13:59:42 GMT" }, { "if-unmodified-since": "Sun, 22 Nov 2020 13:59:42 GMT" }, { "if-none-match": "*" }, { "if-match": '"x"' }, { "accept-encoding": "gzip" },
        { range: "bytes=0-1", "if-range": "Sun, 22 Nov 2020 13:59:42 GMT" },
    ]) {
        const except = headers.range?.includes(",") ? ["content-type", "body"] : [];
        for (const path of ["/a.css", "/nope"]) {
            await same(`GET ${path}`, { headers, except });
            await same(`HEAD ${path}`, { headers, except });
        }
    }
    for (const range of ["bytes=100-", "x"]) await same("GET /a.css", { headers: { range }, except: ["body"] });
    pair.verify();
});

test("listed origins, and static files without the fallback", async () => {
    const first = pair;
    const origins = ["--origins", "https://*.sub.com,http://localhost:?000,https://a.example"];
    pair = await startPair({ conch: ["--public-dir", root, "--index-fallback", "false", ...origins], reference: ["--publicDir", root, "--indexFallback=false", ...origins] });
    try {
        for (const origin of ["https://x.y.sub.com", "https://sub.com", "http://localhost:3000", "http://localhost:30000", "https://a.example", "https://a.example.evil.org", "http://a.example", "null"]) {
            for (const line of ["GET /api/health", "POST /nope", "GET /a.css", "OPTIONS /api/health"]) {
                await same(line, { headers: { origin, "access-control-request-method": "PATCH", "access-control-request-headers": "x-a" } });
            }
        }
        for (const path of ["/", "/sub/", "/sub", "/sub/empty", "/sub/empty/", "/nope", "/nope/", "/api/unknown", "/api/health/", "/index.html", "/a.css/", "/%2e%2e/outside", "/%ff"]) {
            for (const method of ["GET", "HEAD"]) await same(`${method} ${path}`);
        }
        pair.verify();
    } finally {
        await pair.stop();
        pair = first;
    }
});

test("the mount of the pages", async () => {
    // The pages are Conch's own, and a cache asks each time (docs/COMPATIBILITY.md).
    const except = ["body", "cache-control", "accept-ranges"];
    for (const path of ["/_/", "/_/extensions.js", "/_/nope", "/_/nope/", "/_/a/b", "/_/index.html", "/_"]) {
        const own = path === "/_" ? [...except, "content-type"] : except;
        for (const method of ["GET", "HEAD"]) await same(`${method} ${path}`, { except: own });
        await same(`POST ${path}`, { except });
    }
    const zipped = await same("GET /_/", { headers: { "accept-encoding": "gzip" }, except });
    assert.equal(zipped.headers["content-encoding"], "gzip");
    pair.verify();
});

/** Rules as `label audience most`, in 60 seconds. */
const rules = (...lines) => lines.map((line) => {
    const [, label, audience = "", most] = /^(.*?)(?: (@\w+))? (\d+)$/.exec(line);
    return { label, audience, maxRequests: Number(most), duration: 60 };
});

test("rate limits", async () => {
    await pair.step("POST /api/collections", { as: "root", body: { id: "lim", name: "lim", type: "base", listRule: "", viewRule: "", createRule: "", updateRule: "", deleteRule: "", fields: [{ name: "t", type: "text" }] } });
    await pair.step("POST /api/collections/users/records", { as: "root", body: { id: "limiteduser0000", email: "l@example.com", password: "1234567890", passwordConfirm: "1234567890" } });
    await pair.login("user", "users", "l@example.com", "1234567890");
    const L = "/api/collections/lim/records", U = "/api/collections/users";
    for (const [lines, ...steps] of [
        [["/api/health 2"], "GET /api/health", "HEAD /api/health", "GET /api/health", "GET /api/health?x=1", "GET /api/%68ealth", "GET /api/health/"],
        [["GET /api/health 1"], "HEAD /api/health", "HEAD /api/health", "GET /api/health", "GET /api/health", "POST /api/health"],
        [["/api 1"], "GET /api/health", "GET /api/health", "GET /api", "GET /api"],
        [["/api/ 2", "/api/health 1"], "GET /api/health", "GET /api/health", "GET /api/settings", "GET /api/nope", "GET /api", "POST /nope"],
        [["/api/ 3", "/api/health/ 1"], "GET /api/health", "GET /api/health", "GET /api/health", "GET /api/health"],
        [["/ 4"], "GET /a.css", "GET /nope", "GET //x", "OPTIONS /", "GET /_/", "GET /api/health", "GET /", "GET /_", "POST /nope"],
        [["/nope 1"], "POST /nope", "POST /nope", "GET /nope"],
        [["/api/health @guest 1", "/api/health @auth 2"], ...Array(3).fill("GET /api/health"), ...Array(3).fill(["GET /api/health", "user"]), ...Array(4).fill(["GET /api/health", "root"])],
        [["/api/health @auth 1"], "GET /api/health", "GET /api/health", ["GET /api/health", "user"], ["GET /api/health", "user"]],
        [["*:list 1"], `GET ${L}`, `GET ${L}`, `HEAD ${L}`, `GET ${U}/records`, `GET ${U}/records`, "GET /api/collections/_pb_users_auth_/records", "GET /api/collections/nope/records", "GET /api/collections/nope/records"],
        [["*:list 1", "lim:list 2"], `GET ${L}`, `GET ${L}`, `GET ${L}`, "GET /api/collections/users/records", "GET /api/collections/users/records"],
        [["lim:view 1"], `GET ${L}/x`, `GET ${L}/y`, `GET ${U}/records/x`, `GET ${U}/records/x`],
        [["*:create 1", "*:update 1", "*:delete 1"], `POST ${L}`, `POST ${L}`, `PATCH ${L}/x`, `PATCH ${L}/y`, `DELETE ${L}/x`, `DELETE ${L}/y`, `PUT ${L}`, `PUT ${L}`],
        [["/api/collections/ 1"], `GET ${L}`, `GET ${L}`, `GET ${L}/x`, `GET ${L}/x`, `GET ${U}`, `GET ${U}`, `GET ${U}/auth-methods`, `GET ${U}/auth-methods`, `POST ${U}/impersonate/x`, `DELETE ${U}/truncate`],
        [[`${L} 1`], `GET ${L}`, `POST ${L}`, `GET ${L}`, `POST ${L}`, `GET ${L}/x`],
        [[`GET ${L} 1`], `GET ${L}`, `GET ${L}`, `HEAD ${L}`, `POST ${L}`],
        [["*:auth 1", "*:authWithPassword 2"], ...Array(3).fill(`POST ${U}/auth-with-password`), `POST ${U}/auth-with-otp`, `POST ${U}/auth-with-otp`, `POST ${U}/auth-with-oauth2`, `POST ${U}/auth-with-oauth2`, "POST /api/collections/lim/auth-with-password", "POST /api/collections/lim/auth-with-password", "POST /api/collections/nope/auth-with-password"],
        [["users:auth 1", "*:authWithPassword 2"], `POST ${U}/auth-with-password`, `POST ${U}/auth-with-password`],
        ...["request-otp requestOTP", "auth-refresh authRefresh", "request-password-reset requestPasswordReset", "confirm-password-reset confirmPasswordReset", "request-verification requestVerification", "confirm-verification confirmVerification", "request-email-change requestEmailChange", "confirm-email-change confirmEmailChange"].map((pairing) => {
            const [route, tag] = pairing.split(" ");
            return [[`*:${tag} 1`], `POST ${U}/${route}`, `POST ${U}/${route}`, `GET ${U}/${route}`];
        }),
        [["*:listAuthMethods 1"], `GET ${U}/auth-methods`, `GET ${U}/auth-methods`],
        [["lim:file 1"], "GET /api/files/lim/x/y", "GET /api/files/lim/x/z", "GET /api/files/nope/x/y", "GET /api/files/users/x/y", "GET /api/files/users/x/y"],
        [["tag 1", "*:nothing 1", "nope:list 1"], `GET ${L}`, `GET ${L}`],
        [["/api/realtime 1"], ["POST /api/realtime", "guest", { headers: { "content-length": String(33 << 20) } }], ["POST /api/realtime", "guest", { headers: { "content-length": String(33 << 20) } }]],
    ]) {
        await settings({ rateLimits: { enabled: true, rules: rules(...lines) } });
        for (const step of steps) {
            const [line, as = "guest", init = {}] = Array.isArray(step) ? step : [step];
            const except = line.endsWith(" /_/") || line.includes(" //") || line.endsWith(" /_") ? ["body", "cache-control", "accept-ranges", "content-type"] : [];
            await same(line, { as, except, ...init });
        }
        assert.ok(pair.differences.length < 25, JSON.stringify(lines));
    }
    await settings({ rateLimits: { enabled: true, rules: rules("/api/health 1"), excludedIPs: ["127.0.0.0/8"] } });
    for (const _ of [1, 2, 3]) await same("GET /api/health");
    await settings({ rateLimits: { excludedIPs: ["10.0.0.1"] } });
    for (const _ of [1, 2]) await same("GET /api/health");
    await settings({ meta: { appName: "counts begin anew" } });
    for (const _ of [1, 2]) await same("GET /api/health");
    await settings({ rateLimits: { enabled: false } });
    for (const _ of [1, 2]) await same("GET /api/health");
    pair.verify();
});

test("rate limits of batches and of renamed collections", async () => {
    const R = "/api/collections/lim/records";
    const batch = (...requests) => pair.step("POST /api/batch", { body: { requests } });
    const create = { method: "POST", url: R, body: { t: "x" } };
    const upsert = { method: "PUT", url: R, body: { id: "upserted0000000", t: "x" } };
    pair.known.add("upserted0000000");
    for (const [lines, ...bodies] of [
        [["*:create 2"], [create], "POST", "POST", "POST", [create], [create], [upsert]],
        [["*:create 2"], [create, create, create], [create]],
        [["*:update 1"], [upsert], [upsert], [upsert]],
        [["*:delete 1"], [{ method: "DELETE", url: `${R}/upserted0000000` }], [{ method: "DELETE", url: `${R}/upserted0000000` }]],
        [["/api/ 1"], [create, create]],
        [["/api/batch 1"], [create], [create]],
        [["*:create 1"], [{ method: "POST", url: "/api/collections/nope/records", body: {} }], [{ method: "GET", url: R }]],
    ]) {
        await settings({ batch: { enabled: true }, rateLimits: { enabled: true, rules: rules(...lines), excludedIPs: [] } });
        for (const body of bodies) {
            if (body === "POST") await pair.step(`POST ${R}`, { body: create.body });
            else await batch(...body);
        }
    }
    await settings({ rateLimits: { rules: rules("lim:list 1", "*:list 5") } });
    await pair.step(`GET ${R}`);
    await pair.step("PATCH /api/collections/lim", { as: "root", body: { name: "renamed" } });
    await pair.step("GET /api/settings?fields=rateLimits", { as: "root" });
    for (const name of ["renamed", "lim", "renamed"]) await pair.step(`GET /api/collections/${name}/records?fields=totalItems`);
    await pair.step("PATCH /api/collections/renamed", { as: "root", body: { name: "lim" } });
    await settings({ rateLimits: { enabled: false } });
    pair.verify();
});
