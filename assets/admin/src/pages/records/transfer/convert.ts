// From a cell of a file to a value of a field. Pure, for it runs in a worker: what is wrong is told by a key, not in words.

import type { CollectionField } from "pocketbase";

export type Reason = "number" | "int" | "least" | "most" | "bool" | "date" | "value" | "many" | "few" | "json" | "point" | "required" | "short" | "long" | "kind";
export interface Wrong { reason: Reason; detail?: string }
export type Converted = { value: unknown } | { wrong: Wrong };
export interface Manner { /** The sign before the fractions: "," in much of Europe. */ decimal: "." | "," }

const wrong = (reason: Reason, detail?: unknown): Converted => ({ wrong: { reason, detail: detail === undefined ? undefined : String(detail).slice(0, 100) } });
const fine = (value: unknown): Converted => ({ value });

export const isBlankCell = (cell: unknown) => cell === undefined || cell === null || (typeof cell === "string" && cell.trim() === "");

/** The value that a cell means for a field. A blank cell is no value: undefined. */
export function convert(field: CollectionField, cell: unknown, manner: Manner): Converted {
    if (isBlankCell(cell)) {
        const given = field.autogeneratePattern || field.primaryKey;
        return field.required && !given ? wrong("required") : fine(undefined);
    }
    switch (field.type) {
        case "number":
            return toNumber(field, cell, manner);
        case "bool":
            return toBool(cell);
        case "date":
            return toDate(cell);
        case "select":
            return toSelect(field, cell);
        case "relation":
            return counted(field, toList(cell));
        case "json":
            return toJson(cell);
        case "geoPoint":
            return toPoint(cell);
        default:
            return toText(field, cell);
    }
}

function toText(field: CollectionField, cell: unknown): Converted {
    if (typeof cell === "object") return wrong("kind");
    const text = String(cell);
    if (field.type !== "text" && field.type !== "password") return fine(field.type === "editor" ? text : text.trim());
    const count = [...text].length, max = Number(field.max) || (field.type === "text" ? 5000 : 0);
    if (field.min && count < field.min) return wrong("short", field.min);
    return max && count > max ? wrong("long", max) : fine(text);
}

function toNumber(field: CollectionField, cell: unknown, { decimal }: Manner): Converted {
    let value = cell;
    if (typeof cell === "string") {
        let text = cell.trim().replace(/[\s\u00a0\u202f']/g, "");
        // Signs between thousands are taken away where they stand as such: 1.234.567,5 – 1,234,567.5
        if (decimal === ",") text = /^[+-]?\d{1,3}(\.\d{3})+(,\d+)?$/.test(text) ? text.replaceAll(".", "").replace(",", ".") : /^[+-]?\d*,\d+$/.test(text) ? text.replace(",", ".") : text.includes(".") ? "?" : text;
        else if (/^[+-]?\d{1,3}(,\d{3})+(\.\d+)?$/.test(text)) text = text.replaceAll(",", "");
        value = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(text) ? Number(text) : NaN;
    }
    if (typeof value !== "number" || !Number.isFinite(value)) return wrong("number", cell);
    if (value === 0) return field.required ? wrong("required") : fine(0);
    if (field.onlyInt && !Number.isInteger(value)) return wrong("int", cell);
    if (typeof field.min === "number" && value < field.min) return wrong("least", field.min);
    if (typeof field.max === "number" && value > field.max) return wrong("most", field.max);
    return fine(value);
}

const YES = new Set(["true", "t", "yes", "y", "1", "on", "x", "ja", "j", "wahr"]);
const NO = new Set(["false", "f", "no", "n", "0", "off", "-", "nein", "falsch"]);

function toBool(cell: unknown): Converted {
    if (typeof cell === "boolean") return fine(cell);
    const text = String(cell).trim().toLowerCase();
    return YES.has(text) ? fine(true) : NO.has(text) ? fine(false) : wrong("bool", cell);
}

const ISO = /^(\d{4})-(\d\d)-(\d\d)(?:[ T](\d\d):(\d\d)(?::(\d\d)(\.\d{1,9})?)?)?\s*(Z|[+-]\d\d:?\d\d)?$/i;
const DOTTED = /^(\d{1,2})\.(\d{1,2})\.(\d{4})(?:,?\s+(\d{1,2}):(\d\d)(?::(\d\d)(\.\d{1,9})?)?)?()$/;

/** ISO 8601 and 31.12.2026; without a zone they are UTC, as for the server. 01/02/2026 could be either and is refused. */
function toDate(cell: unknown): Converted {
    const text = String(cell).trim();
    const iso = ISO.exec(text), dotted = iso ? null : DOTTED.exec(text);
    const found = iso ?? (dotted && [text, dotted[3], dotted[2], dotted[1], ...dotted.slice(4)]);
    if (!found) return wrong("date", cell);
    const [year, month, day, hour, minute, second] = found.slice(1, 7).map((part) => Number(part ?? 0)) as [number, number, number, number, number, number];
    const at = new Date(0);
    at.setUTCFullYear(year, month - 1, day);
    at.setUTCHours(hour, minute, second, Math.floor(Number(`0${found[7] ?? ""}`) * 1000));
    if (at.getUTCMonth() !== month - 1 || at.getUTCDate() !== day || hour > 23 || minute > 59 || second > 59) return wrong("date", cell);
    const zone = /^([+-])(\d\d):?(\d\d)$/.exec(found[8] ?? "");
    if (zone) at.setTime(at.getTime() - (zone[1] === "-" ? -1 : 1) * (Number(zone[2]) * 60 + Number(zone[3])) * 60_000);
    return fine(at.toISOString().replace("T", " "));
}

/** Several values in one cell: a JSON list, or separated by commas, semicolons or bars. */
function toList(cell: unknown): string[] {
    if (Array.isArray(cell)) return cell.map(String);
    const text = String(cell).trim();
    if (text.startsWith("[")) {
        try {
            const list: unknown = JSON.parse(text);
            if (Array.isArray(list)) return list.map(String);
        } catch {
            // Then it is no list, and its brackets are part of a value.
        }
    }
    return text.split(/[,;|\n]/).map((part) => part.trim()).filter(Boolean);
}

function counted(field: CollectionField, list: string[]): Converted {
    const max = Math.max(1, Number(field.maxSelect) || 1), values = [...new Set(list)];
    if (values.length > max) return wrong("many", max);
    if (field.minSelect && values.length < field.minSelect) return wrong("few", field.minSelect);
    return fine(max > 1 ? values : (values[0] ?? ""));
}

function toSelect(field: CollectionField, cell: unknown): Converted {
    const values: string[] = field.values ?? [], whole = String(cell).trim();
    const list = values.includes(whole) ? [whole] : toList(cell);
    const strange = list.find((one) => !values.includes(one));
    return strange === undefined ? counted(field, list) : wrong("value", strange);
}

function toJson(cell: unknown): Converted {
    if (typeof cell !== "string") return fine(cell);
    try {
        JSON.parse(cell);
        // As text the server takes it to the letter.
        return fine(cell.trim());
    } catch {
        return wrong("json", cell);
    }
}

/** {"lon":…,"lat":…}, or "latitude, longitude" as maps give it. */
function toPoint(cell: unknown): Converted {
    let point = cell;
    if (typeof cell === "string") {
        const pair = /^\s*(-?\d+(?:\.\d+)?)\s*[,;\s]\s*(-?\d+(?:\.\d+)?)\s*$/.exec(cell);
        if (pair) point = { lat: Number(pair[1]), lon: Number(pair[2]) };
        else {
            try {
                point = JSON.parse(cell);
            } catch {
                return wrong("point", cell);
            }
        }
    }
    const { lon, lat } = (point ?? {}) as { lon?: unknown; lat?: unknown };
    if (typeof lon !== "number" || typeof lat !== "number" || !(Math.abs(lon) <= 180) || !(Math.abs(lat) <= 90)) return wrong("point", typeof cell === "string" ? cell : JSON.stringify(cell));
    return fine({ lon, lat });
}
