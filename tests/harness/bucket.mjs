// A real object server for a test (SeaweedFS, which checks signatures), and a proxy before it that can misbehave.
//
//   const store = await startStore()
//   store.settings(bucket, { … })                        the `s3` of the settings for a bucket there
//   await store.create(bucket)
//   await store.objects(bucket, prefix)                  [{ key, size, etag }…]
//   await store.head(bucket, key)                        the headers of an object, undefined if there is none
//   await store.put(bucket, key, bytes, headers)
//   await store.uploads(bucket)                          uploads in parts that have not ended
//   await store.stop()
//
//   const proxy = await startProxy(store)                the same server behind a proxy: proxy.settings(bucket)
//   proxy.behave = async (request, pass) => …            decides for each request: `pass()` passes it on and answers;
//                                                        `request` has method, path, and `cut()`, which hangs up
//   proxy.url                                            also an HTTP proxy, for names that nobody resolves

import { execFileSync, spawn } from "node:child_process";
import { createHash, createHmac } from "node:crypto";
import { writeFileSync } from "node:fs";
import { Agent, createServer, request as httpRequest } from "node:http";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { freePort, remove, temporaryDirectory } from "./server.mjs";

const root = join(dirname(fileURLToPath(import.meta.url)), "..", "..");
const accessKey = "conch-access-key";
const secret = "conch-secret-key";
const region = "us-east-1";

/** What SeaweedFS calls the hosts of buckets: `bucket.s3.test`. */
export const domain = "s3.test";

function weed() {
    if (process.env.WEED_BIN) return process.env.WEED_BIN;
    const script = ". tests/harness/seaweedfs.sh && printf %s \"$WEED_BIN\"";
    return execFileSync("bash", ["-euc", script], { cwd: root, encoding: "utf8", stdio: ["ignore", "pipe", "inherit"] });
}

const hmac = (key, text) => createHmac("sha256", key).update(text).digest();
const encode = (text) => encodeURIComponent(text).replace(/[!'()*]/g, (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`);

/** A request signed as AWS wants it (Signature Version 4), by nobody's library. */
async function signed(url, method, path, query = {}, headers = {}, body) {
    const { host } = new URL(url);
    const date = new Date().toISOString().replace(/[-:]|\.\d+/g, "");
    const day = date.slice(0, 8);
    const all = { ...headers, host, "x-amz-date": date, "x-amz-content-sha256": "UNSIGNED-PAYLOAD" };
    const names = Object.keys(all).map((name) => name.toLowerCase()).sort();
    const target = path.split("/").map(encode).join("/");
    const search = Object.entries(query).map(([name, value]) => `${encode(name)}=${encode(value)}`).sort().join("&");
    const canonical = [method, target, search, ...names.map((name) => `${name}:${all[name]}`), "", names.join(";"), "UNSIGNED-PAYLOAD"].join("\n");
    const scope = `${day}/${region}/s3/aws4_request`;
    const text = ["AWS4-HMAC-SHA256", date, scope, createHash("sha256").update(canonical).digest("hex")].join("\n");
    const key = ["s3", "aws4_request"].reduce(hmac, hmac(hmac(`AWS4${secret}`, day), region));
    const authorization = `AWS4-HMAC-SHA256 Credential=${accessKey}/${scope}, SignedHeaders=${names.join(";")}, Signature=${hmac(key, text).toString("hex")}`;
    delete all.host;
    return fetch(`${url}${target}${search ? `?${search}` : ""}`, { method, headers: { ...all, authorization }, body });
}

const found = (text, tag) => [...text.matchAll(new RegExp(`<${tag}>(.*?)</${tag}>`, "gs"))].map(([, inner]) => inner);
const decoded = (text) => text.replace(/&#34;|&quot;/g, '"').replace(/&lt;/g, "<").replace(/&gt;/g, ">").replace(/&amp;/g, "&");

export async function startStore() {
    const dir = temporaryDirectory("conch-s3-");
    const config = join(dir, "s3.json");
    const identity = { name: "conch", credentials: [{ accessKey, secretKey: secret }], actions: ["Admin", "Read", "Write", "List", "Tagging"] };
    writeFileSync(config, JSON.stringify({ identities: [identity] }));
    const ports = {};
    for (const name of ["master.port", "master.port.grpc", "volume.port", "volume.port.grpc", "filer.port", "filer.port.grpc", "s3.port", "s3.port.grpc"]) {
        ports[name] = await freePort();
    }
    const args = ["server", `-dir=${dir}`, "-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-filer", "-s3", `-s3.config=${config}`, `-s3.domainName=${domain}`,
        "-s3.port.lance=0", "-s3.port.iceberg=0",
        "-volume.max=500", "-master.volumeSizeLimitMB=64", "-master.telemetry=false", ...Object.entries(ports).map(([name, port]) => `-${name}=${port}`)];
    const child = spawn(weed(), args, {
        // Seven volumes for each bucket take their time.
        env: { ...process.env, WEED_MASTER_VOLUME_GROWTH_COPY_1: "1" },
        stdio: ["ignore", "ignore", "pipe"],
    });
    let log = "";
    child.stderr.on("data", (chunk) => { log = (log + chunk).slice(-64_000); });
    const exited = new Promise((resolve) => child.once("exit", resolve));
    const url = `http://127.0.0.1:${ports["s3.port"]}`;
    const ask = (method, path, ...rest) => signed(url, method, path, ...rest);
    const good = async (answer) => {
        const text = await answer.text();
        if (!answer.ok) throw new Error(`the object server answers ${answer.status}: ${text}`);
        return text;
    };
    for (const end = Date.now() + 30_000; ;) {
        if (child.exitCode !== null || Date.now() > end) throw new Error(`the object server does not start:\n${log.slice(-3000)}`);
        const ready = await ask("PUT", "/ready").then((answer) => answer.ok, () => false);
        if (ready && await ask("PUT", "/ready/probe", {}, {}, "x").then((answer) => answer.ok, () => false)) break;
        await new Promise((resolve) => setTimeout(resolve, 100));
    }
    return {
        url,
        settings: (bucket, more = {}) => ({ enabled: true, bucket, region, endpoint: url, accessKey, secret, forcePathStyle: true, ...more }),
        create: async (bucket) => good(await ask("PUT", `/${bucket}`)),
        put: async (bucket, key, bytes, headers = {}) => good(await ask("PUT", `/${bucket}/${key}`, {}, headers, bytes)),
        objects: async (bucket, prefix = "") => {
            const all = [];
            for (let token; ;) {
                const text = await good(await ask("GET", `/${bucket}`, { "list-type": "2", prefix, ...(token ? { "continuation-token": token } : {}) }));
                all.push(...found(text, "Contents").map((object) => ({
                    key: decoded(found(object, "Key")[0]),
                    size: Number(found(object, "Size")[0]),
                    etag: decoded(found(object, "ETag")[0]).replaceAll('"', ""),
                })));
                [token] = found(text, "NextContinuationToken");
                if (!token) return all;
            }
        },
        head: async (bucket, key) => {
            const answer = await ask("HEAD", `/${bucket}/${key}`);
            return answer.ok ? Object.fromEntries(answer.headers) : undefined;
        },
        uploads: async (bucket) => found(await good(await ask("GET", `/${bucket}`, { uploads: "" })), "UploadId"),
        stop: async () => {
            child.kill("SIGKILL");
            await exited;
            remove(dir);
        },
    };
}

export async function startProxy(store) {
    const agent = new Agent({ keepAlive: true });
    const { port } = new URL(store.url);
    const proxy = { behave: (_, pass) => pass() };
    const server = createServer((request, response) => {
        const path = request.url.replace(/^https?:\/\/[^/]+/, "");
        // The signature is over the host that the client meant.
        const pass = (alter = (answer) => answer.pipe(response)) => new Promise((resolve, reject) => {
            const onward = httpRequest({ host: "127.0.0.1", port, method: request.method, path, headers: request.headers, agent }, (answer) => {
                response.writeHead(answer.statusCode, answer.headers);
                alter(answer, response);
                answer.once("end", resolve);
                answer.once("error", reject);
            });
            onward.once("error", reject);
            response.once("close", resolve);
            request.pipe(onward);
        });
        const asked = { method: request.method, path, cut: () => request.socket.destroy(), response };
        Promise.resolve(proxy.behave(asked, pass)).catch(() => request.socket.destroy());
    });
    await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
    proxy.url = `http://127.0.0.1:${server.address().port}`;
    proxy.settings = (bucket, more = {}) => store.settings(bucket, { endpoint: proxy.url, ...more });
    proxy.stop = async () => {
        server.closeAllConnections();
        await new Promise((resolve) => server.close(resolve));
        agent.destroy();
    };
    return proxy;
}
