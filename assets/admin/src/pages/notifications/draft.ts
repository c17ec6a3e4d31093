// A notification while it is written, and the body of a request that it becomes (docs/notifications.md, "Send").

export type Entry =
    | { kind: "user" | "address" | "topic" | "field"; value: string }
    | { kind: "filter"; collection: string; filter: string };
export interface Step { channel: string; after: string; unless: string }
export type WhenKind = "now" | "at" | "after" | "local" | "cron";

export interface Draft {
    to: Entry[];
    source: "texts" | "template";
    template: string; title: string; body: string; html: string; link: string; data: string; locale: string;
    channels: Step[];
    when: WhenKind;
    at: string; after: string; local: string; date: string; zone: string; cron: string; missed: string;
    category: string; priority: string; key: string; collapse: string; expires: string; quiet: string; track: boolean;
    digestKey: string; digestWindow: string; capCount: string; capWindow: string;
    unlessCollection: string; unlessRecord: string; unlessFilter: string;
}

export const blank = (): Draft => ({
    to: [], source: "texts", template: "", title: "", body: "", html: "", link: "", data: "", locale: "", channels: [],
    when: "now", at: "", after: "1h", local: "09:00", date: "", zone: "", cron: "0 9 * * 1", missed: "once",
    category: "", priority: "normal", key: "", collapse: "", expires: "", quiet: "", track: false,
    digestKey: "", digestWindow: "", capCount: "", capWindow: "", unlessCollection: "", unlessRecord: "", unlessFilter: "",
});

type Json = Record<string, unknown>;
const given = (values: Json): Json => Object.fromEntries(Object.entries(values).filter(([, value]) => value !== "" && value !== undefined && value !== false));

/** The data as JSON; a text that is none is told under the name of its field. */
export function dataOf(text: string): { data?: Json; wrong?: true } {
    if (!text.trim()) return {};
    try {
        const data: unknown = JSON.parse(text);
        return typeof data === "object" && data !== null && !Array.isArray(data) ? { data: data as Json } : { wrong: true };
    } catch {
        return { wrong: true };
    }
}

function entryOf(entry: Entry): unknown {
    switch (entry.kind) {
        case "filter": return given({ collection: entry.collection, filter: entry.filter.trim() });
        case "topic": return `topic:${entry.value}`;
        case "field": return { field: entry.value };
        default: return entry.value;
    }
}

function whenOf(draft: Draft): Json | undefined {
    switch (draft.when) {
        // What is written is this browser's time.
        case "at": { const at = new Date(draft.at); return { at: Number.isNaN(at.getTime()) ? draft.at : at.toISOString() }; }
        case "after": return { after: draft.after.trim() };
        case "local": return given({ local: draft.local, date: draft.date, zone: draft.zone.trim() });
        case "cron": return given({ cron: draft.cron.trim(), zone: draft.zone.trim(), missed: draft.missed });
        default: return undefined;
    }
}

/** What is said: a template or texts, with its data. For previews, too. */
export function words(draft: Draft): Json {
    const texts = draft.source === "template" ? { template: draft.template } : { title: draft.title, body: draft.body, html: draft.html, link: draft.link };
    return { ...given({ ...texts, locale: draft.locale.trim() }), ...dataOf(draft.data) };
}

/** The body of a send. `when` is left out for schedules, which say it themselves. */
export function bodyOf(draft: Draft, timed = true): Json {
    const channels = draft.channels.map(({ channel, after, unless }) => (after.trim() || unless ? given({ channel, after: after.trim(), unless }) : channel));
    const pair = (first: Json, second: Json) => { const all = given({ ...first, ...second }); return Object.keys(all).length ? all : undefined; };
    const count = draft.capCount.trim();
    const { wrong: _, ...said } = words(draft);
    return given({
        to: draft.to.map(entryOf), ...said, channels: channels.length ? channels : undefined, when: timed ? whenOf(draft) : undefined,
        category: draft.category.trim(), priority: draft.priority === "normal" ? "" : draft.priority, key: draft.key.trim(), collapse: draft.collapse.trim(), expires: draft.expires.trim(),
        quiet: draft.quiet, track: draft.track,
        digest: pair({ key: draft.digestKey.trim() }, { window: draft.digestWindow.trim() }),
        cap: pair({ count: count === "" ? "" : Number(count) }, { window: draft.capWindow.trim() }),
        unless: pair({ collection: draft.unlessCollection, record: draft.unlessRecord.trim() }, { filter: draft.unlessFilter.trim() }),
    });
}

/** The other way round: what a schedule has stored, to be changed. */
export function draftOf(stored: unknown): Draft {
    const draft = blank();
    if (typeof stored !== "object" || stored === null) return draft;
    const body = stored as Json;
    const text = (name: string) => (typeof body[name] === "string" ? body[name] : "");
    for (const name of ["template", "title", "body", "html", "link", "locale", "category", "key", "collapse", "expires", "quiet"] as const) draft[name] = text(name);
    if (draft.template) draft.source = "template";
    draft.priority = text("priority") || "normal";
    draft.track = body.track === true;
    if (body.data && Object.keys(body.data).length) draft.data = JSON.stringify(body.data, null, 2);
    const object = (name: string) => (typeof body[name] === "object" && body[name] !== null ? body[name] as Json : {});
    const said = (from: Json, name: string) => (from[name] === undefined || from[name] === null ? "" : String(from[name]));
    [draft.digestKey, draft.digestWindow] = [said(object("digest"), "key"), said(object("digest"), "window")];
    [draft.capCount, draft.capWindow] = [said(object("cap"), "count"), said(object("cap"), "window")];
    [draft.unlessCollection, draft.unlessRecord, draft.unlessFilter] = ["collection", "record", "filter"].map((name) => said(object("unless"), name)) as [string, string, string];
    draft.to = (Array.isArray(body.to) ? body.to : [body.to]).flatMap(readEntry);
    draft.channels = (Array.isArray(body.channels) ? body.channels : []).flatMap((step: unknown): Step[] => {
        if (typeof step === "string") return [{ channel: step, after: "", unless: "" }];
        return typeof step === "object" && step !== null ? [{ channel: said(step as Json, "channel"), after: said(step as Json, "after"), unless: said(step as Json, "unless") }] : [];
    });
    const when = object("when");
    for (const kind of ["at", "after", "local"] as const) {
        if (typeof when[kind] === "string") { draft.when = kind; draft[kind] = when[kind]; }
    }
    [draft.date, draft.zone] = [said(when, "date"), said(when, "zone")];
    return draft;
}

function readEntry(entry: unknown): Entry[] {
    if (typeof entry === "string") {
        if (entry.startsWith("topic:")) return [{ kind: "topic", value: entry.slice(6) }];
        return [{ kind: entry.includes("@") && !entry.includes("/") ? "address" : "user", value: entry }];
    }
    if (typeof entry !== "object" || entry === null) return [];
    const { collection, filter, field } = entry as Json;
    if (typeof field === "string") return [{ kind: "field", value: field }];
    return typeof collection === "string" ? [{ kind: "filter", collection, filter: typeof filter === "string" ? filter : "" }] : [];
}

/** The first complaint about a member or something in it. */
export function faultOf(fields: Record<string, string>, ...names: string[]): string | undefined {
    return Object.entries(fields).find(([path]) => names.some((name) => path === name || path.startsWith(`${name}.`)))?.[1];
}
