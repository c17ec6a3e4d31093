// API rules: who may do what with which body (docs/wire/records-filter.md §6.5, §9).

import { after, before, test } from "node:test";
import { startPair } from "../harness/parity.mjs";

let pair;
before(async () => {
    pair = await startPair();
    for (const name of ["ann", "bob"]) {
        await pair.step("POST /api/collections/users/records", {
            as: "root", body: { id: `u${name}`.padEnd(15, "0"), email: `${name}@example.com`, password: "12345678", passwordConfirm: "12345678", name, verified: name === "ann" },
        });
    }
    await pair.login("ann", "users", "ann@example.com", "12345678");
    await pair.login("bob", "users", "bob@example.com", "12345678");
    await pair.step("PATCH /api/collections/users", { as: "root", body: { listRule: "", viewRule: "" } });
    pair.verify();
});
after(() => pair?.stop());

const ANN = "uann".padEnd(15, "0");
const BOB = "ubob".padEnd(15, "0");

const fields = [
    { name: "t", type: "text" }, { name: "n", type: "number" }, { name: "s", type: "select", values: ["a", "b", "c"], maxSelect: 3 }, { name: "b", type: "bool" }, { name: "j", type: "json" },
    { name: "owner", type: "relation", collectionId: "_pb_users_auth_" }, { name: "owners", type: "relation", collectionId: "_pb_users_auth_", maxSelect: 3 }, { name: "hid", type: "text", hidden: true },
    { name: "auto", type: "text", autogeneratePattern: "[a-z]{5}" }, { name: "cr", type: "autodate", onCreate: true }, { name: "f", type: "file", maxSelect: 2 }, { name: "p", type: "password" }, { name: "d", type: "date" },
];

test("create rules see the would-be record", async () => {
    await pair.step("POST /api/collections", { as: "root", body: { id: "crt_id", name: "crt", type: "base", fields } });
    await pair.step("POST /api/collections", { as: "root", body: { id: "kids_id", name: "kids", type: "base", fields: [{ name: "crt", type: "relation", collectionId: "crt_id" }] } });
    const bodies = [
        {}, { t: "" }, { t: "x" }, { n: 3 }, { n: "3" }, { "n+": 1 }, { zz: { a: 5 }, list: [1, 2] }, { s: ["a"] }, { s: ["a", "b"] }, { s: "a" }, { owner: ANN }, { owner: BOB }, { owners: [ANN, BOB] }, { owner: "missing00000000" }, { hid: "x" }, { b: true }, { j: { x: 1 } }, { id: "given0000000000" }, { p: "secret" }, { d: "2024-01-01" },
    ];
    for (const rule of [
        "", "@request.body.t:isset=false", "@request.body.n:isset=false", "@request.body.n>2", "@request.body.n='3'", "@request.body.zz.a=5", "@request.body.list.1=2", "@request.body.s:each='a'", "@request.body.s:each?='a'", "@request.body.s:length=0", "@request.body.s:length=2", "@request.body.t:changed=true", "@request.body.t:changed=false",
        "@request.body.owner.name='ann'", "@request.body.owners.name?='bob'", "@request.body.owners.name='ann'", "@request.body.hid:isset=false", "@request.auth.zzz=''", "@request.query.q=1", "@request.query.q='1'", "@request.query.n>0", "cr=''", "auto=''", "auto!=''", "t='x'", "n='3'", "n=3", "t=3", "s:each='a'", "s:length=1", "b=true", "b=1", "j.x=1", "id!=''", "id='given0000000000'",
        "owner.name='ann'", "owners.name?='ann'", "owner=@request.auth.id", "owner.id=@request.auth.id", "owner='' || owner.verified=true", "@collection.crt.id=''", "@collection.crt.t?='x'", "kids_via_crt.id=''", "@request.auth.id!='' && owner.email='ann@example.com'", "@request.method='POST'", "@request.context='default'", "@request.headers.x_test='1'", "@request.headers.content_type~'json'", "@request.body.p:isset=true", "p!=''", "hid=''", "d>'2023'",
        "@request.body.s='[\"a\"]'", "@request.body.b=true", "@request.body.t:lower='x'", "@request.auth.name='ann'", "@request.auth.verified=true", "@request.auth.email~'ann'", "@request.auth.collectionName='users'", "@request.auth.collectionId='_pb_users_auth_'", "t!='' || n!=0", "(t='x' || n=3) && id!=''", "@now>'2020'", "@request.body.nope=null", "@request.body.t=''", "@request.body.t=null", "@request.body.t!=null",
    ]) {
        await pair.step("PATCH /api/collections/crt", { as: "root", body: { createRule: rule } });
        for (const body of bodies) {
            for (const as of ["guest", "ann"]) {
                const answer = await pair.step("POST /api/collections/crt/records?q=1&n=5&fields=collectionId,t,n,s", { as, body, headers: { "x-test": "1" } });
                // Kept empty, so that every rule and body meets the same table.
                if (answer.status === 200) await pair.step("DELETE /api/collections/crt/truncate", { as: "root" });
            }
        }
    }
    pair.verify();
});

test("update, view and delete rules judge the stored record", async () => {
    await pair.step("POST /api/collections", { as: "root", body: { id: "upd_id", name: "upd", type: "base", listRule: "", viewRule: "", fields } });
    const id = "record000000000";
    for (const [rule, stored, bodies] of [
        ["t='x'", { t: "x" }, [{ t: "y" }]], ["t='y'", { t: "x" }, [{ t: "y" }]], ["@request.body.t='y'", { t: "x" }, [{ t: "y" }, {}, { t: "z" }]], ["@request.body.t:changed=false", { t: "x" }, [{}, { t: "x" }, { t: "y" }]], ["@request.body.n=2", { n: 1 }, [{ "n+": 1 }, { n: 2 }, { n: "2" }, { n: 3 }]], ["@request.body.s:length=2", { s: ["a"] }, [{ "s+": "b" }, { s: ["a"] }, {}]],
        ["@request.body.s:changed=true", { s: ["a", "b"] }, [{ s: ["a", "b"] }, { s: ["b", "a"] }, {}]], ["@request.body.n:changed=false", { n: 1 }, [{ n: "1" }, { n: 2 }]], ["@request.body.p:changed=true", { p: "secret" }, [{ p: "secret" }, {}, { p: "other" }]], ["owner=@request.auth.id", { owner: ANN }, [{ t: "z" }, { owner: BOB }]], ["owner.name=@request.auth.name", { owner: ANN }, [{}]], ["@request.auth.id?=owners.id", { owners: [ANN, BOB] }, [{}]],
        ["owners.id?=@request.auth.id", { owners: [ANN] }, [{}]], ["owners~@request.auth.id", { owners: [BOB] }, [{}]], ["@request.body.owner:isset=false || @request.body.owner=@request.auth.id", { owner: ANN }, [{ owner: ANN }, { owner: BOB }, {}]], ["hid='h'", { hid: "h" }, [{ hid: "x" }]], ["@request.auth.upd_via_owner.t?='x'", { owner: ANN, t: "x" }, [{}]], ["@collection.users.id?=owner && @collection.users.verified?=true", { owner: ANN }, [{}]],
        ["@collection.upd.id?=id", { t: "x" }, [{}]], ["@request.method='PATCH'", {}, [{}]], ["@request.method='GET'", {}, [{}]], ["@request.body.j.x=1", { j: { x: 2 } }, [{ j: { x: 1 } }, {}]], ["@request.body.d>'2024'", { d: "" }, [{ d: "2024-05-01" }, { d: "bad" }]], ["@request.auth.id!=''", {}, [{}]], ["@request.headers.x_test='1'", {}, [{}]], ["n>@request.query.n", { n: 6 }, [{}]], ["t=@request.query.q", { t: "1" }, [{}]], ["n=@request.query.q", { n: 1 }, [{}]],
    ]) {
        for (const body of bodies) {
            for (const as of ["guest", "ann", "bob"]) {
                await pair.step("PATCH /api/collections/upd", { as: "root", body: { updateRule: null, viewRule: "", deleteRule: null, listRule: "" } });
                await pair.step("POST /api/collections/upd/records", { as: "root", body: { id, ...stored } });
                const rules = await pair.step("PATCH /api/collections/upd", { as: "root", body: { updateRule: rule, viewRule: rule, deleteRule: rule, listRule: rule } });
                if (rules.status === 200) {
                    await pair.step(`GET /api/collections/upd/records/${id}?q=1&n=5`, { as, headers: { "x-test": "1" } });
                    await pair.step("GET /api/collections/upd/records?q=1&n=5", { as, headers: { "x-test": "1" } });
                    await pair.step(`PATCH /api/collections/upd/records/${id}?q=1&n=5`, { as, body, headers: { "x-test": "1" } });
                    await pair.step(`DELETE /api/collections/upd/records/${id}?q=1&n=5`, { as, headers: { "x-test": "1" } });
                }
                await pair.step("DELETE /api/collections/upd/truncate", { as: "root" });
            }
        }
    }
    pair.verify();
});

test("list rules share their joined rows with the client's filter", async () => {
    await pair.step("POST /api/collections", {
        as: "root", body: { id: "lst_id", name: "lst", type: "base", listRule: "owners.name ?= 'ann'", viewRule: "", fields },
    });
    for (const [n, owners] of [[1, [ANN]], [2, [BOB]], [3, [ANN, BOB]], [4, []]]) {
        await pair.step("POST /api/collections/lst/records", { as: "root", body: { id: `l${n}`.padEnd(15, "0"), owners, n } });
    }
    for (const as of ["guest", "ann", "root"]) {
        for (const filter of ["", "owners.name?='bob'", "owners.name?='ann'", "owners.name='ann'", "owners.name!='bob'", "n>1", "owners:length>1"]) {
            await pair.step(`GET /api/collections/lst/records?sort=n&fields=n&${new URLSearchParams(filter ? { filter } : {})}`, { as });
        }
    }
    await pair.step("PATCH /api/collections/lst", { as: "root", body: { listRule: "@request.auth.id != '' && owners.id ?= @request.auth.id" } });
    for (const as of ["guest", "ann", "bob", "root"]) await pair.step("GET /api/collections/lst/records?sort=-n&fields=n", { as });
    pair.verify();
});
