// What was typed and not saved survives a reload of the page: texts only, in this window only.

import type { CollectionField } from "pocketbase";
import type { Drafts } from "./drafts";

const LIMIT = 200_000;
const keyOf = (collection: string, id: string | null) => `conch.draft.${collection}.${id ?? "new"}`;

/** Remembers the changed fields; files and secrets are never kept. */
export function keep(collection: string, id: string | null, fields: CollectionField[], drafts: Drafts, changed: string[]) {
    const kept = fields.filter(({ name, type }) => changed.includes(name) && type !== "file" && type !== "password").map(({ name }) => [name, drafts[name]]);
    const text = JSON.stringify(Object.fromEntries(kept));
    try {
        if (kept.length && text.length < LIMIT) sessionStorage.setItem(keyOf(collection, id), text);
        else forget(collection, id);
    } catch {
        forget(collection, id);
    }
}

export function forget(collection: string, id: string | null) {
    sessionStorage.removeItem(keyOf(collection, id));
}

/** What was left behind, once. */
export function left(collection: string, id: string | null): Drafts | undefined {
    const text = sessionStorage.getItem(keyOf(collection, id));
    if (!text) return undefined;
    forget(collection, id);
    try {
        return JSON.parse(text) as Drafts;
    } catch {
        return undefined;
    }
}
