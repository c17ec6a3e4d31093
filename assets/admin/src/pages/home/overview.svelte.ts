// What the server says of itself, every two seconds while somebody looks.

import { send } from "../../lib/api";

export interface Overview {
    version: string;
    started: string;
    uptime: number;
    mode: { temp: boolean; dev: boolean; readOnly: boolean; scarce: boolean };
    requests: {
        total: number; errors4xx: number; errors5xx: number; perSecond: number; p50: number; p99: number;
        series: { at: string; requests: number; errors: number; p99: number }[];
    };
    storage: { database: number; wal: number; log: number; files: number | null; free: number | null; where: string };
    realtime: { connections: number; subscriptions: number };
    jobs: { waiting: number; running: number; late: number; dead: number };
    notifications: { pending: number; failed24h: number };
    backup: { last: { key: string; size: number; modified: string } | null; running: boolean; next: string | null };
    logs: { dropped: number; errors24h: number };
    collections: number;
    process: { memory: number; cpu: number; threads: number; fds: number };
    warnings: { code: string; message: string }[];
}

const EVERY = 2_000;

/** Watches the overview until `stop` is called; a window that nobody sees asks for nothing. */
export function watch(tell: (overview: Overview) => void, fail: (failure: unknown) => void) {
    let timer: ReturnType<typeof setTimeout> | undefined;
    let ended = false;
    const ask = async () => {
        if (!document.hidden) {
            try {
                const overview = await send<Overview>("/api/overview");
                if (!ended) tell(overview);
            } catch (failure) {
                if (!ended) fail(failure);
            }
        }
        if (!ended) timer = setTimeout(ask, EVERY);
    };
    void ask();
    return () => { ended = true; clearTimeout(timer); };
}
