// Certificates for tests: a certificate authority of our own (openssl), and one that speaks ACME (Debian's pebble, with
// its pebble-challtestsrv for names).
//
//   const own = makeAuthority(dir)              own.root: its certificate's path
//   own.sign(names, {from, until})              {cert, key}: paths of PEM files
//   const pebble = await startPebble(own, dir, {httpPort, tlsPort, …})
//   pebble.directory  await pebble.root()       its URL; the root of what it issues, in PEM
//   await pebble.stop()
//
// and a proxy before it (`startProxy`), which can be down, slow, or say something else.

import { spawn, spawnSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { createServer, request } from "node:https";
import { join } from "node:path";
import { freePort } from "./server.mjs";

function openssl(args, options = {}) {
    const done = spawnSync("openssl", args, { encoding: "utf8", ...options });
    if (done.status !== 0) throw new Error(`openssl ${args.join(" ")}:\n${done.stderr}`);
    return done.stdout;
}

const compact = (time) => time.toISOString().replaceAll(/[-:T]|\.\d+/g, "");

/** A root in `dir` that signs whatever is asked of it. */
export function makeAuthority(dir) {
    const at = (name) => join(dir, name);
    let count = 0;
    openssl(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "30",
        "-subj", "/CN=Test authority", "-keyout", at("root.key"), "-out", at("root.pem")]);
    return {
        root: at("root.pem"),
        sign(names, { from = new Date(Date.now() - 60_000), until = new Date(Date.now() + 86_400_000) } = {}) {
            const own = `leaf${++count}`;
            const alternatives = names.map((name) => (/^[\d.]+$|:/.test(name) ? `IP:${name}` : `DNS:${name}`)).join(",");
            writeFileSync(at("index.txt"), "");
            writeFileSync(at("ca.cnf"), `[ca]\ndefault_ca=d\n[d]\ndatabase=${at("index.txt")}\nnew_certs_dir=${dir}\n`
                + `rand_serial=yes\nunique_subject=no\ndefault_md=sha256\npolicy=p\nx509_extensions=e\n[p]\ncommonName=supplied\n`
                + `[e]\nsubjectAltName=${alternatives}\nauthorityKeyIdentifier=keyid\n`);
            openssl(["req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-subj", `/CN=${own}`,
                "-keyout", at(`${own}.key`), "-out", at(`${own}.csr`)]);
            openssl(["ca", "-config", at("ca.cnf"), "-batch", "-notext", "-cert", at("root.pem"), "-keyfile", at("root.key"),
                "-startdate", compact(from), "-enddate", compact(until), "-in", at(`${own}.csr`), "-out", at(`${own}.pem`)]);
            return { cert: at(`${own}.pem`), key: at(`${own}.key`) };
        },
    };
}

async function untilListening(port, exited) {
    for (const end = Date.now() + 15_000; Date.now() < end;) {
        if (exited()) break;
        const open = await new Promise((resolve) => {
            const asked = request({ host: "127.0.0.1", port, rejectUnauthorized: false, path: "/dir" }, (answer) => {
                answer.resume();
                resolve(true);
            });
            asked.once("error", (error) => resolve(error.code !== "ECONNREFUSED"));
            asked.end();
        });
        if (open) return;
        await new Promise((resolve) => setTimeout(resolve, 30));
    }
    throw new Error(`nobody listens on ${port}`);
}

/**
 * An authority that asks for its proofs on the given ports, for names that all lead to this machine.
 * `nonceReject`: so many percent of good nonces are refused. `validity`: seconds. `binding`: {id: key} of accounts.
 */
export async function startPebble(own, dir, { httpPort, tlsPort, port, nonceReject = 0, validity = 7_776_000, binding } = {}) {
    const [acme, management, dns] = [port ?? await freePort(), await freePort(), await freePort()];
    const { cert, key } = own.sign(["localhost", "127.0.0.1"]);
    const config = join(dir, `pebble-${acme}.json`);
    writeFileSync(config, JSON.stringify({ pebble: {
        listenAddress: `127.0.0.1:${acme}`, managementListenAddress: `127.0.0.1:${management}`, certificate: cert, privateKey: key,
        httpPort, tlsPort, ocspResponderURL: "", certificateValidityPeriod: validity,
        externalAccountBindingRequired: Boolean(binding), externalAccountMACKeys: binding ?? {},
    } }));
    const names = spawn("pebble-challtestsrv", ["-defaultIPv4", "127.0.0.1", "-defaultIPv6", "", "-dns01", `127.0.0.1:${dns}`,
        "-http01", "", "-https01", "", "-tlsalpn01", "", "-management", `127.0.0.1:${await freePort()}`], { stdio: "ignore" });
    const env = { ...process.env, PEBBLE_VA_NOSLEEP: "1", PEBBLE_WFE_NONCEREJECT: String(nonceReject), PEBBLE_AUTHZREUSE: "0" };
    const pebble = spawn("pebble", ["-config", config, "-dnsserver", `127.0.0.1:${dns}`], { env, stdio: ["ignore", "pipe", "pipe"] });
    let log = "";
    for (const stream of [pebble.stdout, pebble.stderr]) stream.on("data", (piece) => { log += piece; });
    await untilListening(acme, () => pebble.exitCode !== null || pebble.signalCode !== null).catch((error) => { throw new Error(`${error.message}\n${log}`); });
    const get = (path) => new Promise((resolve, reject) => {
        request({ host: "127.0.0.1", port: management, path, rejectUnauthorized: false }, async (answer) => {
            let text = "";
            for await (const piece of answer) text += piece;
            resolve(text);
        }).once("error", reject).end();
    });
    return {
        port: acme,
        directory: `https://127.0.0.1:${acme}/dir`,
        root: () => get("/roots/0"),
        log: () => log,
        /** How many certificates it has issued. */
        issued: () => log.split("Issued certificate serial").length - 1,
        async stop() {
            for (const child of [names, pebble]) {
                if (child.exitCode === null && child.signalCode === null) {
                    child.kill("SIGKILL");
                    await new Promise((resolve) => child.once("exit", resolve));
                }
            }
        },
    };
}

/**
 * Stands before an authority. `proxy.answer = async (path, forward) => ({status, headers, body})` may say something else
 * than what `forward()` would have; requests are in `proxy.seen`.
 */
export async function startProxy(own, target) {
    const { cert, key } = own.sign(["127.0.0.1"]);
    const proxy = { seen: [], answer: (_path, forward) => forward() };
    const server = createServer({ cert: readFileSync(cert), key: readFileSync(key) }, async (asked, answer) => {
        const pieces = [];
        for await (const piece of asked) pieces.push(piece);
        proxy.seen.push(`${asked.method} ${asked.url}`);
        const forward = () => new Promise((resolve, reject) => {
            // Its URLs are made from the Host that it was asked for: they lead back here.
            const on = request({ host: "127.0.0.1", port: target.port, method: asked.method, path: asked.url, headers: asked.headers,
                rejectUnauthorized: false }, async (from) => {
                const body = [];
                for await (const piece of from) body.push(piece);
                resolve({ status: from.statusCode, headers: from.headers, body: Buffer.concat(body) });
            });
            on.once("error", reject);
            on.end(Buffer.concat(pieces));
        });
        const said = await proxy.answer(asked.url, forward);
        answer.writeHead(said.status, said.headers);
        answer.end(said.body);
    });
    await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
    proxy.directory = `https://127.0.0.1:${server.address().port}/dir`;
    proxy.stop = () => { server.closeAllConnections(); return new Promise((resolve) => server.close(resolve)); };
    return proxy;
}
