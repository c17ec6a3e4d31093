// What happens to a collection while it is looked at: the events of one frame come as one batch, the last of each record.

import type { CollectionModel, RecordModel, RecordSubscription } from "pocketbase";
import { pb } from "../../../lib/api";

export interface Change { action: "create" | "update" | "delete"; record: RecordModel; /** Whether the grid's filter finds it. */ fits: boolean }

interface Followed {
    collection: CollectionModel;
    filter: string;
    fields: string;
    expand: string;
    /** At most once a frame. */
    onchanges: (changes: Change[]) => void;
    /** Something may have been missed: all that is shown has to be read again. */
    onmissed: () => void;
    onstate: (live: boolean) => void;
}

/** More than this in one frame (or while the window was hidden) is not worth applying one by one. */
const MOST = 2_000;
/** A topic may have 2,500 characters. */
const LONGEST = 2_200;

/** Follows a collection until the function that is returned is called. */
export function follow({ collection, filter, fields, expand, onchanges, onmissed, onstate }: Followed): () => void {
    let waiting = new Map<string, Change>();
    let missed = false, asked = 0, over = false, connected = false;
    const stops: (() => unknown)[] = [];

    function flush() {
        asked = 0;
        const changes = [...waiting.values()], refetch = missed;
        waiting = new Map();
        missed = false;
        if (over) return;
        if (refetch) onmissed();
        else if (changes.length) onchanges(changes);
    }

    const take = (fits: boolean) => ({ action, record }: RecordSubscription<RecordModel>) => {
        const before = waiting.get(record.id);
        if (waiting.size >= MOST && !before) missed = true;
        else if (action === "delete" && before?.action === "create") waiting.delete(record.id);
        else waiting.set(record.id, { action: action === "update" && before?.action === "create" ? "create" : action as Change["action"], record, fits: fits || (before?.fits ?? false) });
        asked ||= requestAnimationFrame(flush);
    };

    const subscribe = async (options: Record<string, string>, take: (event: RecordSubscription<RecordModel>) => void) => {
        const stop = await pb.collection(collection.name).subscribe("*", take, { query: options });
        if (over) void stop().catch(() => {});
        else stops.push(stop);
    };

    async function start() {
        const stop = await pb.realtime.subscribe("PB_CONNECT", () => {
            // The first is the beginning of the stream; each later one comes after a gap.
            if (connected) { missed = true; asked ||= requestAnimationFrame(flush); }
            onstate(true);
        });
        if (over) { void stop().catch(() => {}); return; }
        stops.push(stop);
        const length = (options: object) => encodeURIComponent(JSON.stringify({ query: options })).length + collection.name.length;
        const options: Record<string, string> = { fields, ...(expand ? { expand } : {}) };
        const small = length(options) < LONGEST ? options : {};
        // A filter tells which new records belong here, but not which records have left: both are followed.
        await subscribe(small, take(!filter));
        if (filter && length({ ...small, filter }) < LONGEST) await subscribe({ ...small, filter }, take(true));
        connected = true;
        onstate(true);
    }
    // View collections have no events; there is nothing to follow.
    if (collection.type !== "view") start().catch(() => { if (!over) onstate(false); });

    return () => {
        over = true;
        cancelAnimationFrame(asked);
        for (const stop of stops) void Promise.resolve(stop()).catch(() => {});
    };
}
