// What is done to many records at once, with its progress, its failures and the way back.

import type { CollectionModel } from "pocketbase";
import { pb } from "../../../lib/api";
import { t } from "../../../lib/i18n.svelte";
import { href } from "../../../lib/router.svelte";
import { done, failed } from "../../../lib/toasts.svelte";
import { confirm } from "../../../ui/confirm.svelte";
import { batchSize, lines, many, undelete, type Outcome, type Work } from "./bulk";
import { lossesAhead, lossesOfUndo } from "./losses";
import type { Rows } from "./rows.svelte";
import type { Selection } from "../../../lib/selection.svelte";

/** More than this is only deleted by somebody who types the number. */
const MANY = 100;
/** As many take a while one by one. */
const SLOW = 50;

export class Actions {
    running = $state.raw<{ title: string; done: number; total: number; stop: () => void } | undefined>();
    failures = $state.raw<string[]>([]);

    constructor(readonly collection: CollectionModel, readonly rows: Rows, readonly selection: Selection) {}

    async #run(title: string, ids: string[], work: Work): Promise<Outcome> {
        const abort = new AbortController();
        let so = 0;
        const show = () => { this.running = { title, done: so, total: ids.length, stop: () => abort.abort() }; };
        // What is over in a moment needs no window.
        const late = setTimeout(show, 400);
        try {
            return await many(this.collection, ids, work, abort.signal, (done) => { so = done; if (this.running) show(); });
        } finally {
            clearTimeout(late);
            this.running = undefined;
        }
    }

    async delete() {
        const ids = this.selection.ids, count = ids.length;
        if (!count) return;
        const singly = count >= SLOW && await batchSize() < 2;
        const hint = singly ? { text: t("records.delete.singly"), href: href("settings", "batch"), link: t("records.delete.settings") } : undefined;
        if (!await confirm({ hint, title: t("records.delete.title", { count }), text: t("records.delete.text") + lossesAhead(this.collection), action: t("delete"), danger: true, word: count > MANY ? String(count) : undefined })) return;
        const service = pb.collection(this.collection.name);
        const { done: deleted, failed: refused } = await this.#run(t("records.delete.running"), ids, {
            batched: (batch, id) => batch.delete(id),
            single: (id) => service.delete(id, { requestKey: null }),
        });
        this.selection.set(deleted, false);
        this.failures = lines(refused);
        if (deleted.length) done(t("records.deleted", { count: deleted.length }) + lossesOfUndo(this.collection), { label: t("undo"), run: () => this.restore(deleted) });
        this.rows.refresh();
    }

    async restore(ids: string[]) {
        try {
            const { done: restored, failed: lost } = await undelete(this.collection, ids);
            if (restored.length) done(t("records.restored", { count: restored.length }) + lossesOfUndo(this.collection));
            this.failures = lines(lost);
        } catch (failure) {
            failed(failure);
        }
        this.rows.refresh();
    }

    async set(field: string, value: unknown) {
        const service = pb.collection(this.collection.name), body = { [field]: value };
        const { done: changed, failed: refused } = await this.#run(t("records.set.running"), this.selection.ids, {
            batched: (batch, id) => batch.update(id, body),
            single: (id) => service.update(id, body, { requestKey: null, fields: "id" }),
        });
        if (changed.length) done(t("records.set.done", { count: changed.length }));
        this.failures = lines(refused);
        this.rows.refresh();
    }

    /** Everything that fits the filter, whether it was ever on the screen or not. */
    async all() {
        const total = this.rows.count ?? 0, abort = new AbortController();
        const show = (read: number) => { this.running = { title: t("records.choosing"), done: read, total, stop: () => abort.abort() }; };
        const late = setTimeout(() => show(0), 400);
        try {
            this.selection.set(await this.rows.ids(0, total - 1, abort.signal, (read) => { if (this.running) show(read); }));
        } catch (failure) {
            if (!abort.signal.aborted) failed(failure);
        } finally {
            clearTimeout(late);
            this.running = undefined;
        }
    }

    async range(from: number, to: number) {
        try {
            this.selection.set(await this.rows.ids(from, to));
        } catch (failure) {
            failed(failure);
        }
    }
}
