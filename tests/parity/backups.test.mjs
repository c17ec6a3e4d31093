// The backups API (docs/wire/services.md §8).

import { after, before, test } from "node:test";
import { startPair } from "../harness/parity.mjs";

let pair;
before(async () => { pair = await startPair(); });
after(() => pair?.stop());

const body = (name) => ({ as: "root", body: { name } });

test("who may do what, and what names may be", async () => {
    for (const as of ["guest", "root"]) {
        await pair.step("GET /api/backups", { as });
        await pair.step("DELETE /api/backups/none.zip", { as });
        await pair.step("GET /api/backups/none.zip", { as });
        await pair.step("POST /api/backups/none.zip/restore", { as });
        await pair.step("GET /api/backups/none.zip/restore", { as });
        for (const method of ["PUT", "PATCH"]) await pair.step(`${method} /api/backups`, { as });
    }
    await pair.step("POST /api/backups");
    await pair.step("POST /api/backups/upload");
    for (const name of ["A.zip", "a", ".zip", "../a.zip", "a b.zip", "ü.zip", `${"a".repeat(147)}.zip`, "@auto_pb_backup_x.zip", 5, []]) {
        await pair.step("POST /api/backups", body(name));
    }
    pair.verify();
});

test("made, listed, downloaded and removed", async () => {
    await pair.step("POST /api/backups", body("one.zip"));
    await pair.step("POST /api/backups", body("one.zip"));
    await pair.step("GET /api/backups?fields=key", { as: "root" });
    await pair.step("GET /api/backups?fields=none", { as: "root" });
    await pair.step("HEAD /api/backups", { as: "root" });
    await pair.step("GET /api/backups/one.zip", { as: "root" });
    await pair.step("GET /api/backups/one.zip?token=nonsense", { as: "root" });
    const tokens = [];
    await pair.step("POST /api/files/token", { as: "root" });
    tokens.push(...pair.answers.map(({ body }) => body.token));
    await pair.step((index) => `GET /api/backups/none.zip?token=${tokens[index]}`);
    await pair.step((index) => `HEAD /api/backups/one.zip?token=${tokens[index]}`);
    await pair.step("DELETE /api/backups/one.zip");
    await pair.step("DELETE /api/backups/one.zip", { as: "root" });
    await pair.step("DELETE /api/backups/one.zip", { as: "root" });
    await pair.step("GET /api/backups", { as: "root" });
    pair.verify();
});

test("uploads", async () => {
    const form = (name, content, file) => ({ as: "root", form: [file ? [name, new Blob([content]), file] : [name, content]] });
    // The smallest archive there is.
    const zip = Buffer.from("504b0506000000000000000000000000000000000000", "hex");
    await pair.step("POST /api/backups/upload", form("file", "text"));
    await pair.step("POST /api/backups/upload", form("other", zip, "a.zip"));
    await pair.step("POST /api/backups/upload", form("file", "no zip", "a.zip"));
    await pair.step("POST /api/backups/upload", form("file", zip, "Any Name"));
    await pair.step("POST /api/backups/upload", form("file", zip, "Any Name"));
    await pair.step("GET /api/backups?fields=key,size", { as: "root" });
    await pair.step("DELETE /api/backups/Any%20Name", { as: "root" });
    pair.verify();
});
