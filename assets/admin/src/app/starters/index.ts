// What a new server can begin with. A starter is collections as they are imported, and records in the order in which
// they refer to each other; {name} in a record is the id of the record with that key.

export interface Starter {
    collections: Record<string, unknown>[];
    records: { collection: string; key?: string; values: Record<string, unknown> }[];
}

export const STARTERS = ["empty", "blog", "chat", "shop"] as const;
export type StarterName = (typeof STARTERS)[number];

const loaders: Record<Exclude<StarterName, "empty">, () => Promise<{ default: Starter }>> = {
    blog: () => import("./blog"),
    chat: () => import("./chat"),
    shop: () => import("./shop"),
};

/** Puts a starter in. Collections that are there already stay. */
export async function put(name: StarterName) {
    if (name === "empty") return;
    const { pb } = await import("../../lib/api");
    const { collections, records } = (await loaders[name]()).default;
    await pb.collections.import(collections as never, false);
    const ids: Record<string, string> = {};
    const filled = (value: unknown): unknown => (typeof value === "string" ? value.replace(/^\{(\w+)\}$/, (whole, key: string) => ids[key] ?? whole) : Array.isArray(value) ? value.map(filled) : value);
    for (const { collection, key, values } of records) {
        const record = await pb.collection(collection).create(Object.fromEntries(Object.entries(values).map(([field, value]) => [field, filled(value)])));
        if (key) ids[key] = record.id;
    }
}

/** The fields that nearly every collection has. */
export const TIMES = [
    { name: "created", type: "autodate", onCreate: true, onUpdate: false },
    { name: "updated", type: "autodate", onCreate: true, onUpdate: true },
];
export const USERS = "_pb_users_auth_";
