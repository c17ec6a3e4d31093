// What collections are made of (docs/wire/records-collections.md): their definitions, the types of fields, and which
// options each type has. Everything that edits or compares definitions goes by these lists.

import type { Key } from "../../lib/i18n.svelte";

export interface FieldDef {
    id?: string;
    name: string;
    type: string;
    system?: boolean;
    required?: boolean;
    hidden?: boolean;
    presentable?: boolean;
    [option: string]: unknown;
}

export type CollectionType = "base" | "auth" | "view";

export interface Definition {
    id: string;
    name: string;
    type: CollectionType;
    system: boolean;
    fields: FieldDef[];
    indexes: string[];
    viewQuery?: string;
    [key: string]: unknown;
}

export const RULES = ["listRule", "viewRule", "createRule", "updateRule", "deleteRule", "authRule", "manageRule"] as const;

/** In the order in which they are offered: what is needed most comes first. */
export const FIELD_TYPES = [
    "text", "number", "bool", "select", "relation", "file", "date", "autodate", "email", "url", "editor", "json", "geoPoint", "password",
] as const;
export type FieldType = (typeof FIELD_TYPES)[number];

/** How an option is edited. `lines` is a list of texts, `limit` a number where 0 means "as usual". */
export type OptionKind = "text" | "pattern" | "number" | "limit" | "bytes" | "bool" | "lines" | "moment" | "collection";
export interface Option { key: string; kind: OptionKind; /** What 0 stands for. */ usual?: number; start: unknown }

const count = (key: string, usual?: number): Option => ({ key, kind: "limit", usual, start: 0 });
const size = (usual: number): Option => ({ key: "maxSize", kind: "bytes", usual, start: 0 });
const text = (key: string): Option => ({ key, kind: "pattern", start: "" });
const flag = (key: string, start = false): Option => ({ key, kind: "bool", start });
const lines = (key: string): Option => ({ key, kind: "lines", start: [] });

/** The options of each type (§4.2), with what a new field begins with. */
export const OPTIONS: Record<FieldType, Option[]> = {
    text: [count("min"), count("max", 5000), text("pattern"), text("autogeneratePattern")],
    editor: [size(5_242_880), flag("convertURLs")],
    number: [{ key: "min", kind: "number", start: null }, { key: "max", kind: "number", start: null }, flag("onlyInt")],
    bool: [],
    email: [lines("onlyDomains"), lines("exceptDomains")],
    url: [lines("onlyDomains"), lines("exceptDomains")],
    date: [{ key: "min", kind: "moment", start: "" }, { key: "max", kind: "moment", start: "" }],
    autodate: [flag("onCreate", true), flag("onUpdate")],
    select: [lines("values"), { ...count("maxSelect"), start: 1 }],
    file: [{ ...count("maxSelect"), start: 1 }, size(5_242_880), lines("mimeTypes"), lines("thumbs"), flag("protected")],
    relation: [{ key: "collectionId", kind: "collection", start: "" }, { ...count("maxSelect"), start: 1 }, count("minSelect"), flag("cascadeDelete")],
    json: [size(1_048_576)],
    geoPoint: [],
    password: [count("min"), count("max", 71), text("pattern"), count("cost", 10)],
};

export const isFieldType = (type: string): type is FieldType => (FIELD_TYPES as readonly string[]).includes(type);
export const optionsOf = (type: string): Option[] => (isFieldType(type) ? OPTIONS[type] : []);

/** A new field of a type; its id is the server's to give. */
export function fresh(type: FieldType, name: string): FieldDef {
    const field: FieldDef = { name, type, system: false, hidden: false, presentable: false };
    if (type !== "autodate") Object.assign(field, { required: false, help: "" });
    for (const option of OPTIONS[type]) field[option.key] = Array.isArray(option.start) ? [] : option.start;
    return field;
}

/** Several values instead of one: decides how they are stored. */
export const isMultiple = (field: FieldDef) => ["select", "file", "relation"].includes(field.type) && Number(field.maxSelect ?? 0) >= 2;

/** What may not be changed in a field, because the server sets it again on every save (§3, §4.5). */
export function isLocked(field: FieldDef, key: string, type: CollectionType): boolean {
    if (!field.system) return false;
    if (key === "name") return true;
    if (field.primaryKey) return ["required", "hidden"].includes(key);
    if (field.type === "autodate") return ["onCreate", "onUpdate"].includes(key);
    if (type !== "auth") return false;
    if (field.name === "password" || field.name === "tokenKey") return ["required", "hidden"].includes(key);
    return field.name === "email" && key === "hidden";
}

/** A name that is not taken yet: title, title2, title3 … */
export function free(wanted: string, taken: Iterable<string>): string {
    const known = new Set([...taken].map((name) => name.toLowerCase()));
    let name = wanted;
    for (let next = 2; known.has(name.toLowerCase()); next += 1) name = `${wanted}${next}`;
    return name;
}

/** What people type as a name, as the wire wants it: letters, digits and underscores. */
export const asName = (typed: string) => typed.normalize("NFKD").replace(/[\u0300-\u036f]/g, "").replace(/\s+/g, "_").replace(/\W/g, "").slice(0, 100);

export const fieldTypeName = (type: string): Key => `collections.type.${isFieldType(type) ? type : "other"}` as Key;
export const optionName = (type: string, key: string): Key => {
    const own: Record<string, Key> = {
        "text.min": "collections.option.minLength", "text.max": "collections.option.maxLength",
        "password.min": "collections.option.minLength", "password.max": "collections.option.maxLength",
    };
    return own[`${type}.${key}`] ?? `collections.option.${key}` as Key;
};

/** Names as they are shown: a definition may be 255 characters long. */
export const short = (name: string, most = 60) => (name.length > most ? `${name.slice(0, most - 1)}…` : name);
