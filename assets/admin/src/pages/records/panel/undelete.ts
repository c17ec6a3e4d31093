// Taking back a delete, as long as the change log knows the record.

import type { CollectionModel } from "pocketbase";
import { send } from "../../../lib/api";
import { t } from "../../../lib/i18n.svelte";
import { done, failed } from "../../../lib/toasts.svelte";

/** Brings a record back and tells how it went; true when it is there again. */
export async function restore(collection: CollectionModel, id: string): Promise<boolean> {
    try {
        const answer = await send<{ restored: string[]; failed: { id: string; message: string }[] }>(`/api/collections/${collection.id}/records/undelete`, { method: "POST", body: { ids: [id] } });
        if (answer.restored.includes(id)) {
            done(t("panel.restored"));
            return true;
        }
        failed(new Error(answer.failed[0]?.message ?? t("panel.notRestored")));
    } catch (failure) {
        failed(failure);
    }
    return false;
}
