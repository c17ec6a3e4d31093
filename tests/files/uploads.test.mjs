// Uploads that are wrong, hostile or broken off: the wire's answer, nothing stored, nothing stuck.

import assert from "node:assert/strict";
import { existsSync, readdirSync, statSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { admin, startConch } from "../harness/server.mjs";

let conch, root;
const BOUNDARY = "the-boundary";

before(async () => {
    conch = await startConch();
    root = admin(conch);
    await root.collections.create({ id: "drop", name: "drop", type: "base", createRule: "", viewRule: "", fields: [
        { name: "f", type: "file", maxSelect: 3, maxSize: 1000 }, { name: "image", type: "file", mimeTypes: ["image/png"] }, { name: "t", type: "text", max: 5 },
    ] });
});
after(() => conch?.stop());

/** Every file below `storage/`, without sidecars. */
function stored(folder = join(conch.dir, "storage")) {
    if (!existsSync(folder)) return [];
    return readdirSync(folder).flatMap((name) => {
        const path = join(folder, name);
        return statSync(path, { throwIfNoEntry: false })?.isDirectory() ? stored(path) : [path];
    }).filter((path) => !path.endsWith(".attrs"));
}

async function nothingMore(before) {
    const end = Date.now() + 5000;
    while (stored().length !== before.length) {
        assert.ok(Date.now() < end, `left: ${stored().filter((path) => !before.includes(path)).join(" ")}`);
        await new Promise((resolve) => setTimeout(resolve, 20));
    }
}

function part(name, content, disposition) {
    return Buffer.concat([Buffer.from(`--${BOUNDARY}\r\nContent-Disposition: form-data; name="${name}"${disposition}\r\n\r\n`), Buffer.from(content), Buffer.from("\r\n")]);
}

/** Sends raw bytes and gives back the status, or 0 when the connection ended without an answer. */
function raw(body, { length = body.length, end = true } = {}) {
    const { hostname, port } = new URL(conch.url);
    return new Promise((resolve, reject) => {
        const socket = connect({ host: hostname, port });
        let text = "";
        socket.on("data", (chunk) => { text += chunk.toString("latin1"); if (text.includes("\r\n\r\n")) socket.destroy(); });
        socket.on("close", () => resolve(Number(/^HTTP\/1\.1 (\d+)/.exec(text)?.[1] ?? 0)));
        socket.on("error", (error) => (error.code === "ECONNRESET" || error.code === "EPIPE" ? undefined : reject(error)));
        socket.setTimeout(15_000, () => { socket.destroy(); reject(new Error("no answer")); });
        socket.write(`POST /api/collections/drop/records HTTP/1.1\r\nHost: x\r\nContent-Type: multipart/form-data; boundary=${BOUNDARY}\r\nContent-Length: ${length}\r\n\r\n`);
        socket.write(body);
        if (!end) setTimeout(() => socket.destroy(), 300);
    });
}

const closing = Buffer.from(`--${BOUNDARY}--\r\n`);

test("whatever a client calls a file becomes one plain name in the record's folder", async () => {
    for (const name of [
        "../../../etc/passwd", "..\\..\\evil.txt", "/etc/passwd", "a/../../b.txt", "..", ".", "...", "con", "%2e%2e%2fevil", "..%2f..%2fevil.txt", "x".repeat(300) + ".txt", "é".repeat(300), "a\u202etxt.exe", "\u200f\u200e.png", "a\nb.txt", "a\rb.txt", "a;b=c.txt", "a'b.txt", "🦀.png", ".attrs", "x.attrs", "thumbs_x.png", ".spool", "~", "-rf", "$(id).txt", "a b\tc.txt", "*?.txt", "CON.txt", "x.", "x..txt",
    ]) {
        const form = new FormData();
        form.append("f", new Blob(["x"]), name);
        const answer = await fetch(`${conch.url}/api/collections/drop/records`, { method: "POST", body: form });
        const record = await answer.json();
        assert.equal(answer.status, 200, `${JSON.stringify(name)} ${JSON.stringify(record)}`);
        const [file] = record.f;
        assert.match(file, /^[A-Za-z0-9_.*+=#-]{1,150}$/, name);
        assert.ok(!file.startsWith(".") && !file.includes(".."), file);
        const folder = join(conch.dir, "storage", "drop", record.id);
        assert.deepEqual(readdirSync(folder).sort(), [file, `${file}.attrs`]);
        const served = await fetch(`${conch.url}/api/files/drop/${record.id}/${encodeURIComponent(file)}`);
        assert.equal(await served.text(), "x");
    }
    assert.deepEqual(readdirSync(conch.dir).filter((name) => /passwd|evil/.test(name)), []);
});

test("what is refused is answered as the wire says and leaves nothing", async () => {
    const before = stored();
    const send = async (...parts) => {
        const form = new FormData();
        for (const [name, content, fileName] of parts) form.append(name, fileName === undefined ? content : new Blob([content]), ...(fileName === undefined ? [] : [fileName]));
        const answer = await fetch(`${conch.url}/api/collections/drop/records`, { method: "POST", body: form });
        return { status: answer.status, ...(await answer.json()) };
    };
    for (const [parts, field, code] of [
        [[["f", "x".repeat(1001), "a.txt"]], "f", "validation_file_size_limit"],
        [[["f", "1", "a.txt"], ["f", "2", "b.txt"], ["f", "3", "c.txt"], ["f", "4", "d.txt"]], "f", "validation_too_many_files"],
        [[["image", "no image", "a.png"]], "image", "validation_invalid_mime_type"],
        [[["f", "fine", "a.txt"], ["t", "too long"]], "t", "validation_max_text_constraint"],
        [[["f", "somebody_elses_0123456789.txt"]], "f", "validation_invalid_file"],
        [[["f", "../../data.db"]], "f", "validation_invalid_file"],
    ]) {
        const answer = await send(...parts);
        assert.equal(answer.status, 400);
        assert.equal(answer.data[field]?.code, code, JSON.stringify(answer));
    }
    const empty = await send(["f", "", "empty.txt"]);
    assert.equal(empty.status, 200);
    await root.collection("drop").delete(empty.id);
    // Over what the collection may take at all.
    const huge = await raw(Buffer.alloc(0), { length: 10 ** 12, end: false });
    assert.equal(huge, 413);
    await nothingMore(before);
});

test("broken and truncated bodies leave nothing", async () => {
    const before = stored();
    const file = part("f", "some bytes", '; filename="a.txt"');
    for (const [what, body] of Object.entries({
        "no final boundary": file,
        "in the middle of a part": file.subarray(0, -6),
        "in the middle of a head": Buffer.concat([file, Buffer.from(`--${BOUNDARY}\r\nContent-Dispo`)]),
        "no boundary at all": Buffer.from("hello"),
        "nothing": Buffer.alloc(0),
        "NUL in a name": Buffer.concat([part("f", "x", '; filename="a\u0000b.txt"'), closing]),
        "a broken second part": Buffer.concat([file, Buffer.from(`--${BOUNDARY}\r\nno header at all\r\n\r\nx\r\n`), closing]),
    })) {
        const status = await raw(body);
        assert.ok(status === 400 || (what === "nothing" && status === 200), `${what}: ${status}`);
    }
    for (const { id } of await root.collection("drop").getFullList({ filter: "f:length = 0" })) await root.collection("drop").delete(id);
    await nothingMore(before);
});

test("a lying length, and a client that goes away in the middle, leave nothing", async () => {
    const before = stored();
    const body = Buffer.concat([part("f", "some bytes", '; filename="a.txt"'), closing]);
    // What follows the declared end is no request, so the connection ends: after the answer, or before it was written.
    assert.ok([400, 0].includes(await raw(body, { length: body.length - 30 })), "shorter than what is sent");
    assert.equal(await raw(body.subarray(0, -closing.length), { length: body.length + 1000, end: false }), 0, "longer than what is sent");
    await Promise.all(Array.from({ length: 40 }, () => raw(Buffer.concat([part("f", "x".repeat(900), '; filename="a.txt"'), part("f", "y".repeat(200_000), '; filename="b.txt"').subarray(0, 150_000)]), { length: 400_000, end: false })));
    await nothingMore(before);
    assert.equal((await fetch(`${conch.url}/api/health`)).status, 200);
});
