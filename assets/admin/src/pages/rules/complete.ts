// What can stand at a place of a rule or a filter (docs/wire/records-filter.md), from the real collections. Pure: text
// and collections in, suggestions out.

import type { CollectionField, CollectionModel } from "pocketbase";

export interface Suggestion {
    label: string;
    /** What is written when it is chosen; the label otherwise. */
    apply?: string;
    kind: "field" | "relation" | "back" | "request" | "collection" | "macro" | "function" | "constant" | "value" | "modifier" | "operator";
    /** Its type, or where it leads. */
    detail?: string;
    /** Higher comes first. */
    boost?: number;
}
export interface Suggestions { from: number; options: Suggestion[] }
export interface Asked {
    collection: CollectionModel;
    collections: CollectionModel[];
    /** Ctrl+Space: then operators are offered as well, which otherwise would be in the way of Enter. */
    explicit?: boolean;
    /** `false` leaves out what belongs to a request: for the box above a list. */
    request?: boolean;
    /** Nothing but its own fields: no other collections. */
    alone?: boolean;
}

interface Token { kind: "text" | "name" | "number" | "sign" | "join" | "open" | "close" | "comma" | "other"; text: string; from: number; open?: boolean }

const TOKEN = /\s+|\/\/[^\n]*|'(?:[^'\\]|\\[^])*('|$)|"(?:[^"\\]|\\[^])*("|$)|-?\d+(?:\.\d+)?|[A-Za-z_@#][\w.:]*|[=?!<>~]+|[&|]+|[()]|,|[^]/y;

/** The tokens of a text; a text without its closing quote is `open`, as is a comment that the end has cut. */
export function tokens(text: string): Token[] {
    const found: Token[] = [];
    for (let at = 0; at < text.length;) {
        TOKEN.lastIndex = at;
        const match = TOKEN.exec(text);
        if (!match) break;
        const [said, single, double] = match;
        const first = said[0] ?? "";
        const add = (kind: Token["kind"], open = false) => found.push({ kind, text: said, from: at, open });
        if (first === "'" || first === "\"") add("text", !(single || double) || said.length === 1);
        else if (said.startsWith("//")) { if (at + said.length === text.length) add("other", true); }
        else if (/[\d-]/.test(first)) add("number");
        else if (/[\w@#]/.test(first)) add("name");
        else if (/[=?!<>~]/.test(first)) add("sign");
        else if (/[&|]/.test(first)) add("join");
        else if (first === "(") add("open");
        else if (first === ")") add("close");
        else if (first === ",") add("comma");
        at += said.length;
    }
    return found;
}

export const MACROS = ["@now", "@todayStart", "@todayEnd", "@yesterday", "@tomorrow", "@monthStart", "@monthEnd", "@yearStart", "@yearEnd",
    "@second", "@minute", "@hour", "@day", "@weekday", "@month", "@year"];
export const SIGNS = ["=", "!=", "~", "!~", ">", ">=", "<", "<=", "?=", "?!=", "?~", "?!~", "?>", "?>=", "?<", "?<="];
const CONTEXTS = ["default", "expand", "realtime", "protectedFile", "batch", "oauth2", "otp", "password"];
const METHODS = ["GET", "POST", "PATCH", "PUT", "DELETE"];
const HEADERS = ["user_agent", "accept_language", "origin", "referer", "authorization", "x_forwarded_for", "content_type"];
const MULTIPLE = new Set(["select", "file", "relation"]);

/** Suggestions for the place `at` in a text; none where there is nothing to say. */
export function suggest(text: string, at: number, asked: Asked): Suggestions | null {
    const before = tokens(text.slice(0, at));
    const last = before.at(-1);
    if (last?.open) return last.kind === "text" ? insideText(before, at, asked) : null;
    const word = last?.kind === "name" && last.from + last.text.length === at ? last : undefined;
    const rest = word ? before.slice(0, -1) : before;
    if (!word && !asked.explicit) return null;
    const wanted = expected(rest);
    if (wanted === "operand") {
        const from = word?.from ?? at;
        const found = operand(word?.text ?? "", from, asked);
        const sign = rest.at(-1);
        if (found && sign?.kind === "sign" && found.from === from) found.options.unshift(...values(rest, asked));
        return fitting(found, text.slice(found?.from ?? at, at));
    }
    if (word) return null;
    if (wanted === "sign") return { from: at, options: SIGNS.map((label, place) => ({ label, kind: "operator", boost: -place })) };
    return { from: at, options: ["&&", "||"].map((label, place) => ({ label, kind: "operator", boost: -place })) };
}

/** What has to come after these tokens. */
function expected(rest: Token[]): "operand" | "sign" | "join" {
    let state: "operand" | "sign" | "join" = "operand";
    let right = false, depth = 0;
    for (const [place, token] of rest.entries()) {
        if (depth) {
            // Inside a function: commas and operands in turn, as they come.
            if (token.kind === "open") depth += 1;
            if (token.kind === "close" && --depth === 0) { state = right ? "join" : "sign"; right = false; }
        } else if (token.kind === "open") {
            const called = rest[place - 1];
            if (called?.kind === "name" && called.from + called.text.length === token.from) { depth = 1; right = state === "join"; }
            else state = "operand";
        } else if (token.kind === "close") state = "join";
        else if (token.kind === "sign") { state = "operand"; right = true; }
        else if (token.kind === "join") { state = "operand"; right = false; }
        else if (state === "operand") { state = right ? "join" : "sign"; right = false; }
    }
    return depth ? "operand" : state;
}

/** Keeps what holds what is written already; nothing if that is whole. */
function fitting(found: Suggestions | null, written: string): Suggestions | null {
    if (!found) return null;
    const wanted = written.toLowerCase();
    const options = found.options.filter(({ label }) => label.toLowerCase().includes(wanted));
    if (!options.length || (options.length === 1 && options[0]?.label === written && !options[0].apply)) return null;
    return { from: found.from, options: options.slice(0, 300) };
}

function operand(word: string, from: number, asked: Asked): Suggestions | null {
    const colon = word.lastIndexOf(":");
    if (colon > word.lastIndexOf(".") && !/^@collection\.\w+:\w*$/.test(word)) {
        return { from: from + colon + 1, options: modifiers(word.slice(0, colon), asked) };
    }
    const dot = word.lastIndexOf(".");
    if (dot < 0) return { from, options: roots(asked) };
    const path = word.slice(0, dot).split(".");
    return { from: from + dot + 1, options: steps(path, asked) };
}

/** What an operand can begin with. */
function roots({ collection, collections, request = true, alone = false }: Asked): Suggestion[] {
    return [
        ...names(collection, collections, 20),
        ...(request ? [
            { label: "@request.auth", apply: "@request.auth.", kind: "request", boost: 9 },
            { label: "@request.body", apply: "@request.body.", kind: "request", boost: 8 },
            { label: "@request.query", apply: "@request.query.", kind: "request", boost: 7 },
            { label: "@request.headers", apply: "@request.headers.", kind: "request", boost: 6 },
            { label: "@request.method", kind: "request", boost: 5 },
            { label: "@request.context", kind: "request", boost: 4 },
        ] as Suggestion[] : []),
        ...(alone ? [] : [{ label: "@collection", apply: "@collection.", kind: "collection", boost: 3 } as Suggestion]),
        ...MACROS.map((label): Suggestion => ({ label, kind: "macro", boost: 1 })),
        { label: "geoDistance", apply: "geoDistance(", kind: "function", detail: "(lonA, latA, lonB, latB) km" },
        { label: "strftime", apply: "strftime(", kind: "function", detail: "('%Y-%m', date, …)" },
        ...["true", "false", "null"].map((label): Suggestion => ({ label, kind: "constant" })),
    ];
}

/** The fields of a collection, and the collections that point to it. */
function names(collection: CollectionModel, collections: CollectionModel[], boost = 0): Suggestion[] {
    const fields = collection.fields.map((field): Suggestion => ({ label: field.name, kind: field.type === "relation" ? "relation" : "field", detail: typeOf(field, collections), boost }));
    const backs = collections.flatMap((other) => other.fields
        .filter((field) => field.type === "relation" && field.collectionId === collection.id)
        .map((field): Suggestion => ({ label: `${other.name}_via_${field.name}`, apply: `${other.name}_via_${field.name}.`, kind: "back", detail: `← ${other.name}`, boost: boost - 5 })));
    return [...fields, ...backs];
}

/** "relation → users", "select ×3". */
export function typeOf(field: CollectionField, collections: CollectionModel[]): string {
    if (field.type === "relation") return `${Number(field.maxSelect) > 1 ? "⇉" : "→"} ${collections.find(({ id }) => id === field.collectionId)?.name ?? "?"}`;
    return MULTIPLE.has(field.type) && Number(field.maxSelect) > 1 ? `${field.type}[]` : field.type;
}

/** Follows a path of names; what can come next. */
function steps(path: string[], asked: Asked): Suggestion[] {
    const { collection, collections } = asked;
    const [first = "", second = "", ...rest] = path;
    if (first === "@request") {
        if (!second) return ["auth", "body", "query", "headers"].map((label): Suggestion => ({ label, apply: `${label}.`, kind: "request" }))
            .concat(["method", "context"].map((label): Suggestion => ({ label, kind: "request" })));
        if (second === "auth") return rest.length ? walk(owners(collections), rest, collections) : ofAuth(collections);
        if (second === "body") return rest.length ? walk([collection], rest, collections) : collection.fields.filter(({ type }) => type !== "autodate").map((field) => ({ label: field.name, kind: "field", detail: typeOf(field, collections) }));
        if (second === "headers" && !rest.length) return HEADERS.map((label) => ({ label, kind: "request" }));
        return [];
    }
    if (first === "@collection") {
        if (!second) return collections.map(({ name, type }) => ({ label: name, apply: `${name}.`, kind: "collection", detail: type }));
        const named = collections.find(({ name, id }) => name === second.split(":")[0] || id === second.split(":")[0]);
        return named ? walk([named], rest, collections) : [];
    }
    return first.startsWith("@") ? [] : walk([collection], path, collections);
}

const owners = (collections: CollectionModel[]) => collections.filter(({ type }) => type === "auth");

/** Fields of whoever may be signed in, with the collections that have them. */
function ofAuth(collections: CollectionModel[]): Suggestion[] {
    const found = new Map<string, Suggestion & { of: string[] }>();
    for (const owner of owners(collections)) {
        for (const one of names(owner, collections)) {
            const known = found.get(one.label);
            if (known) known.of.push(owner.name);
            else found.set(one.label, { ...one, of: [owner.name] });
        }
    }
    const several = owners(collections).length > 1;
    return [
        ...[...found.values()].map(({ of, ...one }) => ({ ...one, boost: one.label === "id" ? 5 : 0, detail: several ? `${one.detail} · ${of.slice(0, 3).join(", ")}` : one.detail })),
        { label: "collectionName", kind: "field", detail: "text" },
        { label: "collectionId", kind: "field", detail: "text" },
    ];
}

/** The collections that a path leads to from some others. */
function follow(starts: CollectionModel[], path: string[], collections: CollectionModel[]): { places: CollectionModel[]; point: boolean } {
    let places = starts;
    for (const [place, step] of path.entries()) {
        const fields = places.flatMap((one) => one.fields.filter(({ name }) => name === step));
        if (fields.some(({ type }) => type === "geoPoint")) return { places: [], point: place === path.length - 1 };
        const back = /^(\w+)_via_(\w+)$/.exec(step);
        const next = fields.filter(({ type }) => type === "relation").map((field) => collections.find(({ id }) => id === field.collectionId));
        if (back) next.push(collections.find(({ name, id }) => name.toLowerCase() === back[1]?.toLowerCase() || id === back[1]));
        places = next.filter((one): one is CollectionModel => Boolean(one));
    }
    return { places, point: false };
}

function walk(starts: CollectionModel[], path: string[], collections: CollectionModel[]): Suggestion[] {
    const { places, point } = follow(starts, path, collections);
    if (point) return [{ label: "lon", kind: "field", detail: "number" }, { label: "lat", kind: "field", detail: "number" }];
    const found = places.flatMap((one) => names(one, collections));
    return found.filter((one, place) => found.findIndex(({ label }) => label === one.label) === place);
}

/** The field that a path means, if it means one. */
export function fieldOf(word: string, { collection, collections }: Asked): CollectionField | undefined {
    const path = word.replace(/:\w*$/, "").split(".");
    let starts = [collection];
    if (path[0] === "@request") {
        if (path[1] === "auth") starts = owners(collections);
        else if (path[1] !== "body") return undefined;
        path.splice(0, 2);
    } else if (path[0] === "@collection") {
        starts = collections.filter(({ name }) => name === path[1]?.split(":")[0]);
        path.splice(0, 2);
    }
    const name = path.pop();
    return follow(starts, path, collections).places.flatMap(({ fields }) => fields).find((field) => field.name === name);
}

function modifiers(word: string, asked: Asked): Suggestion[] {
    const found: string[] = [];
    const field = fieldOf(word, asked);
    if (word.startsWith("@request.")) found.push("isset");
    if (word.startsWith("@request.body.") && field) found.push("changed");
    if (field && MULTIPLE.has(field.type)) found.push("length", "each");
    found.push("lower");
    return found.map((label, place) => ({ label, kind: "modifier", boost: -place }));
}

/** What a field can be compared with, as it is written: 'draft', true, @now. */
function values(rest: Token[], asked: Asked): Suggestion[] {
    const left = rest.at(-2);
    if (left?.kind !== "name") return [];
    if (left.text === "@request.context") return CONTEXTS.map((one) => ({ label: `'${one}'`, kind: "value", boost: 50 }));
    if (left.text === "@request.method") return METHODS.map((one) => ({ label: `'${one}'`, kind: "value", boost: 50 }));
    if (/:(isset|changed)$/.test(left.text)) return ["true", "false"].map((label) => ({ label, kind: "value", boost: 50 }));
    const field = fieldOf(left.text, asked);
    if (!field) return [];
    switch (field.type) {
        case "select": return choices(field).map((one) => ({ label: quoted(one), kind: "value", boost: 50 }));
        case "bool": return ["true", "false"].map((label) => ({ label, kind: "value", boost: 50 }));
        case "date": case "autodate": return MACROS.slice(0, 9).map((label, place) => ({ label, kind: "value", boost: 50 - place }));
        case "relation": {
            const target = asked.collections.find(({ id }) => id === field.collectionId);
            return target?.type === "auth" && asked.request !== false ? [{ label: "@request.auth.id", kind: "value", detail: target.name, boost: 50 }] : [];
        }
        default: return [];
    }
}

const choices = (field: CollectionField): string[] => (Array.isArray(field.values) ? field.values.map(String).slice(0, 200) : []);
/** A text as the language writes it. */
export const quoted = (text: string) => `'${text.replaceAll("\\", "\\\\").replaceAll("'", "\\'")}'`;

/** Inside quotes: the values of a select field that is compared with it. */
function insideText(before: Token[], at: number, asked: Asked): Suggestions | null {
    const [left, sign, text] = before.slice(-3);
    if (left?.kind !== "name" || sign?.kind !== "sign" || !text) return null;
    const known = left.text === "@request.context" ? CONTEXTS : left.text === "@request.method" ? METHODS : undefined;
    const field = known ? undefined : fieldOf(left.text, asked);
    const list = known ?? (field?.type === "select" ? choices(field) : []);
    if (!list.length) return null;
    return fitting({ from: text.from + 1, options: list.map((one) => ({ label: quoted(one).slice(1, -1), kind: "value" })) }, before.at(-1)?.text.slice(1, at - text.from) ?? "");
}
