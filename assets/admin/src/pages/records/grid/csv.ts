// Records as CSV (RFC 4180) or JSON.

import type { RecordModel } from "pocketbase";

/** What spreadsheets would run as a formula. */
const FORMULA = /^[=+\-@\t\r]/;

export function cell(value: unknown, safe: boolean): string {
    let text = value === null || value === undefined ? "" : typeof value === "object" ? JSON.stringify(value) : String(value);
    // A number may begin with a minus; a text may not.
    if (safe && typeof value !== "number" && FORMULA.test(text)) text = `'${text}`;
    return /[",\r\n]/.test(text) || text !== text.trim() ? `"${text.replaceAll("\"", "\"\"")}"` : text;
}

/** One line, with its end. Several select values, ids and files stand with commas between them. */
export function line(record: RecordModel, names: string[], safe: boolean): string {
    return `${names.map((name) => {
        const value: unknown = record[name];
        const isList = Array.isArray(value) && value.every((one) => typeof one === "string" && !one.includes(","));
        return cell(isList ? (value as string[]).join(",") : value, safe);
    }).join(",")}\r\n`;
}

export const heading = (names: string[]) => `${names.map((name) => cell(name, true)).join(",")}\r\n`;

export function picked(record: RecordModel, names: string[]): Record<string, unknown> {
    return Object.fromEntries(names.map((name) => [name, record[name] as unknown]));
}
