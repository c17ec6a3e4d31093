// What a client sees of a TLS server: certificates, answers over HTTP/1.1 and HTTP/2, streams.

import { once } from "node:events";
import { connect as connectHttp2 } from "node:http2";
import { request } from "node:https";
import { connect } from "node:tls";

/** The certificate that is presented for `name`: {subject names, issuer, fingerprint, protocol, alpn}. */
export async function presented(port, name, options = {}) {
    const socket = connect({ host: "127.0.0.1", port, servername: name, rejectUnauthorized: false, ...options });
    try {
        await once(socket, "secureConnect");
        const certificate = socket.getPeerCertificate(true);
        return {
            names: certificate.subjectaltname,
            selfSigned: certificate.issuerCertificate?.fingerprint256 === certificate.fingerprint256,
            fingerprint: certificate.fingerprint256,
            trusted: socket.authorized,
            why: socket.authorizationError,
            protocol: socket.getProtocol(),
            alpn: socket.alpnProtocol,
        };
    } finally {
        socket.destroy();
    }
}

/** One request over HTTPS with HTTP/1.1 on a connection of its own. */
export function get(port, path, { name = "localhost", ca, headers, method = "GET", body, from } = {}) {
    return new Promise((resolve, reject) => {
        const asked = request({ host: "127.0.0.1", port, path, method, servername: name, ca, headers, agent: false, localAddress: from }, async (answer) => {
            let text = "";
            for await (const piece of answer) text += piece;
            resolve({ status: answer.statusCode, headers: answer.headers, text });
        });
        asked.once("error", reject);
        asked.end(body);
    });
}

/** A connection that speaks HTTP/2. With a `window` of 0 its client makes no room for answers. */
export async function openHttp2(port, { name = "localhost", ca, window } = {}) {
    const settings = window === undefined ? undefined : { initialWindowSize: window };
    const session = connectHttp2(`https://127.0.0.1:${port}`, { servername: name, ca, settings });
    await once(session, "connect");
    return {
        session,
        /** {status, headers, text} */
        async ask(path, { method = "GET", headers = {}, body } = {}) {
            const stream = session.request({ ":path": path, ":method": method, ...headers });
            stream.end(body);
            const [answered] = await once(stream, "response");
            let text = "";
            for await (const piece of stream) text += piece;
            return { status: answered[":status"], headers: answered, text };
        },
        /** `/api/realtime`, connected: {id, events, abort()} */
        async stream() {
            const stream = session.request({ ":path": "/api/realtime" });
            const events = [];
            let text = "";
            const opened = new Promise((resolve) => {
                stream.on("data", (piece) => {
                    const frames = (text += piece).split("\n\n");
                    text = frames.pop();
                    for (const frame of frames) {
                        const [, event, data] = frame.match(/event:(.*)\ndata:(.*)/);
                        if (event === "PB_CONNECT") resolve(JSON.parse(data).clientId);
                        else events.push({ event, data: JSON.parse(data) });
                    }
                });
            });
            stream.on("error", () => {});
            return { id: await opened, events, closed: once(stream, "close"), abort: () => stream.close(8) };
        },
        close: () => session.destroy(),
    };
}

export async function eventually(what, holds, patience = 20_000) {
    let last;
    for (const end = Date.now() + patience; Date.now() < end;) {
        try {
            last = await holds();
            if (last) return last;
        } catch (error) {
            last = error;
        }
        await new Promise((resolve) => setTimeout(resolve, 50));
    }
    throw new Error(`never: ${what} (${last})`);
}
