// A real OpenID provider (npm oidc-provider) for the suites, and a person with a browser who signs in there.
//
//   const idp = await startIdentityProvider()
//   const { code } = await signInAt(authURL + encodeURIComponent(redirect), "ann")
//   await idp.stop()
//
// Logins name the person: `ann` has the verified address ann@idp.test, `liar` one that nobody has verified.

import { createServer } from "node:http";
import * as jose from "jose";
import Provider from "oidc-provider";

export const redirectURL = "https://app.example/back";

/** Starts the provider; `keys` are its private keys, to sign what it would sign. */
export async function startIdentityProvider({ redirects = [] } = {}) {
    const pair = await jose.generateKeyPair("RS256", { extractable: true });
    const key = { ...(await jose.exportJWK(pair.privateKey)), alg: "RS256", use: "sig", kid: "key-1" };
    const server = createServer();
    await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
    const url = `http://127.0.0.1:${server.address().port}`;
    const client = (client_id, token_endpoint_auth_method) => ({
        client_id,
        client_secret: "se/cret+of%idp-and-long-enough-to-sign",
        token_endpoint_auth_method,
        redirect_uris: [redirectURL, ...redirects],
        response_types: ["code"],
        grant_types: ["authorization_code"],
    });
    const provider = new Provider(url, {
        clients: [client("conch", "client_secret_basic"), client("conch-post", "client_secret_post")],
        jwks: { keys: [key] },
        cookies: { keys: ["test"] },
        pkce: { required: () => false },
        claims: { email: ["email", "email_verified"], profile: ["name", "preferred_username", "picture"] },
        conformIdTokenClaims: false,
        findAccount: (_, id) => ({ accountId: id, claims: () => claimsOf(id) }),
        ttl: { AccessToken: 600, AuthorizationCode: 60, IdToken: 600, Interaction: 600, Session: 600, Grant: 600 },
    });
    provider.on("server_error", (_, error) => console.error(error));
    server.on("request", provider.callback());
    return {
        url,
        key,
        handler: provider.callback(),
        /** An entry of a collection's providers. */
        entry: (changes = {}) => ({
            name: "oidc",
            clientId: "conch",
            clientSecret: "se/cret+of%idp-and-long-enough-to-sign",
            authURL: `${url}/auth`,
            tokenURL: `${url}/token`,
            userInfoURL: `${url}/me`,
            displayName: "Our IdP",
            pkce: null,
            extra: {},
            ...changes,
        }),
        sign: async (claims, header = {}, signer = pair.privateKey) =>
            new jose.SignJWT(claims).setProtectedHeader({ alg: "RS256", kid: "key-1", ...header }).sign(signer),
        stop: () => new Promise((resolve) => { server.closeAllConnections(); server.close(resolve); }),
    };
}

function claimsOf(id) {
    return {
        sub: id,
        name: `The ${id}`,
        preferred_username: id,
        email: `${id === "liar" ? "victim" : id}@idp.test`,
        email_verified: id !== "liar",
    };
}

/** A person who opens `url` in a fresh browser, signs in as `login`, consents, and ends at the redirect's URL. */
export async function signInAt(url, login) {
    const cookies = new Map();
    let next = { url, method: "GET" };
    for (let step = 0; step < 20; step++) {
        const answer = await fetch(next.url, {
            method: next.method,
            body: next.body,
            redirect: "manual",
            headers: { cookie: [...cookies].map(([name, value]) => `${name}=${value}`).join("; ") },
        });
        for (const cookie of answer.headers.getSetCookie()) {
            const [name, value] = cookie.split(";")[0].split("=");
            if (value) cookies.set(name, value); else cookies.delete(name);
        }
        const location = answer.headers.get("location");
        if (location) {
            const target = new URL(location, next.url);
            if (target.origin !== new URL(url).origin) {
                return { url: target, code: target.searchParams.get("code"), state: target.searchParams.get("state") };
            }
            next = { url: target, method: "GET" };
            continue;
        }
        const page = await answer.text();
        const action = /action="([^"]+)"/.exec(page)?.[1];
        const prompt = /name="prompt" value="([^"]+)"/.exec(page)?.[1];
        if (!action) throw new Error(`${answer.status} at ${next.url}: ${page.slice(0, 500)}`);
        const form = new URLSearchParams({ prompt, ...(prompt === "login" ? { login, password: "any" } : {}) });
        next = { url: new URL(action, next.url), method: "POST", body: form };
    }
    throw new Error("the provider never came back");
}
