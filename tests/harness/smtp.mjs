// A real mail server for a test (aiosmtpd), or one that fails in a chosen way.
//
//   const smtp = await startSmtp()                         takes every mail
//   smtp.host  smtp.port                                   where it is
//   await smtp.mails(1)                                    the mails so far, as soon as there is at least one
//   await smtp.stop()
//
//   startSmtp({ auth: { user, password, only: "LOGIN" } }) asks for a login; `only` offers one mechanism alone
//   startSmtp({ tls: "starttls" | "implicit" })            with a self-signed certificate (`smtp.certificate`)
//   startSmtp({ refuse: "550 no such user" })              answers every recipient with this line
//   startSmtp({ silent: true })                            accepts connections and never says a word
//   startSmtp({ utf8: false })                             knows no addresses beyond ASCII
//   startSmtp({ host: "192.0.2.1" })                       listens there instead of on 127.0.0.1
//
// A mail is { from, to: […], subject, headers: [[name, value]…], html, text, raw, ehlo, encrypted, login, mechanism }.

import { execFileSync, spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { createServer } from "node:net";
import { dirname, join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { freePort, remove, temporaryDirectory } from "./server.mjs";

const root = join(dirname(fileURLToPath(import.meta.url)), "..", "..");

/** Python with aiosmtpd; installed when it is not there yet. */
function python() {
    if (process.env.AIOSMTPD_PYTHON && existsSync(process.env.AIOSMTPD_PYTHON)) return process.env.AIOSMTPD_PYTHON;
    const script = ". tests/harness/aiosmtpd.sh && printf %s \"$AIOSMTPD_PYTHON\"";
    return execFileSync("bash", ["-euc", script], { cwd: root, encoding: "utf8", stdio: ["ignore", "pipe", "inherit"] });
}

/** A key and a certificate for localhost and 127.0.0.1 that nobody has signed but itself. */
function selfSigned(dir) {
    const [key, cert] = [join(dir, "key.pem"), join(dir, "cert.pem")];
    execFileSync("openssl", [
        "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
        "-keyout", key, "-out", cert, "-subj", "/CN=localhost",
        "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-addext", "basicConstraints=critical,CA:FALSE",
    ], { stdio: "ignore" });
    return { key, cert };
}

export async function startSmtp({ auth = null, tls = null, refuse = null, silent = false, utf8 = true, host = "127.0.0.1" } = {}) {
    if (silent) return startSilent();
    const dir = temporaryDirectory("conch-smtp-");
    const files = tls ? selfSigned(dir) : {};
    const options = { auth, tls, refuse, utf8, host, port: await freePort(), ...files };
    const script = join(root, "tests", "harness", "smtp_server.py");
    const child = spawn(python(), [script, JSON.stringify(options)], { stdio: ["pipe", "pipe", "pipe"] });
    let log = "";
    child.stderr.on("data", (chunk) => { log = (log + chunk).slice(-64_000); });
    const exited = new Promise((resolve) => child.once("exit", resolve));

    const received = [];
    const waiting = new Set();
    const ready = new Promise((resolve, reject) => {
        createInterface({ input: child.stdout }).on("line", (line) => {
            const { event, ...rest } = JSON.parse(line);
            if (event === "ready") return resolve();
            received.push(rest);
            for (const wake of waiting) wake();
        });
        exited.then((code) => reject(new Error(`the mail server exited with ${code}:\n${log}`)));
    });
    await ready;

    return {
        host, port: options.port, certificate: files.cert, log: () => log,
        mails: async (count = 0, seconds = 20) => {
            const deadline = Date.now() + seconds * 1000;
            while (received.length < count) {
                const left = deadline - Date.now();
                if (left <= 0) throw new Error(`${received.length} instead of ${count} mails arrived\n${log}`);
                await new Promise((resolve) => {
                    const timer = setTimeout(done, left);
                    function done() { clearTimeout(timer); waiting.delete(done); resolve(); }
                    waiting.add(done);
                });
            }
            return [...received];
        },
        stop: async () => {
            child.stdin.end();
            const timer = setTimeout(() => child.kill("SIGKILL"), 3000);
            await exited;
            clearTimeout(timer);
            remove(dir);
        },
    };
}

async function startSilent() {
    const sockets = new Set();
    const server = createServer((socket) => {
        sockets.add(socket);
        socket.on("error", () => {});
        socket.on("close", () => sockets.delete(socket));
    });
    await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
    return {
        host: "127.0.0.1", port: server.address().port, mails: async () => [],
        stop: () => { for (const socket of sockets) socket.destroy(); return new Promise((resolve) => server.close(resolve)); },
    };
}
