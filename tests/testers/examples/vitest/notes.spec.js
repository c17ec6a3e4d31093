// conch exec --seed ../seed.json -- npx vitest run
import PocketBase from "pocketbase";
import { beforeEach, expect, test } from "vitest";

const owner = new PocketBase(process.env.CONCH_URL);
owner.authStore.save(process.env.CONCH_TOKEN);

beforeEach(() => owner.send("/api/test/reset", { method: "POST" }));

async function as(identity, password) {
    const pb = new PocketBase(process.env.CONCH_URL);
    await pb.collection("users").authWithPassword(identity, password);
    return pb;
}

test("notes are for their owner", async () => {
    const [ann, bob] = [await as("ann@example.com", "correct-horse"), await as("bob@example.com", "battery-staple")];
    expect(await ann.collection("notes").getFullList()).toHaveLength(1);
    expect(await bob.collection("notes").getFullList()).toHaveLength(0);
    await bob.collection("notes").create({ text: "Feed the cat", owner: bob.authStore.record.id });
    await expect(bob.collection("notes").create({ text: "x", owner: ann.authStore.record.id })).rejects.toThrow();
    expect(await owner.collection("notes").getFullList()).toHaveLength(2);
});

test("each test begins with the fixture, and time passes as it is told to", async () => {
    expect(await owner.collection("notes").getFullList()).toHaveLength(1);
    const ann = await as("ann@example.com", "correct-horse");
    await owner.send("/api/test/clock", { method: "POST", body: { advance: "30d" } });
    await expect(ann.collection("users").authRefresh()).rejects.toThrow();
});
