// Taking back a delete, as long as the change log knows the record.

import type { CollectionModel } from "pocketbase";
import { t } from "../../../lib/i18n.svelte";
import { done, failed } from "../../../lib/toasts.svelte";
import { undelete } from "../grid/bulk";
import { lossesOfUndo } from "../grid/losses";

/** Brings a record back and tells how it went; true when it is there again. */
export async function restore(collection: CollectionModel, id: string): Promise<boolean> {
    try {
        const { done: restored, failed: refused } = await undelete(collection, [id]);
        if (restored.includes(id)) {
            done(t("panel.restored") + lossesOfUndo(collection));
            return true;
        }
        failed(new Error(refused[0]?.message ?? t("panel.notRestored")));
    } catch (failure) {
        failed(failure);
    }
    return false;
}
