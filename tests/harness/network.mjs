// A network that breaks.
//
//   const network = await breakable(server.url)
//   network.url                                 the way to the server
//   await network.break(200)                    all connections die, none is taken for 200 ms

import { connect, createServer } from "node:net";

/** A way to the server that can be cut: all connections die at once and none is taken for a while. */
export async function breakable(url) {
    const { hostname, port } = new URL(url);
    const open = new Set();
    let cut = false;
    const server = createServer((inner) => {
        if (cut) return inner.destroy();
        const outer = connect(Number(port), hostname);
        open.add(inner).add(outer);
        for (const [one, other] of [[inner, outer], [outer, inner]]) {
            one.on("error", () => {}).on("close", () => { open.delete(one); other.destroy(); });
            one.pipe(other);
        }
    });
    await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
    return {
        url: `http://127.0.0.1:${server.address().port}`,
        async break(milliseconds) {
            cut = true;
            open.forEach((socket) => socket.destroy());
            await new Promise((resolve) => setTimeout(resolve, milliseconds));
            cut = false;
        },
        stop() {
            cut = true;
            open.forEach((socket) => socket.destroy());
            server.close();
        },
    };
}
