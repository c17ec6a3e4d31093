// Settings, health and the batch API (docs/wire/services.md §4, §5; records-api.md §9).

import { after, before, test } from "node:test";
import { startPair } from "../harness/parity.mjs";

let pair;
before(async () => { pair = await startPair(); });
after(() => pair?.stop());

test("settings", async () => {
    const patch = (body, as = "root") => pair.step("PATCH /api/settings", { as, body });
    await pair.step("GET /api/settings?fields=meta.appName,batch,superuserIPs", { as: "root" });
    for (const body of [
        {}, { meta: { appName: "" } }, { meta: { appName: "New", appURL: "example.com" } }, { meta: { appURL: "x" } }, { meta: { appURL: "/path" } }, { meta: { appURL: "http://" } }, { meta: { appURL: "localhost:8090" } }, { meta: { appURL: "ftp://x.y" } }, { meta: null }, { meta: { accentColor: "red" } }, { meta: { accentColor: "#12345g" } }, { meta: { accentColor: "" } }, { meta: { accentColor: "#123456" } },
        { meta: { senderAddress: "x" } }, { meta: { senderName: "x".repeat(256) } }, { meta: { hideControls: "yes" } }, { logs: { maxDays: -1 } }, { logs: { maxDays: 7, minLevel: 4, logIP: false } }, { logs: { maxDays: 1.5 } }, { smtp: { port: -1, authMethod: "X", localName: "a b" } }, { smtp: { host: "", username: "u", password: "p" } }, { smtp: { password: "" } }, { backups: { cronMaxKeep: -1 } }, { backups: { cron: "x" } },
        { batch: { enabled: true, maxRequests: 0 } }, { batch: { enabled: true, maxRequests: 5, timeout: 2, maxBodySize: -1 } }, { batch: { enabled: true, maxRequests: 5 } }, { rateLimits: { rules: [{ label: "bad label", maxRequests: 0, duration: 0 }] } }, { rateLimits: { rules: [{ label: "*:auth", maxRequests: 1, duration: 1 }, { label: "*:auth", maxRequests: 1, duration: 1 }] } }, { rateLimits: { rules: [{ label: "/a", maxRequests: 1, duration: 1, audience: "@guest" }, { label: "/a", maxRequests: 1, duration: 1, audience: "@auth" }] } },
        { rateLimits: { rules: [{ label: "GET /x", maxRequests: 1, duration: 1, audience: "x" }], excludedIPs: ["x"] } }, { trustedProxy: { headers: ["X-Forwarded-For"], useLeftmostIP: true } }, { trustedProxy: { headers: [] } }, { superuserIPs: ["x", ""] }, { superuserIPs: ["127.0.0.1", "10.0.0.0/8"] }, { superuserIPs: [] }, { unknown: 1 }, { batch: { enabled: "x" } }, { batch: 5 }, { superuserIPs: "x" }, { META: { APPNAME: "case" } },
    ]) await patch(body);
    await patch({ meta: { appName: "x" } }, "guest");
    await pair.step("PATCH /api/settings", { as: "root", form: [["meta.appName", "form"], ["@jsonPayload", '{"smtp":{"username":"jp"}}']] });
    await pair.step("PATCH /api/settings", { as: "root", raw: '{"meta":{"appName":"a"},"meta":{"appName":"b"}}' });
    await pair.step("GET /api/settings", { as: "root" });
    await pair.step("GET /api/health?fields=code");
    await pair.step("GET /api/health?fields=code", { as: "root" });
    await pair.step("HEAD /api/health");
    pair.verify();
});

test("batch", async () => {
    await pair.step("PATCH /api/settings", { as: "root", body: { batch: { enabled: true, maxRequests: 6 } } });
    await pair.step("POST /api/collections", {
        as: "root", body: { id: "bt", name: "bt", type: "base", listRule: "", viewRule: "", createRule: "", updateRule: "t != 'fixed'", deleteRule: "t != 'fixed'", fields: [{ name: "t", type: "text", required: true }, { name: "n", type: "number" }, { name: "f", type: "file", maxSelect: 3 }, { name: "r", type: "relation", collectionId: "bt" }] },
    });
    const R = "/api/collections/bt/records";
    const id = (n) => `b${n}`.padEnd(15, "0");
    for (const n of [1, 2, 3, 4, 5, 6, 7, 8, 9]) pair.known.add(id(n));
    for (const requests of [
        undefined, [], "x", [1], [{}], [{ method: "post", url: R }], [{ method: "POST" }], [{ method: "POST", url: "x".repeat(2001) }], [{ method: "GET", url: R }], [{ method: "POST", url: "/api/health" }], [{ method: "POST", url: `${R}/` }], [{ method: "POST", url: `http://127.0.0.1${R}` }], [{ method: "PUT", url: `${R}/x` }], [{ method: "PATCH", url: R }], [{ method: "DELETE", url: R }], [{ method: "POST", url: "/api/collections/nope/records" }],
        [{ method: "POST", url: R, body: { id: id(1), t: "a" } }, { method: "PATCH", url: `${R}/${id(1)}`, body: { "n+": 5 } }, { method: "PUT", url: R, body: { id: id(1), t: "b" } }, { method: "PUT", url: R, body: { id: id(2), t: "c", r: id(1) } }],
        [{ method: "PATCH", url: `${R}/${id(2)}?expand=r&fields=t,expand.r.t`, body: {} }, { method: "DELETE", url: `${R}/${id(2)}` }], [{ method: "POST", url: R, body: { id: id(3), t: "z" } }, { method: "POST", url: R, body: { t: "" } }], [{ method: "DELETE", url: `${R}/${id(9)}` }], [{ method: "POST", url: R, body: { id: id(4), t: "fixed" } }, { method: "DELETE", url: `${R}/${id(4)}` }], [{ method: "POST", url: R, body: { id: id(1), t: "dup" } }],
        Array(7).fill({ method: "POST", url: R, body: { t: "x" } }), [{ method: "POST", url: "/api/collections/_superusers/records", body: { email: "x@example.com" } }], [{ method: "PUT", url: R, body: { t: "no id", id: "" } }], [{ method: "POST", url: R, body: null }], [{ method: "POST", url: R, body: { t: "h" }, headers: { "x-a": "1", Authorization: "x" } }], [{ method: "POST", url: `${R}?fields=t:bad()`, body: { t: "h" } }],
    ]) {
        for (const as of ["guest", "root"]) {
            await pair.step("POST /api/batch", { as, body: { requests } });
            await pair.step(`GET ${R}?sort=t,n,id`, { as });
        }
        await pair.step("DELETE /api/collections/bt/truncate", { as: "root" });
    }
    await pair.step("POST /api/batch", { form: [["@jsonPayload", JSON.stringify({ requests: [{ method: "POST", url: R, body: { id: id(5), t: "files" } }, { method: "PATCH", url: `${R}/${id(5)}`, body: { n: 1 } }] })], ["requests.0.f", "one", "one.txt"], ["requests[1].f+", "two", "two.txt"]] });
    await pair.step("POST /api/batch", { raw: "{" });
    await pair.step("POST /api/batch", { raw: "x", headers: { "content-type": "text/plain" } });
    await pair.step("PATCH /api/settings", { as: "root", body: { batch: { enabled: false } } });
    await pair.step("POST /api/batch", { as: "root", body: { requests: [] } });
    pair.verify();
});
