// Certificates out of an authority that speaks ACME: obtained, renewed, and what happens when it is down, slow or says no.
// The authority is Debian's pebble.

import assert from "node:assert/strict";
import { readFileSync, statSync, writeFileSync, mkdirSync, readdirSync } from "node:fs";
import { request } from "node:http";
import { connect } from "node:net";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { makeAuthority, startPebble, startProxy } from "../harness/authority.mjs";
import { conchBinary, freePort, remove, run, startConch, startConchOn, startPocketBaseWith, temporaryDirectory } from "../harness/server.mjs";
import { eventually, get, openHttp2, presented } from "../harness/tls.mjs";

const dir = temporaryDirectory("conch-tls-");
const own = makeAuthority(dir);
const running = new Set();
const kept = async (starting) => {
    const server = await starting;
    running.add(server);
    return server;
};
after(async () => {
    for (const server of running) await server.stop();
    remove(dir);
});

/** Two ports for a server, as the authority has to know them before. */
const ports = async () => ({ httpPort: await freePort(), tlsPort: await freePort() });
const options = ({ httpPort, tlsPort }, directory) => [
    "--http", `127.0.0.1:${httpPort}`, "--https", `127.0.0.1:${tlsPort}`, "--acme-directory", directory, "--acme-ca", own.root,
];
/** A temporary server for `names`. */
const serve = (names, at, directory, more = []) => kept(startConch({ args: [...options(at, directory), ...more, ...names], http: null }));
const trusted = (port, name, ca) => async () => {
    const seen = await presented(port, name, { ca });
    return seen.trusted && seen;
};

// Mostly they wait, each for an authority of its own.
describe("an authority", { concurrency: 12 }, () => {
    test("certificates are obtained on the TLS port, in spite of refused nonces", async (t) => {
        const at = await ports();
        const pebble = await kept(startPebble(own, dir, { ...at, nonceReject: 15 }));
        const conch = await serve(["app.test", "API.test"], at, pebble.directory, ["--acme-email", "me@example.com"]);
        assert.deepEqual([conch.url, conch.redirects], [`https://app.test:${at.tlsPort}`, `http://127.0.0.1:${at.httpPort}`]);
        const ca = await pebble.root();

        await t.test("every domain has its own", async () => {
            for (const name of ["app.test", "api.test"]) {
                const seen = await eventually(`a certificate for ${name}`, trusted(at.tlsPort, name, ca));
                assert.equal(seen.names, `DNS:${name}`);
                assert.equal(seen.protocol, "TLSv1.3");
            }
        });
        await t.test("TLS 1.2 is spoken, older versions are not", async () => {
            assert.equal((await presented(at.tlsPort, "app.test", { ca, maxVersion: "TLSv1.2" })).protocol, "TLSv1.2");
            const old = { ca, minVersion: "TLSv1.1", maxVersion: "TLSv1.1", ciphers: "DEFAULT@SECLEVEL=0" };
            await assert.rejects(presented(at.tlsPort, "app.test", old), /alert|protocol/i);
        });
        await t.test("unknown names are refused, no name gets the first", async () => {
            await assert.rejects(presented(at.tlsPort, "evil.test", { ca }), /alert|ECONNRESET/);
            assert.equal((await presented(at.tlsPort, "", { ca })).names, "DNS:app.test");
            await assert.rejects(presented(at.tlsPort, "app.test", { ca, ALPNProtocols: ["acme-tls/1"] }), /alert|ECONNRESET/);
        });
        await t.test("a www. twin gets one when somebody asks for it", async () => {
            assert.ok((await presented(at.tlsPort, "www.app.test", { ca })).selfSigned);
            await eventually("a certificate for www.app.test", trusted(at.tlsPort, "www.app.test", ca));
            // It leads to the name that was given, whatever is spoken.
            const sent = await get(at.tlsPort, "/x?y=1", { name: "www.app.test", ca, headers: { host: "www.app.test" } });
            assert.deepEqual([sent.status, sent.headers.location], [307, "https://app.test/x?y=1"]);
            const http2 = await openHttp2(at.tlsPort, { name: "www.app.test", ca });
            const again = await http2.ask("/x?y=1", { headers: { ":authority": "www.app.test" } });
            assert.deepEqual([again.status, again.headers.location], [307, "https://app.test/x?y=1"]);
            http2.close();
        });
        await t.test("HTTP leads to HTTPS", async () => {
            const ask = (path, init) => fetch(`http://127.0.0.1:${at.httpPort}${path}`, { redirect: "manual", ...init });
            const sent = await ask("/api/health?x=1");
            assert.deepEqual([sent.status, sent.headers.get("location")], [302, `https://127.0.0.1:${at.tlsPort}/api/health?x=1`]);
            assert.equal((await ask("/_/", { method: "HEAD" })).status, 302);
            assert.equal((await ask("/api/collections", { method: "POST", body: "{}" })).status, 400);
            assert.equal((await ask("/.well-known/acme-challenge/nothing")).status, 404);
        });
        await t.test("HTTP/2 and HTTP/1.1 answer", async () => {
            assert.equal((await get(at.tlsPort, "/api/health", { name: "app.test", ca })).status, 200);
            const http2 = await openHttp2(at.tlsPort, { name: "app.test", ca });
            assert.equal((await http2.ask("/api/health")).status, 200);
            http2.close();
        });
    });

    test("they are obtained on the plain port where the other cannot be reached", async () => {
        const at = await ports();
        const pebble = await kept(startPebble(own, dir, { httpPort: at.httpPort, tlsPort: await freePort() }));
        const conch = await serve(["app.test"], at, pebble.directory);
        await eventually("a certificate", trusted(at.tlsPort, "app.test", await pebble.root()));
        assert.match(conch.log(), /no certificate was obtained/);
    });

    test("an account of the authority's own is bound to ours", async () => {
        const at = await ports();
        const key = "zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W";
        const pebble = await kept(startPebble(own, dir, { ...at, binding: { "kid-1": key } }));
        const conch = await serve(["app.test"], at, pebble.directory, ["--acme-eab-id", "kid-1", "--acme-eab-key", key]);
        await eventually("a certificate", trusted(at.tlsPort, "app.test", await pebble.root()));
        // Without it the authority says no, the log says so, and the server goes on with what it has.
        await conch.stop();
        await serve(["app.test"], at, pebble.directory).then(async (unbound) => {
            await eventually("the refusal in the log", () => /externalAccountRequired/.test(unbound.log()));
            const http2 = await openHttp2(at.tlsPort, { name: "app.test", ca: undefined }).catch((error) => error);
            assert.match(String(http2.code ?? http2), /SELF_SIGNED/);
            assert.ok((await presented(at.tlsPort, "app.test")).selfSigned);
        });
    });

    test("a server whose authority is down runs, and has its certificate when that is back", async () => {
        const at = await ports();
        const port = await freePort();
        const conch = await serve(["app.test"], at, `https://127.0.0.1:${port}/dir`);
        assert.ok((await presented(at.tlsPort, "app.test")).selfSigned);
        await eventually("the failure in the log", () => /no certificate was obtained/.test(conch.log()));
        const pebble = await kept(startPebble(own, dir, { ...at, port }));
        await eventually("a certificate", trusted(at.tlsPort, "app.test", await pebble.root()), 30_000);
    });

    test("an authority that is slow, wrong or tired is waited for", async () => {
        const at = await ports();
        const pebble = await kept(startPebble(own, dir, at));
        const proxy = await kept(startProxy(own, pebble));
        let mood = "tired";
        let from;
        proxy.answer = async (path, forward) => {
            if (mood === "tired" && path.startsWith("/order-plz")) {
                from = Date.now();
                mood = "wrong";
                return { status: 429, headers: { "retry-after": "4", "content-type": "application/problem+json" },
                    body: JSON.stringify({ type: "urn:ietf:params:acme:error:rateLimited", detail: "too many orders" }) };
            }
            if (mood === "wrong" && path.startsWith("/order-plz")) {
                mood = "slow";
                assert.ok(Date.now() - from >= 4000, `it came back after ${Date.now() - from} ms`);
                return { status: 500, headers: {}, body: "<html>" };
            }
            if (mood === "slow" && path.startsWith("/order-plz")) await new Promise((resolve) => setTimeout(resolve, 1500));
            return forward();
        };
        const seeded = join(dir, "tired");
        // With a certificate that has little time left, an hour's pause would be too long.
        seed(seeded, "app.test", 60, 20);
        const conch = await kept(startOn(seeded, ["app.test"], at, proxy.directory));
        await eventually("a certificate", trusted(at.tlsPort, "app.test", await pebble.root()), 40_000);
        assert.match(conch.log(), /too many orders/);
        assert.match(conch.log(), /the certificate that it has/);
    });

    test("one that never answers holds nothing up, not even the end", async () => {
        const at = await ports();
        const proxy = await kept(startProxy(own, { port: 1 }));
        proxy.answer = () => new Promise(() => {});
        const conch = await serve(["app.test"], at, proxy.directory);
        await eventually("it is asked", () => proxy.seen.length > 0);
        assert.ok((await presented(at.tlsPort, "app.test")).selfSigned);
        const from = performance.now();
        assert.equal((await conch.stop()).code, 0);
        assert.ok(performance.now() - from < 8000, `it took ${performance.now() - from} ms to end`);
    });

    /** Leaves a certificate in a data directory that began `age` seconds ago and has `left` seconds to go. */
    function seed(data, name, age, left) {
        const folder = join(data, ".autocert_cache");
        mkdirSync(folder, { recursive: true });
        const now = Date.now();
        const { cert, key } = own.sign([name], { from: new Date(now - age * 1000), until: new Date(now + left * 1000) });
        writeFileSync(join(folder, name), readFileSync(key, "utf8") + readFileSync(cert, "utf8"));
    }

    /** A server on a directory of its own, which is not asked for health: nobody here resolves its names. */
    function startOn(data, names, at, directory) {
        return startConchOn(data, { args: [...options(at, directory), ...names], http: null, healthy: false });
    }

    test("certificates outlive a restart and are renewed in time", async () => {
        const at = await ports();
        const pebble = await kept(startPebble(own, dir, { ...at, validity: 8 }));
        const data = join(dir, "renewal");
        // As PocketBase left it: about to be due.
        seed(data, "app.test", 60, 48);
        const ca = await pebble.root();
        const first = await kept(startOn(data, ["app.test"], at, pebble.directory));
        const old = await presented(at.tlsPort, "app.test", { ca: readFileSync(own.root) });
        assert.ok(old.trusted, "what was there is used");
        const second = await eventually("the first renewal", trusted(at.tlsPort, "app.test", ca));
        const third = await eventually("the next renewal", async () => {
            const seen = await presented(at.tlsPort, "app.test", { ca });
            return seen.fingerprint !== second.fingerprint && seen;
        });
        assert.ok(third.trusted);
        const files = readdirSync(join(data, ".autocert_cache"));
        assert.equal(files.length, 2, files.join());
        for (const name of files) assert.equal(statSync(join(data, ".autocert_cache", name)).mode & 0o777, 0o600);

        // The authority goes: what is in use stays, even beyond its end.
        await pebble.stop();
        const last = await presented(at.tlsPort, "app.test", { ca });
        await eventually("the failure in the log", () => /the certificate that it has/.test(first.log()));
        assert.ok((await first.stop()).code === 0);
        const again = await kept(startOn(data, ["app.test"], at, pebble.directory));
        assert.equal((await presented(at.tlsPort, "app.test", { ca })).fingerprint, last.fingerprint);
        await eventually("it has ended, and is used", () => /a certificate that has ended/.test(again.log()));
        assert.equal((await presented(at.tlsPort, "app.test", { ca })).fingerprint, last.fingerprint);
        // A new one on the same place has forgotten our account.
        const reborn = await kept(startPebble(own, dir, { ...at, port: pebble.port }));
        await eventually("a certificate", trusted(at.tlsPort, "app.test", await reborn.root()), 30_000);
    });

    test("the authority may have a certificate renewed before its time", async () => {
        const at = await ports();
        const pebble = await kept(startPebble(own, dir, at));
        const proxy = await kept(startProxy(own, pebble));
        const moment = (seconds) => new Date(Date.now() + seconds * 1000).toISOString();
        proxy.answer = async (path, forward) => {
            if (path.startsWith("/renewal/")) {
                // In a past window: at once.
                return { status: 200, headers: { "retry-after": "21600" },
                    body: JSON.stringify({ suggestedWindow: { start: moment(-7200), end: moment(-3600) } }) };
            }
            const said = await forward();
            if (path !== "/dir") return said;
            const directory = { ...JSON.parse(said.body), renewalInfo: new URL("/renewal", proxy.directory).href };
            return { ...said, headers: { "content-type": "application/json" }, body: JSON.stringify(directory) };
        };
        const data = join(dir, "information");
        seed(data, "app.test", 86_400, 86_400 * 40);
        await kept(startOn(data, ["app.test"], at, proxy.directory));
        await eventually("a renewal", trusted(at.tlsPort, "app.test", await pebble.root()));
        assert.ok(proxy.seen.some((line) => /^GET \/renewal\/[\w-]+\.[\w-]+$/.test(line)), proxy.seen.join("\n"));
        await new Promise((resolve) => setTimeout(resolve, 1500));
        assert.equal(pebble.issued(), 1, "and not again and again");
    });

    test("one of another authority is replaced by one of this", async () => {
        const at = await ports();
        const data = join(dir, "moved");
        const [old, other] = [await kept(startPebble(own, dir, at)), await kept(startPebble(own, dir, at))];
        const before = await kept(startOn(data, ["app.test"], at, old.directory));
        await eventually("a certificate", trusted(at.tlsPort, "app.test", await old.root()));
        await before.stop();
        const stored = readFileSync(join(data, ".autocert_cache", "app.test"));
        // Killed while it wrote, it left something half.
        writeFileSync(join(data, ".autocert_cache", "app.test+new"), stored.subarray(0, 100));
        await kept(startOn(data, ["app.test"], at, other.directory));
        await eventually("another", trusted(at.tlsPort, "app.test", await other.root()));
    });
});

test("what cannot work is said before anything starts", () => {
    for (const [args, said] of [
        [["*.app.test"], /wildcard/],
        [["1.2.3.4"], /address and no domain/],
        [["app.test", "--acme-directory", "http://ca.test/dir"], /https:\/\/ URL/],
        [["app.test", "--acme-ca", "/nonexistent"], /cannot read/],
        [["app.test", "--acme-eab-id", "x", "--acme-eab-key", "?"], /base64url/],
        [["--cert", "/nonexistent", "--key", "/nonexistent"], /cannot read/],
        [["--cert", "/nonexistent"], /--key/],
    ]) {
        const done = run(conchBinary, ["serve", "--temp", "--https", "127.0.0.1:0", ...args], { mayFail: true });
        assert.notEqual(done.status, 0, args.join(" "));
        assert.match(done.stderr, said);
    }
});

test("HTTP beside HTTPS answers as the reference does", async () => {
    const at = await ports();
    const [conch, reference] = [await freePort(), await freePort()];
    await kept(startConch({ http: `127.0.0.1:${conch}`, args: ["--https", `127.0.0.1:${at.tlsPort}`, "--acme-directory", "https://127.0.0.1:1/", "app.test"] }));
    await kept(startPocketBaseWith(["app.test", "--http", `127.0.0.1:${reference}`, "--https", `127.0.0.1:${at.httpPort}`], reference));
    const ask = (port, method, path, host) => new Promise((resolve, reject) => {
        const asked = request({ host: "127.0.0.1", port, method, path, headers: { host } }, (answer) => {
            answer.resume();
            // Where PocketBase says 443, we say where HTTPS is.
            resolve([answer.statusCode, answer.headers.location?.replace(/^(https:\/\/[^/:]+):\d+/, "$1")]);
        });
        asked.once("error", reject);
        asked.end();
    });
    for (const host of ["app.test", "www.app.test", "other.test", `app.test:${at.httpPort}`, "127.0.0.1"]) {
        for (const [method, path] of [["GET", "/"], ["GET", "/api/health?a=b"], ["HEAD", "/_/"], ["GET", "//x"], ["GET", "/a/../b"], ["GET", "/%2e%2e/%C3%BC"],
            ["POST", "/api/x"], ["PUT", "/"], ["PATCH", "/x"], ["DELETE", "/x"], ["OPTIONS", "/x"]]) {
            assert.deepEqual(await ask(conch, method, path, host), await ask(reference, method, path, host), `${method} ${path} ${host}`);
        }
    }
});

test("silent connections on the TLS port keep nobody out", async () => {
    const at = await ports();
    await serve([], at, "https://127.0.0.1:1/dir");
    // More than the handshakes that are done at once where that is left as it is.
    const silent = Array.from({ length: 900 }, () => connect(at.tlsPort, "127.0.0.1"));
    await Promise.all(silent.map((socket) => new Promise((resolve) => socket.once("connect", resolve))));
    const from = performance.now();
    for (let turn = 0; turn < 5; turn++) assert.ok((await presented(at.tlsPort, "localhost")).selfSigned);
    const took = performance.now() - from;
    assert.ok(took < 3000, `five handshakes took ${took} ms`);
    // They are not kept for ever either.
    const closed = new Promise((resolve) => silent[0].once("close", resolve));
    silent[0].resume();
    await closed;
    for (const socket of silent) socket.destroy();
});
