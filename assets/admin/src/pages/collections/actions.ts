// What can be done with a whole collection: copied, emptied, deleted.

import { pb } from "../../lib/api";
import { collections, reload } from "../../lib/collections.svelte";
import { t } from "../../lib/i18n.svelte";
import { done, failed } from "../../lib/toasts.svelte";
import { confirm } from "../../ui/confirm.svelte";
import { forget, want } from "./counts.svelte";
import { free, short, type Definition } from "./model";

/** Asks, and deletes. True if it is gone. */
export async function remove(collection: Definition): Promise<boolean> {
    const name = short(collection.name, 40);
    // Typed in full: nobody deletes the wrong one out of habit.
    if (!await confirm({ title: t("collections.remove.title", { name }), text: t(collection.type === "view" ? "collections.remove.view" : "collections.remove.text"), action: t("collections.remove.action"), danger: true, word: collection.name })) return false;
    try {
        await pb.collections.delete(collection.id);
        await reload();
        done(t("collections.remove.done", { name }));
        return true;
    } catch (failure) {
        failed(failure);
        return false;
    }
}

export async function truncate(collection: Definition) {
    const name = short(collection.name, 40);
    if (!await confirm({ title: t("collections.truncate.title", { name }), text: t("collections.truncate.text"), action: t("collections.truncate.action"), danger: true, word: collection.name })) return;
    try {
        await pb.collections.truncate(collection.id);
        forget(collection.id);
        want(collection.id, collection.name);
        done(t("collections.truncate.done", { name }));
    } catch (failure) {
        failed(failure);
    }
}

/** A collection with the same definition and no records; answers its name. */
export async function duplicate(collection: Definition): Promise<string | undefined> {
    const name = free(`${collection.name.slice(0, 240)}_copy`, collections.all.map((one) => one.name));
    try {
        const copy = copyOf(collection, name);
        // What points at itself is known to the server only when it is there: an import looks at the end.
        if (collection.fields.some(({ collectionId }) => collectionId === collection.id)) await pb.collections.import([copy] as never, false);
        else await pb.collections.create(copy);
        await reload();
        done(t("collections.duplicated", { name: short(name, 40) }));
        return name;
    } catch (failure) {
        failed(failure);
        return undefined;
    }
}

/** The definition under another name: with indexes of its own, and pointing at itself where the first one did. */
function copyOf(collection: Definition, name: string): Record<string, unknown> {
    const { id: old, created: _, updated: __, system: ___, ...rest } = JSON.parse(JSON.stringify(collection)) as Definition & { created?: string; updated?: string };
    const id = `pbc_${crypto.getRandomValues(new Uint32Array(1))[0] ?? 0}`;
    const body: Record<string, unknown> = { ...rest, id, name };
    body.fields = rest.fields.map((field) => (field.collectionId === old ? { ...field, collectionId: id } : field));
    body.indexes = rest.indexes.filter((text) => !(collection.type === "auth" && text.includes(`_${old}`)))
        .map((text) => text.replace(/(index\s+(?:if\s+not\s+exists\s+)?[`"'[]?)([\w.]+)/i, (_whole, head: string, index: string) => `${head}${index.slice(0, 50)}_${id.slice(4)}`));
    if (collection.type === "view") { delete body.fields; delete body.indexes; }
    // The keys of the providers stay on the server: the copy starts without them.
    const oauth2 = rest.oauth2 as { enabled?: boolean; providers?: unknown[] } | undefined;
    if (oauth2) body.oauth2 = { ...oauth2, enabled: false, providers: [] };
    return body;
}
