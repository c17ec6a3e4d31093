// Which column probably means which field, and by what a row finds the record that it is about.

import type { CollectionField, CollectionModel } from "pocketbase";

/** Fields that a file can fill: not those that the server sets itself, and no files. */
export function fillable(collection: CollectionModel): CollectionField[] {
    return collection.fields.filter(({ name, type }) => type !== "autodate" && type !== "file" && !(collection.type === "auth" && name === "tokenKey"));
}

const plain = (name: string) => name.toLowerCase().normalize("NFD").replace(/[^\p{L}\p{N}]/gu, "");

/** For each column the name of a field, "" for none; no field twice. */
export function guessed(columns: string[], fields: CollectionField[]): string[] {
    const taken = new Set<string>();
    const take = (field: CollectionField | undefined) => { if (field) taken.add(field.name); return field?.name ?? ""; };
    const exact = columns.map((column) => take(fields.find(({ name }) => name === column && !taken.has(name))));
    return columns.map((column, at) => exact[at] || take(fields.find(({ name }) => plain(name) === plain(column) && plain(column) !== "" && !taken.has(name))));
}

/** The fields by which one record can be found: the id, and what an index keeps unique on its own. */
export function keys(collection: CollectionModel): CollectionField[] {
    const unique = new Set<string>();
    for (const index of collection.indexes ?? []) {
        const found = /^\s*create\s+unique\s+index\s[^(]+\(\s*[`"[]?(\w+)[`"\]]?(?:\s+collate\s+\w+)?(?:\s+(?:asc|desc))?\s*\)\s*(where\b[\s\S]*)?$/i.exec(index);
        // A condition that only leaves out empty values does not matter here.
        if (found?.[1] && (!found[2] || /^where\s+[`"[]?\w+[`"\]]?\s*(!=|<>)\s*''\s*$/i.test(found[2]))) unique.add(found[1].toLowerCase());
    }
    return collection.fields.filter(({ name, type }) => name === "id" || (unique.has(name.toLowerCase()) && ["text", "email", "url", "number", "select", "relation"].includes(type) && name !== "tokenKey"));
}
