// The API page's samples, run as they are shown: curl by a shell, JavaScript by Node with the official SDK. Only what a
// sample leaves open is filled in: ids, a token, a file.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { promisify } from "node:util";
import { startAdmin } from "../harness/admin.mjs";

const run = promisify(execFile);
const sdk = import.meta.resolve("pocketbase");
const PASSWORD = "a-long-password";
let ui, root, folder, ann;

before(async () => {
    ui = await startAdmin();
    root = ui.root;
    folder = mkdtempSync(join(tmpdir(), "conch-samples-"));
    writeFileSync(join(folder, "picture.txt"), "a file");
    await root.settings.update({ batch: { enabled: true } });
    await root.collections.update("users", { otp: { enabled: true, duration: 180, length: 8 } });
    ann = await root.collection("users").create({ email: "ada@example.com", name: "Ada's \"name\"", password: PASSWORD, passwordConfirm: PASSWORD, verified: true });
    const users = await root.collections.getOne("users");
    const mine = { listRule: "@request.auth.id != ''", viewRule: "@request.auth.id != ''", createRule: "@request.auth.id != ''", updateRule: "@request.auth.id != ''", deleteRule: "@request.auth.id != ''" };
    // Everything that has to be quoted for somebody: an apostrophe for the shell, a name in other letters, values with both quotes.
    await root.collections.create({
        name: "plain", type: "base", ...mine, fields: [
            { name: "title", type: "text", required: true }, { name: "kind", type: "select", values: ["it's \"so\" $HOME", "other"], maxSelect: 1 }, { name: "count", type: "number", min: 50, onlyInt: true },
            { name: "data", type: "json" }, { name: "place", type: "geoPoint" }, { name: "due", type: "date" }, { name: "ok", type: "bool" }, { name: "mail", type: "email" }, { name: "site", type: "url" },
            { name: "author", type: "relation", collectionId: users.id, maxSelect: 1 }, { name: "created", type: "autodate", onCreate: true },
        ],
    });
    await root.collections.create({ name: "filed", type: "base", ...mine, fields: [{ name: "note", type: "text" }, { name: "paper", type: "file", maxSelect: 1, protected: true }, { name: "papers", type: "file", maxSelect: 3 }] });
});
after(async () => {
    await ui?.stop();
    if (folder) rmSync(folder, { recursive: true, force: true });
});

/** The sample of each action that is named, as the page shows it. */
async function shown(collection, language, actions) {
    const page = await ui.open(`#/collections/${collection}/api`);
    await page.getByRole("tab", { name: language, exact: true }).click();
    const nav = page.getByRole("navigation", { name: "Actions" }), code = page.getByRole("tabpanel").getByRole("region");
    const found = {};
    for (const action of actions) {
        await nav.getByRole("link", { name: action, exact: true }).click();
        await page.getByRole("heading", { level: 2, name: action, exact: true }).waitFor();
        found[action] = await code.textContent();
    }
    assert.deepEqual(page.problems, []);
    await page.context().close();
    // Through the page's own front, if it has one: to the server itself.
    return Object.fromEntries(Object.entries(found).map(([action, text]) => [action, text.replaceAll(new URL(ui.url).origin, ui.conch.url)]));
}
const fill = (text, names) => Object.entries(names).reduce((filled, [name, value]) => filled.replaceAll(name, value), text);

/** Runs a sample of the shell; what it prints. By curl's own file of options, an answer that is a failure fails it. */
async function shell(text, names, token) {
    writeFileSync(join(folder, ".curlrc"), "silent\nshow-error\nfail-with-body\n");
    const { stdout } = await run("bash", ["-c", fill(text, names)], { cwd: folder, timeout: 20_000, env: { ...process.env, TOKEN: token ?? "", HOME: folder, CURL_HOME: folder } })
        .catch((failure) => assert.fail(`${failure.message}\n${failure.stdout}\n${failure.stderr}`));
    return stdout;
}
const json = async (...given) => JSON.parse(await shell(...given));

/** Runs a sample of JavaScript in a module of its own, signed in as given; gives what its names hold at the end. */
async function node(text, names, auth, wanted = []) {
    const file = join(folder, `sample-${Math.random().toString(36).slice(2)}.mjs`);
    const signIn = auth ? `pb.authStore.save(${JSON.stringify(auth.token)}, ${JSON.stringify(auth.record)});` : "";
    const body = fill(text, names).replace("from \"pocketbase\"", `from ${JSON.stringify(sdk)}`).replace(/^(const pb = .*)$/m, `$1\n${signIn}`);
    // What a browser has and Node has not.
    const before = `import { EventSource } from ${JSON.stringify(import.meta.resolve("eventsource"))};\nglobalThis.EventSource = EventSource;\n`
        + "globalThis.fileInput = { files: [new File([\"a file\"], \"picture.txt\")] };\n";
    writeFileSync(file, `${before}${body}\nconsole.log("SAID " + JSON.stringify({ ${wanted.join(", ")} }));\nprocess.exit(0);\n`);
    const { stdout } = await run(process.execPath, [file], { timeout: 20_000 }).catch((failure) => assert.fail(`${failure.message}\n${failure.stderr}\n${body}`));
    return JSON.parse(stdout.split("SAID ").at(-1));
}
const signedIn = async () => (await import("pocketbase").then(({ default: PocketBase }) => new PocketBase(ui.conch.url))).collection("users").authWithPassword("ada@example.com", PASSWORD);

test("curl: sign in, list, create, view, update, delete, batch", async () => {
    const accounts = await shown("users", "curl", ["Ways to sign in", "Sign in: password", "Refresh"]);
    assert.equal((await json(accounts["Ways to sign in"], {})).password.enabled, true);
    const { token, record } = await json(accounts["Sign in: password"], {});
    assert.equal(record.id, ann.id);
    assert.equal((await json(accounts.Refresh, {}, token)).record.id, ann.id);

    const sample = await shown("plain", "curl", ["List and search", "View", "Create", "Update", "Delete", "Batch"]);
    const made = await json(sample.Create, { USERS_ID: ann.id }, token);
    assert.deepEqual([made.title, made.kind, made.count, made.author, made.data, made.ok], ["A good title", "it's \"so\" $HOME", 50, ann.id, { key: "value" }, true]);
    const ids = { RECORD_ID: made.id };
    const page = await json(sample["List and search"], ids, token);
    assert.deepEqual(page.items.map(({ id, expand }) => [id, expand.author.id]), [[made.id, ann.id]]);
    assert.equal((await json(sample.View, ids, token)).expand.author.id, ann.id);
    assert.equal((await json(sample.Update, ids, token)).id, made.id);
    const other = await root.collection("plain").create({ title: "other" });
    const results = await json(sample.Batch, { ...ids, OTHER_ID: other.id, USERS_ID: ann.id }, token);
    assert.deepEqual(results.map(({ status }) => status), [200, 200, 204]);
    await root.collection("plain").delete(results[0].body.id);
    assert.equal(await shell(sample.Delete, ids, token), "");
    await assert.rejects(root.collection("plain").getOne(made.id));
});

test("curl: files go up and come down, protected ones too", async () => {
    const { token } = await signedIn();
    const sample = await shown("filed", "curl", ["Create", "Files"]);
    const made = await json(sample.Create, { "/path/to/file": join(folder, "picture.txt") }, token);
    assert.equal(made.note, "A text");
    assert.match(made.paper, /^picture_.*\.txt$/);
    assert.equal(made.papers.length, 1);
    // Step by step, as they are: a token comes out of the second and goes into the third.
    const names = { RECORD_ID: made.id, FILENAME: made.papers[0] };
    const [open, asked, secret] = sample.Files.split("\n\n").flatMap((part) => part.split(/\n(?=curl )/)).map((part) => part.replace(/^#.*\n?/gm, "")).filter((part) => part.trim());
    await shell(open, names, token);
    assert.equal(readFileSync(join(folder, made.papers[0]), "utf8"), "a file");
    const { token: fileToken } = await json(asked, {}, token);
    await shell(secret, { ...names, FILENAME: made.paper, FILE_TOKEN: fileToken });
    assert.equal(readFileSync(join(folder, made.paper), "utf8"), "a file");
});

test("JavaScript: sign in, list, create, view, update, delete, batch, realtime, files", async () => {
    const auth = await signedIn();
    const accounts = await shown("users", "JavaScript", ["Ways to sign in", "Sign in: password", "Refresh"]);
    assert.equal((await node(accounts["Ways to sign in"], {}, undefined, ["methods"])).methods.password.enabled, true);
    assert.equal((await node(accounts["Sign in: password"], {}, undefined, ["record"])).record.id, ann.id);
    assert.equal((await node(accounts.Refresh, {}, auth, ["record"])).record.id, ann.id);

    const sample = await shown("plain", "JavaScript", ["List and search", "View", "Create", "Update", "Delete", "Batch", "Realtime"]);
    const { record: made } = await node(sample.Create, { USERS_ID: ann.id }, auth, ["record"]);
    assert.equal(made.kind, "it's \"so\" $HOME");
    const ids = { RECORD_ID: made.id };
    const { page, records, first } = await node(sample["List and search"], ids, auth, ["page", "records", "first"]);
    assert.deepEqual([page.items[0].expand.author.id, records.length, first.id], [ann.id, 1, made.id]);
    assert.equal((await node(sample.View, ids, auth, ["record"])).record.expand.author.id, ann.id);
    assert.equal((await node(sample.Update, ids, auth, ["record"])).record.id, made.id);
    await node(sample.Realtime, {}, auth);
    const other = await root.collection("plain").create({ title: "other" });
    const { results } = await node(sample.Batch, { ...ids, OTHER_ID: other.id, USERS_ID: ann.id }, auth, ["results"]);
    assert.deepEqual(results.map(({ status }) => status), [200, 200, 204]);
    await node(sample.Delete, ids, auth);
    await assert.rejects(root.collection("plain").getOne(made.id));

    const filed = await shown("filed", "JavaScript", ["Create", "Files"]);
    const { record } = await node(filed.Create, {}, auth, ["record"]);
    assert.deepEqual([record.papers.length, typeof record.paper], [1, "string"]);
    const { secret } = await node(filed.Files, { RECORD_ID: record.id }, auth, ["url", "secret"]);
    assert.equal(await (await fetch(secret)).text(), "a file");
});
