// The worked data of docs/wire/records-filter.md §7.6, and every filter and sort that one can think of over it.

import { after, before, test } from "node:test";
import { startPair } from "../harness/parity.mjs";

let pair;
const id = (name) => name.padEnd(15, "0");

before(async () => {
    pair = await startPair();
    const make = (body) => pair.step("POST /api/collections", { as: "root", body });
    const add = (collection, body) => pair.step(`POST /api/collections/${collection}/records`, { as: "root", body });
    await make({
        id: "auths", name: "auths", type: "base", listRule: "", viewRule: "",
        fields: [
            { name: "name", type: "text" }, { name: "age", type: "number" },
            { name: "roles", type: "select", values: ["w", "e"], maxSelect: 2 },
            { name: "boss", type: "relation", collectionId: "auths" },
            { name: "hid", type: "text", hidden: true },
        ],
    });
    await make({
        id: "arts", name: "arts", type: "base", listRule: "", viewRule: "",
        fields: [
            { name: "title", type: "text" },
            { name: "author", type: "relation", collectionId: "auths", maxSelect: 1 },
            { name: "coauthors", type: "relation", collectionId: "auths", maxSelect: 5 },
        ],
    });
    await make({
        id: "cmts", name: "cmts", type: "base", listRule: "", viewRule: "",
        fields: [{ name: "score", type: "number" }, { name: "art", type: "relation", collectionId: "arts" }, { name: "text", type: "text" }],
    });
    await make({
        id: "reacts", name: "reacts", type: "base", listRule: "", viewRule: "",
        fields: [{ name: "kind", type: "text" }, { name: "arts", type: "relation", collectionId: "arts", maxSelect: 9 }],
    });
    await make({
        id: "locked", name: "locked", type: "base",
        fields: [{ name: "art", type: "relation", collectionId: "arts" }, { name: "v", type: "text" }],
    });
    await make({
        id: "partly", name: "partly", type: "base", listRule: "v = 'open'", viewRule: "v = 'open'",
        fields: [{ name: "art", type: "relation", collectionId: "arts" }, { name: "v", type: "text" }],
    });
    for (const [name, age, roles, boss] of [["ann", 30, ["w"], ""], ["bob", 40, ["w", "e"], "ann"], ["cat", 30, ["e"], "ann"], ["dan", 50, [], "ann"]]) {
        await add("auths", { id: id(name), name, age, roles, boss: boss && id(boss), hid: `h-${name}` });
    }
    for (const [title, author, coauthors] of [["a1", "ann", ["ann", "bob"]], ["a2", "bob", ["ann"]], ["a3", "cat", []], ["a4", "", ["cat", "ann"]], ["a5", "ann", ["bob"]]]) {
        await add("arts", { id: id(title), title, author: author && id(author), coauthors: coauthors.map(id) });
    }
    for (const [name, score, art] of [["x", 1, "a1"], ["y", 5, "a1"], ["z", 5, "a2"], ["w", 7, "a2"], ["v", 2, "a3"]]) {
        await add("cmts", { id: id(name), score, art: id(art), text: name });
        await add("locked", { id: id(name), art: id(art), v: name });
        await add("partly", { id: id(name), art: id(art), v: score === 5 ? "open" : "shut" });
    }
    for (const [kind, arts] of [["like", ["a1", "a2"]], ["love", ["a1"]], ["none", []]]) await add("reacts", { kind, arts: arts.map(id) });
    await make({
        id: "scalars", name: "scalars", type: "base", listRule: "", viewRule: "",
        fields: [
            { name: "t", type: "text" }, { name: "n", type: "number" }, { name: "b", type: "bool" },
            { name: "s", type: "select", values: ["a", "b", "c"], maxSelect: 3 }, { name: "one", type: "select", values: ["a", "b"] },
            { name: "j", type: "json" }, { name: "d", type: "date" }, { name: "g", type: "geoPoint" }, { name: "e", type: "email" },
            { name: "h", type: "text", hidden: true },
        ],
    });
    const scalars = [
        { t: "Hello", n: 1, b: true, s: ["a"], j: { x: 1, arr: [1, 2, 3] }, d: "2024-05-01", g: { lon: 23.32, lat: 42.69 }, one: "a" },
        {},
        { t: "hello 100%", n: 2.5, s: ["a", "b"], j: "text", d: "2024-06-01", h: "secret" },
        { t: "5", n: 5, s: ["b", "c"], j: 5, one: "b" },
        { t: "a_b", n: -1, s: ["a", "b", "c"], j: [1, "2", null], g: { lon: -70, lat: -10 } },
        { t: "axb", n: 10, s: ["c"], j: "" },
        { n: 10, s: [], j: true, e: "x@example.com" },
        { t: "Ünïcode ñ", n: 1e21, j: { "a b": { c: "d" }, deep: [{ k: "v" }] } },
        { t: "it's \"q\" \\ \n", n: 0.1, j: null },
    ];
    for (const [index, body] of scalars.entries()) await add("scalars", { id: id(`r${index + 1}`), ...body });
    await pair.step("POST /api/collections/users/records", {
        as: "root", body: { id: id("uann"), email: "ann@example.com", password: "12345678", passwordConfirm: "12345678", name: "ann", emailVisibility: false },
    });
    await pair.step("POST /api/collections/users/records", {
        as: "root", body: { id: id("ubob"), email: "bob@example.com", password: "12345678", passwordConfirm: "12345678", name: "bob", emailVisibility: true },
    });
    await pair.step("PATCH /api/collections/users", { as: "root", body: { listRule: "", viewRule: "" } });
    await pair.login("ann", "users", "ann@example.com", "12345678");
    pair.verify();
});

after(() => pair?.stop());

const list = (collection, params, as) =>
    pair.step(`GET /api/collections/${collection}/records?${new URLSearchParams({ fields: "id", ...params })}`, { as });

test("relations, back-relations and multi-match", async () => {
    const ann = id("ann");
    const filters = [
        "author.name='ann'", "author.name!='ann'", "author.name=''", "author=''", "author.id=null", "author.id!=''", `author='${ann}'`,
        "coauthors.name='ann'", "coauthors.name?='ann'", "coauthors.name!='ann'", "coauthors.name?!='ann'", "coauthors.name=''",
        "coauthors.name!=''", "coauthors.age>30", "coauthors.age?>30", "coauthors.age>=30", "coauthors.age<40", "coauthors.name~'a'",
        "coauthors.name!~'a'", "coauthors.name?~'b'", "coauthors.name?!~'b'", `coauthors='${ann}'`, `coauthors?='${ann}'`,
        `coauthors.id?='${ann}'`, `coauthors.id='${ann}'`, `coauthors:each?='${ann}'`, `coauthors:each='${ann}'`, `coauthors:each!='${ann}'`,
        `coauthors~'${ann}'`, "coauthors:length=2", "coauthors:length=0", "coauthors:length>1", "author:length=1", "author:length=0",
        "coauthors.boss.name='ann'", "coauthors.boss.name=''", "coauthors.boss.name!=''", "coauthors.boss.id=''", "coauthors.name=coauthors.name",
        "coauthors.name?=author.name", "coauthors.name=author.name", "author.roles:each='w'", "author.roles:each?='w'", "author.roles:length=0",
        "author.roles:each!='w'", "author.roles='[\"w\"]'", "author.boss.name='ann'", "author.boss.boss.name=''", "author.boss.boss.boss.boss.boss.name=''",
        "author.boss.boss.boss.boss.boss.boss.name=''", "author.boss.boss.boss.boss.boss.boss.boss.name=''",
        "cmts_via_art.score=5", "cmts_via_art.score?=5", "cmts_via_art.score>3", "cmts_via_art.score!=5", "cmts_via_art.id=''", "cmts_via_art.id!=''",
        "cmts_via_art.score?>3 && cmts_via_art.text?='w'", "cmts_via_art.score?=5 && cmts_via_art.score?=7", "cmts_via_art", "cmts_via_nope.id=''",
        "nope_via_art.id=''", "reacts_via_arts.kind='like'", "reacts_via_arts.kind?='like'", "reacts_via_arts.kind!='like'", "reacts_via_arts.id=''",
        "CMTS_via_art.score?=5", "coauthors.name?='ann' && coauthors.name?='bob'", "coauthors.name?='ann' && coauthors.age?=40",
        "coauthors.name='ann' || title='a5'", "(author.name='ann' && coauthors.name?='bob') || title='a3'",
        "title='a1' || title='a2' && title='a3'", "title='a1' && title='a2' || title='a3'", "coauthors.arts_via_author.title?='a1'",
        "author.arts_via_author.title='a1'", "author.arts_via_author.title?='a5'", "author.arts_via_coauthors.title?='a2'",
        "@collection.cmts.art?=id", "@collection.cmts.art?=id && @collection.cmts.score?>5",
        "@collection.cmts:a.art?=id && @collection.cmts:b.score?>5", "@collection.cmts.text='x'", "@collection.nope.x=1",
        "@collection.cmts.art.title?=title", "author.hid='h-ann'", "author.hid!=''", "locked_via_art.v='x'", "partly_via_art.v?='open'",
        "title='a1' || partly_via_art.v?='open'", "title!='' || partly_via_art.v?!='zz'", "author.nope=''", "title.x=''", "author.name.x=''",
        "geoDistance(author.age, 1, 2, 3) > 0", "strftime('%Y', author.name)=''", "author.name ~ title", "title ~ coauthors.name",
    ];
    for (const as of ["root", "guest", "ann"]) for (const filter of filters) await list("arts", { filter }, as);
    pair.verify();
});

test("scalars, operators and literals", async () => {
    const filters = [
        "n='5'", "t=5", "t='5'", "n=null", "n=0", "n!=0", "n=''", "j=5", "j='5'", "j=''", "j=null", "j!=null", "j.arr.1=2", "j.arr.0=1", "j.x=null", "j.x!=1",
        "j.x=1", "j:length=1", "j=true", "j=1", "j!=true", "j='text'", "j~'te'", "j.deep.0.k='v'", "j.x>0", "s:each='a'", "s:each?='a'", "s:each!='a'",
        "s:each?!='a'", "s:length=0", "s:length>=2", "s='[\"a\"]'", "s~'a'", "s=''", "s:each~'a'", "s:each?~'b'", "s:each=''", "one='a'", "one:each='a'", "one:length=1", "one=''",
        "t:lower='hello'", "t~'HELLO'", "t~'ñ'", "t~'Ñ'", "t~'ü'", "n~1", "n!~1", "t~''", "t!~''", "t!~'h'", "t~'100%'", "t~'100\\%'", "t~'a_b'", "t~'%a_b'", "t~'a%b'",
        "'hello there'~t", "'Hello'=t", "strftime('%Y',d)='2024'", "strftime('%Y',d)=''", "strftime('%m',d)>'05'", "strftime('%Y-%m','2024-05-01')='2024-05'",
        "strftime('%Y')>'2000'", "strftime('%Y',d,'+1 year')='2025'", "strftime(d)=''", "strftime('%Y',d,n)=''", "geoDistance(g.lon,g.lat,23.32,42.69)<10", "geoDistance(g.lon,g.lat,23.32)<10",
        "geoDistance('1',g.lat,23.32,1)<10", "geoDistance(g.lon,g.lat,null,1)=null", "nope(1)=1", "b=true", "b=false", "b=1", "b='true'", "b='1'", "b!=true", "b=TRUE", "b=null",
        "g='{\"lon\":0,\"lat\":0}'", "g.lon=0", "g.lat>40", "d=''", "d>'2024-05-15'", "d<'2024-05-15'", "d!='' && d<'2024-05-15'", "d='2024-05-01 00:00:00.000Z'", "d=null", "d~'2024-05'",
        "d<@now", "d>@now", "d<=@todayEnd && d!=''", "@now>@yesterday", "@todayStart<=@now", "@year>2000", "@month>0", "@nope=1", "@second>=0 && @weekday<7", "@yearStart<=@monthStart",
        "n>1", "n>=1", "n<1", "n<=1", "n>'1'", "t>'a'", "t<'b'", "t>5", "n=1.0", "n=1.5e1", "n=.5", "n=5.", "n=-1", "n=--1", "n=+1", "n=00001", "n=1 && n=1", "n=0.1", "n=1000000000000000000000",
        "null=''", "null=null", "0=''", "1=1", "'a'='a'", "'1'=1", "'a'!='b'", "true=1", "true=true", "null!=''", "5>'a'", "'a'>5", "t=t", "t=n", "n=t", "t!=n", "j=t", "t=j", "t=null", "t!=null", "t!=''", "t=''",
        "e='x@example.com'", "id='r10000000000000'", "id~'r1'", "id!=''", "t=true", "", " ", "//c", "()", "(n=1)", "((n=1))", "( n = 1 ) && ( b = true )", "n=1//c", "n=1 // c\n && b=true", "n=1 /* c */",
        "n==1", "n=!1", "n<>1", "n=>1", "n=1 & b=1", "n=1 &&& b=1", "n=1 and b=1", "n=1 | b=1", "n=1 b=1", "!(n=1)", "not n=1", "n in (1)", "n", "n=", "=n", "n=1 &&", "&& n=1", "n=1)", "(n=1",
        "t='a", "t=\"a", "t='it\\'s \"q\" \\\\ \\n'", "t=\"it's \\\"q\\\" \\\\ \\n\"", "t='\\u0041'", "t='a\\tb'", "\tn\n=\n1", "n\r=1", "n=1;", "n=@request", "#n=1", "_=1", "n:=1", "n.=1", ".n=1", "n..x=1", "nope=1", "N=1",
        "t:nope='a'", "t:length=5", "t:each='5'", "t:isset=true", "t:changed=false", "t:lower:lower='5'", "n:lower='5'", "collectionId=''", "collectionName='scalars'", "expand=''", "h=''", "h='secret'", "t?='5'", "n?>1", "t?~'h'", "t?!~'h'",
        "t ~ 'hello' && n > 1 || b = true && n < 5", "(t ~ 'hello' || b = true) && n < 2", "t~n", "n~t", "n~null", "t~null", "t~true", "t=\"\"", "'' = t", "null=t", "5=n", "'5'=n", "n=n", "n!=n", "j=j", "s=s",
    ];
    for (const as of ["root", "guest"]) for (const filter of filters) await list("scalars", { filter }, as);
    await list("scalars", { filter: Array(200).fill("n=1").join("||") });
    await list("scalars", { filter: Array(201).fill("n=1").join("||") });
    await list("scalars", { filter: `t='${"x".repeat(3490)}'` });
    await list("scalars", { filter: `t='${"x".repeat(3500)}'` });
    await list("scalars", { filter: `${"(".repeat(200)}n=1${")".repeat(200)}` });
    pair.verify();
});

test("sorting", async () => {
    for (const as of ["root", "guest"]) {
        for (const sort of [
            "title", "-title", "+title", " title , -id ", "author.name,title", "-author.name,title", "coauthors.name,id", "-coauthors.age,id", "cmts_via_art.score,id",
            "-cmts_via_art.score,id", "coauthors:length,title", "author.age,-title", "@rowid", "-@rowid", "nope", "title,,id", ",", "-", "title:lower", "title:nope", "1", "'a'", "null",
            "@now", "@request.auth.id", "author.hid,id", "@collection.cmts.score,id", "title desc", "title;", "id,id,id,id,id,id,id,id", "id,id,id,id,id,id,id,id,id", "x".repeat(256), "author.boss.name,id",
            "locked_via_art.v,id", "partly_via_art.v,id", "author,id", "coauthors,id", "--title", "+-title",
        ]) await list("arts", { sort }, as);
        for (const sort of ["n,id", "-n,id", "t,id", "-t,id", "b,id", "d,id", "j.x,id", "j,id", "s,id", "s:each,id", "s:length,id", "g.lat,id", "g,id", "t:lower,id", "h,id", "e,id", "one,-id"]) await list("scalars", { sort }, as);
    }
    pair.verify();
});

test("private e-mails and hidden fields stay out of reach", async () => {
    for (const as of ["guest", "ann", "root"]) {
        for (const filter of [
            "email='ann@example.com'", "email!=''", "email='bob@example.com'", "email=''", "email~'ann'", "email!='x' || name='ann'", "name='ann' && email?!='x'",
            "tokenKey=''", "password=''", "password!=''", "verified=false", "emailVisibility=true", "id=email", "email=email",
        ]) await list("users", { filter, sort: "name" }, as);
        for (const sort of ["email", "-email"]) await list("users", { sort }, as);
        // Their order is random, whether they may be sorted by is not.
        for (const sort of ["tokenKey", "password"]) await list("users", { sort, perPage: 1, fields: "collectionName" }, as);
        await pair.step("GET /api/collections/users/records?sort=name", { as });
        await pair.step(`GET /api/collections/users/records/${id("uann")}`, { as });
        await pair.step(`GET /api/collections/users/records/${id("ubob")}`, { as });
    }
    pair.verify();
});

test("paging and its parameters", async () => {
    for (const query of [
        "page=1&perPage=2", "page=2&perPage=2", "page=3&perPage=2", "page=99&perPage=2", "page=0&perPage=0", "page=-1&perPage=-5", "perPage=1001", "perPage=1000", "page=x", "perPage=x",
        "page=1.5", "page=", "perPage=", "skipTotal=1", "skipTotal=true&perPage=1", "skipTotal=T", "skipTotal=0", "skipTotal=yes", "skipTotal=", "page=1&page=2&perPage=1", "filter=", "sort=", "expand=", "fields=",
        "unknown=1", "filter=title%3D%27a1%27&filter=x", "page=99999999999999999999", "perPage=99999999999999999999", "filter=%00", "filter=title%3D'%00'", "page=%2B1", "page=01", "page= 1",
    ]) {
        await pair.step(`GET /api/collections/arts/records?${query}`);
        await pair.step(`GET /api/collections/arts/records?sort=-title&filter=${encodeURIComponent("coauthors.name?!='zz'")}&${query}`);
    }
    pair.verify();
});
