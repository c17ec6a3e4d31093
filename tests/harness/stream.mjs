// A plain reader of `/api/realtime`: frames as they come, with nothing done for the reader.
//
//   const stream = await openStream(server)       connected, with its client's id
//   await stream.subscribe(topics, token)         POST; answers {status, body}
//   await stream.next((event) => …)               the first event from now on that fits, or fails after `patience`
//   stream.events                                 everything so far, without PB_CONNECT: [{event, data}]

export async function openStream(server, { headers = {} } = {}) {
    const abort = new AbortController();
    const response = await fetch(`${server.url}/api/realtime`, { headers, signal: abort.signal });
    const stream = new Stream(server, response, abort);
    await stream.connected;
    return stream;
}

class Stream {
    constructor(server, response, abort) {
        this.server = server;
        this.response = response;
        this.abort = abort;
        this.events = [];
        this.frames = [];
        this.waiting = new Set();
        this.ended = false;
        this.connected = new Promise((resolve, reject) => { this.onConnect = resolve; this.onFail = reject; });
        this.done = this.read().catch(() => {}).finally(() => {
            this.ended = true;
            this.onFail(new Error("the stream ended before it was connected"));
            this.wake();
        });
        this.connected.catch(() => {});
    }

    async read() {
        let text = "";
        for await (const piece of this.response.body.pipeThrough(new TextDecoderStream())) {
            const frames = (text += piece).split("\n\n");
            text = frames.pop();
            frames.forEach((frame) => this.take(frame));
            this.wake();
        }
    }

    take(frame) {
        const parts = frame.match(/^id:(.*)\nevent:(.*)\ndata:(.*)$/);
        if (!parts) throw new Error(`not a frame: ${JSON.stringify(frame)}`);
        const [, id, event, text] = parts;
        const data = JSON.parse(text);
        this.frames.push(frame);
        if (event === "PB_CONNECT") {
            this.id = data.clientId;
            return this.onConnect();
        }
        this.events.push({ id, event, data });
    }

    wake() {
        this.waiting.forEach((look) => look());
    }

    /** The first event at or after `from` that fits. */
    next(fits = () => true, { from = this.events.length, patience = 10_000 } = {}) {
        return new Promise((resolve, reject) => {
            const look = () => {
                const found = this.events.slice(from).find(fits);
                if (found) finish(() => resolve(found));
                else if (this.ended) finish(() => reject(new Error("the stream ended")));
            };
            const timer = setTimeout(() => finish(() => reject(new Error(
                `no such event within ${patience} ms; got ${JSON.stringify(this.events.slice(from))}`))), patience);
            const finish = (settle) => { clearTimeout(timer); this.waiting.delete(look); settle(); };
            this.waiting.add(look);
            look();
        });
    }

    async subscribe(subscriptions, token, more = {}) {
        const response = await fetch(`${this.server.url}/api/realtime`, {
            method: "POST",
            headers: { "content-type": "application/json", ...(token && { authorization: token }) },
            body: JSON.stringify({ clientId: this.id, subscriptions, ...more }),
        });
        const text = await response.text();
        return { status: response.status, body: text ? JSON.parse(text) : null };
    }

    close() {
        this.abort.abort();
        return this.done;
    }
}
