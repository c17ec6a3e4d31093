// The machine's clock is set forward and back under a running server: nothing hangs, nothing runs twice, sessions end by
// the time on their face.

import assert from "node:assert/strict";
import { mkdirSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { admin, client, remove, run, startConchOn, superuser, temporaryDirectory } from "../harness/server.mjs";

const place = temporaryDirectory();
const file = join(place, "offset");
const DAY = 86_400;
let conch, root;

before(async () => {
    run("cc", ["-shared", "-fPIC", "-O2", "-Wall", "-o", join(place, "clock.so"), new URL("../shim/clock.c", import.meta.url).pathname]);
    mkdirSync(join(place, "data"));
    set(0);
    conch = await startConchOn(join(place, "data"), { env: { LD_PRELOAD: join(place, "clock.so"), SHIM_CLOCK: file } });
    root = admin(conch);
    await root.collections.create({ name: "notes", type: "base", createRule: "", listRule: "", fields: [
        { name: "t", type: "text" }, { name: "created", type: "autodate", onCreate: true },
    ] });
});
after(async () => {
    await conch?.stop();
    remove(place);
});

function set(seconds) {
    writeFileSync(`${file}.new`, `${seconds}\n`);
    renameSync(`${file}.new`, file);
}

const signIn = () => root.collection("_superusers").authWithPassword(superuser.email, superuser.password);
const shows = async () => Date.parse((await client(conch).collection("notes").create({ t: "x" })).created.replace(" ", "T"));
const off = async () => Math.round((await shows() - Date.now()) / 1000);
const runs = async (kind) => (await root.send("/api/jobs/history", { query: { kind } })).items;
async function eventually(what, holds) {
    for (const end = Date.now() + 15_000; Date.now() < end;) {
        if (await holds()) return;
        await new Promise((resolve) => setTimeout(resolve, 100));
    }
    assert.fail(`never: ${what}`);
}

test("a jump forward ends sessions; whoever signs in again finds everything well", async () => {
    assert.ok(Math.abs(await off()) <= 2);
    set(40 * DAY);
    await eventually("the clock is forward", async () => Math.abs(await off() - 40 * DAY) <= 2);
    await assert.rejects(root.collections.getFullList(), { status: 401 });
    await signIn();
    const ready = await fetch(`${conch.url}/readyz`);
    assert.equal(ready.status, 200, await ready.text());
});

test("what recurs runs once for all that was skipped, and is not lost", async () => {
    // A sleeper looks at the clock once a minute at the latest; any job that is added has it look at once.
    await root.crons.run("__pbMFACleanup__");
    await eventually("the hourly cleanup has run", async () => (await runs("__pbOTPCleanup__")).length >= 1);
    const ran = await runs("__pbOTPCleanup__");
    assert.equal(ran.length, 1, JSON.stringify(ran));
    assert.equal(ran[0].outcome, "done");
});

test("a jump back is followed: writes, logins and jobs go on", async () => {
    set(0);
    await eventually("the clock is back", async () => Math.abs(await off()) <= 2);
    await signIn();
    const ran = (await runs("__pbOTPCleanup__")).length;
    assert.equal(await root.crons.run("__pbOTPCleanup__"), true);
    await eventually("a job runs", async () => (await runs("__pbOTPCleanup__")).length > ran);
    const { items } = await client(conch).collection("notes").getList(1, 500, { sort: "-@rowid" });
    assert.ok(items.length >= 3);
    const ready = await fetch(`${conch.url}/readyz`);
    assert.equal(ready.status, 200, await ready.text());
    // The series goes on from now, not from the future that was.
    const waiting = (await root.send("/api/jobs", { query: { kind: "__pbOTPCleanup__", state: "waiting" } })).items;
    assert.equal(waiting.length, 1);
    const due = Date.parse(waiting[0].due.replace(" ", "T"));
    assert.ok(due - Date.now() < 3_700_000, waiting[0].due);
});

test("a server that is started in the past opens what was written in the future", async () => {
    set(40 * DAY);
    await eventually("the clock is forward", async () => Math.abs(await off() - 40 * DAY) <= 2);
    await conch.stop();
    set(-DAY);
    conch = await startConchOn(join(place, "data"), { env: { LD_PRELOAD: join(place, "clock.so"), SHIM_CLOCK: file } });
    root = admin(conch);
    assert.ok(Math.abs(await off() + DAY) <= 2);
    assert.equal((await fetch(`${conch.url}/readyz`)).status, 200);
});
