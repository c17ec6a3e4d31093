// What a record is called, and by which of its fields it is found.

import type { CollectionModel, RecordModel } from "pocketbase";
import { quoted } from "./complete";

const TEXTS = new Set(["text", "email", "url", "editor", "select"]);

/** Its presentable fields, or the first text that it has; its id at last. */
export function nameOf(record: RecordModel, { fields }: CollectionModel): string {
    const said = (names: string[]) => names.map((name) => record[name]).filter((value) => typeof value === "string" && value.trim() || typeof value === "number").slice(0, 3).map((value) => String(value).slice(0, 80)).join(" · ");
    return said(fields.filter(({ presentable }) => presentable).map(({ name }) => name))
        || said(["email", "username", "name", "title"].filter((name) => fields.some((field) => field.name === name)).slice(0, 2))
        || said(fields.filter(({ name, type, hidden }) => name !== "id" && !hidden && TEXTS.has(type)).slice(0, 1).map(({ name }) => name))
        || record.id;
}

/** The fields that a few letters are looked for in. */
function searched({ fields }: CollectionModel): string[] {
    const texts = fields.filter(({ name, type, hidden }) => name !== "id" && !hidden && TEXTS.has(type));
    const first = texts.filter(({ presentable, type }) => presentable || type === "email");
    return ["id", ...[...first, ...texts.filter((one) => !first.includes(one))].slice(0, 5).map(({ name }) => name)];
}

/** The filter for the records that some words stand for; of all of them where there are none. */
export function lookedFor(collection: CollectionModel, words: string): string {
    return words && searched(collection).map((field) => `${field} ${field === "id" ? "=" : "~"} ${quoted(words)}`).join(" || ");
}
