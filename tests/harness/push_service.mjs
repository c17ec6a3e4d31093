// Providers of pushes that tests are: a push service for browsers whose messages are decrypted by an independent
// implementation (http_ece), and Google's FCM with its token endpoint, which checks what it is shown with jose.

import assert from "node:assert/strict";
import { createECDH, generateKeyPairSync, randomBytes } from "node:crypto";
import { createServer } from "node:http";
import ece from "http_ece";
import { base64url, importJWK, importSPKI, jwtVerify } from "jose";

/** An HTTP server that keeps what it is asked; `answer(request, count)` gives `{status, headers, body}`. */
async function listen(answer) {
    const requests = [];
    const server = createServer(async (incoming, outgoing) => {
        const chunks = [];
        for await (const chunk of incoming) chunks.push(chunk);
        const request = { method: incoming.method, path: incoming.url, headers: incoming.headers, body: Buffer.concat(chunks), at: Date.now() };
        requests.push(request);
        const { status = 201, headers = {}, body = "", hang = false } = await answer(request, requests.filter(({ path }) => path === request.path).length) ?? {};
        if (hang) return;
        outgoing.writeHead(status, headers);
        if (headers["content-length"] > body.length) {
            outgoing.write(body);
            setTimeout(() => outgoing.destroy(), 50);
            return;
        }
        outgoing.end(typeof body === "string" ? body : JSON.stringify(body));
    });
    await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
    const stop = () => {
        server.closeAllConnections();
        return new Promise((resolve) => server.close(resolve));
    };
    return { requests, origin: `http://127.0.0.1:${server.address().port}`, stop };
}

/** A push service. `answers[path]` is how a subscription's messages are answered; others are taken. */
export async function startPushService() {
    const answers = {};
    const service = await listen((request, count) => {
        const answer = answers[request.path];
        return typeof answer === "function" ? answer(count) : answer ?? { status: 201, headers: { location: `/messages/${count}` } };
    });
    return { ...service, answers, to: (path) => service.requests.filter((request) => request.path === path) };
}

/** The browser's side of a subscription. */
export class Browser {
    constructor(service, path) {
        this.path = path;
        this.key = createECDH("prime256v1");
        this.key.generateKeys();
        this.auth = randomBytes(16);
        this.subscription = {
            endpoint: service.origin + path,
            expirationTime: null,
            keys: { p256dh: this.key.getPublicKey("base64url"), auth: this.auth.toString("base64url") },
        };
    }

    /** What a message says. */
    open({ body }) {
        const text = ece.decrypt(body, { version: "aes128gcm", privateKey: this.key, authSecret: this.auth });
        return JSON.parse(text.toString("utf8"));
    }
}

/** The claims of a message's VAPID token (RFC 8292), verified with the key beside it. */
export async function vapidClaims({ headers }) {
    const [, token, key] = /^vapid t=([\w.-]+), k=([\w-]+)$/.exec(headers.authorization);
    const point = base64url.decode(key);
    assert.equal(point.length, 65);
    const part = (from, to) => base64url.encode(point.subarray(from, to));
    const jwk = await importJWK({ kty: "EC", crv: "P-256", x: part(1, 33), y: part(33, 65) }, "ES256");
    const { payload, protectedHeader } = await jwtVerify(token, jwk, { algorithms: ["ES256"] });
    return { ...payload, key, header: protectedHeader };
}

/** FCM and the token endpoint. `answers[registration token]` is how its messages are answered. */
export async function startFcm() {
    const { privateKey, publicKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
    const account = {
        type: "service_account", project_id: "push-test", private_key_id: "key-1", client_email: "push@push-test.iam.gserviceaccount.com",
        token_uri: "https://oauth2.googleapis.com/token",
        private_key: privateKey.export({ type: "pkcs8", format: "pem" }),
    };
    const verifier = await importSPKI(publicKey.export({ type: "spki", format: "pem" }), "RS256");
    const good = new Set(), problems = [], answers = {}, messages = [];
    let tokenFailure;
    const service = await listen(async ({ path, headers, body }) => {
        if (path === "/token") {
            if (tokenFailure) return tokenFailure;
            try {
                const form = new URLSearchParams(body.toString());
                assert.equal(form.get("grant_type"), "urn:ietf:params:oauth:grant-type:jwt-bearer");
                const { payload, protectedHeader } = await jwtVerify(form.get("assertion"), verifier, {
                    algorithms: ["RS256"], audience: `${service.origin}/token`, issuer: account.client_email, maxTokenAge: "1h",
                });
                assert.equal(protectedHeader.kid, "key-1");
                assert.equal(payload.scope, "https://www.googleapis.com/auth/firebase.messaging");
                assert.ok(payload.exp - payload.iat <= 3600);
            } catch (error) {
                problems.push(error);
                return { status: 400, body: { error: "invalid_grant", error_description: String(error) } };
            }
            const token = `ya29.${randomBytes(12).toString("hex")}`;
            good.add(token);
            return { status: 200, body: { access_token: token, expires_in: 3599, token_type: "Bearer" } };
        }
        if (path !== "/v1/projects/push-test/messages:send") return { status: 404, body: "no such page" };
        if (!good.has(headers.authorization?.replace("Bearer ", ""))) return { status: 401, body: { error: { code: 401, status: "UNAUTHENTICATED" } } };
        const { message } = JSON.parse(body);
        messages.push(message);
        const count = messages.filter(({ token }) => token === message.token).length;
        const answer = answers[message.token];
        return (typeof answer === "function" ? answer(count) : answer) ?? { status: 200, body: { name: `projects/push-test/messages/${messages.length}` } };
    });
    const fcmError = (status, code, headers) => ({
        status, headers,
        body: { error: { code: status, message: `said ${code}`, status: code, details: [{ "@type": "type.googleapis.com/google.firebase.fcm.v1.FcmError", errorCode: code }] } },
    });
    return {
        ...service, answers, messages, problems, fcmError,
        settings: { serviceAccount: JSON.stringify(account), baseURL: service.origin, tokenURL: `${service.origin}/token` },
        tokens: () => service.requests.filter(({ path }) => path === "/token").length,
        /** As if Google had taken all tokens back. */
        revoke: () => good.clear(),
        failTokens: (failure) => { tokenFailure = failure; },
    };
}
