// The examples of docs/TESTING.md, run as it says: with real Playwright, Vitest, pytest and JUnit.

import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { conchBinary } from "../harness/server.mjs";
import { python } from "../harness/python.mjs";

const here = join(dirname(fileURLToPath(import.meta.url)), "examples");
const root = join(here, "..", "..", "..");
const bin = join(root, "tests", "node_modules", ".bin");

/** Runs a command in an example's folder beside a server; all of its output. */
function exec(folder, command, env = {}) {
    const { status, stdout, stderr } = spawnSync(conchBinary, ["exec", "--seed", "../seed.json", "--", ...command], {
        cwd: join(here, folder), encoding: "utf8", timeout: 120_000, env: { ...process.env, NODE_TEST_CONTEXT: undefined, ...env },
    });
    return { status, output: stdout + stderr };
}

test("the examples are those of the documentation", () => {
    const told = readFileSync(join(root, "docs", "TESTING.md"), "utf8");
    for (const file of ["playwright/password.spec.js", "playwright/playwright.config.js", "vitest/notes.spec.js", "pytest/test_notes.py", "junit/NotesTest.java"]) {
        assert.ok(told.includes(readFileSync(join(here, file), "utf8")), `docs/TESTING.md has another ${file}`);
    }
});

test("Playwright", () => {
    const env = { CHROMIUM_BIN: process.env.CHROMIUM_BIN ?? "/usr/bin/chromium" };
    const { status, output } = exec("playwright", [join(bin, "playwright"), "test", "--output", join(tmpdir(), "conch-playwright")], env);
    assert.equal(status, 0, output);
    assert.match(output, /2 passed/);
});

test("Vitest", () => {
    const { status, output } = exec("vitest", [join(bin, "vitest"), "run", "--no-color"]);
    assert.equal(status, 0, output);
    assert.match(output, /2 passed/);
});

test("pytest", () => {
    const { status, output } = exec("pytest", [python(), "-m", "pytest", "-q", "-p", "no:cacheprovider", "--color=no"], { PYTHONDONTWRITEBYTECODE: "1" });
    assert.equal(status, 0, output);
    assert.match(output, /2 passed/);
});

test("JUnit", (t) => {
    const jars = existsSync("/usr/share/java") ? readdirSync("/usr/share/java").filter((name) => /^(junit-(jupiter|platform)|opentest4j|apiguardian|picocli|univocity)[a-z-]*\.jar$/.test(name)) : [];
    if (!jars.some((name) => name.startsWith("junit-platform-console")) || spawnSync("javac", ["-version"]).error) {
        return t.skip("needs a JDK and Debian's junit5");
    }
    const path = jars.map((name) => join("/usr/share/java", name)).join(":");
    const classes = mkdtempSync(join(tmpdir(), "conch-junit-"));
    try {
        execFileSync("javac", ["-d", classes, "-cp", path, join(here, "junit", "NotesTest.java")]);
        const { status, output } = exec("junit", ["java", "-cp", `${path}:${classes}`, "org.junit.platform.console.ConsoleLauncher", "-c", "NotesTest", "--disable-banner"]);
        assert.equal(status, 0, output);
        assert.match(output, /2 tests successful/);
    } finally {
        rmSync(classes, { recursive: true });
    }
});
