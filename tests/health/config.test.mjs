// What a server goes by: options, settings, and where each came from; and the recipe of the container.

import assert from "node:assert/strict";
import { chownSync, existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { after, test } from "node:test";
import { fileURLToPath } from "node:url";
import { admin, conchBinary, remove, run, startConchOn, temporaryDirectory } from "../harness/server.mjs";

const root = join(dirname(fileURLToPath(import.meta.url)), "..", "..");
const dir = temporaryDirectory();
after(() => remove(dir));

const env = { ...process.env, CONCH_SYNC: "normal", CONCH_METRICS_TOKEN: "hush-hush" };
const config = (args, options = {}) => run(conchBinary, ["config", ...args, "--dir", dir], { env, mayFail: true, ...options });
const shown = (...names) => JSON.parse(config(["show", "--json", ...names]).stdout);
const named = (list, name) => list.find((entry) => (entry.option ?? entry.name) === name);

test("without a server, options are those that one would have here, and settings can be changed", () => {
    assert.equal(config(["set", "meta.appName=Mine"]).status, 1, "there is no data yet");
    run(conchBinary, ["superuser", "create", "a@example.com", "a-long-password", "--dir", dir]);
    assert.equal(config(["set", "meta.appName=Mine", "smtp.password=hush-hush", "smtp.port=25"]).status, 0);
    const { options, settings } = shown();
    assert.deepEqual(named(options, "--sync"), { option: "--sync", variable: "CONCH_SYNC", value: "normal", origin: "environment" });
    assert.deepEqual(named(options, "--query-timeout"), { option: "--query-timeout", variable: "CONCH_QUERY_TIMEOUT", value: "30", origin: "default" });
    assert.equal(named(options, "--metrics-token").value, "(secret)");
    assert.deepEqual(named(settings, "meta.appName"), { name: "meta.appName", value: "Mine", origin: "settings" });
    assert.deepEqual(named(settings, "smtp.port"), { name: "smtp.port", value: 25, origin: "settings" });
    assert.deepEqual(named(settings, "smtp.password"), { name: "smtp.password", value: "(secret)", origin: "settings" });
    assert.equal(named(settings, "logs.maxDays").origin, "default");
    assert.doesNotMatch(config(["show"]).stdout, /hush/);
});

test("root does not work on the files of somebody else's directory, and every fault has its whole name", (t) => {
    const wrong = config(["set", "smtp.enabled=true", "smtp.host="]);
    assert.equal(wrong.status, 1);
    assert.match(wrong.stderr, /smtp\.host: Cannot be blank/);
    if (process.getuid() !== 0) return t.diagnostic("only root can own what is another's");
    chownSync(dir, 65534, 65534);
    try {
        for (const args of [["config", "set", "meta.appName=X"], ["superuser", "create", "b@example.com", "a-long-password"], ["backup", "create"], ["backup", "restore", "nothing.zip"]]) {
            const refused = run(conchBinary, [...args, "--dir", dir], { env, mayFail: true });
            assert.equal(refused.status, 1, args.join(" "));
            assert.match(refused.stderr, /belongs to user 65534.*sudo -u '#65534'/, args.join(" "));
        }
        assert.ok(!existsSync(join(dir, "backups")), "nothing was made");
    } finally {
        chownSync(dir, 0, 0);
    }
});

test("a running server tells its own options and takes changes at once, all of them or none", async () => {
    const conch = await startConchOn(dir, { args: ["--query-timeout", "17"], env });
    try {
        const { options } = shown("query");
        assert.deepEqual(options, [{ option: "--query-timeout", variable: "CONCH_QUERY_TIMEOUT", value: "17", origin: "flag" }]);
        assert.equal(config(["set", "superuserIPs=127.0.0.0/8,::1", "batch.enabled=true"]).stdout, "Set superuserIPs, batch.enabled.\n");
        const settings = await admin(conch).settings.getAll();
        assert.deepEqual([settings.superuserIPs, settings.batch.enabled, settings.meta.appName], [["127.0.0.0/8", "::1"], true, "Mine"]);
        assert.equal(config(["set", "-"], { input: "meta.appName=Two words\n\nsmtp.host=mail.example.com\n" }).status, 0);
        assert.deepEqual(shown("meta.appName").settings.map(({ value }) => value), ["Two words"]);
        for (const [words, told] of [
            [["meta.appName=Three", "smtp.port=many"], /smtp\.port has to be a whole number/],
            [["meta.appName=Three", "meta.appURL=nonsense"], /meta: |appURL/],
            [["meta.appName=Three", "smtp.prot=1"], /There is no setting smtp\.prot/],
            [["meta.appName"], /is no NAME=VALUE/],
        ]) {
            const refused = config(["set", ...words]);
            assert.equal(refused.status, 1);
            assert.match(refused.stderr, told);
            assert.equal((await admin(conch).settings.getAll()).meta.appName, "Two words");
        }
        assert.match(config(["show", "nothing"]).stderr, /nothing begins with nothing/);
        const line = config(["show", "smtp.host"]).stdout;
        assert.match(line, /^smtp\.host\s+settings\s+mail\.example\.com\n$/);
    } finally {
        await conch.stop();
    }
});

test("a key that does not fit the stored settings is told, and nothing starts", () => {
    const key = "0123456789abcdef0123456789abcdef";
    assert.equal(config(["set", "meta.appName=Sealed"], { env: { ...env, CONCH_ENCRYPTION_KEY: key } }).status, 0);
    for (const [wrong, told] of [[undefined, /CONCH_ENCRYPTION_KEY/], [key.replace("0", "x"), /this key/], ["short", /32/]]) {
        const refused = config(["show"], { env: { ...env, ...(wrong && { CONCH_ENCRYPTION_KEY: wrong }) } });
        assert.equal(refused.status, 1);
        assert.match(refused.stderr, told);
    }
});

test("the recipe of the container has no known mistakes", () => {
    const linter = run("bash", ["tests/harness/hadolint.sh"], { cwd: root }).stdout.trim();
    const linted = run(linter, ["Dockerfile"], { cwd: root, mayFail: true });
    assert.equal(linted.status, 0, linted.stdout);
});
