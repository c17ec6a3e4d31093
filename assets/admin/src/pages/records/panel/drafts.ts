// What stands in a form for each type of field, and the ways to and from the wire (docs/wire/records-collections.md, 4).
// Drafts hold what the person typed, also while it is not valid: numbers, dates and JSON are texts here.

import type { CollectionField, RecordModel } from "pocketbase";
import { t, type Key } from "../../../lib/i18n.svelte";
import { bytes, parse } from "../../../lib/format";
import { fault } from "./json";

export interface FileDraft { kept: string[]; added: File[] }
export interface PointDraft { lon: string; lat: string }
export type Draft = string | boolean | string[] | FileDraft | PointDraft;
export type Drafts = Record<string, Draft>;

/** Said by the date inputs while a date is only half typed. */
export const HALF = "…";

/** More than one value: a list on the wire. */
export const isMultiple = (field: CollectionField) => Number(field.maxSelect) > 1;

/** Never written from a form: what the server sets itself. */
export const isFixed = (field: CollectionField) => field.type === "autodate";

/** What a value of the wire looks like in a form. */
export function toDraft(field: CollectionField, value: unknown): Draft {
    switch (field.type) {
        case "bool":
            return value === true;
        case "number":
            return value === undefined || value === null ? "" : String(value);
        case "json":
            return value === undefined || value === null || value === "" ? "" : JSON.stringify(value, null, 2);
        case "geoPoint": {
            const { lon = 0, lat = 0 } = (value ?? {}) as { lon?: number; lat?: number };
            return lon === 0 && lat === 0 ? { lon: "", lat: "" } : { lon: String(lon), lat: String(lat) };
        }
        case "file":
            return { kept: list(value), added: [] };
        case "select":
        case "relation":
            return list(value);
        case "password":
            return "";
        default:
            return typeof value === "string" ? value : value === undefined || value === null ? "" : String(value);
    }
}

const list = (value: unknown) => (Array.isArray(value) ? value.map(String) : value === "" || value === undefined || value === null ? [] : [String(value)]);

/** All of a record, or of a new one. */
export function toDrafts(fields: CollectionField[], record: RecordModel | null): Drafts {
    return Object.fromEntries(fields.map((field) => [field.name, toDraft(field, record?.[field.name])]));
}

/** What goes to the server; files go beside the body. A number that is no number never gets here. */
export function toWire(field: CollectionField, draft: Draft): unknown {
    switch (field.type) {
        case "number":
            return draft === "" ? 0 : Number(draft);
        case "json":
            // As text the server keeps it to the letter: the order of keys, and numbers that JavaScript would round.
            return (draft as string).trim() === "" ? null : (draft as string).trim();
        case "geoPoint": {
            const { lon, lat } = draft as PointDraft;
            return { lon: Number(lon), lat: Number(lat) };
        }
        case "select":
        case "relation":
            return isMultiple(field) ? draft : ((draft as string[]).at(-1) ?? "");
        default:
            return draft;
    }
}

/** Whether two drafts of one field mean the same. */
export function same(one: Draft | undefined, other: Draft | undefined): boolean {
    if (one === other) return true;
    if (typeof one !== "object" || typeof other !== "object") return false;
    if ("added" in one && "added" in other) {
        return !one.added.length && !other.added.length && JSON.stringify(one.kept) === JSON.stringify(other.kept);
    }
    return JSON.stringify(one) === JSON.stringify(other);
}

/** Nothing is in it. */
export function isBlank(field: CollectionField, draft: Draft | undefined): boolean {
    if (draft === undefined || draft === "" || draft === false) return true;
    if (Array.isArray(draft)) return !draft.length;
    if (typeof draft === "object") return "added" in draft ? !draft.kept.length && !draft.added.length : Number(draft.lon) === 0 && Number(draft.lat) === 0;
    if (field.type === "number") return Number(draft) === 0;
    if (field.type === "json") return ["null", "\"\"", "[]", "{}"].includes(String(draft).replace(/\s+/g, ""));
    return false;
}

const say = (key: Key, values?: Record<string, string | number>) => t(key, values);

/** What is wrong with what stands there, as far as that can be known before it is sent; the server has the last word. */
export function wrong(field: CollectionField, draft: Draft | undefined): string | undefined {
    if (draft === undefined || draft === "") return undefined;
    switch (field.type) {
        case "number":
            return wrongNumber(field, Number(draft), String(draft));
        case "json":
            return fault(String(draft)) ? say("panel.json.broken") : tooLong(draft as string, Number(field.maxSize) || 1_048_576);
        case "editor":
            return tooLong(draft as string, Number(field.maxSize) || 5_242_880);
        case "text":
            return wrongText(field, draft as string);
        case "date":
            return wrongDate(field, draft as string);
        case "geoPoint":
            return wrongPoint(draft as PointDraft);
        case "select":
        case "relation":
            return wrongCount(field, (draft as string[]).length);
        case "file":
            return wrongFiles(field, draft as FileDraft);
        default:
            return undefined;
    }
}

function tooLong(text: string, limit: number) {
    if (text.length * 3 <= limit) return undefined;
    const size = new TextEncoder().encode(text).length;
    return size > limit ? say("panel.tooLong", { size: bytes(size), limit: bytes(limit) }) : undefined;
}

function wrongNumber(field: CollectionField, value: number, text: string) {
    if (!text.trim() || !Number.isFinite(value)) return say("panel.number.none");
    if (value === 0) return undefined;
    if (field.onlyInt && !Number.isInteger(value)) return say("panel.number.int");
    if (typeof field.min === "number" && value < field.min) return say("panel.atLeast", { min: String(field.min) });
    if (typeof field.max === "number" && value > field.max) return say("panel.atMost", { max: String(field.max) });
    return undefined;
}

/** As the server counts: Unicode scalar values. */
export function countOf(text: string) {
    let count = 0;
    for (const _ of text) count += 1;
    return count;
}

function wrongText(field: CollectionField, text: string) {
    const max = Number(field.max) || 5000, min = Number(field.min) || 0;
    // A scalar value is one or two units: long texts are rarely counted.
    if (text.length <= max && text.length >= 2 * min) return undefined;
    const count = countOf(text);
    if (count < min) return say("panel.text.min", { min });
    if (count > max) return say("panel.text.max", { max, now: count });
    return undefined;
}

function wrongDate(field: CollectionField, text: string) {
    const at = parse(text);
    if (!at) return say("panel.date.half");
    const min = parse(field.min), max = parse(field.max);
    if (min && at < min) return say("panel.atLeast", { min: field.min });
    if (max && at > max) return say("panel.atMost", { max: field.max });
    return undefined;
}

function wrongPoint({ lon, lat }: PointDraft) {
    if (lon === "" && lat === "") return undefined;
    const outside = (text: string, limit: number) => text.trim() === "" || !(Math.abs(Number(text)) <= limit);
    if (outside(lat, 90)) return say("panel.geo.lat");
    if (outside(lon, 180)) return say("panel.geo.lon");
    return undefined;
}

function wrongCount(field: CollectionField, count: number) {
    const max = Math.max(1, Number(field.maxSelect) || 1);
    if (count > max) return say("panel.tooMany", { count: max });
    if (count && field.minSelect && count < field.minSelect) return say("panel.tooFew", { count: Number(field.minSelect) });
    return undefined;
}

function wrongFiles(field: CollectionField, { kept, added }: FileDraft) {
    const limit = Number(field.maxSize) || 5_242_880, types: string[] = field.mimeTypes ?? [];
    const big = added.find((file) => file.size > limit);
    if (big) return say("panel.file.tooBig", { name: big.name.slice(0, 80), size: bytes(big.size), limit: bytes(limit) });
    // The server looks at the bytes; the browser's guess is only trusted where it says something.
    const strange = added.find((file) => types.length && file.type && !types.includes(file.type));
    if (strange) return say("panel.file.type", { name: strange.name.slice(0, 80), types: types.join(", ") });
    return wrongCount(field, kept.length + added.length);
}
