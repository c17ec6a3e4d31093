// The one way to the server: the official SDK, and what went wrong in words for people.

import PocketBase, { ClientResponseError } from "pocketbase";
import { besideField, isLeaf, sentence } from "./faults";
import { t } from "./i18n.svelte";

/** Where the server is: the pages live at <base>_/, the API at <base>api/. */
export const base = new URL("../", location.href.replace(/[?#].*$/, "")).href.replace(/\/$/, "");

export const pb = new PocketBase(base);
pb.autoCancellation(false);

/** What went wrong: a sentence, and one for each field that it is about ("schema.0.name": …). */
export class Problem extends Error {
    constructor(message: string, readonly status: number, readonly fields: Record<string, string>) {
        super(message);
    }
}

/** Any failure as a Problem. */
export function problem(failure: unknown): Problem {
    if (failure instanceof Problem) return failure;
    if (failure instanceof ClientResponseError) {
        const fields: Record<string, string> = {};
        flatten(failure.response?.data, "", fields);
        if (failure.status === 0) return new Problem(failure.isAbort ? "" : t("problem.unreachable"), 0, {});
        return new Problem(sentence(failure.status, failure.response?.message || t("problem.status", { status: failure.status })), failure.status, fields);
    }
    return new Problem(failure instanceof Error ? failure.message : String(failure), -1, {});
}

function flatten(data: unknown, path: string, into: Record<string, string>) {
    if (typeof data !== "object" || data === null) return;
    if (path && isLeaf(data)) into[path] = besideField(data);
    else for (const [key, value] of Object.entries(data)) flatten(value, path ? `${path}.${key}` : key, into);
}

/** A route of the server that the SDK has no method for: send("/api/overview"). Throws a Problem. */
export async function send<T>(path: string, options: { method?: string; body?: unknown; query?: Record<string, unknown>; signal?: AbortSignal } = {}): Promise<T> {
    try {
        return await pb.send<T>(path, { method: options.method ?? "GET", ...options, body: options.body as BodyInit, requestKey: null });
    } catch (failure) {
        throw problem(failure);
    }
}
