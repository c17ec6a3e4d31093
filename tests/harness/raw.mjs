// One request as it is written, where fetch would tidy it up first (`//`, `%2e%2e`, the Host header), and the answer as it
// comes.

import { request } from "node:http";

/** Answers {status, headers, text, bytes}. `body` is sent as it is; an array is sent chunk by chunk, without a length. */
export function ask(server, path, { method = "GET", headers = {}, body, token } = {}) {
    const { hostname, port } = new URL(server.url);
    return new Promise((resolve, reject) => {
        const sent = request({ hostname, port, path, method, headers: { ...headers, ...(token ? { authorization: token } : {}) }, agent: false }, (answer) => {
            const pieces = [];
            answer.on("data", (piece) => pieces.push(piece));
            answer.on("error", reject);
            answer.on("end", () => {
                const bytes = Buffer.concat(pieces);
                resolve({ status: answer.statusCode, headers: answer.headers, bytes, text: bytes.toString() });
            });
        });
        // Whoever is refused early may find the connection closed while still sending; the answer counts.
        sent.on("error", (error) => (sent.res ? undefined : reject(error)));
        if (Array.isArray(body)) {
            for (const piece of body) sent.write(piece);
            sent.end();
        } else {
            sent.end(body);
        }
    });
}
