// Which columns a grid shows, in which order and how wide: what the collection has, and what was chosen here before.

import type { CollectionField, CollectionModel } from "pocketbase";

export interface Column { field: CollectionField; width: number; shown: boolean }

/** What is remembered of one collection's grid, by the ids of its fields: they stay when fields are renamed. */
export interface Layout {
    order: string[];
    widths: Record<string, number>;
    shown: Record<string, boolean>;
    saved: { name: string; filter: string; search: string; sort: string }[];
}

export const NARROWEST = 64;
export const WIDEST = 1_200;
/** So many columns are shown before anybody has chosen. */
const AT_FIRST = 24;

const WIDTHS: Record<string, number> = { number: 120, bool: 96, date: 170, autodate: 170, email: 220, url: 240, json: 240, editor: 260, select: 180, relation: 220, file: 170, geoPoint: 190 };

const key = (collection: CollectionModel) => `conch.grid.${collection.id}`;

export function remembered(collection: CollectionModel): Layout {
    const layout: Layout = { order: [], widths: {}, shown: {}, saved: [] };
    try {
        const stored = JSON.parse(localStorage.getItem(key(collection)) ?? "{}") as Partial<Layout>;
        if (Array.isArray(stored.order)) layout.order = stored.order.filter((id) => typeof id === "string");
        if (Array.isArray(stored.saved)) layout.saved = stored.saved.filter((one) => typeof one?.name === "string");
        for (const [id, width] of Object.entries(stored.widths ?? {})) if (Number.isFinite(width)) layout.widths[id] = fitting(Number(width));
        for (const [id, shown] of Object.entries(stored.shown ?? {})) layout.shown[id] = Boolean(shown);
    } catch { /* Unreadable is as good as nothing. */ }
    return layout;
}

export function remember(collection: CollectionModel, layout: Layout) {
    try {
        localStorage.setItem(key(collection), JSON.stringify(layout));
    } catch { /* A full store costs the widths, not the work. */ }
}

export const fitting = (width: number) => Math.round(Math.min(Math.max(width, NARROWEST), WIDEST));

/** What the server sends of a record at all: no passwords, and no key of an account. */
export function columnFields(collection: CollectionModel): CollectionField[] {
    return collection.fields.filter(({ name, type }) => type !== "password" && !(collection.type === "auth" && name === "tokenKey"));
}

export function columnsOf(collection: CollectionModel, layout: Layout): Column[] {
    const fields = columnFields(collection);
    const place = new Map(layout.order.map((id, at) => [id, at]));
    const sorted = fields.map((field, at) => ({ field, at: place.get(field.id) ?? layout.order.length + at })).sort((a, b) => a.at - b.at);
    const columns = sorted.map(({ field }) => ({
        field,
        width: layout.widths[field.id] ?? WIDTHS[field.type] ?? (field.name === "id" ? 168 : 220),
        shown: layout.shown[field.id] ?? fields.indexOf(field) < AT_FIRST,
    }));
    // A grid without columns would have no way back.
    if (columns[0] && !columns.some(({ shown }) => shown)) columns[0].shown = true;
    return columns;
}
