// `conch types` against the official SDK: what it prints is compiled by tsc.

import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { after, before, test } from "node:test";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import PocketBase from "pocketbase";
import { conchBinary, startConch } from "../harness/server.mjs";

const tests = join(dirname(fileURLToPath(import.meta.url)), "..");
// Beside node_modules, where the compiler looks for the SDK.
mkdirSync(join(tests, ".cache"), { recursive: true });
const place = mkdtempSync(join(tests, ".cache", "types-"));
let conch;

before(async () => {
    conch = await startConch();
    const pb = new PocketBase(conch.url);
    pb.authStore.save(conch.token);
    const users = (await pb.collections.getOne("users")).id;
    const posts = await pb.collections.create({ name: "blog_posts", type: "base", fields: [
        { name: "title", type: "text", required: true },
        { name: "kind", type: "select", values: ["news", "it's \"quoted\""], maxSelect: 1, required: true },
        { name: "tags", type: "select", values: ["a", "b"], maxSelect: 2 },
        { name: "author", type: "relation", collectionId: users, maxSelect: 1, required: true },
        { name: "photos", type: "file", maxSelect: 5 },
        { name: "stars", type: "number" },
        { name: "place", type: "geoPoint" },
        { name: "extra", type: "json" },
        { name: "class", type: "text" },
        { name: "created", type: "autodate", onCreate: true },
    ] });
    await pb.collections.create({ name: "comments", type: "base", fields: [
        { name: "post", type: "relation", collectionId: posts.id, maxSelect: 1, required: true },
        { name: "text", type: "text" },
    ] });
    await pb.collections.create({ name: "2fa", type: "base", fields: [{ name: "x", type: "bool" }] });
    await pb.collections.create({ name: "titles", type: "view", viewQuery: "SELECT id, title FROM blog_posts" });
});
after(async () => {
    await conch?.stop();
    rmSync(place, { recursive: true });
});

const types = (args, env = {}) =>
    spawnSync(conchBinary, ["types", ...args], { encoding: "utf8", env: { ...process.env, ...env } });

const USE = `
import PocketBase from "pocketbase";
import type { BlogPostsRecord, TypedPocketBase, CollectionRecords } from "./conch";

const pb = new PocketBase("http://127.0.0.1") as TypedPocketBase;

export async function use(file: File) {
    const page = await pb.collection("blog_posts").getList(1, 20, { expand: "author,comments_via_post.post" });
    const post: BlogPostsRecord | undefined = page.items[0];
    if (!post) return;
    const kind: "news" | "it's \\"quoted\\"" = post.kind;
    const name: string | undefined = post.expand?.author?.name;
    const again: string | undefined = post.expand?.comments_via_post?.[0]?.expand?.post?.title;
    const { lon }: { lon: number } = post.place;
    // @ts-expect-error: there is no such field
    post.nothing;
    // @ts-expect-error: what JSON holds is not known
    post.extra.length;

    const made = await pb.collection("blog_posts").create({ title: "x", kind: "news", author: post.author, photos: [file], tags: ["a"] });
    made.stars.toFixed();
    // @ts-expect-error: a title is required
    await pb.collection("blog_posts").create({ kind: "news", author: "x" });
    // @ts-expect-error: not one of the values
    await pb.collection("blog_posts").create({ title: "x", kind: "other", author: "x" });
    await pb.collection("blog_posts").update(made.id, { "stars+": 1, "tags-": "a", "photos+": [file] });
    // @ts-expect-error: numbers are added to
    await pb.collection("blog_posts").update(made.id, { "stars+": "1" });
    await pb.collection("blog_posts").create(new FormData());

    const { record, token } = await pb.collection("users").authWithPassword("a", "b");
    const mail: string | undefined = record.email;
    await pb.collection("users").create({ email: "a@b.co", password: "12345678", passwordConfirm: "12345678" });
    // @ts-expect-error: it has to be confirmed
    await pb.collection("users").create({ email: "a@b.co", password: "12345678" });
    await pb.collection("comments").subscribe("*", ({ action, record }) => [action, record.text.length]);
    const titles = await pb.collection("titles").getFullList();
    const x: boolean = (await pb.collection("2fa").getOne("x")).x;
    const item: CollectionRecords["_inbox"] | undefined = undefined;
    // Names that nobody knows are as ever.
    const other = await pb.collection("others").getOne("x");
    return [kind, name, again, lon, token, mail, titles[0]?.title, x, item, other.anything];
}
`;

test("the official SDK is typed by them", () => {
    const { status, stdout, stderr } = types(["--dir", conch.dir]);
    assert.equal(status, 0, stderr);
    writeFileSync(join(place, "conch.d.ts"), stdout);
    writeFileSync(join(place, "use.ts"), USE);
    const options = ["--strict", "--noEmit", "--target", "es2022", "--module", "nodenext", "--moduleResolution", "nodenext", "--lib", "es2023,dom", "--types", ""];
    writeFileSync(join(place, "package.json"), "{}");
    const compiled = spawnSync(join(tests, "node_modules", ".bin", "tsc"), [...options, "use.ts"], { cwd: place, encoding: "utf8" });
    assert.equal(compiled.status, 0, compiled.stdout + compiled.stderr);
});

test("they are the same from a running server, from afar, and from a directory", async () => {
    const near = types(["--dir", conch.dir]).stdout;
    const far = types(["--url", `${conch.url}/`], { CONCH_TOKEN: conch.token });
    assert.equal(far.status, 0, far.stderr);
    assert.equal(far.stdout, near);
    const within = execFileSync(conchBinary, ["exec", "--", conchBinary, "types"], { encoding: "utf8" });
    assert.ok(within.includes("interface UsersRecord") && !within.includes("BlogPosts"));
    const refused = types(["--url", conch.url, "--token", "x"]);
    assert.deepEqual([refused.status, refused.stdout], [1, ""]);
    assert.match(refused.stderr, /token/);
    assert.match(types(["--url", "http://127.0.0.1:1", "--token", "x"]).stderr, /cannot reach/);
});
