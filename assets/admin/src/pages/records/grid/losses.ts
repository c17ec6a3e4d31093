// What a delete takes that an undo does not give back: relations of other records that pointed at what was deleted are
// emptied, and records that go along by cascade stay deleted.

import type { CollectionModel } from "pocketbase";
import { collections } from "../../../lib/collections.svelte";
import { t } from "../../../lib/i18n.svelte";

const NAMED = 3;

/** The fields that point at a collection, as `posts.author`: those that are emptied, or those that cascade. */
function pointing(collection: CollectionModel, cascade: boolean): string {
    const all = collections.all.filter(({ type }) => type !== "view").flatMap(({ name, fields }) =>
        fields.filter((field) => field.type === "relation" && field.collectionId === collection.id && Boolean(field.cascadeDelete) === cascade)
            .map((field) => `${name}.${field.name}`.slice(0, 80)));
    return all.slice(0, NAMED).join(", ") + (all.length > NAMED ? ` ${t("records.loss.more", { count: all.length - NAMED })}` : "");
}

/** What the question before a delete adds; nothing where nothing points here. */
export function lossesAhead(collection: CollectionModel): string {
    const emptied = pointing(collection, false), along = pointing(collection, true);
    return [emptied && t("records.loss.emptied", { fields: emptied }), along && t("records.loss.cascade", { fields: along })].filter(Boolean).map((text) => ` ${text}`).join("");
}

/** What is told beside the way back, and after it. */
export function lossesOfUndo(collection: CollectionModel): string {
    const fields = [pointing(collection, false), pointing(collection, true)].filter(Boolean).join(", ");
    return fields && ` ${t("records.loss.undo", { fields })}`;
}
