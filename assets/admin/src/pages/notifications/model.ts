// Notifications as the server tells them (docs/notifications.md).

import { send } from "../../lib/api";
import type { RecordModel } from "pocketbase";

export const CHANNELS = ["inbox", "email", "push", "webhook"] as const;
export type Channel = (typeof CHANNELS)[number];
export const STATES = ["scheduled", "batched", "sending", "sent", "failed", "cancelled", "suppressed", "skipped", "expired"] as const;
export type State = (typeof STATES)[number];
export const PENDING: readonly string[] = ["scheduled", "batched", "sending"];
/** What has ended without being sent can be tried again. */
export const AGAIN: readonly string[] = ["failed", "cancelled", "suppressed", "skipped", "expired"];

export interface Delivery extends RecordModel {
    notification: string; collectionRef: string; recordRef: string; address: string; channel: Channel; category: string; state: State; reason: string;
    due: string; attempts: number; step: number; sentAt: string; deliveredAt: string; openedAt: string; clickedAt: string;
    trail: { at: string; state: State; reason: string }[] | null; detail: unknown;
}
export interface Timeline {
    notification: RecordModel; skipped: number; why: string[]; counts: Record<string, number>; next: string | null;
}
export interface Stats {
    total: number; states: Partial<Record<State, number>>; oldestDue: string;
    channels: Record<Channel, { total: number; states: Partial<Record<State, number>>; oldestDue: string; behind: number; lateness: { p50: number; p99: number; max: number } | null }>;
}
export interface Explained {
    totals: { recipients: number; judged: number; complete: boolean; skipped: number; why: string[]; verdicts: Record<string, number> };
    items: { collection: string; record: string; address: string; zone: string; deliveries: Would[] }[];
    next: string | null;
}
export interface Would { channel: Channel; step: number; due: string; local: string; devices?: number; verdict: "send" | "wait" | "drop"; state?: State; until?: string; reason: string }
export interface Said { locale: string; title?: string; body?: string; html?: string; link?: string; error?: { field: string; line: number; message: string } }

export const notify = {
    stats: () => send<Stats>("/api/notify/stats"),
    timeline: (id: string) => send<Timeline>(`/api/notify/notifications/${encodeURIComponent(id)}`, { query: { limit: 1, fields: "notification,skipped,why,counts" } }),
    retry: (id: string) => send(`/api/notify/deliveries/${encodeURIComponent(id)}/retry`, { method: "POST" }),
    cancel: (body: object) => send<{ notifications: number; deliveries: number; complete: boolean }>("/api/notify/cancel", { method: "POST", body }),
    explain: (body: object, query: Record<string, unknown> = {}) => send<Explained>("/api/notify/explain", { method: "POST", body, query }),
    preview: (body: object) => send<{ items: Said[] }>("/api/notify/preview", { method: "POST", body }).then(({ items }) => items),
    test: (body: object) => send<{ id: string }>("/api/notify/test", { method: "POST", body }),
    send: (body: object) => send<{ id: string; collection: string; duplicate: boolean }>("/api/notify/send", { method: "POST", body }),
};

/** Rows of a question that only reads, each cell a text. */
export const rows = (query: string) => send<{ rows: (string | null)[][] }>("/api/sql", { method: "POST", body: { query } }).then((answer) => answer.rows ?? []);

/** "failed: 550 no such user" → its code and its words. */
export function reasonOf(reason: string): { code: string; words: string } {
    const at = reason.indexOf(":");
    return at > 0 && /^[a-z_]+$/.test(reason.slice(0, at)) ? { code: reason.slice(0, at), words: reason.slice(at + 1).trim() } : { code: reason, words: "" };
}

export const zones: string[] = Intl.supportedValuesOf("timeZone");
