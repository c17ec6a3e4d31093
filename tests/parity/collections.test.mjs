// Collections: creation, changes, every validation code, views, import.

import { after, before, test } from "node:test";
import { startPair } from "../harness/parity.mjs";

let pair;
before(async () => { pair = await startPair(); });
after(() => pair?.stop());

const post = (body, as = "root") => pair.step("POST /api/collections", { as, body });
const patch = (name, body, as = "root") => pair.step(`PATCH /api/collections/${name}`, { as, body });

test("a fresh directory has the same collections", async () => {
    await pair.step("GET /api/collections?perPage=100", { as: "root" });
    await pair.step("GET /api/collections/meta/scaffolds", { as: "root" });
    for (const query of ["sort=name", "sort=-name", "filter=type='auth'", "filter=system=true%26%26name~'otp'", "filter=fields=''", "sort=nope", "sort=@rowid", "filter=name:lower='x'", "page=2&perPage=2", "fields=name,type", "skipTotal=1", "filter=created>'2020'"]) {
        await pair.step(`GET /api/collections?${query}`, { as: "root" });
    }
    pair.verify();
});

test("creating", async () => {
    const F = (...fields) => fields;
    for (const body of [
        {}, { name: "" }, { name: "a b" }, { name: "x".repeat(256) }, { name: "a_via_b" }, { name: "users" }, { name: "USERS" }, { name: "_pb_users_auth_" }, { name: "sqlite_x" }, { name: "_collections" }, { name: "_params" }, { name: "1st" }, { name: "select" },
        { name: "t1", type: "nope" }, { name: "t2", type: "" }, { name: "t3", type: null }, { name: 5 }, { name: "t4", id: "a b" }, { name: "t5", id: "x".repeat(101) }, { name: "t6", id: "_pb_users_auth_" }, { name: "t7", id: "given" }, { name: "t8", system: true },
        { name: "t9", listRule: "", viewRule: "id != ''", createRule: "@request.auth.id != ''" }, { name: "t10", listRule: "nope = 1" }, { name: "t11", listRule: "id =", viewRule: "@collection.nope.id = 1", updateRule: "@request.auth.nope = 1" }, { name: "t12", createRule: "id:nope = ''" },
        { name: "t13", fields: null }, { name: "t14", fields: [] }, { name: "t15", fields: F({}) }, { name: "t16", fields: F({ type: "text" }) }, { name: "t17", fields: F({ name: "a", type: "nope" }) }, { name: "t18", fields: F({ name: "a" }) }, { name: "t19", fields: F({ name: "a b", type: "text" }) },
        { name: "t20", fields: F({ name: "null", type: "text" }, { name: "expand", type: "text" }, { name: "collectionId", type: "text" }, { name: "_rowid_", type: "text" }, { name: "a_via_b", type: "text" }, { name: "x".repeat(101), type: "text" }) },
        { name: "t21", fields: F({ name: "a", type: "text" }, { name: "A", type: "text" }) }, { name: "t22", fields: F({ name: "a", type: "text" }, { name: "a", type: "number" }) }, { name: "t23", fields: F({ id: "f1", name: "a", type: "text" }, { id: "f1", name: "b", type: "text" }) },
        { name: "t24", fields: F({ name: "id", type: "number" }) }, { name: "t25", fields: F({ name: "id", type: "text" }) }, { name: "t26", fields: F({ name: "id", type: "text", primaryKey: true, pattern: "^x+$", min: 3 }) }, { name: "t27", fields: F({ name: "pk", type: "text", primaryKey: true }) },
        { name: "t28", fields: F({ name: "a", type: "text", min: -1 }, { name: "b", type: "text", min: 5, max: 2 }, { name: "c", type: "text", pattern: "(" }, { name: "d", type: "text", autogeneratePattern: "[" }, { name: "e", type: "text", autogeneratePattern: "[a-z]{3}", min: 5 }, { name: "f", type: "text", max: 2 ** 53 }) },
        { name: "t29", fields: F({ name: "a", type: "number", min: 5, max: 2 }, { name: "b", type: "number", min: 1.5, onlyInt: true }, { name: "c", type: "editor", maxSize: -1 }, { name: "d", type: "json", maxSize: 2 ** 53 }) },
        { name: "t30", fields: F({ name: "a", type: "email", onlyDomains: ["a.b"], exceptDomains: ["c.d"] }, { name: "b", type: "url", onlyDomains: ["nope"] }, { name: "c", type: "email", exceptDomains: ["localhost"] }, { name: "d", type: "url", onlyDomains: ["example.com"] }) },
        { name: "t31", fields: F({ name: "a", type: "select" }, { name: "b", type: "select", values: ["a"], maxSelect: 2 }, { name: "c", type: "select", values: ["a", "a"] }, { name: "d", type: "select", values: ["a", ""], maxSelect: -1 }) },
        { name: "t32", fields: F({ name: "a", type: "file", maxSelect: -1 }, { name: "b", type: "file", thumbs: ["100x100", "0x0", "axb", "50x0f", "0x0t"] }, { name: "c", type: "file", maxSize: -1 }) },
        { name: "t33", fields: F({ name: "a", type: "relation" }, { name: "b", type: "relation", collectionId: "users" }, { name: "c", type: "relation", collectionId: "nope" }, { name: "d", type: "relation", collectionId: "_pb_users_auth_", minSelect: 3, maxSelect: 2 }, { name: "e", type: "relation", collectionId: "_pb_users_auth_", minSelect: -1 }) },
        { name: "t34", fields: F({ name: "a", type: "password", min: 80 }, { name: "b", type: "password", min: 5, max: 3 }, { name: "c", type: "password", cost: 2 }, { name: "d", type: "password", cost: 99 }, { name: "e", type: "password", pattern: "(" }) },
        { name: "t35", fields: F({ name: "a", type: "autodate" }, { name: "b", type: "autodate", onCreate: true, required: true, help: "x" }, { name: "c", type: "date", min: "2025-01-01", max: "2024-01-01" }, { name: "d", type: "date", min: "garbage" }) },
        { name: "t36", fields: F({ name: "a", type: "text", unknown: 1, help: "h".repeat(301) }, { name: "b", type: "bool", hidden: true, presentable: true, required: true, help: "h", system: true }) },
        { name: "t37", fields: F({ name: "a", type: "text", max: "5" }) }, { name: "t38", fields: F({ name: "a", type: "text", hidden: "yes" }) }, { name: "t39", fields: "x" }, { name: "t40", fields: [1] }, { name: "t41", fields: F({ name: "a", type: "text", max: 1.5 }) },
        { name: "t42", fields: F({ name: "a", type: "text" }), indexes: ["x"] }, { name: "t43", fields: F({ name: "a", type: "text" }), indexes: ["CREATE INDEX i1 ON t43 (a)", "CREATE INDEX I1 ON t43 (id)"] }, { name: "t44", fields: F({ name: "a", type: "text" }), indexes: ["CREATE INDEX i2 ON t44 (a)", "CREATE INDEX i3 ON t44 (a)"] },
        { name: "t45", fields: F({ name: "a", type: "text" }), indexes: ["CREATE INDEX idx_t45 ON whatever (a, id desc)", "create unique index if not exists `idx_t45b` on t45 (a collate nocase) where a != ''"] }, { name: "t46", indexes: ["CREATE INDEX idx_t45 ON t46 (id)"] }, { name: "t47", indexes: ["CREATE INDEX i5 ON t47 (nope)"] }, { name: "t48", indexes: ["CREATE INDEX i6 ON t48 (lower(id), created)"] }, { name: "t49", indexes: "x" },
        { name: "t50", type: "view" }, { name: "t51", type: "view", viewQuery: "" }, { name: "t52", type: "view", viewQuery: "select 1" }, { name: "t53", type: "view", viewQuery: "select 1 as id", indexes: ["CREATE INDEX i7 ON t53 (id)"], createRule: "" }, { name: "Own1", listRule: "id = ''", fields: F({ name: "self", type: "relation", collectionId: "pbc_1" }) },
        { name: "t54", fields: F({ name: "cnt", type: "number", id: "x y" }, { name: "cnt2", type: "number", id: "y".repeat(101) }) }, { name: "t55", created: "2020-01-01 00:00:00.000Z", updated: "x" }, { Name: "t56", TYPE: "base" }, { name: "t57", listRule: 5 }, { name: "t58", unknown: { a: 1 } },
    ]) await post(body);
    await post({ name: "guestmade" }, "guest");
    pair.verify();
});

test("a collection whose name is its id", async () => {
    await post({ id: "twin", name: "twin" });
    for (const body of [{ listRule: "" }, { name: "twin" }, { name: "TWIN" }, { listRule: "" }, { name: "twin" }, { name: "other" }]) await patch("twin", body);
    await post({ id: "twin2", name: "TWIN2" });
    await patch("twin2", { listRule: "" });
    await patch("twin2", { name: "twin2" });
    for (const [id, name] of [["t_b", "t_a"], ["t_c", "T_B"], ["T_A", "t_d"], ["t_a", "t_e"], ["t_f", "t_b"]]) await post({ id, name });
    for (const entry of [{ id: "twin3", name: "twin3" }, { id: "twin4", name: "TWIN4" }, { id: "twin2", name: "twin2" }, { id: "twin5", name: "t_b" }]) {
        await pair.step("PUT /api/collections/import", { as: "root", body: { collections: [{ type: "base", fields: [], ...entry }] } });
    }
    pair.verify();
});

test("auth collections", async () => {
    for (const body of [
        { name: "a1", type: "auth" }, { name: "a2", type: "auth", fields: [{ name: "email", type: "text" }] }, { name: "a3", type: "auth", fields: [{ name: "oldPassword", type: "text" }, { name: "passwordConfirm", type: "text" }] }, { name: "a4", type: "auth", fields: [{ name: "username", type: "text", required: true }], indexes: ["CREATE UNIQUE INDEX idx_a4 ON a4 (username)"], passwordAuth: { enabled: true, identityFields: ["email", "username"] } },
        { name: "a5", type: "auth", passwordAuth: { identityFields: ["nope"] } }, { name: "a6", type: "auth", passwordAuth: { identityFields: ["verified"] } }, { name: "a7", type: "auth", passwordAuth: { identityFields: [] } }, { name: "a8", type: "auth", authRule: "nope=1", manageRule: "" }, { name: "a9", type: "auth", authRule: null, manageRule: "id = @request.auth.id" },
        { name: "a10", type: "auth", mfa: { enabled: true } }, { name: "a11", type: "auth", mfa: { enabled: true, duration: 5, rule: "x=" }, otp: { enabled: true } }, { name: "a12", type: "auth", otp: { enabled: true, duration: 0, length: 2 } }, { name: "a13", type: "auth", otp: { enabled: true, duration: 99999, length: 8, emailTemplate: { subject: "", body: "" } } },
        { name: "a14", type: "auth", authToken: { duration: 1 } }, { name: "a15", type: "auth", authToken: { secret: "short" }, fileToken: { duration: 0 }, verificationTemplate: { subject: "" } }, { name: "a16", type: "auth", authToken: { secret: "x".repeat(30), duration: 10 } }, { name: "a17", type: "auth", oauth2: { enabled: true } }, { name: "a18", type: "auth", oauth2: { enabled: true, providers: [{ name: "nope" }, { name: "google" }, { name: "google", clientId: "a", clientSecret: "b" }] } },
        { name: "a19", type: "auth", oauth2: { enabled: true, providers: [{ name: "github", clientId: "a", clientSecret: "b", authURL: "x" }] } }, { name: "a20", type: "auth", oauth2: { enabled: true, providers: [{ name: "github", clientId: "a", clientSecret: "b" }], mappedFields: { name: "nope", id: "email" } } }, { name: "a21", type: "auth", oauth2: { enabled: false, providers: [{ name: "nope" }] } },
        { name: "a22", type: "auth", authAlert: { enabled: false, emailTemplate: { subject: "", body: "" } } }, { name: "a23", type: "auth", mfa: { enabled: true }, otp: { enabled: true } }, { name: "a24", type: "auth", fields: [{ name: "email", type: "email", required: false, hidden: true, system: false }, { name: "password", type: "password", min: 5, cost: 12, hidden: false }] }, { name: "a25", type: "auth", indexes: [] }, { name: "a26", type: "auth", passwordAuth: { enabled: false, identityFields: [] } },
    ]) await post(body);
    for (const [name, body] of [
        ["a1", { authRule: "verified = true" }], ["a1", { otp: { enabled: true } }], ["a1", { otp: { enabled: false } }], ["a1", { authToken: { secret: "" } }], ["a1", { authToken: { secret: null } }], ["a1", { fields: [{ name: "extra", type: "text" }] }], ["a1", { fields: [] }], ["a1", { indexes: [] }], ["a1", { name: "renamed_auth" }], ["a1", { name: "a1" }], ["a1", { type: "base" }], ["a1", { system: true }], ["a1", { id: "other" }],
        ["a20", { oauth2: { providers: [{ name: "github", displayName: "Hub" }] } }], ["a20", { oauth2: { providers: [{ name: "gitlab", clientId: "x" }, { name: "github" }] } }], ["a20", { oauth2: { mappedFields: { name: "email" } } }], ["_superusers", { listRule: "" }], ["_superusers", { name: "x" }], ["_superusers", { authRule: "id=''" }], ["_superusers", { passwordAuth: { enabled: false } }], ["_superusers", { oauth2: { enabled: true } }], ["_superusers", { otp: { enabled: true } }], ["_superusers", { otp: { enabled: false } }], ["_superusers", { otp: { enabled: false }, mfa: { enabled: false } }], ["_superusers", { manageRule: "id=''" }],
        ["_otps", { listRule: null }], ["_otps", { name: "x" }], ["_otps", { fields: [] }], ["_otps", { fields: [{ name: "extra", type: "text" }] }],
    ]) await patch(name, body);
    await pair.step("DELETE /api/collections/_superusers", { as: "root" });
    await pair.step("DELETE /api/collections/_superusers/truncate", { as: "root" });
    await pair.step("GET /api/collections?perPage=200&sort=name", { as: "root" });
    pair.verify();
});

test("changing tables keeps the data", async () => {
    await post({ id: "shape_id", name: "shape", listRule: "", fields: [{ id: "fa", name: "a", type: "text" }, { id: "fb", name: "b", type: "number" }, { id: "fs", name: "s", type: "select", values: ["x", "y", "z"], maxSelect: 3 }, { id: "fo", name: "o", type: "select", values: ["x", "y"] }, { id: "fj", name: "j", type: "json" }], indexes: ["CREATE INDEX idx_shape_a ON shape (a)"] });
    for (const [n, body] of [[1, { a: "one", b: 1, s: ["x", "y"], o: "x", j: { k: 1 } }], [2, { a: "two", s: [], o: "" }], [3, { a: "three", b: 3, s: ["z"], o: "y", j: [1] }]]) {
        await pair.step("POST /api/collections/shape_id/records", { as: "root", body: { id: `s${n}`.padEnd(15, "0"), ...body } });
    }
    const id = { name: "id", type: "text", id: "text3208210256", primaryKey: true, required: true, system: true, min: 15, max: 15, pattern: "^[a-z0-9]+$", autogeneratePattern: "[a-z0-9]{15}" };
    const a = { id: "fa", name: "a", type: "text" }, b = { id: "fb", name: "b", type: "number" }, s = { id: "fs", name: "s", type: "select", values: ["x", "y", "z"], maxSelect: 3 }, o = { id: "fo", name: "o", type: "select", values: ["x", "y"] }, j = { id: "fj", name: "j", type: "json" };
    for (const body of [
        { fields: [id, a, b, s, o, j, { name: "added", type: "bool" }] }, { fields: [id, { ...a, name: "b" }, { ...b, name: "a" }, s, o, j] }, { fields: [id, { ...a, name: "b" }, { ...b, name: "a" }, s, o, j], indexes: ["CREATE INDEX idx_shape_a ON shape (b)"] }, { fields: [id, a, b, s, o, j], indexes: ["CREATE INDEX idx_shape_a ON shape (a)"] },
        { fields: [id, a, b, { ...s, maxSelect: 1 }, { ...o, maxSelect: 2 }, j] }, { fields: [id, a, b, { ...s, maxSelect: 2 }, { ...o, maxSelect: 1 }, j] }, { fields: [id, { ...a, type: "number" }, b, s, o, j] }, { fields: [id, { name: "a", type: "number" }, b, s, o, j] }, { fields: [id, a, b, s, o, j] }, { name: "shape2" }, { name: "shape2", fields: [id, a, s, o, j] }, { fields: [{ name: "a", type: "text" }] },
        { fields: [id, { ...a, name: "id" }] }, { fields: [{ ...id, name: "pk" }] }, { fields: [{ ...id, id: "other" }] }, { listRule: "a = 'one'" }, { listRule: "zz = 'one'" }, { indexes: ["CREATE UNIQUE INDEX idx_shape_u ON shape2 (id, a)"] }, { indexes: ["CREATE UNIQUE INDEX idx_shape_bad ON shape2 (nope)"] }, { created: "2021-01-01 00:00:00.000Z" }, { fields: null }, {},
    ]) {
        await patch("shape_id", body);
        await pair.step("GET /api/collections/shape_id", { as: "root" });
        await pair.step("GET /api/collections/shape_id/records?sort=id", { as: "root" });
    }
    pair.verify();
});

test("views", async () => {
    await post({ id: "src_id", name: "src", listRule: "", fields: [{ name: "title", type: "text" }, { name: "n", type: "number" }, { name: "user", type: "relation", collectionId: "_pb_users_auth_" }, { name: "f", type: "file" }, { name: "hid", type: "text", hidden: true }, { name: "tags", type: "select", values: ["a", "b"], maxSelect: 2 }, { name: "j", type: "json" }] });
    for (const n of [1, 2, 3]) await pair.step("POST /api/collections/src/records", { as: "root", body: { id: `v${n}`.padEnd(15, "0"), title: `t${n}`, n, tags: ["a", "b"], hid: "h", j: { n } } });
    let serial = 0;
    for (const viewQuery of [
        "select id from src", "select id, title, n from src;", "select * from src", "select title from src", "select id, id as other, title t, n as `num`, hid, tags, j, user, f from src", "select s.id, s.title from src s", "select s.id, u.name, u.email from src s left join users u on u.id = s.user",
        "select id, count(id) as cnt, sum(n) as total, avg(n) a, max(n) m from src group by id", "select cast(n as text) as id, cast(id as int) i, cast(n as real) r, cast(title as bool) b, cast(n as text) tx from src", "select (ROW_NUMBER() OVER()) as id, title from src", "select '1' as id union select '2'", "select id, 'x' as lit, 5 as five from src",
        "select id, title from src where n > 1 order by n desc limit 1", "with x as (select id, title from src) select x.id, x.title from x", "select y.id, y.title from (select id, title from src) y", "select id from src; select id from users", "delete from src", "insert into src (id) values ('x')", "drop table src", "select 'same' as id from src", "select '' as id from src", "select null as id", "select id, nope from src", "selec id from src",
        "select id as ID from src", "select id, title as 'a b' from src", "select id, title as null from src", "select id, password, tokenKey, email from users", "select id /* c */, title -- d\n from src", "SELECT ID as id, TITLE as title FROM SRC", "select src.id, src.title from src, users", "select id, (select count(*) from users) as c from src", "select id, total(n) as t, COUNT(*) as c2 from src", "pragma table_info(src)",
        "select id, json_extract(j, '$.n') as jn from src", "select [id], \"title\", `n` from src", "select id, n as expand from src", "select s.id as id, s.title as title, s2.title as title2 from src as s join src as s2 on s2.id = s.id",
    ]) {
        const name = `view${++serial}`;
        await post({ name, type: "view", viewQuery, listRule: "", viewRule: "" });
        await pair.step(`GET /api/collections/${name}/records?sort=id`);
        await pair.step(`GET /api/collections/${name}/records?sort=id`, { as: "root" });
        await pair.step("POST /api/collections/meta/dry-run-view", { as: "root", body: { query: viewQuery } });
    }
    await pair.step("POST /api/collections/view1/records", { as: "root", body: {} });
    await pair.step("PATCH /api/collections/view1/records/v10000000000000", { as: "root", body: {} });
    await pair.step("DELETE /api/collections/view1/records/v10000000000000", { as: "root" });
    await pair.step("DELETE /api/collections/view1/truncate", { as: "root" });
    await pair.step("GET /api/collections/view1/records/v10000000000000");
    await pair.step("GET /api/collections/view1/records?sort=@rowid");
    await post({ name: "pointing", fields: [{ name: "v", type: "relation", collectionId: "view1" }] });
    await pair.step("DELETE /api/collections/src", { as: "root" });
    await patch("src", { fields: [{ name: "title", type: "text" }, { name: "n", type: "number" }] });
    await patch("view2", { viewQuery: "select id, n from src" });
    await pair.step("GET /api/collections/view2/records", { as: "root" });
    await pair.step("DELETE /api/collections/view2", { as: "root" });
    pair.verify();
});

test("import", async () => {
    const put = (body) => pair.step("PUT /api/collections/import", { as: "root", body });
    const look = () => pair.step("GET /api/collections?perPage=200&sort=name&filter=name~'imp'", { as: "root" });
    for (const body of [
        {}, { collections: [] }, { collections: [{ name: "imp1", type: "base", fields: [{ name: "a", type: "text" }] }] }, { collections: [{ name: "imp1", fields: [{ name: "b", type: "text" }] }] }, { collections: [{ name: "imp1", listRule: "zz=1" }] },
        { collections: [{ id: "impa_id", name: "impa", type: "base", fields: [{ name: "r", type: "relation", collectionId: "impb_id" }] }, { id: "impb_id", name: "impb", type: "base", fields: [{ name: "r", type: "relation", collectionId: "impa_id" }] }] },
        { collections: [{ name: "imp2", type: "base" }, { name: "imp bad" }] }, { collections: [{ name: "impv", type: "view", viewQuery: "select id, a from imp1" }] }, { collections: [{ name: "imp1", fields: [{ name: "a", type: "number" }] }] }, { collections: "x" }, { collections: [1] }, { collections: [{ name: "imp3", type: "auth" }], deleteMissing: false },
    ]) {
        await put(body);
        await look();
    }
    await put({ collections: [{ id: "impb_id", name: "impb2", type: "base", fields: [{ name: "z", type: "text" }] }], deleteMissing: true });
    await pair.step("GET /api/collections?perPage=200&sort=name", { as: "root" });
    pair.verify();
});
