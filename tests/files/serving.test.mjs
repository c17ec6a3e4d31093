// Files as an app meets them: the SDK's addresses, tokens, thumbnails, ranges; crowds that download; pictures that hurt.

import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { readFileSync, readdirSync } from "node:fs";
import { Agent, request as httpRequest } from "node:http";
import { connect } from "node:net";
import { after, before, test } from "node:test";
import { crc32, deflateSync } from "node:zlib";
import { dimensions, pictures } from "../harness/pictures.mjs";
import { admin, client, startConch } from "../harness/server.mjs";

const long = Boolean(process.env.CONCH_TEST_LONG);
let conch, root;

before(async () => {
    conch = await startConch();
    root = admin(conch);
    await root.collections.create({
        name: "albums", type: "base", viewRule: "@request.auth.id = owner", listRule: "@request.auth.id = owner",
        fields: [
            { name: "cover", type: "file", thumbs: ["50x50", "0x40"], maxSize: 300 << 20 },
            { name: "private", type: "file", protected: true, thumbs: ["50x50"] },
            { name: "owner", type: "relation", collectionId: "_pb_users_auth_" },
        ],
    });
});
after(() => conch?.stop());

const file = (name, content) => new File([content], name);
const bytes = async (answer) => Buffer.from(await answer.arrayBuffer());
const sha = (content) => createHash("sha256").update(content).digest("hex");

/** Resident memory of the server in MiB. */
const resident = () => Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${conch.pid}/status`, "utf8"))[1]) / 1024;
const openFiles = () => readdirSync(`/proc/${conch.pid}/fd`).length;

async function until(what, done) {
    const end = Date.now() + 20_000;
    while (!(await done())) {
        assert.ok(Date.now() < end, what);
        await new Promise((resolve) => setTimeout(resolve, 20));
    }
}

test("the SDK's addresses lead to files, thumbnails and downloads", async () => {
    const album = await root.collection("albums").create({ cover: file("my cover.jpg", pictures["plain.jpg"]) });
    const plain = await fetch(root.files.getURL(album, album.cover));
    assert.equal(plain.headers.get("content-type"), "image/jpeg");
    assert.match(plain.headers.get("content-disposition"), /^inline; filename="my_cover_\w{10}\.jpg"$/);
    assert.deepEqual(await bytes(plain), pictures["plain.jpg"]);
    const thumb = await fetch(root.files.getURL(album, album.cover, { thumb: "0x40" }));
    assert.equal(dimensions(await bytes(thumb)), "jpeg 80x40");
    const download = await fetch(root.files.getURL(album, album.cover, { download: true }));
    assert.match(download.headers.get("content-disposition"), /^attachment;/);
    await download.body.cancel();
});

test("a protected file needs a token of somebody who may see the record", async () => {
    const names = ["ann", "bob"];
    const users = [];
    for (const name of names) {
        const user = client(conch);
        await user.collection("users").create({ email: `${name}@example.com`, password: "12345678", passwordConfirm: "12345678" });
        await user.collection("users").authWithPassword(`${name}@example.com`, "12345678");
        users.push(user);
    }
    const [ann, bob] = users;
    const album = await root.collection("albums").create({ private: file("secret.png", pictures["plain.png"]), owner: ann.authStore.record.id });
    const status = async (options) => {
        const answer = await fetch(root.files.getURL(album, album.private, options));
        await answer.body.cancel();
        return answer.status;
    };
    const [annToken, bobToken, rootToken] = [await ann.files.getToken(), await bob.files.getToken(), await root.files.getToken()];
    for (const thumb of [undefined, "50x50"]) {
        const shape = thumb ? { thumb } : {};
        assert.equal(await status(shape), 404);
        assert.equal(await status({ ...shape, token: annToken }), 200);
        assert.equal(await status({ ...shape, token: bobToken }), 404);
        assert.equal(await status({ ...shape, token: rootToken }), 200);
        assert.equal(await status({ ...shape, token: ann.authStore.token }), 404);
    }
    // A new password ends the token.
    await root.collection("users").update(ann.authStore.record.id, { password: "new-12345678", passwordConfirm: "new-12345678" });
    assert.equal(await status({ token: annToken }), 404);
    await root.collection("albums").delete(album.id);
    assert.equal(await status({ token: rootToken }), 404);
});

test("every range of a larger file is the file's", async () => {
    const content = randomBytes(1_500_000);
    const album = await root.collection("albums").create({ cover: file("noise.bin", content) });
    const url = root.files.getURL(album, album.cover);
    for (const [range, from, to] of [["0-0", 0, 1], ["0-65535", 0, 65536], ["65535-65536", 65535, 65537], ["131072-", 131072, 1_500_000], ["-1", 1_499_999, 1_500_000], ["700000-1499999", 700_000, 1_500_000]]) {
        const answer = await fetch(url, { headers: { range: `bytes=${range}` } });
        assert.equal(answer.status, 206);
        assert.equal(answer.headers.get("content-range"), `bytes ${from}-${to - 1}/1500000`);
        assert.ok((await bytes(answer)).equals(content.subarray(from, to)), range);
    }
    // As a video player resumes: pieces in order make the whole.
    const pieces = [];
    for (let at = 0; at < content.length; at += 400_000) {
        pieces.push(await bytes(await fetch(url, { headers: { range: `bytes=${at}-${at + 399_999}` } })));
    }
    assert.equal(sha(Buffer.concat(pieces)), sha(content));
});

test("memory stays flat while fifty clients download a large file, and while fifty more have stopped reading", async () => {
    const size = long ? 100 << 20 : 24 << 20;
    const content = Buffer.alloc(size, randomBytes(1 << 20));
    const album = await root.collection("albums").create({ cover: file("large.bin", content) });
    const path = new URL(root.files.getURL(album, album.cover)).pathname;
    const digest = sha(content);
    await new Promise((resolve) => setTimeout(resolve, 300));
    const [before, files] = [resident(), openFiles()];

    const { hostname, port } = new URL(conch.url);
    const stalled = await Promise.all(Array.from({ length: 50 }, () => new Promise((resolve) => {
        const socket = connect({ host: hostname, port }, () => socket.write(`GET ${path} HTTP/1.1\r\nHost: x\r\n\r\n`));
        socket.once("data", () => resolve(socket.pause()));
    })));
    let highest = resident();
    const watch = setInterval(() => { highest = Math.max(highest, resident()); }, 20);
    const agent = new Agent({ maxSockets: 50 });
    const digests = await Promise.all(Array.from({ length: 50 }, () => new Promise((resolve, reject) => {
        httpRequest(conch.url + path, { agent }, (answer) => {
            const hash = createHash("sha256");
            answer.on("data", (chunk) => hash.update(chunk)).on("end", () => resolve(hash.digest("hex"))).on("error", reject);
        }).on("error", reject).end();
    })));
    clearInterval(watch);
    agent.destroy();
    assert.deepEqual(new Set(digests), new Set([digest]));
    assert.ok(highest - before < 64, `from ${before.toFixed(0)} to ${highest.toFixed(0)} MiB over a file of ${size >> 20}`);

    stalled.forEach((socket) => socket.destroy());
    await until("the files of those who went away are closed", () => openFiles() <= files + 4);
});

test("a crowd at one thumbnail gets one thumbnail", async () => {
    const album = await root.collection("albums").create({ cover: file("crowd.png", pictures["plain.png"]) });
    const url = root.files.getURL(album, album.cover, { thumb: "50x50" });
    const answers = await Promise.all(Array.from({ length: 100 }, async () => sha(await bytes(await fetch(url)))));
    assert.equal(new Set(answers).size, 1);
    const folder = `${conch.dir}/storage/${album.collectionId}/${album.id}`;
    assert.deepEqual(readdirSync(`${folder}/thumbs_${album.cover}`).sort(), [`50x50_${album.cover}`, `50x50_${album.cover}.attrs`]);
    assert.equal(readdirSync(`${conch.dir}/storage/.spool`).length, 0);
    await root.collection("albums").update(album.id, { cover: null });
    await until("the thumbnail goes with its original", () => !readdirSync(`${conch.dir}/storage/${album.collectionId}`).includes(album.id));
});

/** A PNG that claims to be so large, with as much of a body as is given. */
function claiming(width, height, body = Buffer.alloc(0)) {
    const chunk = (type, data) => {
        const typed = Buffer.concat([Buffer.from(type), data]);
        const [length, sum] = [Buffer.alloc(4), Buffer.alloc(4)];
        length.writeUInt32BE(data.length);
        sum.writeUInt32BE(crc32(typed));
        return Buffer.concat([length, typed, sum]);
    };
    const head = Buffer.alloc(13);
    head.writeUInt32BE(width, 0);
    head.writeUInt32BE(height, 4);
    head.set([8, 2, 0, 0, 0], 8);
    return Buffer.concat([Buffer.from("89504e470d0a1a0a", "hex"), chunk("IHDR", head), chunk("IDAT", body), chunk("IEND", Buffer.alloc(0))]);
}

test("pictures that are bombs, lies or rubbish are served as they are, quickly and in little memory", async () => {
    const zeros = deflateSync(Buffer.alloc(30_000_000));
    const cases = {
        "vast.png": claiming(60_000, 60_000), "deep.png": claiming(30_000, 30_000, zeros), "line.png": claiming(1, 4_000_000), "cut.jpg": pictures["plain.jpg"].subarray(0, 400),
        "lie.png": Buffer.concat([pictures["plain.png"].subarray(0, 40), randomBytes(500)]), "gif.gif": Buffer.concat([pictures["moving.gif"].subarray(0, 20), randomBytes(2000)]), "none.webp": Buffer.concat([pictures["still.webp"].subarray(0, 20), randomBytes(200)]),
    };
    const before = resident();
    for (const [name, content] of Object.entries(cases)) {
        const album = await root.collection("albums").create({ cover: file(name, content) });
        const started = Date.now();
        for (let round = 0; round < 3; round++) {
            const answer = await fetch(root.files.getURL(album, album.cover, { thumb: "0x40" }));
            assert.equal(answer.status, 200, name);
            assert.ok((await bytes(answer)).equals(content), name);
        }
        assert.ok(Date.now() - started < 5000, `${name} took ${Date.now() - started} ms`);
    }
    assert.ok(resident() - before < 150, `from ${before.toFixed(0)} to ${resident().toFixed(0)} MiB`);
    assert.equal((await fetch(`${conch.url}/api/health`)).status, 200);
});
