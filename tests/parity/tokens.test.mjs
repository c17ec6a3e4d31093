// Tokens, checked with an independent library (npm `jose`): what both servers issue verifies with the key of
// docs/wire/auth.md §2.1, what is made with that key is accepted, and what is forged gets the reference's own answer and
// changes nothing in either database.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { CompactSign, generateKeyPair, jwtVerify } from "jose";
import { idOf, startMailedPair, tokenIn, withPassword } from "../harness/accounts.mjs";
import { Database } from "../harness/sqlite.mjs";

const at = "/api/collections";
const secret = "password-1";
const ann = idOf("ann");
let pair, databases, keys;

const users = "_pb_users_auth_";
const options = { auth: "authToken", file: "fileToken", verification: "verificationToken", passwordReset: "passwordResetToken", emailChange: "emailChangeToken" };
/** What a token of each purpose says besides its time. */
const claimsOf = {
    auth: { id: ann, collectionId: users, type: "auth", refreshable: true },
    file: { id: ann, collectionId: users, type: "file" },
    verification: { id: ann, collectionId: users, type: "verification", email: "ann@example.com" },
    passwordReset: { id: ann, collectionId: users, type: "passwordReset", email: "ann@example.com" },
    emailChange: { id: ann, collectionId: users, type: "emailChange", email: "ann@example.com", newEmail: "ann-2@example.com" },
};
const now = () => Math.floor(Date.now() / 1000);

before(async () => {
    pair = await startMailedPair();
    await pair.cheapPasswords();
    await pair.step(`PATCH ${at}/users?fields=id`, { as: "root", body: { authAlert: { enabled: false } } });
    for (const name of ["ann", "bob"]) await pair.step(`POST ${at}/users/records`, { as: "root", body: { id: idOf(name), email: `${name}@example.com`, ...withPassword(secret), name } });
    await pair.step(`POST ${at}?fields=id`, { as: "root", body: { name: "staff", type: "auth" } });
    await pair.step(`POST ${at}/staff/records`, { as: "root", body: { id: idOf("sid"), email: "sid@example.com", ...withPassword(secret) } });
    await pair.step(`POST ${at}?fields=id`, { as: "root", body: { name: "plain", type: "base", fields: [{ name: "t", type: "text" }] } });
    await pair.step(`POST ${at}/plain/records`, { as: "root", body: { id: idOf("row"), t: "x" } });
    databases = pair.servers.map(({ dir }) => new Database(`${dir}/data.db`));
    keys = readKeys();
    pair.verify();
});
after(() => pair?.stop());

/** The parts of every key, as they are stored: token keys of records, secrets of collections. */
function readKeys() {
    return databases.map((db) => {
        const [collection] = db.all("SELECT options FROM _collections WHERE name = 'users'");
        const [staff] = db.all("SELECT options FROM _collections WHERE name = 'staff'");
        const records = Object.fromEntries(db.all("SELECT id, tokenKey FROM users UNION ALL SELECT id, tokenKey FROM staff").map((row) => [row.id, row.tokenKey]));
        return { records, secrets: JSON.parse(collection.options), staff: JSON.parse(staff.options) };
    });
}

const keyOf = (server, purpose, id = ann) => new TextEncoder().encode(keys[server].records[id] + keys[server].secrets[options[purpose]].secret);

/** One token for each server. `claims` go over the usual ones; `undefined` removes one. */
function make(purpose, claims = {}, { header = { alg: "HS256", typ: "JWT" }, key = (server) => keyOf(server, purpose) } = {}) {
    const payload = Object.fromEntries(Object.entries({ ...claimsOf[purpose], exp: now() + 600, ...claims }).filter(([, value]) => value !== undefined));
    return Promise.all([0, 1].map((server) => new CompactSign(new TextEncoder().encode(JSON.stringify(payload))).setProtectedHeader(header).sign(key(server))));
}

/** Knocks with a pair of tokens at the door of a purpose. */
const doors = {
    auth: (tokens) => {
        pair.tokens.forged = tokens;
        return pair.step(`POST ${at}/users/auth-refresh`, { as: "forged" });
    },
    verification: (tokens) => pair.step(`POST ${at}/users/confirm-verification`, { body: (n) => ({ token: tokens[n] }) }),
    passwordReset: (tokens) => pair.step(`POST ${at}/users/confirm-password-reset`, { body: (n) => ({ token: tokens[n], ...withPassword("new-pass-1") }) }),
    emailChange: (tokens) => pair.step(`POST ${at}/users/confirm-email-change`, { body: (n) => ({ token: tokens[n], password: secret }) }),
};

/** Everything that a token could change, of both databases. */
function everything() {
    return databases.map((db) => JSON.stringify(["users", "staff", "_superusers", "_otps", "_mfas", "_externalAuths", "_authOrigins", "_collections"].map((table) => db.all(`SELECT * FROM ${table} ORDER BY id`))));
}

test("every kind of token that is issued verifies with its key alone", async () => {
    const issued = {};
    await pair.step(`POST ${at}/users/auth-with-password`, { body: { identity: "ann@example.com", password: secret } });
    issued.auth = pair.last("token");
    pair.caller("ann");
    await pair.step("POST /api/files/token", { as: "ann" });
    issued.file = pair.last("token");
    await pair.step(`POST ${at}/users/request-verification`, { body: { email: "ann@example.com" } });
    issued.verification = (await pair.mails("ann@example.com")).map(tokenIn);
    await pair.step(`POST ${at}/users/request-password-reset`, { body: { email: "ann@example.com" } });
    issued.passwordReset = (await pair.mails("ann@example.com")).map(tokenIn);
    await pair.step(`POST ${at}/users/request-email-change`, { as: "ann", body: { newEmail: "ann-2@example.com" } });
    issued.emailChange = (await pair.mails("ann-2@example.com")).map(tokenIn);
    const durations = { auth: 432000, file: 180, verification: 86400, passwordReset: 1800, emailChange: 1800 };
    for (const [purpose, tokens] of Object.entries(issued)) {
        for (const [server, token] of tokens.entries()) {
            const { payload, protectedHeader } = await jwtVerify(token, keyOf(server, purpose), { algorithms: ["HS256"] });
            assert.deepEqual(protectedHeader, { alg: "HS256", typ: "JWT" });
            const { exp, ...claims } = payload;
            assert.deepEqual(claims, claimsOf[purpose], purpose);
            assert.ok(Math.abs(exp - now() - durations[purpose]) < 60, `${purpose} lasts ${exp - now()} seconds`);
            for (const other of Object.keys(options)) {
                if (other !== purpose) await assert.rejects(jwtVerify(token, keyOf(server, other)), `${purpose} with the key for ${other}`);
            }
        }
    }
    pair.verify();
});

test("forged, expired and foreign tokens get the reference's answer and change nothing", async () => {
    const before = everything();
    const rsa = await generateKeyPair("RS256");
    const secretOf = (server, purpose) => new TextEncoder().encode(keys[server].secrets[options[purpose]].secret);
    const unsigned = (header) => async (purpose) => (await make(purpose)).map((token) => `${Buffer.from(JSON.stringify(header)).toString("base64url")}.${token.split(".")[1]}.`);
    const withHeader = (header) => async (purpose) => (await make(purpose)).map((token) => [Buffer.from(header).toString("base64url"), ...token.split(".").slice(1)].join("."));
    const forgeries = {
        "HS384": (purpose) => make(purpose, {}, { header: { alg: "HS384", typ: "JWT" } }),
        "HS512": (purpose) => make(purpose, {}, { header: { alg: "HS512", typ: "JWT" } }),
        "RS256 by a stranger": (purpose) => make(purpose, {}, { header: { alg: "RS256" }, key: () => rsa.privateKey }),
        "none": unsigned({ alg: "none", typ: "JWT" }), "None": unsigned({ alg: "None" }), "HS256 without a signature": unsigned({ alg: "HS256" }), "no alg": unsigned({ typ: "JWT" }),
        "alg none over an honest signature": withHeader('{"alg":"none","typ":"JWT"}'), "another alg over an honest signature": withHeader('{"alg":"RS256","typ":"JWT"}'), "header is a list": withHeader("[]"), "header is empty": withHeader(""),
        "an empty key": (purpose) => make(purpose, {}, { key: () => new TextEncoder().encode("x") }),
        "the secret alone": (purpose) => make(purpose, {}, { key: (server) => secretOf(server, purpose) }),
        "the token key alone": (purpose) => make(purpose, {}, { key: (server) => new TextEncoder().encode(keys[server].records[ann]) }),
        "secret first": (purpose) => make(purpose, {}, { key: (server) => new TextEncoder().encode(keys[server].secrets[options[purpose]].secret + keys[server].records[ann]) }),
        "another account's key": (purpose) => make(purpose, {}, { key: (server) => keyOf(server, purpose, idOf("bob")) }),
        "another account's id": (purpose) => make(purpose, { id: idOf("bob") }),
        "another collection": (purpose) => make(purpose, { collectionId: "pbc_829252413" }),
        "another collection's account": (purpose) => make(purpose, { id: idOf("sid"), collectionId: "pbc_829252413", email: "sid@example.com" }, { key: (server) => new TextEncoder().encode(keys[server].records[idOf("sid")] + keys[server].staff[options[purpose]].secret) }),
        "no account": (purpose) => make(purpose, { id: "nobody000000000" }), "no collection": (purpose) => make(purpose, { collectionId: "nope" }), "no auth collection": (purpose) => make(purpose, { collectionId: "plain", id: idOf("row") }),
        "expired": (purpose) => make(purpose, { exp: now() - 1 }), "expired at once": (purpose) => make(purpose, { exp: now() }), "expired long ago": (purpose) => make(purpose, { exp: 1 }), "exp below 0": (purpose) => make(purpose, { exp: -5 }),
        "exp in text": (purpose) => make(purpose, { exp: String(now() + 600) }), "exp true": (purpose) => make(purpose, { exp: true }), "exp in a list": (purpose) => make(purpose, { exp: [now() + 600] }), "fractional exp, over": (purpose) => make(purpose, { exp: now() - 0.5 }),
        "not yet": (purpose) => make(purpose, { nbf: now() + 300 }), "nbf in text": (purpose) => make(purpose, { nbf: "x" }), "from the future": (purpose) => make(purpose, { iat: now() + 300 }), "iat in text": (purpose) => make(purpose, { iat: "x" }),
        ...Object.fromEntries(["id", "collectionId", "type", "email", "newEmail"].flatMap((claim) => [undefined, null, "", 5, true, ["x"], { a: 1 }].map((value) => [`${claim} ${JSON.stringify(value)}`, (purpose) => claim in claimsOf[purpose] ? make(purpose, { [claim]: value }) : null]))),
        "another address at issue": (purpose) => "email" in claimsOf[purpose] ? make(purpose, { email: "old@example.com" }) : null,
        "claims are a list": (purpose) => Promise.all([0, 1].map((server) => new CompactSign(new TextEncoder().encode("[]")).setProtectedHeader({ alg: "HS256" }).sign(keyOf(server, purpose)))),
        "claims are no JSON": (purpose) => Promise.all([0, 1].map((server) => new CompactSign(new TextEncoder().encode("{")).setProtectedHeader({ alg: "HS256" }).sign(keyOf(server, purpose)))),
        "claims twice": (purpose) => Promise.all([0, 1].map((server) => new CompactSign(new TextEncoder().encode(`{"type":"x",${JSON.stringify({ ...claimsOf[purpose], exp: now() - 5 }).slice(1, -1)},"exp":1}`)).setProtectedHeader({ alg: "HS256" }).sign(keyOf(server, purpose)))),
        "four parts": async (purpose) => (await make(purpose)).map((token) => `${token}.x`), "two parts": async (purpose) => (await make(purpose)).map((token) => token.split(".").slice(0, 2).join(".")), "a tail": async (purpose) => (await make(purpose)).map((token) => `${token}A`), "padded": async (purpose) => (await make(purpose)).map((token) => `${token}=`),
        "long": (purpose) => make(purpose, { more: "x".repeat(20_000), exp: now() - 5 }),
        // What the other doors open with, and with the other purposes' keys.
        ...Object.fromEntries(Object.keys(options).flatMap((other) => [[`a token for ${other}`, (purpose) => purpose === other ? null : make(other)], [`a token for ${other}, with this door's key`, (purpose) => purpose === other ? null : make(other, {}, { key: (server) => keyOf(server, purpose) })], [`this type with the key for ${other}`, (purpose) => purpose === other ? null : make(purpose, {}, { key: (server) => keyOf(server, other) })]])),
    };
    const accepted = [];
    for (const [name, forge] of Object.entries(forgeries)) {
        for (const purpose of Object.keys(doors)) {
            const tokens = await forge(purpose);
            if (!tokens) continue;
            // The claims of another address at issue are one that a reset does not read.
            if (purpose === "passwordReset" && /^email |another address/.test(name)) continue;
            if (purpose === "emailChange" && /^email |another address/.test(name)) continue;
            const known = pair.differences.length;
            const { status } = await doors[purpose](tokens);
            for (const difference of pair.differences.slice(known)) difference.request += `, ${name}`;
            if (status < 400) accepted.push(`${name} at the door for ${purpose}`);
        }
    }
    assert.deepEqual(accepted, []);
    assert.ok(JSON.stringify(everything()) === JSON.stringify(before), "a forged token changed something");
    pair.verify();
});

test("tokens that another program makes with the right key are good", async () => {
    for (const [claims, how] of [
        [{}], [{ exp: undefined }], [{ exp: now() + 0.5 + 60 }], [{ exp: 4e9 }], [{ nbf: now() - 5, iat: now() - 5 }], [{ collectionId: "users" }], [{ extra: { a: [1] } }], [{ iss: "x", aud: "y", jti: "z" }], [{}, { header: { alg: "HS256" } }], [{}, { header: { alg: "HS256", typ: "at+jwt", kid: "k" } }], [{ refreshable: "true" }], [{ refreshable: 1 }], [{ refreshable: false }], [{ refreshable: undefined }],
    ]) {
        const tokens = await make("auth", claims, how);
        await doors.auth(tokens);
        assert.equal(pair.answers[0].status, 200, JSON.stringify(claims));
        const kept = pair.answers.map(({ body }, server) => body.token === tokens[server]);
        assert.equal(kept[0], kept[1], `${JSON.stringify(claims)}: both keep or renew the token`);
        pair.tokens.bearer = tokens.map((token) => `Bearer ${token}`);
        await pair.step("POST /api/files/token", { as: "bearer" });
    }
    const fresh = async (purpose, claims) => {
        keys = readKeys();
        return doors[purpose](await make(purpose, claims));
    };
    assert.equal((await fresh("verification", { exp: undefined })).status, 204);
    assert.equal((await fresh("passwordReset", { email: "other@example.com" })).status, 204);
    await pair.step(`PATCH ${at}/users/records/${ann}`, { as: "root", body: withPassword(secret) });
    assert.equal((await fresh("emailChange", { email: undefined })).status, (await pair.answers[1]).status);
    await pair.step(`GET ${at}/users/records/${ann}`, { as: "root" });
    await pair.step(`PATCH ${at}/users/records/${ann}`, { as: "root", body: { email: "ann@example.com" } });
    keys = readKeys();
    pair.verify();
});

test("a valid token with one byte changed, at every position, is good for nothing", async () => {
    await pair.step(`PATCH ${at}/users/records/${ann}`, { as: "root", body: { verified: false } });
    keys = readKeys();
    const before = everything();
    const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    const [{ url }] = pair.servers;
    const knock = {
        auth: (token) => fetch(`${url}${at}/users/auth-refresh`, { method: "POST", headers: { authorization: token } }),
        ...Object.fromEntries([["verification", {}], ["passwordReset", withPassword("new-pass-1")], ["emailChange", { password: secret }]].map(([purpose, more]) => {
            const route = { verification: "confirm-verification", passwordReset: "confirm-password-reset", emailChange: "confirm-email-change" }[purpose];
            return [purpose, (token) => fetch(`${url}${at}/users/${route}`, { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify({ token, ...more }) })];
        })),
    };
    for (const purpose of Object.keys(knock)) {
        const [token] = await make(purpose, { exp: now() + 600 });
        const changed = [];
        for (let index = 0; index < token.length; index++) {
            const place = alphabet.indexOf(token[index]);
            // The neighbour differs in the lowest bit: in a last letter that may be one that carries nothing, and still
            // it is another text than the one that was signed.
            const others = place < 0 ? ["A", ""] : index === token.length - 1 ? [1, 2, 3, 4, 32].map((bits) => alphabet[place ^ bits]) : [alphabet[place ^ 1 << index % 6]];
            for (const other of others) changed.push(token.slice(0, index) + other + token.slice(index + 1));
        }
        changed.push(` ${token}x`, token.slice(1), token.slice(0, -1), token.toLowerCase(), `${token}.`, `.${token}`);
        const accepted = [];
        for (let start = 0; start < changed.length; start += 40) {
            await Promise.all(changed.slice(start, start + 40).map(async (text) => {
                const { status } = await knock[purpose](text);
                if (status !== (purpose === "auth" ? 401 : 400)) accepted.push([status, text]);
            }));
        }
        assert.deepEqual(accepted, [], `${purpose}: ${token}`);
    }
    assert.ok(everything()[0] === before[0], "a changed token changed something");
    // They were one byte from good.
    assert.equal((await knock.verification((await make("verification"))[0])).status, 204);
});
