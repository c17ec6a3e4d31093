// The description of the API against the API: real Schemathesis finds no failure of the server and no answer that is not
// described.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { rmSync } from "node:fs";
import { after, before, test } from "node:test";
import PocketBase from "pocketbase";
import { startConch, temporaryDirectory } from "../harness/server.mjs";
import { python } from "../harness/python.mjs";

const checks = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance";
const seed = process.env.CONCH_TEST_LONG ? `${Date.now() % 1_000_000}` : "1";

let conch, pb;
before(async () => {
    conch = await startConch();
    pb = new PocketBase(conch.url);
    pb.authStore.save(conch.token);
    await pb.collections.create({
        name: "things", type: "base", listRule: "", viewRule: "", createRule: "", updateRule: "", deleteRule: "",
        fields: [
            { name: "text", type: "text", min: 2, max: 20, required: true },
            { name: "number", type: "number", min: -5, max: 5 },
            { name: "flag", type: "bool" },
            { name: "email", type: "email" },
            { name: "url", type: "url" },
            { name: "date", type: "date" },
            { name: "html", type: "editor" },
            { name: "one", type: "select", values: ["a", "b"], maxSelect: 1 },
            { name: "many", type: "select", values: ["a", "b"], maxSelect: 2 },
            { name: "json", type: "json" },
            { name: "point", type: "geoPoint" },
            { name: "file", type: "file", maxSelect: 1 },
            { name: "owner", type: "relation", collectionId: (await pb.collections.getOne("users")).id, maxSelect: 1 },
            { name: "created", type: "autodate", onCreate: true },
        ],
    });
    await pb.collections.create({ name: "counted", type: "view", listRule: "", viewRule: "", viewQuery: "SELECT id, text, number FROM things" });
    for (let n = 0; n < 3; n++) await pb.collection("things").create({ text: `thing ${n}`, one: "a", many: ["a", "b"], json: { n } });
});
after(async () => {
    await conch?.stop();
    rmSync(place, { recursive: true });
});
// It remembers failures in the folder that it runs in.
const place = temporaryDirectory();

/** Runs Schemathesis; its exit code and what it says. */
function schemathesis(args) {
    const child = spawn(python(), [
        "-m", "schemathesis.cli", "run", `${conch.url}/api/openapi.json`, "--header", `Authorization: ${conch.token}`,
        "--checks", checks, "--seed", seed, "--request-timeout", "20", "--suppress-health-check", "all", "--warnings", "off",
        "--generation-database", "none", "--no-color", ...args,
    ], { cwd: place });
    let output = "";
    for (const stream of [child.stdout, child.stderr]) stream.on("data", (chunk) => { output += chunk; });
    return new Promise((resolve) => child.once("close", (code) => resolve({ code, output })));
}

test("the description is for superusers", async () => {
    const get = (headers) => fetch(`${conch.url}/api/openapi.json`, { headers });
    assert.equal((await get({})).status, 401);
    const answer = await get({ Authorization: conch.token });
    assert.equal(answer.status, 200);
    const { openapi, paths, components } = await answer.json();
    assert.equal(openapi, "3.1.0");
    assert.ok(paths["/api/collections/things/records"].post && !paths["/api/collections/counted/records"].post);
    assert.deepEqual(components.schemas.ThingsCreate.required, ["text"]);
    await pb.collections.update("things", { name: "objects" });
    assert.ok((await (await get({ Authorization: conch.token })).json()).paths["/api/collections/objects/records"], "it follows the collections");
    await pb.collections.update("objects", { name: "things" });
});

test("Schemathesis finds no failure and nothing that is not described", { timeout: 300_000 }, async () => {
    const { code, output } = await schemathesis([
        "--phases", "examples,coverage,fuzzing", "--max-examples", process.env.CONCH_TEST_LONG ? "100" : "2",
        // Its generators are not made for several threads: two of them now and then break each other.
        "--workers", "1",
        // A stream, which has no end.
        "--exclude-path", "/api/realtime", "--exclude-method", "TRACE",
        // They change the ground under the others; and what waits for mails waits as long as it is asked to.
        "--exclude-operation-id-regex", "^(listMails|steerClock|restoreSnapshot|reset|restoreBackup|updateSettings|importCollections)$",
    ]);
    assert.equal(code, 0, output.slice(-12_000));
});

test("settings and snapshots are described as well", { timeout: 120_000 }, async () => {
    const { code, output } = await schemathesis([
        "--phases", "coverage,fuzzing", "--max-examples", "3", "--workers", "1",
        "--include-operation-id-regex", "^(updateSettings|importCollections|restoreSnapshot|steerClock)$",
    ]);
    assert.equal(code, 0, output.slice(-12_000));
});
