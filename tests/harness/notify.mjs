// A temporary server with people on it whom something can be told, and its clock.
//
//   const town = await startTown({ ann: "Europe/Berlin", ben: "" })    a server, an account for each name, their zones
//   town.ann.pb  town.ann.id  town.ann.to                    an SDK client, the record, "users/ID"
//   town.root                                                an SDK client of the superuser
//   await town.post("send", { to: [town.ann.to], … })        POST /api/notify/send as superuser: the answer's JSON
//   await town.ask("POST", "/api/notify/…", body, token)     {status, body}
//   await town.freeze("2026-12-01T08:00:00Z")                the clock stands there (it only goes forward)
//   await town.advance("2h")                                 and so much later, with everything done that is due by then
//   await town.settle()                                      waits until nothing is due
//   await town.deliveries(notification)                      its rows of _deliveries, in order
//   await town.items(town.ann)                               somebody's inbox, newest first

import { EventSource } from "eventsource";
import { admin, client, startConch } from "./server.mjs";

// Node 20 has none, and the SDK looks for it there.
globalThis.EventSource ??= EventSource;

export const password = "a-long-password-1";

export async function startTown(zones = { ann: "", ben: "" }, options = {}) {
    const server = await startConch(options);
    const town = new Town(server);
    await town.stayUp();
    for (const [name, zone] of Object.entries(zones)) await town.moveIn(name, zone);
    return town;
}

class Town {
    constructor(server) {
        this.server = server;
        this.url = server.url;
        this.root = admin(server);
    }

    /** Whoever moves the clock by months wants sessions that live as long. */
    async stayUp() {
        for (const name of ["_superusers", "users"]) {
            await this.root.collections.update(name, { authToken: { duration: 94_670_856 } });
        }
        const { token } = await this.root.collection("_superusers").authRefresh();
        this.server.token = token;
    }

    async moveIn(name, zone = "") {
        const email = `${name}@example.com`;
        const record = await this.root.collection("users").create({
            email, password, passwordConfirm: password, name: name[0].toUpperCase() + name.slice(1), verified: true,
        });
        const pb = client(this.server);
        await pb.collection("users").authWithPassword(email, password);
        this[name] = { pb, email, id: record.id, to: `users/${record.id}`, token: pb.authStore.token };
        if (zone) await this.expect(200, "PATCH", "/api/notify/preferences", { zone }, this[name].token);
        return this[name];
    }

    async ask(method, path, body, token = this.server.token) {
        const answer = await fetch(this.url + path, {
            method,
            headers: { ...(body === undefined ? {} : { "content-type": "application/json" }), ...(token ? { authorization: token } : {}) },
            body: body === undefined ? undefined : typeof body === "string" ? body : JSON.stringify(body),
        });
        const text = await answer.text();
        return { status: answer.status, body: text.startsWith("{") || text.startsWith("[") ? JSON.parse(text) : text };
    }

    async expect(status, method, path, body, token) {
        const answer = await this.ask(method, path, body, token);
        if (answer.status !== status) {
            throw new Error(`${method} ${path}: ${answer.status} ${JSON.stringify(answer.body)}, expected ${status}`);
        }
        return answer.body;
    }

    /** POST /api/notify/… as superuser. */
    post(path, body) {
        return this.expect(200, "POST", `/api/notify/${path}`, body);
    }

    freeze(to) {
        return this.expect(200, "POST", "/api/test/clock", { freeze: true, ...(to ? { to } : {}) });
    }

    async advance(span) {
        await this.expect(200, "POST", "/api/test/clock", { advance: span });
        await this.settle();
    }

    async jump(to) {
        await this.expect(200, "POST", "/api/test/clock", { to });
        await this.settle();
    }

    async now() {
        return (await this.expect(200, "GET", "/api/test/clock")).now;
    }

    async settle() {
        const answer = await this.expect(200, "POST", "/api/test/run-due", {});
        if (!answer.done) throw new Error("something is still due");
    }

    deliveries(notification) {
        return this.root.collection("_deliveries").getFullList({
            filter: this.root.filter("notification = {:id}", { id: notification }), sort: "step,created,id",
        });
    }

    notification(id) {
        return this.root.collection("_notifications").getOne(id);
    }

    items(person) {
        return person.pb.collection("_inbox").getFullList({ sort: "-created" });
    }

    /** What was kept instead of sent, oldest first. */
    async mailbox(query = "") {
        return (await this.expect(200, "GET", `/api/mailbox?limit=500${query}`)).items.reverse();
    }

    stop() {
        return this.server.stop();
    }
}

/** Waits until `look` answers something that is not falsy. */
export async function until(look, patience = 5000) {
    const end = Date.now() + patience;
    for (;;) {
        const seen = await look();
        if (seen) return seen;
        if (Date.now() > end) throw new Error(`not within ${patience} ms: ${look}`);
        await new Promise((resolve) => setTimeout(resolve, 20));
    }
}
