// What a record is called where there is room for one line.

import type { CollectionField, CollectionModel, RecordModel } from "pocketbase";
import { pb } from "../../../lib/api";

const TEXTS = ["text", "email", "url", "number", "select", "date"];
const TELLING = ["name", "title", "label", "username", "email", "subject", "slug"];

/** The fields that name a record: those marked as presentable, or the one that most likely does. */
export function namingFields(collection: CollectionModel): CollectionField[] {
    const own = collection.fields.filter(({ name, type }) => name !== "id" && type !== "password" && !(collection.type === "auth" && name === "tokenKey"));
    const chosen = own.filter(({ presentable, type }) => presentable && type !== "relation");
    if (chosen.length) return chosen.slice(0, 4);
    const guess = TELLING.map((wanted) => own.find(({ name }) => name.toLowerCase() === wanted)).find(Boolean) ?? own.find(({ type, hidden }) => type === "text" && !hidden);
    return guess ? [guess] : [];
}

/** The fields that a search looks into. */
export function searchedFields(collection: CollectionModel): CollectionField[] {
    const texts = collection.fields.filter(({ name, type }) => TEXTS.slice(0, 3).includes(type) && !(collection.type === "auth" && name === "tokenKey"));
    const naming = namingFields(collection).filter(({ type }) => TEXTS.includes(type));
    return [...new Set([...texts.filter(({ primaryKey }) => primaryKey), ...naming, ...texts])].slice(0, 8);
}

export function labelOf(collection: CollectionModel | undefined, record: RecordModel): string {
    const parts = collection ? namingFields(collection).map(({ name }) => {
        const value: unknown = record[name];
        const text = typeof value === "object" && value !== null ? JSON.stringify(value) : String(value ?? "");
        return text.slice(0, 120).replace(/\s+/g, " ").trim();
    }).filter(Boolean) : [];
    return parts.join(" · ") || record.id;
}

/** What a list of records has to bring along for their labels; long texts come cut. */
export const labelParts = (collection: CollectionModel) => ["id", "collectionId", "collectionName", ...namingFields(collection).map(({ name, type }) => (type === "editor" ? `${name}:excerpt(120,true)` : name))].join(",");

/** Records by their ids, in pieces that a filter can hold; those that are gone are missing. */
export async function byIds(collection: CollectionModel, ids: string[]): Promise<RecordModel[]> {
    const found: RecordModel[] = [];
    for (let from = 0; from < ids.length;) {
        let filter = "", to = from;
        for (; to < ids.length && to - from < 100; to += 1) {
            const next = `${filter ? `${filter}||` : ""}${pb.filter("id={:id}", { id: ids[to] })}`;
            if (filter && new TextEncoder().encode(next).length > 3000) break;
            filter = next;
        }
        const page = await pb.collection(collection.name).getList(1, to - from, { filter, skipTotal: true, fields: labelParts(collection) });
        found.push(...page.items);
        from = to;
    }
    return found;
}
