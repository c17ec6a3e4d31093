// How a list of collections is laid out: the owner's by type, the system's at the end, and many of a kind by the word
// that their names begin with.

import type { CollectionModel } from "../../lib/collections.svelte";

export interface Group { id: string; kind: "base" | "auth" | "view" | "system"; /** Of the names, where there are many. */ prefix?: string; members: CollectionModel[] }

/** More of one kind than this are put together by the beginning of their names. */
const MANY = 24;
/** A beginning that fewer share is none. */
const SHARED = 3;

export function group(list: CollectionModel[], grouped = true): Group[] {
    const groups: Group[] = [];
    for (const kind of ["base", "auth", "view"] as const) {
        const members = list.filter(({ type, system }) => type === kind && !system);
        if (!members.length) continue;
        const named = grouped && members.length > MANY ? byPrefix(members) : new Map<string, CollectionModel[]>();
        const single = members.filter(({ name }) => !named.has(prefix(name)));
        if (single.length) groups.push({ id: kind, kind, members: single });
        for (const [start, some] of named) groups.push({ id: `${kind}:${start}`, kind, prefix: start, members: some });
    }
    const system = list.filter((one) => one.system);
    if (system.length) groups.push({ id: "system", kind: "system", members: system });
    return groups;
}

/** shop_orders → shop */
const prefix = (name: string) => /^([^_]+)_./.exec(name)?.[1] ?? "";

function byPrefix(members: CollectionModel[]): Map<string, CollectionModel[]> {
    const found = new Map<string, CollectionModel[]>();
    for (const one of members) {
        const start = prefix(one.name);
        if (start) found.set(start, [...found.get(start) ?? [], one]);
    }
    for (const [start, some] of found) if (some.length < SHARED) found.delete(start);
    return new Map([...found].sort(([one], [other]) => one.localeCompare(other)));
}

/** What its rules let others do, in a word: nobody, everybody, or as they say. */
export function access(one: CollectionModel): "locked" | "public" | "ruled" {
    const rules = one.type === "view" ? [one.listRule, one.viewRule] : [one.listRule, one.viewRule, one.createRule, one.updateRule, one.deleteRule];
    if (rules.every((rule) => rule === null || rule === undefined)) return "locked";
    return rules.some((rule) => rule === "") ? "public" : "ruled";
}
