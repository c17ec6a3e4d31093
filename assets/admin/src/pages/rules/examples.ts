// Sensible values for fields: what the tester fills in, and what the API page shows.

import type { CollectionField, CollectionModel } from "pocketbase";

const AT = "2026-03-14 09:26:53.000Z";

/** Fields that whoever creates a record may send. */
export function writable(collection: CollectionModel): CollectionField[] {
    return collection.fields.filter(({ name, type, system, primaryKey }) => type !== "autodate" && !primaryKey && !(system && ["tokenKey", "verified", "emailVisibility"].includes(name)));
}

/** A value for a field as a program sends it. Files are left to the program. */
export function example(field: CollectionField, collections: CollectionModel[]): unknown {
    const several = Number(field.maxSelect) > 1;
    switch (field.type) {
        case "number": return number(field);
        case "bool": return true;
        case "email": return "ada@example.com";
        case "url": return "https://example.com";
        case "date": case "autodate": return AT;
        case "editor": return "<p>Hello</p>";
        case "password": return "a-long-password";
        case "json": return { key: "value" };
        case "geoPoint": return { lon: 23.32, lat: 42.69 };
        case "file": return several ? ["picture.png"] : "picture.png";
        case "select": {
            const values: unknown[] = Array.isArray(field.values) ? field.values : [];
            return several ? values.slice(0, Math.min(2, Number(field.maxSelect))) : values[0] ?? "";
        }
        case "relation": {
            const target = collections.find(({ id }) => id === field.collectionId)?.name.replace(/\W/g, "").toUpperCase() ?? "RECORD";
            return several ? [`${target.slice(0, 30)}_ID`] : `${target.slice(0, 30)}_ID`;
        }
        default: return text(field);
    }
}

function number({ min, max, onlyInt }: CollectionField): number {
    const low = typeof min === "number" ? min : undefined, high = typeof max === "number" ? max : undefined;
    let value = 42;
    if (low !== undefined && value < low) value = low;
    if (high !== undefined && value > high) value = high;
    return onlyInt ? Math.round(value) : value;
}

function text({ name, max, min }: CollectionField): string {
    // A name to fill in, not a value: as it is.
    if (name === "id") return "RECORD_ID";
    const value = /name/i.test(name) ? "Ada Lovelace" : /title/i.test(name) ? "A good title" : "A text";
    const filled = value.padEnd(Math.min(Number(min) || 0, 200), ".");
    return Number(max) > 0 ? filled.slice(0, Number(max)) : filled;
}

/** A body: each field with its value. `files` keeps files in it, as an answer has them. */
export function body(collection: CollectionModel, collections: CollectionModel[], most = 40): Record<string, unknown> {
    const found: Record<string, unknown> = {};
    for (const field of writable(collection).filter(({ type }) => type !== "file").slice(0, most)) {
        found[field.name] = example(field, collections);
        if (field.type === "password" && field.name === "password") found.passwordConfirm = found.password;
    }
    return found;
}

/** A record as the server answers it. */
export function answer(collection: CollectionModel, collections: CollectionModel[], most = 60): Record<string, unknown> {
    const found: Record<string, unknown> = { collectionId: collection.id, collectionName: collection.name };
    for (const field of collection.fields.filter(({ hidden, type }) => !hidden && type !== "password").slice(0, most)) found[field.name] = example(field, collections);
    return found;
}
