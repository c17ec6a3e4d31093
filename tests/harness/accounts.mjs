// What the suites of accounts share: both servers with a mail server each, what mails carried, what a flow left behind.
//
//   const pair = await startMailedPair()
//   await pair.step("POST /api/collections/users/request-otp", { body: { email } })
//   const mails = await pair.mails(email)             the newest mail to that address, of both servers
//   const codes = mails.map(codeIn)                   ["12345678", "87654321"]
//   await pair.aftermath("ann0000000000")             compares what the account's flows left in the system collections

import assert from "node:assert/strict";
import { Pair } from "./parity.mjs";
import { remove, startConchOn, startPocketBase, temporaryDirectory } from "./server.mjs";
import { startSmtp } from "./smtp.mjs";

/** Both servers, each with its own mail server. With TEST_TARGET=pocketbase, the reference against itself. */
export async function startMailedPair() {
    const dir = temporaryDirectory();
    const ours = process.env.TEST_TARGET === "pocketbase" ? startPocketBase({ dir }) : startConchOn(dir);
    const [conch, reference, ...sinks] = await Promise.all([ours, startPocketBase(), startSmtp(), startSmtp()]);
    const pair = new MailedPair(conch, reference, sinks);
    await pair.openMail();
    return pair;
}

export class MailedPair extends Pair {
    constructor(conch, reference, sinks) {
        super(conch, reference);
        this.sinks = sinks;
        /** How many mails to an address were read so far. */
        this.read = new Map();
    }

    /** Points both servers at their mail servers. */
    async openMail(change = () => ({})) {
        await Promise.all(this.servers.map(async (server, index) => {
            const { host, port } = this.sinks[index];
            const smtp = { enabled: true, host, port, tls: false, username: "", password: "", ...change(index) };
            const answer = await fetch(`${server.url}/api/settings`, {
                method: "PATCH", headers: { "content-type": "application/json", authorization: this.tokens.root[index] },
                body: JSON.stringify({ smtp, meta: { appName: "Pair", appURL: "https://pair.example", senderName: "Pair", senderAddress: "pair@example.com" } }),
            });
            assert.equal(answer.status, 200, await answer.text());
        }));
    }

    /** Makes the reference's hashes of a collection's passwords cheap: suites have hundreds. */
    async cheapPasswords(collection = "users") {
        const { body: { fields } } = await this.step(`GET /api/collections/${collection}?fields=fields`, { as: "root" });
        await this.step(`PATCH /api/collections/${collection}`, { as: "root", body: { fields: fields.map((field) => field.name === "password" ? { ...field, cost: 4 } : field) } });
    }

    /** The next unread mail to an address, of both servers. */
    async mails(to) {
        const index = this.read.get(to) ?? 0;
        this.read.set(to, index + 1);
        return Promise.all(this.sinks.map((sink, server) => until(async () => (await received(sink, to))[index], () => `server ${server} sent no mail number ${index + 1} to ${to}: ${this.servers[server].log().slice(-2000)}`)));
    }

    /** Waits until both servers have noted whom their codes were sent to, which they do some time after sending. */
    async noted(ids) {
        await Promise.all(this.servers.map((server, index) => until(async () => {
            const answer = await fetch(`${server.url}/api/collections/_otps/records/${ids[index]}`, { headers: { authorization: this.tokens.root[index] } });
            return (await answer.json()).sentTo || undefined;
        }, () => `server ${index} never noted to whom it sent the code ${ids[index]}`)));
    }

    /** Fails when either server has sent more to an address than was read. Waits a little for what may be on its way. */
    async silence(to) {
        await new Promise((resolve) => setTimeout(resolve, 250));
        const counts = await Promise.all(this.sinks.map(async (sink) => (await received(sink, to)).length));
        assert.deepEqual(counts, [this.read.get(to) ?? 0, this.read.get(to) ?? 0], `mails to ${to} (ours, theirs)`);
    }

    /** Compares the rows that belong to an account in all system collections, and the account. */
    async aftermath(id, collection = "users") {
        for (const table of ["_otps", "_mfas", "_externalAuths", "_authOrigins"]) {
            await this.step(`GET /api/collections/${table}/records?perPage=50&sort=created&filter=${encodeURIComponent(`recordRef = '${id}'`)}`, { as: "root" });
        }
        await this.step(`GET /api/collections/${collection}/records/${id}`, { as: "root" });
    }

    /** Tries tokens (named pairs) and passwords, to learn which flow ended which. */
    async tryTokens(names, collection = "users") {
        for (const as of names) await this.step(`POST /api/collections/${collection}/auth-refresh`, { as });
    }

    /** Names the caller whose tokens the last step answered with. */
    caller(name) {
        this.tokens[name] = this.answers.map(({ status, body }) => {
            assert.equal(status, 200, JSON.stringify(body));
            return body.token;
        });
    }

    /** A value of both servers' last answers. */
    last(key) {
        return this.answers.map(({ body }) => body[key]);
    }

    async stop() {
        await super.stop();
        await Promise.all(this.sinks.map((sink) => sink.stop?.()));
        for (const { dir } of this.servers) remove(dir);
    }
}

async function received(sink, to) {
    return (await sink.mails()).filter((mail) => [mail.to].flat().some((address) => String(address).includes(to)));
}

/** Waits for a value that is not undefined, for ten seconds. */
export async function until(find, complaint = () => "nothing came") {
    for (const end = Date.now() + 10_000; Date.now() < end;) {
        const found = await find();
        if (found !== undefined) return found;
        await new Promise((resolve) => setTimeout(resolve, 15));
    }
    throw new Error(complaint());
}

/** The token in a mail's link. */
export function tokenIn(mail) {
    const found = /eyJ[\w-]+\.[\w-]+\.[\w-]+/.exec(mail.html || mail.text);
    assert.ok(found, `no token in ${mail.subject}: ${mail.html}`);
    return found[0];
}

/** The code in a mail with a one-time password. */
export function codeIn(mail) {
    const found = /\b\d{4,30}\b/.exec(mail.text || mail.html);
    assert.ok(found, `no code in ${mail.subject}: ${mail.text}`);
    return found[0];
}

/** The claims of a token, unverified. */
export function claimsOf(token) {
    return JSON.parse(Buffer.from(token.split(".")[1], "base64url"));
}

/** An id of the right length that begins with these letters. */
export const idOf = (name) => name.padEnd(15, "0");

/** What a new account's form says about its password. */
export const withPassword = (password) => ({ password, passwordConfirm: password });
