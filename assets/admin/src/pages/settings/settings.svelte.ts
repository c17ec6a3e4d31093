// The settings of the server as they were last read, and where each comes from.

import { pb, send } from "../../lib/api";
import { show } from "../../lib/look.svelte";
import type { Tree } from "./sections";

export interface Origin { key: string; origin: "environment" | "flag" | "settings" | "default"; name: string | null }

let stored = $state.raw<Tree>();
let origins = $state.raw<Record<string, Origin>>({});

export const settings = {
    get stored() { return stored; },
    /** The options of the process, which are no settings: they stand in the same list. */
    get options(): Origin[] { return stored ? Object.values(origins).filter(({ key }) => !key.includes(".") && !(key in stored!)) : []; },
    /** Set where the settings cannot change it: by the environment or a flag. */
    fixed(key: string): Origin | undefined {
        const found = origins[key];
        return found && (found.origin === "environment" || found.origin === "flag") ? found : undefined;
    },
};

export async function load() {
    const [tree, { items }] = await Promise.all([pb.settings.getAll(), send<{ items: Origin[] }>("/api/settings/origins")]);
    stored = tree as Tree;
    origins = Object.fromEntries(items.map((item) => [item.key, item]));
}

/** Saves what differs; throws a failure whose fields are keys of the tree. */
export async function save(changes: Tree) {
    stored = await pb.settings.update(changes) as Tree;
    show(stored.meta as Tree | undefined);
}
