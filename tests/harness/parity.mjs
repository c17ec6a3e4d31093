// Holds Conch against the reference: the same requests to both, the same answers from both.
//
//   const pair = await startPair()
//   await pair.step("POST /api/collections", { as: "root", body: {…} })   compares at once, remembers a difference
//   pair.verify()                                                         fails with all remembered differences
//
// What may differ is folded before the comparison: texts for people, times of the test's own day, random parts of
// ids, file names and tokens, the words of mail templates. Everything else has to be equal: status, keys, values,
// order of lists.

import assert from "node:assert/strict";
import { startPocketBase, startTarget, superuser } from "./server.mjs";

/** `conch`, `reference`: arguments more for each. */
export async function startPair(args = {}) {
    const [conch, reference] = await Promise.all([startTarget({ args: args.conch }), startPocketBase({ args: args.reference })]);
    return new Pair(conch, reference);
}

export class Pair {
    constructor(conch, reference) {
        this.servers = [conch, reference];
        /** Names of callers → their tokens on both servers. */
        this.tokens = { guest: ["", ""], root: [conch.token, reference.token] };
        this.known = new Set();
        this.differences = [];
        this.steps = 0;
    }

    /**
     * Sends one request to both. Returns Conch's answer; `answers` has both. `as` is a name of `login`, `root` or
     * `guest`. Where the two differ by nature (a token, a code), line, body, raw and headers may be functions of the
     * server's number: 0 is Conch, 1 the reference.
     */
    async step(asked, { as = "guest", body, headers = {}, form, raw } = {}) {
        this.steps += 1;
        const of = (value, index) => typeof value === "function" ? value(index) : value;
        const line = of(asked, 0);
        if (body?.id) this.known.add(body.id);
        const answers = await Promise.all(this.servers.map((server, index) => {
            const [method, ...rest] = of(asked, index).split(" ");
            const path = index === 0 ? withoutOwn(method, rest.join(" ")) : rest.join(" ");
            return send(server.url + path, method, this.tokens[as][index], { body: of(body, index), headers: of(headers, index), form, raw: of(raw, index) });
        }));
        this.answers = answers;
        const [ours, theirs] = answers.map((answer) => this.fold(answer));
        // A section of the settings that is Conch's own.
        if (line.includes("/api/settings") && ours.body?.notify) delete ours.body.notify;
        // Where the reference breaks down, breaking down differently is right.
        const bothRefuse = theirs.status === 500 && ours.status >= 400 && ours.status < 500;
        if (!bothRefuse && JSON.stringify(ours) !== JSON.stringify(theirs)) {
            this.differences.push({ request: `${line} as ${as}`, body: of(body, 0) ?? of(raw, 0), ours, theirs });
        }
        return answers[0];
    }

    /** Signs a user in on both servers and names the caller. */
    async login(name, collection, identity, password) {
        const answers = await Promise.all(this.servers.map((server) =>
            send(`${server.url}/api/collections/${collection}/auth-with-password`, "POST", "", { body: { identity, password } })));
        for (const answer of answers) assert.equal(answer.status, 200, JSON.stringify(answer));
        this.tokens[name] = answers.map((answer) => answer.body.token);
    }

    fold({ status, body }) {
        return { status, body: fold(body, this.known) };
    }

    /** Fails with every difference since the last call. */
    verify() {
        const found = this.differences.splice(0);
        assert.ok(this.steps > 0, "no step was compared");
        assert.equal(found.length, 0, `${found.length} of ${this.steps} answers differ:\n` +
            found.slice(0, Number(process.env.PARITY_SHOW ?? 25)).map(show).join("\n"));
        this.steps = 0;
    }

    stop() {
        return Promise.all(this.servers.map((server) => server.stop()));
    }
}

function show({ request, body, ours, theirs }) {
    const cut = (value) => (JSON.stringify(value) ?? "nothing").slice(0, Number(process.env.PARITY_CUT ?? 400));
    const lines = apart(ours, theirs).slice(0, 8).map(([path, mine, other]) => `  ${path.join(".")}: ours ${cut(mine)} theirs ${cut(other)}`);
    return `--- ${request} ${cut(body)}\n${lines.join("\n")}`;
}

/** Where two values differ: the path, and both sides. */
function apart(ours, theirs, path = []) {
    const branches = [ours, theirs].every((value) => value !== null && typeof value === "object");
    if (!branches || Array.isArray(ours) !== Array.isArray(theirs)) {
        return JSON.stringify(ours) === JSON.stringify(theirs) ? [] : [[path, ours, theirs]];
    }
    return [...new Set([...Object.keys(ours), ...Object.keys(theirs)])].flatMap((key) => apart(ours[key], theirs[key], [...path, key]));
}

async function send(url, method, token, { body, headers, form, raw }) {
    const init = { method, headers: { ...headers }, redirect: "manual" };
    if (token) init.headers.authorization = token;
    if (form) {
        init.body = new FormData();
        for (const [name, value, fileName] of form) {
            if (fileName === undefined) init.body.append(name, value);
            else init.body.append(name, new Blob([value]), fileName);
        }
    } else if (raw !== undefined) {
        init.body = raw;
        init.headers["content-type"] ??= "application/json";
    } else if (body !== undefined) {
        init.body = JSON.stringify(body);
        init.headers["content-type"] ??= "application/json";
    }
    const answer = await fetch(url, init);
    const text = await answer.text();
    let parsed = text;
    try {
        parsed = text === "" ? "" : JSON.parse(text);
    } catch {
        // Not JSON: compared as text.
    }
    return { status: answer.status, body: parsed, headers: answer.headers };
}

/** True for a storage datetime within a day of now. */
function isNow(value) {
    return /^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}Z$/.test(value) && Math.abs(Date.parse(value) - Date.now()) < 86_400_000;
}

/** What a sign-in at a provider makes up: only its length is the wire's. */
const unguessable = new Set(["state", "codeVerifier", "codeChallenge"]);

/** A provider's address, with the lengths of what was made up. */
function foldQuery(url) {
    return String(url).replace(/([?&](?:state|code_challenge)=)([^&]*)/g, (_, key, value) => `${key}<${value.length}>`);
}

/** The collections of notifications, which only Conch has. */
const own = ["templates", "devices", "topics", "subscriptions", "preferences", "schedules", "notifications", "deliveries",
    "inbox", "suppressions"].map((name) => `_${name}`);

/** The same request to Conch; a list of collections is asked for without its own. */
function withoutOwn(method, path) {
    if (method !== "GET" || !/^\/api\/collections\/?(\?|$)/.test(path)) return path;
    const [route, query = ""] = path.split("?");
    const others = own.map((name) => `name != '${name}'`).join(" && ");
    const parts = query.split("&").filter(Boolean);
    const at = parts.findIndex((part) => part.startsWith("filter="));
    const filter = at < 0 ? "" : decodeURIComponent(parts.splice(at, 1)[0].slice("filter=".length).replaceAll("+", " "));
    parts.push(`filter=${encodeURIComponent(filter ? `(${filter}) && ${others}` : others)}`);
    return `${route}?${parts.join("&")}`;
}

/** A copy with sorted keys in which everything that may differ is replaced by a word. */
function fold(value, known) {
    if (Array.isArray(value)) return value.map((item) => fold(item, known));
    if (value !== null && typeof value === "object") {
        const folded = {};
        for (const key of Object.keys(value).sort()) {
            if (key === "message" || key === "token") folded[key] = typeof value[key];
            else if (/[tT]emplate$/.test(key)) folded[key] = Object.keys(value[key]).sort(); // mail texts are free
            else if (key === "sample") folded[key] = fold(value[key].map(({ collectionId, collectionName, ...row }) => row), known);
            else if (key === "logo") folded[key] = typeof value[key]; // pictures are free
            else if (unguessable.has(key)) folded[key] = `<${String(value[key]).length}>`;
            else if (key === "authURL" || key === "authUrl") folded[key] = foldQuery(value[key]);
            else if (key === "auto") folded[key] = String(value[key]).length; // an autogenerated text
            else folded[key] = fold(value[key], known);
        }
        return folded;
    }
    if (typeof value !== "string") return value;
    if (isNow(value)) return "<now>";
    if (/^[a-z0-9]{15}$/.test(value) && !known.has(value)) return "<id>";
    if (/^_clone_\w{4}$/.test(value)) return "<clone>";
    if (value === "admin@example.com") return superuser.email;
    return value
        .replace(/_[a-z0-9]{10}(\.[A-Za-z0-9.]+)?$/, "_<random>$1")
        .replace(/^([a-z0-9]{0,2})[a-z0-9]{10}_<random>/, "$1<random>_<random>")
        .replace(/(idx_(?:tokenKey|email))_[a-z0-9]{10}`/, "$1_<random>`");
}
