// `conch exec -- CMD` and `--seed FILE` (docs/TESTING.md).

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, test } from "node:test";
import { conchBinary, temporaryDirectory } from "../harness/server.mjs";

const place = temporaryDirectory();
after(() => rmSync(place, { recursive: true }));

/** Runs `conch exec`; `act` is given the child once it has printed its first line. */
function exec(args, command, { act = () => {}, env = {} } = {}) {
    const child = spawn(conchBinary, ["exec", ...args, "--", ...command], { env: { ...process.env, ...env } });
    let [out, err] = ["", ""];
    child.stdout.once("data", () => act(child));
    child.stdout.on("data", (chunk) => { out += chunk; });
    child.stderr.on("data", (chunk) => { err += chunk; });
    return new Promise((resolve) => child.once("close", (code, signal) => resolve({ code, signal, out, err })));
}

const node = (code) => [process.execPath, "-e", code];
const isGone = async (check) => {
    for (const end = Date.now() + 10_000; Date.now() < end;) {
        if (!check()) return true;
        await new Promise((resolve) => setTimeout(resolve, 20));
    }
    return false;
};
const lives = (pid) => {
    try {
        process.kill(pid, 0);
        // A zombie that nobody has waited for yet runs no more.
        return !/^\d+ \(.*\) Z/.test(readFileSync(`/proc/${pid}/stat`, "utf8"));
    } catch {
        return false;
    }
};

test("the command finds a server in its environment, and nothing is left of it", async () => {
    const { code, out, err } = await exec([], node(`
        const { CONCH_URL: url, CONCH_TOKEN: token, CONCH_DIR: dir, CONCH_EMAIL: identity, CONCH_PASSWORD: password } = process.env;
        const list = await fetch(url + "/api/collections", { headers: { Authorization: token } });
        const login = await fetch(url + "/api/collections/_superusers/auth-with-password", {
            method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ identity, password }),
        });
        console.log(JSON.stringify({ url, dir, list: list.status, login: login.status }));
        process.exit(7);
    `));
    assert.equal(code, 7, err);
    const { url, dir, list, login } = JSON.parse(out);
    assert.deepEqual({ list, login }, { list: 200, login: 200 });
    assert.equal(existsSync(dir), false);
    await assert.rejects(fetch(url));
});

test("exit codes are those of a shell", async () => {
    writeFileSync(join(place, "data.txt"), "no program");
    for (const [command, expected] of [
        [["true"], 0],
        [["sh", "-c", "exit 255"], 255],
        [["sh", "-c", "kill -KILL $$"], 137],
        [["sh", "-c", "kill -TERM $$"], 143],
        [["no-such-command-anywhere"], 127],
        [[join(place, "data.txt")], 126],
    ]) {
        const { code, err } = await exec([], command);
        assert.equal(code, expected, `${command}: ${err}`);
    }
    const none = await exec(["--http", "nonsense"], ["true"]);
    assert.equal(none.code, 125);
    assert.match(none.err, /HOST:PORT/);
    assert.equal((await exec(["--nonsense"], ["true"])).code, 2);
});

test("signals reach the command, and what it leaves running is ended", async () => {
    const asked = await exec([], node(`
        process.on("SIGTERM", () => { console.log("told"); process.exit(9); });
        console.log("ready"); setInterval(() => {}, 1000);
    `), { act: (child) => child.kill("SIGTERM") });
    assert.deepEqual([asked.code, asked.out], [9, "ready\ntold\n"]);
    const untouched = await exec([], ["sh", "-c", "echo ready; sleep 60"], { act: (child) => child.kill("SIGTERM") });
    assert.equal(untouched.code, 143);

    const left = await exec([], ["sh", "-c", "sleep 61 & echo $!; (setsid sleep 62 & echo $!); trap '' TERM; sh -c \"trap '' TERM; sleep 63\" & echo $!"]);
    const pids = left.out.trim().split("\n").map(Number);
    assert.equal(pids.length, 3);
    for (const pid of pids) assert.ok(await isGone(() => lives(pid)), `${pid} is still there`);
});

test("when conch is killed, server, directory and command go as well", async () => {
    let dir, pids = [];
    await exec([], node(`
        console.log(JSON.stringify([process.env.CONCH_DIR, process.pid])); setInterval(() => {}, 1000);
    `), {
        act: (child) => child.kill("SIGKILL"),
    }).then(({ out }) => { [dir, ...pids] = JSON.parse(out); });
    assert.ok(await isGone(() => existsSync(dir)), dir);
    for (const pid of pids) assert.ok(await isGone(() => lives(pid)), `${pid} is still there`);
});

test("a fixture is planted before the command runs", async () => {
    mkdirSync(join(place, "files"));
    writeFileSync(join(place, "files", "photo.txt"), "a picture");
    const seed = join(place, "seed.json");
    writeFileSync(seed, JSON.stringify({
        settings: { meta: { appName: "Shop" } },
        superusers: [{ email: "boss@example.com", password: "correct-horse" }],
        collections: [
            { name: "posts", type: "base", listRule: "", viewRule: "", fields: [
                { name: "title", type: "text", required: true },
                { name: "author", type: "relation", collectionId: "users", maxSelect: 1 },
                { name: "photo", type: "file", maxSelect: 2 },
            ] },
        ],
        users: [{ "@name": "ann", email: "ann@example.com", password: "12345678", name: "Ann" }],
        records: { posts: [{ title: "First", author: "@ann", photo: ["files/photo.txt", { name: "note.txt", text: "hi" }] }] },
    }));
    const { code, out, err } = await exec(["--seed", seed], node(`
        const at = process.env.CONCH_URL + "/api/collections/";
        const { items: [post] } = await (await fetch(at + "posts/records")).json();
        const login = (collection, identity, password) => fetch(at + collection + "/auth-with-password", {
            method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ identity, password }),
        });
        const [ann, boss] = [await login("users", "ann@example.com", "12345678"), await login("_superusers", "boss@example.com", "correct-horse")];
        const [photo, note] = await Promise.all(post.photo.map((name) =>
            fetch(process.env.CONCH_URL + "/api/files/posts/" + post.id + "/" + name).then((answer) => answer.text())));
        console.log(JSON.stringify({ title: post.title, boss: boss.status, isAnn: (await ann.json()).record.id === post.author, photo, note }));
    `));
    assert.equal(code, 0, err);
    assert.deepEqual(JSON.parse(out), { title: "First", boss: 200, isAnn: true, photo: "a picture", note: "hi" });

    writeFileSync(seed, JSON.stringify({ users: [{ email: "no address", password: "12345678" }] }));
    const wrong = await exec(["--seed", seed], ["true"]);
    assert.equal(wrong.code, 125);
    assert.match(wrong.err, /seed\.json: users\[0\]\.email: /);
    assert.doesNotMatch(wrong.err, /panicked|Backtrace/i);
});
