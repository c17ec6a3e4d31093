// Auth collections: the forms of create and update, visibility, password login and refresh (docs/wire/auth.md §3, §4).

import { after, before, test } from "node:test";
import { startPair } from "../harness/parity.mjs";

let pair;
before(async () => { pair = await startPair(); });
after(() => pair?.stop());

const U = (name) => `u${name}`.padEnd(15, "0");
const password = { password: "12345678", passwordConfirm: "12345678" };

test("signing up and logging in", async () => {
    await pair.step("PATCH /api/collections/users", { as: "root", body: { listRule: "", viewRule: "", updateRule: "id = @request.auth.id || @request.auth.name = 'boss'", manageRule: "@request.auth.name = 'boss'" } });
    const signUp = (body, as = "guest") => pair.step("POST /api/collections/users/records", { as, body });
    for (const body of [
        {}, { email: "a@example.com" }, { email: "a@example.com", password: "12345678" }, { email: "a@example.com", password: "12345678", passwordConfirm: "x" }, { email: "bad", ...password }, { email: "", ...password }, { email: "a@example.com", password: "short", passwordConfirm: "short" },
        { email: "a@example.com", ...password, verified: true }, { id: U("ann"), email: "ann@example.com", ...password, name: "ann" }, { id: U("bob"), email: "bob@example.com", ...password, name: "bob", emailVisibility: true }, { id: U("boss"), email: "boss@example.com", ...password, name: "boss" }, { id: U("ann"), email: "x1@example.com", ...password }, { email: "ann@example.com", ...password }, { email: "ANN@example.com", ...password, id: U("upper") },
        { email: "t1@example.com", ...password, tokenKey: "x".repeat(40), id: U("t1") }, { email: "t2@example.com", password: "ä".repeat(40), passwordConfirm: "ä".repeat(40) }, { email: "t3@example.com", password: "x".repeat(72), passwordConfirm: "x".repeat(72) }, { email: "t4@example.com", password: 12345678, passwordConfirm: 12345678, id: U("t4") }, { email: "t5@example.com", password: null, passwordConfirm: null }, { email: "t6@example.com", ...password, oldPassword: "x", id: U("t6") },
    ]) await signUp(body);
    await signUp({ email: "v@example.com", ...password, verified: true, id: U("v") }, "root");
    await signUp({ email: "k@example.com", ...password, tokenKey: "short" }, "root");
    await signUp({ email: "w@example.com", ...password, tokenKey: "y".repeat(40), id: U("w") }, "root");
    await signUp({ email: "w2@example.com", ...password, tokenKey: "y".repeat(40) }, "root");
    for (const name of ["ann", "bob", "boss"]) await pair.login(name, "users", `${name}@example.com`, "12345678");
    const login = (body, as, collection = "users") => pair.step(`POST /api/collections/${collection}/auth-with-password`, { as, body });
    for (const body of [
        {}, { identity: "ann@example.com" }, { password: "x" }, { identity: "ann@example.com", password: "x" }, { identity: "none@example.com", password: "12345678" }, { identity: "ann", password: "12345678" }, { identity: "ANN@EXAMPLE.COM", password: "12345678" }, { identity: " ann@example.com", password: "12345678" }, { identity: "ann@example.com", password: "12345678", identityField: "email" },
        { identity: "ann@example.com", password: "12345678", identityField: "name" }, { identity: "x".repeat(256), password: "y".repeat(256) }, { identity: 5, password: true }, { Identity: "ann@example.com", PASSWORD: "12345678" }, { identity: "ann@example.com", password: null }, { identity: "ann@example.com", password: "12345678" },
    ]) for (const as of ["guest", "bob"]) await login(body, as);
    await login({ identity: "ann@example.com", password: "12345678" }, "guest", "nope");
    await login({ identity: "ann@example.com", password: "12345678" }, "guest", "_superusers");
    await login({ identity: "ann@example.com", password: "12345678" }, "guest", "_otps");
    await pair.step("POST /api/collections/users/auth-with-password", { raw: "{bad" });
    await pair.step("POST /api/collections/users/auth-with-password", { raw: "x=1", headers: { "content-type": "text/plain" } });
    await pair.step("POST /api/collections/users/auth-with-password", { form: [["identity", "ann@example.com"], ["password", "12345678"]] });
    await pair.step("POST /api/collections/users/auth-with-password?fields=record.name&expand=nope", { body: { identity: "ann@example.com", password: "12345678" } });
    for (const as of ["guest", "ann", "root"]) {
        await pair.step("POST /api/collections/users/auth-refresh", { as });
        await pair.step("POST /api/collections/_superusers/auth-refresh", { as });
        await pair.step("POST /api/collections/nope/auth-refresh", { as });
        await pair.step("POST /api/collections/users/auth-refresh", { as, raw: "{bad" });
    }
    pair.verify();
});

test("updating accounts", async () => {
    const update = (name, body, as) => pair.step(`PATCH /api/collections/users/records/${U(name)}`, { as, body });
    for (const [name, body, as] of [
        ["ann", { name: "Ann" }, "ann"], ["ann", { name: "x" }, "bob"], ["ann", { name: "x" }, "guest"], ["ann", { email: "new@example.com" }, "ann"], ["ann", { email: "ann@example.com" }, "ann"], ["ann", { verified: true }, "ann"], ["ann", { verified: false }, "ann"], ["ann", { password: "new-pass-1" }, "ann"], ["ann", { passwordConfirm: "x" }, "ann"],
        ["ann", { oldPassword: "12345678" }, "ann"], ["ann", { password: "new-pass-1", passwordConfirm: "new-pass-1" }, "ann"], ["ann", { password: "new-pass-1", passwordConfirm: "new-pass-1", oldPassword: "bad" }, "ann"], ["ann", { password: "", passwordConfirm: "", oldPassword: "" }, "ann"], ["ann", { password: null }, "ann"], ["ann", { tokenKey: "z".repeat(40) }, "ann"], ["ann", { emailVisibility: true }, "ann"],
        ["ann", { name: "managed", verified: true }, "boss"], ["ann", { email: "managed@example.com" }, "boss"], ["ann", { password: "managed-1" }, "boss"], ["ann", { password: "managed-1", passwordConfirm: "managed-1" }, "boss"], ["ann", { tokenKey: "z".repeat(40) }, "boss"], ["ann", { name: "root", tokenKey: "z".repeat(20) }, "root"], ["ann", { tokenKey: "z".repeat(40) }, "root"], ["ann", { "tokenKey:autogenerate": "" }, "root"], ["ann", { password: "root-pass-1" }, "root"],
        ["ann", { password: "root-pass-1", passwordConfirm: "root-pass-1" }, "root"], ["ann", { password: "", passwordConfirm: "" }, "root"], ["ann", { email: "" }, "root"], ["ann", { email: "bob@example.com" }, "root"],
    ]) {
        await update(name, body, as);
        await pair.step(`GET /api/collections/users/records/${U("ann")}`, { as: "boss" });
        await pair.step("POST /api/collections/users/auth-refresh", { as: "ann" });
    }
    for (const as of ["guest", "ann", "bob", "boss", "root"]) await pair.step("GET /api/collections/users/records?sort=id", { as });
    pair.verify();
});

test("auth rules, disabled passwords, other identities", async () => {
    const users = (body) => pair.step("PATCH /api/collections/users", { as: "root", body });
    const login = (identity, as) => pair.step("POST /api/collections/users/auth-with-password", { as, body: { identity, password: "12345678" } });
    for (const authRule of ["verified = true", null, "", "@request.context = 'password'", "@request.body.identity = email", "name = 'bob'", "@request.auth.id = ''"]) {
        await users({ authRule });
        await login("bob@example.com");
        await login("v@example.com");
        await login("bob@example.com", "root");
        await pair.step("POST /api/collections/users/auth-refresh", { as: "bob" });
    }
    await users({ authRule: "" });
    await users({ passwordAuth: { enabled: false } });
    await login("bob@example.com");
    await login("bob@example.com", "root");
    await users({ passwordAuth: { enabled: true } });
    const { body: { fields, indexes } } = await pair.step("GET /api/collections/users", { as: "root" });
    await users({ fields: [...fields, { name: "nick", type: "text" }], indexes: [...indexes, "CREATE UNIQUE INDEX idx_nick ON users (nick COLLATE NOCASE) WHERE nick != ''"] });
    await users({ passwordAuth: { identityFields: ["nick", "email"] } });
    await pair.step(`PATCH /api/collections/users/records/${U("bob")}`, { as: "root", body: { nick: "Bobby" } });
    for (const identity of ["Bobby", "bobby", "bob@example.com", "boBBy "]) await login(identity);
    for (const identityField of ["nick", "email", "name"]) {
        await pair.step("POST /api/collections/users/auth-with-password", { body: { identity: "bobby", identityField, password: "12345678" } });
    }
    pair.verify();
});

test("superusers", async () => {
    const supers = (line, options) => pair.step(line.replace("$", "/api/collections/_superusers/records"), options);
    await supers("POST $", { as: "root", body: { id: U("super"), email: "second@example.com", ...password, verified: false } });
    await supers("POST $", { body: { email: "evil@example.com", ...password } });
    await supers("GET $?sort=email&fields=email,verified", { as: "root" });
    await supers("GET $", { as: "boss" });
    await supers(`PATCH $/${U("super")}`, { as: "root", body: { verified: false, email: "renamed@example.com" } });
    await supers(`PATCH $/${U("super")}`, { as: "root", body: { password: "" } });
    await supers(`DELETE $/${U("super")}`, { as: "boss" });
    await supers(`DELETE $/${U("super")}`, { as: "root" });
    pair.verify();
});
