// Signing in with an account of a real OpenID provider, through the official SDK.

import assert from "node:assert/strict";
import { createHmac, createPublicKey } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { createServer as createTlsServer } from "node:https";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import * as jose from "jose";
import { admin, client, freePort, remove, run, startConch, startTarget, temporaryDirectory } from "../harness/server.mjs";
import { redirectURL, signInAt, startIdentityProvider } from "../harness/identity_provider.mjs";

let server, idp;

before(async () => {
    server = await startTarget();
    idp = await startIdentityProvider({ redirects: [`${server.url}/api/oauth2-redirect`] });
});
after(async () => {
    await server?.stop();
    await idp?.stop();
});

/** Lets the server's users come from these entries. */
const offer = (entries, at = server) =>
    admin(at).collections.update("users", { oauth2: { enabled: true, providers: entries } });

/** Where the SDK sends somebody, as the server says. */
async function begin(pb = client(server)) {
    const { oauth2 } = await pb.collection("users").listAuthMethods();
    return oauth2.providers[0];
}

/** All of it: begin, sign in over there, come back. */
async function signIn(person, { pb = client(server), verifier, createData } = {}) {
    const provider = await begin(pb);
    const { code, state } = await signInAt(provider.authURL + encodeURIComponent(redirectURL), person);
    assert.equal(state, provider.state);
    const users = pb.collection("users");
    return users.authWithOAuth2Code(provider.name, code, verifier ?? provider.codeVerifier, redirectURL, createData);
}

const users = () => admin(server).collection("users").getFullList();

async function refuses(promise) {
    const error = await promise.then(() => assert.fail("it was accepted"), (error) => error);
    assert.equal(error.status, 400, error.stack);
    assert.deepEqual(error.response.data, {});
}

describe("a code of the provider", () => {
    before(() => offer([idp.entry()]));

    test("becomes a record, and the same one again", async () => {
        const first = await signIn("ann", { createData: { emailVisibility: true } });
        assert.equal(first.record.email, "ann@idp.test");
        assert.equal(first.record.verified, true);
        assert.equal(first.record.emailVisibility, true);
        assert.equal(first.record.name, "The ann");
        assert.equal(first.meta.isNew, true);
        assert.equal(first.meta.id, "ann");
        assert.equal(first.meta.username, "ann");
        assert.equal(first.meta.rawUser.sub, "ann");
        assert.match(first.meta.expiry, /^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}Z$/);
        assert.equal(typeof first.meta.accessToken, "string");
        const again = await signIn("ann");
        assert.equal(again.record.id, first.record.id);
        assert.equal(again.meta.isNew, false);
        assert.equal((await client(server, again.token).collection("users").authRefresh()).record.id, first.record.id);
        const links = await client(server, again.token).collection("_externalAuths").getFullList();
        assert.deepEqual(links.map(({ provider, providerId }) => [provider, providerId]), [["oidc", "ann"]]);
    });

    test("is good once", async () => {
        const provider = await begin();
        const { code } = await signInAt(provider.authURL + encodeURIComponent(redirectURL), "bob");
        const attempt = (code, verifier) =>
            client(server).collection("users").authWithOAuth2Code("oidc", code, verifier, redirectURL);
        await refuses(attempt(code, "another-verifier-that-is-long-enough-for-pkce-1"));
        await refuses(attempt(`${code}x`, provider.codeVerifier));
        const elsewhere = client(server).collection("users");
        await refuses(elsewhere.authWithOAuth2Code("oidc", code, provider.codeVerifier, "https://evil.example/"));
        const { code: fresh } = await signInAt(provider.authURL + encodeURIComponent(redirectURL), "bob");
        await attempt(fresh, provider.codeVerifier);
        await refuses(attempt(fresh, provider.codeVerifier));
        assert.equal((await users()).filter(({ email }) => email === "bob@idp.test").length, 1);
    });

    test("of an unverified address claims nobody's record", async () => {
        const victim = await admin(server).collection("users").create({
            email: "victim@idp.test", password: "the-victims-own-1", passwordConfirm: "the-victims-own-1",
        });
        const error = await signIn("liar").then(() => assert.fail("it was accepted"), (error) => error);
        assert.equal(error.response.data.email.code, "validation_required");
        const own = await signIn("liar", { createData: { email: "liar@else.test" } });
        assert.notEqual(own.record.id, victim.id);
        assert.equal(own.record.verified, false);
        assert.equal(own.meta.email, "");
    });

    test("links with the account that is signed in", async () => {
        const root = admin(server).collection("users");
        const password = "carols-own-pass-1";
        const { id } = await root.create({ email: "carol@else.test", password, passwordConfirm: password });
        const pb = client(server);
        await pb.collection("users").authWithPassword("carol@else.test", password);
        const linked = await signIn("carol", { pb });
        assert.equal(linked.record.id, id);
        assert.equal(linked.record.email, "carol@else.test");
        assert.equal((await signIn("carol")).record.id, id);
    });
});

describe("the exchange", () => {
    test("works without PKCE", async () => {
        await offer([idp.entry({ pkce: false })]);
        const provider = await begin();
        assert.deepEqual([provider.codeVerifier, provider.codeChallenge, provider.codeChallengeMethod], ["", "", ""]);
        assert.ok(!provider.authURL.includes("code_challenge"));
        assert.equal((await signIn("ann", { verifier: "" })).meta.id, "ann");
    });

    test("works with a provider that wants the secret in the form", async () => {
        await offer([idp.entry({ clientId: "conch-post" })]);
        assert.equal((await signIn("ann")).meta.id, "ann");
    });

    test("fails with a wrong secret", async () => {
        await offer([idp.entry({ clientSecret: "wrong" })]);
        await refuses(signIn("ann"));
    });
});

describe("an id_token", () => {
    // Stands before the provider's token endpoint and may replace the id_token in the answer.
    let middle, forge;
    before(async () => {
        middle = createServer(async (request, response) => {
            const chunks = [];
            for await (const chunk of request) chunks.push(chunk);
            const { authorization, "content-type": type } = request.headers;
            const answer = await fetch(`${idp.url}/token`, {
                method: "POST",
                body: Buffer.concat(chunks),
                headers: { "content-type": type, ...(authorization ? { authorization } : {}) },
            });
            const body = await answer.json();
            if (body.id_token && forge) body.id_token = await forge(body.id_token);
            response.writeHead(answer.status, { "content-type": "application/json" }).end(JSON.stringify(body));
        });
        await new Promise((resolve) => middle.listen(0, "127.0.0.1", resolve));
        const tokenURL = `http://127.0.0.1:${middle.address().port}/token`;
        const extra = { jwksURL: `${idp.url}/jwks`, issuers: [idp.url] };
        await offer([idp.entry({ tokenURL, userInfoURL: "", extra })]);
    });
    after(() => { middle?.closeAllConnections(); middle?.close(); });

    test("of the provider says who it is", async () => {
        forge = null;
        const { meta } = await signIn("dora");
        assert.equal(meta.id, "dora");
        assert.equal(meta.email, "dora@idp.test");
        assert.equal(meta.rawUser.iss, idp.url);
    });

    const encode = (part) => Buffer.from(JSON.stringify(part)).toString("base64url");
    const claimed = (token, changes = {}) => ({ ...jose.decodeJwt(token), sub: "ann", ...changes });
    const now = () => Math.floor(Date.now() / 1000);
    const forgeries = {
        "another key under the same name": async (token) =>
            idp.sign(claimed(token), {}, (await jose.generateKeyPair("RS256")).privateKey),
        "a key that is not published": (token) => idp.sign(claimed(token), { kid: "key-2" }),
        "no key's name": (token) => idp.sign(claimed(token), { kid: undefined }),
        "no signature": (token) => `${encode({ alg: "none", kid: "key-1" })}.${encode(claimed(token))}.`,
        "the public key as a shared secret": (token) => {
            const pem = createPublicKey({ key: idp.key, format: "jwk" }).export({ type: "spki", format: "pem" });
            const message = `${encode({ alg: "HS256", kid: "key-1" })}.${encode(claimed(token))}`;
            return `${message}.${createHmac("sha256", pem).update(message).digest("base64url")}`;
        },
        "another algorithm of the same key": async (token) => {
            const key = await jose.importJWK({ ...idp.key, alg: "PS256" }, "PS256");
            return new jose.SignJWT(claimed(token)).setProtectedHeader({ alg: "PS256", kid: "key-1" }).sign(key);
        },
        "changed claims": (token) => {
            const [header, , signature] = token.split(".");
            return `${header}.${encode(claimed(token))}.${signature}`;
        },
        "another audience": (token) => idp.sign(claimed(token, { aud: "another-app" })),
        "another issuer": (token) => idp.sign(claimed(token, { iss: "https://evil.example" })),
        "an end in the past": (token) => idp.sign(claimed(token, { exp: now() - 400 })),
        "a beginning in the future": (token) => idp.sign(claimed(token, { iat: now() + 400 })),
        "nothing of a token": () => "x",
    };
    for (const [name, forgery] of Object.entries(forgeries)) {
        test(`with ${name} is refused`, async () => {
            const before = await users();
            forge = forgery;
            await refuses(signIn("mallory"));
            assert.deepEqual(await users(), before);
        });
    }

    // The reference is as patient only with `iat`.
    test("may be a little early or late", { skip: process.env.TEST_TARGET === "pocketbase" }, async () => {
        forge = (token) => idp.sign(claimed(token, { sub: "dora", exp: now() - 200, iat: now() + 200 }));
        assert.equal((await signIn("dora")).meta.id, "dora");
    });
});

describe("the way back", () => {
    // The SDK wants an EventSource, which Node 20 does not have: as much of one as it uses.
    class EventSource extends EventTarget {
        #abort = new AbortController();
        constructor(url) {
            super();
            this.#read(url).catch((error) => this.onerror?.(error));
        }
        async #read(url) {
            const answer = await fetch(url, { signal: this.#abort.signal, headers: { accept: "text/event-stream" } });
            let text = "";
            for await (const chunk of answer.body.pipeThrough(new TextDecoderStream())) {
                const blocks = (text + chunk).split("\n\n");
                text = blocks.pop();
                for (const block of blocks) {
                    const lines = block.split("\n").map((line) => /^(\w+): ?(.*)$/.exec(line)).filter(Boolean);
                    const fields = Object.fromEntries(lines.map(([, name, value]) => [name, value]));
                    const event = new Event(fields.event ?? "message");
                    this.dispatchEvent(Object.assign(event, { data: fields.data, lastEventId: fields.id }));
                }
            }
        }
        close() { this.#abort.abort(); }
    }

    test("tells the client that waits, and it signs in", async () => {
        await offer([idp.entry()]);
        globalThis.EventSource = EventSource;
        const pb = client(server);
        let landed;
        const answer = await pb.collection("users").authWithOAuth2({
            provider: "oidc",
            urlCallback: async (url) => {
                // The popup: the provider sends it to the server, which is another site for it.
                const { url: back } = await signInAt(url, "ann");
                landed = await fetch(back, { redirect: "manual" });
            },
        });
        assert.equal(answer.meta.id, "ann");
        assert.equal(landed.status, 307);
        assert.equal(landed.headers.get("location"), "../_/#/auth/oauth2-redirect-success");
        pb.realtime.unsubscribe();
    });

    test("ends on the page of failure when nobody waits", async () => {
        const posted = { method: "POST", body: new URLSearchParams({ state: "x", code: "y" }) };
        for (const [init, status] of [[{}, 307], [posted, 303]]) {
            const answer = await fetch(`${server.url}/api/oauth2-redirect?state=x&code=y`, { redirect: "manual", ...init });
            assert.equal(answer.status, status);
            assert.equal(answer.headers.get("location"), "../_/#/auth/oauth2-redirect-failure");
        }
    });
});

describe("Apple's client secret", () => {
    const generate = (body, pb = admin(server)) =>
        pb.send("/api/settings/apple/generate-client-secret", { method: "POST", body });

    test("is a token that the key signed", async () => {
        const pair = await jose.generateKeyPair("ES256", { extractable: true });
        const privateKey = await jose.exportPKCS8(pair.privateKey);
        const body = { clientId: "my.app", teamId: "TEAM567890", keyId: "KEY4567890", privateKey, duration: 3600 };
        const { secret } = await generate(body);
        const { payload, protectedHeader } = await jose.jwtVerify(secret, pair.publicKey, {
            issuer: "TEAM567890", subject: "my.app", audience: "https://appleid.apple.com",
        });
        assert.deepEqual(protectedHeader, { alg: "ES256", kid: "KEY4567890", typ: "JWT" });
        assert.equal(payload.exp - payload.iat, 3600);
        await refuses(generate({ ...body, privateKey: "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----" }));
        await assert.rejects(generate(body, client(server)), { status: 401 });
    });
});

// With a certificate of our own authority, which the system is told to trust by SSL_CERT_FILE.
describe("over TLS", { skip: process.env.TEST_TARGET === "pocketbase" }, () => {
    let dir, secure, port;
    before(async () => {
        dir = temporaryDirectory("conch-tls-");
        const at = (name) => join(dir, name);
        const openssl = (...args) => run("openssl", args);
        openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", at("ca.key"), "-out", at("ca.pem"),
            "-subj", "/CN=Test CA", "-days", "2", "-addext", "basicConstraints=critical,CA:TRUE");
        openssl("req", "-newkey", "rsa:2048", "-nodes", "-keyout", at("key.pem"), "-out", at("csr.pem"), "-subj", "/CN=localhost");
        writeFileSync(at("ext"), "subjectAltName=DNS:localhost\nextendedKeyUsage=serverAuth\n");
        openssl("x509", "-req", "-in", at("csr.pem"), "-CA", at("ca.pem"), "-CAkey", at("ca.key"), "-CAcreateserial",
            "-out", at("cert.pem"), "-days", "2", "-extfile", at("ext"));
        secure = createTlsServer({ key: readFileSync(at("key.pem")), cert: readFileSync(at("cert.pem")) }, idp.handler);
        port = await freePort();
        await new Promise((resolve) => secure.listen(port, "localhost", resolve));
    });
    after(() => {
        secure?.closeAllConnections();
        secure?.close();
        if (dir) remove(dir);
    });

    async function attempt(env) {
        const conch = await startConch({ env });
        try {
            const base = `https://localhost:${port}`;
            await offer([idp.entry({ tokenURL: `${base}/token`, userInfoURL: `${base}/me` })], conch);
            return await signIn("ann", { pb: client(conch) });
        } finally {
            await conch.stop();
        }
    }

    test("a trusted provider is talked to", async () => {
        const { meta } = await attempt({ SSL_CERT_FILE: join(dir, "ca.pem") });
        assert.equal(meta.id, "ann");
    });

    test("one without a trusted certificate is not", async () => {
        await refuses(attempt({}));
    });
});
