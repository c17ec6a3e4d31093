// Starts the executables under test and the reference, and stops them again.
//
//   const conch = await startConch()            a temporary server with a superuser
//   conch.url  conch.token  conch.dir           where it is, its superuser's token, its directory
//   await conch.stop()                          SIGTERM, waits for the exit
//
// `startPocketBase` gives the same for the reference; `startTarget` picks by TEST_TARGET, so that a suite which
// speaks only the wire can be held against the reference as well.

import { spawn, spawnSync } from "node:child_process";
import { randomInt } from "node:crypto";
import { mkdtempSync, rmSync, existsSync, openSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import PocketBase from "pocketbase";

const root = join(dirname(fileURLToPath(import.meta.url)), "..", "..");

/** Where the executables are; `tests/run` sets both. */
export const conchBinary = process.env.CONCH_BIN ?? join(root, "target", "release", "conch");
export const pocketBaseBinary = process.env.POCKETBASE_BIN ?? join(root, "tests", ".cache", "pocketbase-0.40.6");

export const superuser = { email: "root@example.com", password: "root-password-1" };

/** A fresh directory that `stop` of its server removes. */
export function temporaryDirectory(prefix = "conch-test-") {
    return mkdtempSync(join(tmpdir(), prefix));
}

const handedOut = new Set();

/**
 * A port on which nobody listens. None of those that the system gives to outgoing connections (from 32768 on), which
 * might take it before a server does; nor is 10,000 more, where SeaweedFS listens as well.
 */
export async function freePort() {
    for (;;) {
        const port = randomInt(10_240, 22_768);
        if (handedOut.has(port)) continue;
        handedOut.add(port);
        const server = createServer();
        const isFree = await new Promise((resolve) => {
            server.once("error", () => resolve(false));
            server.listen(port, "127.0.0.1", () => server.close(() => resolve(true)));
        });
        if (isFree) return port;
    }
}

function start(binary, args, { env = {}, stdout = "pipe" } = {}) {
    if (!existsSync(binary)) {
        throw new Error(`${binary} is missing: run tests/run, which builds and fetches what the suites need`);
    }
    const child = spawn(binary, args, { env: { ...process.env, ...env }, stdio: ["ignore", stdout, "pipe"] });
    let log = "";
    child.stderr.on("data", (chunk) => { log = (log + chunk).slice(-64_000); });
    const exited = new Promise((resolve) => child.once("exit", (code, signal) => resolve({ code, signal })));
    return { child, exited, log: () => log };
}

async function stop({ child, exited }, signal = "SIGTERM") {
    if (child.exitCode === null && child.signalCode === null) child.kill(signal);
    return exited;
}

/** `conch serve --temp` on a free port, ready when it says so. */
export async function startConch({ args = [], env = {}, http = "127.0.0.1:0" } = {}) {
    const started = start(conchBinary, ["serve", "--temp", ...(http ? ["--http", http] : []), ...args], { env });
    const lines = createInterface({ input: started.child.stdout });
    const ready = await Promise.race([
        new Promise((resolve) => lines.once("line", (line) => resolve(JSON.parse(line)))),
        started.exited.then(({ code }) => {
            throw new Error(`conch exited with ${code} before it was ready:\n${started.log()}`);
        }),
    ]);
    return { ...ready, kind: "conch", log: started.log, exited: started.exited, stop: (signal) => stop(started, signal) };
}

/**
 * A server on a directory of the caller's, with the superuser of this file. Without `healthy` it is ready as soon as it
 * says where it listens, and nobody is signed in.
 */
export async function startConchOn(dir, { args = [], env = {}, http = "127.0.0.1:0", healthy = true } = {}) {
    run(conchBinary, ["superuser", "upsert", superuser.email, superuser.password, "--dir", dir]);
    const started = start(conchBinary, ["serve", ...(http ? ["--http", http] : []), "--dir", dir, ...args], { env });
    if (!healthy) {
        const said = () => /listening on (\S+)/.exec(started.log())?.[1];
        while (!said()) {
            if (started.child.exitCode !== null) throw new Error(`conch exited:\n${started.log()}`);
            await new Promise((resolve) => setTimeout(resolve, 20));
        }
        return { kind: "conch", url: said(), dir, pid: started.child.pid, log: started.log, exited: started.exited, stop: (signal) => stop(started, signal) };
    }
    return whenHealthy("conch", started, dir);
}

/** The reference on a fresh directory. */
export async function startPocketBase({ dir = temporaryDirectory("pocketbase-test-"), args = [] } = {}) {
    // Without these it would read what others left beside its directory.
    const own = ["--dir", dir, "--migrationsDir", join(dir, "no_migrations"), "--hooksDir", join(dir, "no_hooks"), "--automigrate=false"];
    run(pocketBaseBinary, ["superuser", "upsert", superuser.email, superuser.password, ...own]);
    for (let attempt = 1; ; attempt++) {
        // It cannot pick a port itself, and between our looking and its taking somebody else may.
        const port = await freePort();
        const started = start(pocketBaseBinary, ["serve", "--http", `127.0.0.1:${port}`, ...own, ...args]);
        try {
            return await whenHealthy("pocketbase", started, dir);
        } catch (error) {
            if (attempt === 5 || !/address already in use/.test(error.message)) throw error;
        }
    }
}

/** The reference on a fresh directory with what it is told, ready when `port` answers. */
export async function startPocketBaseWith(args, port) {
    const dir = temporaryDirectory("pocketbase-test-");
    const started = start(pocketBaseBinary, ["serve", ...args, "--dir", dir, "--migrationsDir", join(dir, "no_migrations"),
        "--hooksDir", join(dir, "no_hooks"), "--automigrate=false"]);
    while (!await fetch(`http://127.0.0.1:${port}/`, { redirect: "manual" }).then(() => true, () => false)) {
        if (started.child.exitCode !== null) throw new Error(`pocketbase exited:\n${started.log()}`);
        await new Promise((resolve) => setTimeout(resolve, 20));
    }
    return { kind: "pocketbase", dir, log: started.log, stop: async () => { await stop(started); remove(dir); } };
}

/** Waits until the server says where it listens: another one on its port would answer, too. */
async function whenHealthy(kind, started, dir) {
    let said = "";
    const listening = new Promise((resolve) => {
        for (const stream of [started.child.stdout, started.child.stderr]) {
            stream.on("data", (chunk) => {
                said = (said + chunk).slice(-64_000);
                const found = /(?:listening on|Server started at) (http:\/\/[\d.:]+\d)/.exec(said.replaceAll(/\x1b\[\d*m/g, ""));
                if (found) resolve(found[1]);
            });
        }
    });
    const url = await Promise.race([listening, started.exited.then(({ code }) => {
        throw new Error(`${kind} exited with ${code} before it was ready:\n${said}`);
    })]);
    while (!await fetch(`${url}/api/health`).then((answer) => answer.ok, () => false)) {
        if (started.child.exitCode !== null) throw new Error(`${kind} exited before it was healthy:\n${said}`);
        await new Promise((resolve) => setTimeout(resolve, 20));
    }
    const answer = await fetch(`${url}/api/collections/_superusers/auth-with-password`, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify({ identity: superuser.email, password: superuser.password }),
    });
    const { token } = await answer.json();
    return {
        kind, url, dir, token, pid: started.child.pid, log: started.log, exited: started.exited,
        stop: async (signal) => {
            const ended = await stop(started, signal);
            return ended;
        },
    };
}

/** Conch, or with TEST_TARGET=pocketbase the reference. */
export function startTarget({ args } = {}) {
    return process.env.TEST_TARGET === "pocketbase" ? startPocketBase() : startConch({ args });
}

/** Runs a command to its end; throws with what it said when it fails. */
export function run(binary, args, options = {}) {
    const done = spawnSync(binary, args, { encoding: "utf8", ...options });
    if (done.error) throw done.error;
    if (done.status !== 0 && !options.mayFail) {
        throw new Error(`${binary} ${args.join(" ")} exited with ${done.status}:\n${done.stdout}${done.stderr}`);
    }
    return done;
}

/** An SDK client that never cancels a request of its own. */
export function client(server, token) {
    const pb = new PocketBase(server.url);
    pb.autoCancellation(false);
    if (token) pb.authStore.save(token, null);
    return pb;
}

/** An SDK client of the server's superuser. */
export function admin(server) {
    return client(server, server.token);
}

export function remove(dir) {
    rmSync(dir, { recursive: true, force: true });
}

/** A server on a directory without any superuser, as its owner first meets it. */
export async function startConchFresh(dir) {
    const port = await freePort();
    const started = start(conchBinary, ["serve", "--http", `127.0.0.1:${port}`, "--dir", dir]);
    const url = `http://127.0.0.1:${port}`;
    for (;;) {
        if (started.child.exitCode !== null) throw new Error(`conch exited:\n${started.log()}`);
        if (await fetch(`${url}/api/health`).then((answer) => answer.ok, () => false)) break;
        await new Promise((resolve) => setTimeout(resolve, 20));
    }
    return { url, dir, log: started.log, stop: () => stop(started) };
}
