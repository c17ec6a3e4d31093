// The queue as the server tells it (docs/jobs.md).

import { send } from "../../lib/api";

export type JobState = "waiting" | "running" | "dead";
export interface Job {
    id: string; kind: string; state: JobState; key: string; priority: string; payload: unknown;
    created: string; due: string; attempts: number; lease: string; ended: string; error: string;
}
export type Outcome = "done" | "failed" | "dead" | "lost" | "skipped";
export interface Run { id: string; job: string; kind: string; attempt: number; started: string; duration: number | null; outcome: Outcome; error: string }
export interface Cron { id: string; expression: string }
export interface KindCount { kind: string; waiting: number; running: number; late: number; dead: number }

export const failedRun = (run: Run) => run.outcome === "failed" || run.outcome === "dead" || run.outcome === "lost";

export const jobs = {
    list: (query: Record<string, unknown>) => send<{ items: Job[] }>("/api/jobs", { query }).then(({ items }) => items),
    history: (query: Record<string, unknown>) => send<{ items: Run[] }>("/api/jobs/history", { query }).then(({ items }) => items),
    act: (id: string, what: "run" | "cancel" | "replay") => send(`/api/jobs/${encodeURIComponent(id)}/${what}`, { method: "POST" }),
    crons: () => send<Cron[]>("/api/crons"),
    runCron: (id: string) => send(`/api/crons/${encodeURIComponent(id)}`, { method: "POST" }),
    /** Undefined where the server does not count them. */
    counts: () => send<{ kinds: KindCount[] }>("/api/jobs/stats").then(({ kinds }) => kinds, () => undefined),
};

/** What a payload says in a line. */
export function summary(payload: unknown): string {
    if (payload === null || payload === undefined) return "";
    if (typeof payload !== "object") return String(payload).slice(0, 200);
    return Object.entries(payload).slice(0, 6).map(([name, value]) => `${name}: ${typeof value === "object" ? JSON.stringify(value)?.slice(0, 60) : String(value).slice(0, 60)}`).join(", ").slice(0, 200);
}
