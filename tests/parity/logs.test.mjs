// The log and the SQL console: the same requests leave the same rows, filters find the same, SQL answers the same
// (docs/wire/services.md §6, §9).

import { after, before, test } from "node:test";
import { startPair } from "../harness/parity.mjs";

let pair;
before(async () => { pair = await startPair(); });
after(() => pair?.stop());

/** The reference writes its rows up to three seconds late. */
const written = () => new Promise((resolve) => setTimeout(resolve, 3600));

// What differs by nature is taken out by `fields`: times, user agents of two clients, Conch's request ids, words for people.
const FIELDS = "fields=level,message,data.type,data.url,data.method,data.status,data.auth,data.referer,data.userIP,data.remoteIP,data.__pb_truncated__";
/** What looks at the log and fails leaves rows itself, on one of the two at once. */
const BEFORE = "data.url!~'/api/logs'";
const list = (query) => pair.step(`GET /api/logs?${query}`, { as: "root" });

test("requests leave the same rows", async () => {
    await pair.step("PATCH /api/settings", { as: "root", body: { logs: { minLevel: 4 } } });
    await pair.step("PATCH /api/settings", { as: "root", body: { logs: { minLevel: 0 } } });
    await written();
    await pair.step("DELETE /api/logs", { as: "root" });
    for (const [line, options] of [
        ["GET /api/health", {}], ["HEAD /api/health", {}], ["GET /api/health?x=%C3%A4%20b", { as: "root" }], ["GET /api/health?x=%zz", {}],
        ["GET /api/collections/users/records", { headers: { referer: "http://r.example/" } }], ["GET /api/collections/nope/records", {}],
        ["POST /api/collections/users/records", { body: { email: "x" } }], ["GET /api/collections/users/records?filter=nope=1", { as: "root" }],
        ["GET /api/logs", {}], ["GET /api/logs/nope", { as: "root" }], ["GET /api/logs?filter=bad", { as: "root" }], ["GET /api/logs?filter=id=''", { as: "root" }],
        ["OPTIONS /api/health", {}], ["GET /api/nope", {}], ["POST /api/health", {}], ["GET /api/oauth2-redirect", {}], ["POST /api/realtime", { body: {} }],
        [`GET /api/health?${"x".repeat(3100)}`, {}],
    ]) await pair.step(line, options);
    await written();
    await list(`${FIELDS}&sort=@rowid&perPage=200&filter=message!~'oauth2'`);
    for (const filter of [
        "message='GET%20/api/health?x=ä%20b'", "message='GET%20/api/health?x=%25zz'", "data.status=404", "data.status>=400%26%26data.auth=''", "data.details~'nope'", "data.nope=''", "data.nope=null", "data=1", "data~'nope'", "created>'2020'",
        "level=8", "level='8'", "message~'filter'", "data.type='request'", "data.a.0.b=1", "id:lower='x'", "data.type:lower='request'", "@request.auth.id=''",
        "rowid=1", "@rowid=1", "data.status='404'", "strftime('%25Y',created)='2026'", "created<@yearStart", "nope=1", "x", "data.=1", "id=''", "level>0||message=''",
    ]) await list(`fields=message,level&sort=@rowid&filter=(${filter})%26%26${BEFORE}`);
    for (const sort of ["level,@rowid", "-level,-@rowid", "-data.url,@rowid", "@rowid", "-@rowid", "nope", "message,-created", "data.", "data.nope,@rowid", "rowid", ""]) {
        await list(`fields=message&perPage=3&sort=${sort}&filter=${BEFORE}`);
    }
    for (const query of ["page=0", "page=x", "perPage=x", "perPage=5000", "perPage=0", "perPage=-1", "skipTotal=1&perPage=2", "skipTotal=x", "page=2&perPage=5", "page=99&perPage=5"]) {
        await list(`fields=message&sort=@rowid&${query}&filter=${BEFORE}`);
    }
    for (const filter of ["id!=''", "level=8", "data.status=404", "nope=1", "level=99"]) await pair.step(`GET /api/logs/stats?fields=total&filter=(${filter})%26%26${BEFORE}`, { as: "root" });
    for (const [method, path] of [["GET", "/api/logs"], ["GET", "/api/logs/stats"], ["GET", "/api/logs/x"], ["DELETE", "/api/logs"], ["POST", "/api/logs"], ["DELETE", "/api/logs/x"], ["PATCH", "/api/logs/x"]]) {
        await pair.step(`${method} ${path}`, {});
    }
    await pair.step("DELETE /api/logs", { as: "root" });
    await list("fields=message");
    pair.verify();
});

test("settings have the same effects", async () => {
    await written();
    await pair.step("DELETE /api/logs", { as: "root" });
    const settings = (logs) => pair.step("PATCH /api/settings", { as: "root", body: { logs } });
    for (const logs of [{ maxDays: -1 }, { maxDataSize: -1 }, { minLevel: "x" }, { maxDays: 1.5 }, { minLevel: -100 }, { logIP: null }]) await settings(logs);
    await written();
    await settings({ minLevel: 8, logIP: true, maxDays: 3 });
    for (const path of ["/api/health", "/api/nope"]) await pair.step(`GET ${path}`);
    await written();
    await list(`${FIELDS}&sort=@rowid`);
    await written();
    await settings({ minLevel: 0, logIP: false });
    await pair.step("GET /api/health");
    await written();
    await list(`${FIELDS}&sort=@rowid&filter=data.url='/api/health'`);
    await written();
    await settings({ maxDays: 0 });
    await list("fields=message");
    await pair.step("GET /api/nope");
    await written();
    await list("fields=message");
    pair.verify();
});

test("SQL is answered alike", async () => {
    const run = (query, as = "root") => pair.step("POST /api/sql?fields=affectedRows,columns,rows", { as, body: { query } });
    for (const query of [
        "", "   ", 5, null, "x".repeat(5001), "select 1", "select 1, 1.5, 1e21, 1234567.0, 123456789012345678, 1e-7, 0.1, null, 'a', x'00ff41', true, -0.0, 1e300*1e300, 100000.0, 1e20, 12345678.9",
        "select id, verified, email from users",
        "select 1; select 2 as x, 3", "select 1;", "; ;", "/* c */ select 1 as x", "-- c\nselect 1 as x", "values (1, 2)", "with x(a) as (values (1), (2)) select a from x",
        "pragma table_info(users)", "nope", "select * from nope", "select ?", "select :a", "select load_extension('x')", "detach main",
        "with recursive c(x) as (select 1 union all select x+1 from c where x<1500) select x from c",
    ]) await run(query);
    for (const query of [
        "insert into _mfas (id, collectionRef, recordRef, method) values ('aaaaaaaaaaaaaaa', 'c', 'r', 'm'), ('aaaaaaaaaaaaaab', 'c', 'r', 'm') returning id", "select id, method from _mfas order by id",
        "update _mfas set method = 'n' where id = 'aaaaaaaaaaaaaaa'; delete from _mfas where id = 'none'", "update _mfas set method = 'o'", "update _mfas set method = 'p'; syntax error", "select method from _mfas",
        "insert into _mfas (id) values ('aaaaaaaaaaaaaaa')", " DELETE from _mfas", "select count(*) from _mfas", "replace into _mfas (id) values ('aaaaaaaaaaaaaac')", "delete from _mfas",
    ]) await run(query);
    await run("select 1", "guest");
    await pair.step("GET /api/sql", { as: "root" });
    await pair.step("POST /api/sql?fields=rows", { as: "root", form: [["query", "select 3"]] });
    await pair.step("POST /api/sql", { as: "root", raw: "[1]" });
    pair.verify();
});
