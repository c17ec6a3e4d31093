// A login provider whose answers a test chooses; each of the two servers of a pair talks to a door of its own.
//
//   const provider = await startProvider()
//   provider.door(0)                                          the base address for Conch; door(1) for the reference
//   provider.now = { user: { sub: "1" }, token: { … } }       what it answers from now on
//   provider.heard(0)                                         what Conch asked since the last call
//
// `user`, `emails`, `jwks` are the JSON of these endpoints, or { status, text } for another answer; `token` is merged
// into a usual token answer unless it has a status.

import { createServer } from "node:http";

export async function startProvider() {
    const heard = [[], []];
    const provider = {
        now: {},
        heard(index) {
            return heard[index].splice(0);
        },
        door: (index) => `http://127.0.0.1:${server.address().port}/${index}`,
        stop: () => {
            server.closeAllConnections();
            return new Promise((resolve) => server.close(resolve));
        },
    };
    const server = createServer((request, response) => {
        let body = "";
        request.setEncoding("utf8").on("data", (chunk) => { body += chunk; }).on("end", () => {
            const [, index, ...rest] = request.url.split("/");
            const path = rest.join("/");
            heard[index]?.push({ method: request.method, path, headers: request.headers, body });
            const { status, type, text } = answer(provider.now, path, heard[index]?.length);
            response.writeHead(status, { "content-type": type, location: provider.now.location ?? "" }).end(text);
        });
    });
    await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
    return provider;
}

function answer(now, path, nth) {
    if (path === "token" || path.startsWith("token?")) {
        if (now.refuseFirst && nth === 1) return json(400, { error: "invalid_client" });
        const token = { access_token: "access", token_type: "Bearer", refresh_token: "refresh", expires_in: 3600, ...now.token };
        return now.token?.status ? raw(now.token) : json(200, token);
    }
    if (path.endsWith("/emails")) return chosen(now.emails);
    if (path.startsWith("jwks")) return chosen(now.jwks);
    return chosen(now.user);
}

const chosen = (value) => Number.isInteger(value?.status) ? raw(value) : json(200, value ?? {});
const json = (status, value) => ({ status, type: "application/json", text: JSON.stringify(value) });
const raw = ({ status, text = "", type = "application/json" }) => ({ status, type, text });
