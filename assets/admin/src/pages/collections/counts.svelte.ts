// How many records collections have: asked for those that are looked at, two at a time, and remembered for a while.

import { pb } from "../../lib/api";

const KEEP = 30_000;
const known = $state<Record<string, { total: number | null; at: number }>>({});
const waiting: { id: string; name: string }[] = [];
let running = 0;

/** undefined: not known yet; null: could not be counted. */
export const countOf = (id: string) => known[id]?.total;

export function want(id: string, name: string) {
    if ((known[id] && Date.now() - known[id].at < KEEP) || waiting.some((one) => one.id === id)) return;
    waiting.push({ id, name });
    void next();
}

/** It is not looked at any more. */
export function drop(id: string) {
    const at = waiting.findIndex((one) => one.id === id);
    if (at >= 0) waiting.splice(at, 1);
}

/** Its records have changed. */
export function forget(id: string) {
    delete known[id];
}

async function next() {
    if (running >= 2) return;
    // The one that came into sight last is the one that is looked at.
    const one = waiting.pop();
    if (!one) return;
    running += 1;
    const total = await pb.collection(one.name).getList(1, 1, { fields: "id", requestKey: null }).then(({ totalItems }) => totalItems, () => null);
    known[one.id] = { total, at: Date.now() };
    running -= 1;
    void next();
}
