// The same thing done to many records: as batches where the server takes them, one by one where it does not, and one by
// one again for a batch that was refused, so that each failure has its record.
//
// Breaking off begins nothing more; what is under way is heard to its end. A write that was sent is done whether or not
// anybody waits for it, and what was done must be told, or it could not be taken back.

import type { BatchService, CollectionModel } from "pocketbase";
import { pb, problem, send } from "../../../lib/api";
import { said } from "../../../lib/faults";
import { t } from "../../../lib/i18n.svelte";

export interface Outcome { done: string[]; failed: { id: string; message: string }[] }
export interface Work {
    batched: (batch: ReturnType<BatchService["collection"]>, id: string) => void;
    single: (id: string) => Promise<unknown>;
}

/** Requests under way at a time. */
const AT_ONCE = 3;
/** As many ids as the server brings back at once. */
const UNDELETED = 1_000;

/** How many writes go in one request; 0 where the settings allow none. */
export async function batchSize(): Promise<number> {
    const settings = await pb.settings.getAll({ fields: "batch" }).catch(() => ({}) as Record<string, unknown>);
    const batch = settings.batch as { enabled?: boolean; maxRequests?: number } | undefined;
    return batch?.enabled ? Math.min(Math.max(Number(batch.maxRequests) || 0, 0), 100) : 0;
}

/** Runs `step`, and again a second later as long as the server says that it is too much at once. */
async function patiently(signal: AbortSignal, step: () => Promise<unknown>) {
    for (let round = 0; ; round += 1) {
        try {
            return await step();
        } catch (failure) {
            if (problem(failure).status !== 429 || round > 30 || signal.aborted) throw failure;
            await new Promise((go) => setTimeout(go, 1_000));
            if (signal.aborted) throw failure;
        }
    }
}

export async function many(collection: CollectionModel, ids: string[], work: Work, signal: AbortSignal, progress: (done: number) => void): Promise<Outcome> {
    const outcome: Outcome = { done: [], failed: [] };
    const size = await batchSize();
    const told = () => progress(outcome.done.length + outcome.failed.length);
    const one = async (id: string) => {
        if (signal.aborted) return;
        try {
            await patiently(signal, () => work.single(id));
            outcome.done.push(id);
        } catch (failure) {
            // Put off by the server, then broken off: neither done nor failed.
            if (!(signal.aborted && problem(failure).status === 429)) outcome.failed.push({ id, message: sentence(failure) });
        }
        told();
    };
    const together = async (some: string[]) => {
        try {
            await patiently(signal, () => {
                const batch = pb.createBatch();
                for (const id of some) work.batched(batch.collection(collection.name), id);
                return batch.send({ requestKey: null });
            });
            outcome.done.push(...some);
            told();
        } catch {
            for (const id of some) await one(id);
        }
    };
    const parts: string[][] = [];
    for (let from = 0; from < ids.length; from += size || 1) parts.push(ids.slice(from, from + (size || 1)));
    let next = 0;
    const worker = async () => {
        while (next < parts.length && !signal.aborted) {
            const part = parts[next++] ?? [];
            if (size > 1 && part.length > 1) await together(part);
            else for (const id of part) await one(id);
        }
    };
    await Promise.all(Array.from({ length: AT_ONCE }, worker));
    return outcome;
}

function sentence(failure: unknown) {
    const { message, fields } = problem(failure);
    const about = Object.entries(fields).map(([name, text]) => `${name}: ${text}`);
    return (about.length ? about.join(" ") : message).slice(0, 300);
}

/** Brings deleted records back; tells which could not be. */
export async function undelete(collection: CollectionModel, ids: string[]): Promise<Outcome> {
    const outcome: Outcome = { done: [], failed: [] };
    for (let from = 0; from < ids.length; from += UNDELETED) {
        const answer = await send<{ restored: string[]; failed: { id: string; message: string }[] }>(`/api/collections/${collection.id}/records/undelete`, { method: "POST", body: { ids: ids.slice(from, from + UNDELETED) } });
        outcome.done.push(...answer.restored);
        outcome.failed.push(...answer.failed.map(({ id, message }) => ({ id, message: said(message) })));
    }
    return outcome;
}

/** A few failures as lines, and how many more there are. */
export function lines(failed: Outcome["failed"]): string[] {
    const shown = failed.slice(0, 20).map(({ id, message }) => `${id}: ${message}`);
    return failed.length > 20 ? [...shown, t("records.andMore", { count: failed.length - 20 })] : shown;
}
