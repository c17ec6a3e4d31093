// What an import would do (docs/wire/records-collections.md §8.4): each collection that comes in held against the one
// that is there. Pure: what is stored and what comes in, a plan out.

import { changes, type Change } from "./changes";
import { RULES, type CollectionType, type Definition, type FieldDef } from "./model";

export type Incoming = Partial<Definition> & { name: string };

export interface Difference { path: string; before?: string; after?: string }
export interface Entry {
    key: string;
    name: string;
    kind: "new" | "changed" | "same" | "removed";
    stored?: Definition;
    next?: Definition;
    changes: Change[];
    differences: Difference[];
}

/** Reads an export: a list of collections, or an object that has one. Throws in words for people (a key of the catalogue). */
export function parse(text: string): Incoming[] {
    const read: unknown = JSON.parse(text);
    const list = Array.isArray(read) ? read : (read as { collections?: unknown } | null)?.collections;
    if (!Array.isArray(list) || !list.length) throw new NoCollections();
    if (!list.every((one): one is Incoming => typeof one === "object" && one !== null && typeof (one as Incoming).name === "string")) throw new NoCollections();
    return list;
}
export class NoCollections extends Error {}

const same = (one: unknown, other: unknown) => JSON.stringify(sorted(one ?? null)) === JSON.stringify(sorted(other ?? null));

/** Keys in one order: who wrote them first is no difference. */
function sorted(value: unknown): unknown {
    if (Array.isArray(value)) return value.map(sorted);
    if (typeof value !== "object" || value === null) return value;
    return Object.fromEntries(Object.entries(value).sort(([one], [other]) => (one < other ? -1 : 1)).map(([key, inner]) => [key, sorted(inner)]));
}

let table: Uint32Array | undefined;
/** The number in the ids that the server gives to fields. */
export function crc32(text: string): number {
    table ??= Uint32Array.from({ length: 256 }, (_, at) => {
        let value = at;
        for (let bit = 0; bit < 8; bit += 1) value = value & 1 ? (value >>> 1) ^ 0xedb88320 : value >>> 1;
        return value >>> 0;
    });
    let sum = 0xffffffff;
    for (const byte of new TextEncoder().encode(text)) sum = ((sum >>> 8) ^ (table[(sum ^ byte) & 255] ?? 0)) >>> 0;
    return (sum ^ 0xffffffff) >>> 0;
}

/** The fields as they will be: what comes in, and of the stored ones what is not dropped. */
function mergedFields(stored: Definition, incoming: FieldDef[], deleteMissing: boolean): FieldDef[] {
    const fields = incoming.map((field) => ({ ...field, id: field.id || `${field.type}${crc32(field.name)}` }));
    for (const old of stored.fields) {
        if (fields.some(({ id }) => id === old.id) || (deleteMissing && !old.system)) continue;
        const twin = fields.find(({ name, type }) => name === old.name && type === old.type);
        if (twin) twin.id = old.id ?? twin.id;
        else fields.push({ ...old, id: old.id ?? "" });
    }
    // Options that are not named keep what they are in a new field only; the server fills the others in with defaults.
    return fields.map((field) => {
        const old = stored.fields.find(({ id }) => id === field.id);
        return old ? { ...Object.fromEntries(Object.entries(old).map(([key, value]) => [key, key in field ? value : blank(value)])), ...field } : field;
    });
}
const blank = (value: unknown) => (typeof value === "boolean" ? false : typeof value === "number" ? 0 : typeof value === "string" ? "" : Array.isArray(value) ? [] : null);

function merge(stored: unknown, next: unknown): unknown {
    if (typeof stored !== "object" || stored === null || Array.isArray(stored) || typeof next !== "object" || next === null || Array.isArray(next)) return next;
    const result: Record<string, unknown> = { ...stored };
    for (const [key, value] of Object.entries(next)) result[key] = key in result ? merge(result[key], value) : value;
    return result;
}

/** What becomes of each collection, the removed ones last. */
export function plan(all: Definition[], incoming: Incoming[], deleteMissing: boolean): Entry[] {
    const met = new Set<string>();
    const entries = incoming.map((one, at): Entry => {
        const stored = one.id ? all.find(({ id }) => id === one.id) : all.find(({ name }) => name === one.name);
        if (!stored) return { key: `new${at}`, name: one.name, kind: "new", next: fill(one), changes: [], differences: [] };
        met.add(stored.id);
        const next = { ...merge(stored, one) as Definition, id: stored.id, type: stored.type };
        next.fields = stored.type === "view" ? stored.fields : one.fields || deleteMissing ? mergedFields(stored, one.fields ?? [], deleteMissing) : stored.fields;
        next.indexes = one.indexes ?? stored.indexes;
        const differences = compare(stored, next);
        return { key: stored.id, name: next.name, kind: differences.length ? "changed" : "same", stored, next, changes: differences.length ? changes(stored, next, all) : [], differences };
    });
    if (!deleteMissing) return entries;
    const gone = all.filter(({ id, system }) => !system && !met.has(id));
    return [...entries, ...gone.map((stored): Entry => ({ key: stored.id, name: stored.name, kind: "removed", stored, changes: [], differences: [] }))];
}

const fill = (one: Incoming): Definition => ({ id: "", type: "base" as CollectionType, system: false, fields: [], indexes: [], ...one });

const SKIPPED = new Set(["id", "created", "updated", "system", "type", "fields", "indexes"]);
const FIELD_SKIPPED = new Set(["id"]);

/** Every single thing that differs, as before and after. */
export function compare(stored: Definition, next: Definition): Difference[] {
    const found: Difference[] = [];
    const note = (path: string, before: unknown, after: unknown) => { if (!same(before, after)) found.push({ path, before: text(before), after: text(after) }); };
    note("name", stored.name, next.name);
    for (const key of RULES) if (key in next) note(key, stored[key] ?? null, next[key] ?? null);
    for (const key of Object.keys(next)) if (!SKIPPED.has(key) && key !== "name" && !(RULES as readonly string[]).includes(key)) deep(key, stored[key], next[key], note);
    if (stored.type !== "view") {
        for (const field of stored.fields) {
            const other = next.fields.find(({ id }) => id === field.id);
            if (!other) note(`fields.${field.name}`, field.type, undefined);
            else for (const key of new Set([...Object.keys(field), ...Object.keys(other)])) if (!FIELD_SKIPPED.has(key)) note(`fields.${field.name}.${key}`, field[key], other[key]);
        }
        for (const field of next.fields) if (!stored.fields.some(({ id }) => id === field.id)) note(`fields.${field.name}`, undefined, field.type);
        const order = (one: Definition, other: Definition) => one.fields.map(({ id }) => id).filter((id) => other.fields.some((field) => field.id === id)).join();
        if (order(stored, next) !== order(next, stored)) found.push({ path: "fields", before: stored.fields.map(({ name }) => name).join(", ").slice(0, 400), after: next.fields.map(({ name }) => name).join(", ").slice(0, 400) });
        for (const index of stored.indexes) if (!next.indexes.includes(index)) note("indexes", index, undefined);
        for (const index of next.indexes) if (!stored.indexes.includes(index)) note("indexes", undefined, index);
    }
    return found;
}

function deep(path: string, before: unknown, after: unknown, note: (path: string, before: unknown, after: unknown) => void) {
    const object = (value: unknown): value is Record<string, unknown> => typeof value === "object" && value !== null && !Array.isArray(value);
    if (object(before) && object(after)) for (const key of new Set([...Object.keys(before), ...Object.keys(after)])) deep(`${path}.${key}`, before[key], after[key], note);
    else note(path, before, after);
}

function text(value: unknown): string | undefined {
    if (value === undefined) return undefined;
    // Keys are shown to nobody, neither are they in what the server gives.
    return (typeof value === "string" ? value : JSON.stringify(value)).slice(0, 400);
}

/** What is exported of a collection: what makes it, without its history and without keys of providers. */
export function exported(one: Definition): Record<string, unknown> {
    const { created: _, updated: __, ...rest } = one;
    const oauth2 = rest.oauth2 as { providers?: unknown } | undefined;
    if (!oauth2) return rest;
    const { providers: ___, ...kept } = oauth2;
    return { ...rest, oauth2: kept };
}
