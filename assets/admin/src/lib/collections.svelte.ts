// The collections of this server, as all pages know them. Loaded once, told anew by whoever changes one.

import type { CollectionField, CollectionModel } from "pocketbase";
import { pb } from "./api";

export type { CollectionField, CollectionModel };

let all = $state.raw<CollectionModel[]>([]);
let loaded = $state(false);
let running: Promise<void> | undefined;

export const collections = {
    /** By name: the owner's own first, those of the system (`_…`) at the end. */
    get all() { return all; },
    get loaded() { return loaded; },
    /** Finds one by name or id. */
    find(nameOrId: string | undefined) {
        return all.find((one) => one.name === nameOrId) ?? all.find((one) => one.id === nameOrId);
    },
};

/** Reads them again: after each change of a schema. */
export function reload(): Promise<void> {
    running ??= pb.collections.getFullList({ batch: 1000 }).then((list) => {
        list.sort((a, b) => Number(a.system) - Number(b.system) || a.name.localeCompare(b.name));
        all = list;
        loaded = true;
    }).finally(() => { running = undefined; });
    return running;
}
