// The crons API (docs/wire/services.md §7). The lists differ in what docs/COMPATIBILITY.md says: each server lists what
// it really does.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { startPair } from "../harness/parity.mjs";

let pair;
before(async () => { pair = await startPair(); });
after(() => pair?.stop());

test("crons", async () => {
    for (const as of ["guest", "root"]) {
        await pair.step("POST /api/crons/__pbOTPCleanup__", { as });
        await pair.step("POST /api/crons/__pbDBOptimize__", { as, body: { ignored: 1 } });
        await pair.step("POST /api/crons/__pbMFACleanup__?fields=id", { as });
        for (const id of ["none", "__pbotpcleanup__", "%5F%5FpbOTPCleanup%5F%5F", "__pbOTPCleanup__/", "", "a/b"]) {
            await pair.step(`POST /api/crons/${id}`, { as });
        }
        for (const method of ["GET", "PATCH", "DELETE"]) await pair.step(`${method} /api/crons/__pbOTPCleanup__`, { as });
        await pair.step("PUT /api/crons", { as });
    }
    await pair.step("GET /api/crons");
    await pair.step("HEAD /api/crons", { as: "root" });
    pair.verify();

    const lists = await Promise.all(["", "?fields=id"].map(async (query) => {
        await pair.step(`GET /api/crons${query}`, { as: "root" });
        pair.differences.splice(0);
        return pair.answers.map(({ status, body }) => {
            assert.equal(status, 200);
            return body;
        });
    }));
    for (const [all, theirs] of lists) {
        // There only after the first request that was counted.
        const ours = all.filter(({ id }) => id !== "__pbRateLimitersCleanup__");
        assert.equal(ours.length, all.length - 1);
        const own = ours.length - theirs.length;
        assert.ok(own >= 0 && theirs.length >= 4);
        assert.deepEqual(ours.slice(own), theirs, "the wire's, in its order, after the house's own");
        assert.ok(ours.slice(0, own).every(({ id }) => !id.startsWith("__pb")));
        assert.deepEqual(Object.keys(ours[0]), Object.keys(theirs[0]));
    }
});
