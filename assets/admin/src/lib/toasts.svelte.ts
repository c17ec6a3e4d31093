// Short words about what has just happened; those that went wrong stay until they are closed.

import { problem } from "./api";

export interface Toast { id: number; kind: "done" | "failed" | "note"; text: string; action?: { label: string; run: () => unknown } }

let last = 0;
const shown = $state<Toast[]>([]);
export const toasts = { get all() { return shown; } };

export function close(id: number) {
    const at = shown.findIndex((toast) => toast.id === id);
    if (at >= 0) shown.splice(at, 1);
}

function show(kind: Toast["kind"], text: string, action?: Toast["action"], stays = 6_000) {
    const id = ++last;
    shown.push({ id, kind, text, action });
    if (shown.length > 4) shown.shift();
    if (kind !== "failed") setTimeout(() => close(id), action ? 12_000 : stays);
    return id;
}

export const done = (text: string, action?: Toast["action"]) => void show("done", text, action);
export const note = (text: string, action?: Toast["action"]) => void show("note", text, action);

/** Tells of a failure; one that was meant (an aborted request) says nothing. Gives what takes it back, once it is mended. */
export function failed(failure: unknown): () => void {
    const { message } = problem(failure);
    if (!message) return () => {};
    const id = show("failed", message);
    return () => close(id);
}
