// Who an account is, by the ids that deliveries, devices and subscriptions have: asked for in batches, kept while the page is open.

import { pb } from "../../lib/api";
import { collections } from "../../lib/collections.svelte";
import { nameOf } from "../rules/labels";
import { SvelteMap } from "svelte/reactivity";

const known = new SvelteMap<string, string>();
const asked = new Set<string>();
const BATCH = 50;

/** The name of an account; its id until it is known, and for ever if it is gone. */
export function nameOfAccount(collection: string, id: string): string {
    return known.get(`${collection}/${id}`) ?? id;
}

/** Looks up whoever is not known yet. */
export async function meet(who: { collectionRef: string; recordRef: string }[]) {
    const missing = new Map<string, Set<string>>();
    for (const { collectionRef, recordRef } of who) {
        const key = `${collectionRef}/${recordRef}`;
        if (!collectionRef || !recordRef || asked.has(key)) continue;
        asked.add(key);
        missing.set(collectionRef, (missing.get(collectionRef) ?? new Set()).add(recordRef));
    }
    for (const [name, ids] of missing) {
        const all = [...ids];
        for (let at = 0; at < all.length; at += BATCH) {
            const filter = all.slice(at, at + BATCH).map((id) => pb.filter("id = {:id}", { id })).join(" || ");
            const found = await pb.collection(name).getList(1, BATCH, { filter, skipTotal: true }).then(({ items }) => items, () => []);
            const collection = collections.find(name);
            for (const record of found) {
                const label = String(record.email || (collection ? nameOf(record, collection) : record.id)).slice(0, 200);
                known.set(`${record.collectionId}/${record.id}`, label).set(`${record.collectionName}/${record.id}`, label);
            }
        }
    }
}
