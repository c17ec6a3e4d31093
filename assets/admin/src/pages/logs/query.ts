// Which logs are shown: what stands in the address, the filter that it makes, and the bars of the chart. Pure.

export type Range = "hour" | "day" | "week" | "all" | "own";
export type Class = "2" | "3" | "4" | "5";
export interface Query {
    filter: string;
    /** At least this level; undefined for all. */
    level: number | undefined;
    range: Range;
    /** Of an own range: as a datetime-local input writes it, in the person's zone. */
    from: string;
    to: string;
    errors: boolean;
    slow: boolean;
    class: Class | undefined;
    /** The id of an account. */
    user: string;
}
export interface Log { id: string; created: string; level: number; message: string; data: Record<string, unknown> }

/** Milliseconds from which a request counts as slow. */
export const SLOW = 500;
export const LEVELS = [-4, 0, 4, 8] as const;
const HOURS: Partial<Record<Range, number>> = { hour: 1, day: 24, week: 168 };

export function fromAddress(query: URLSearchParams): Query {
    const level = Number(query.get("level") ?? NaN), range = query.get("range"), status = query.get("class");
    return {
        filter: query.get("filter") ?? "",
        level: Number.isInteger(level) ? level : undefined,
        range: range === "hour" || range === "week" || range === "all" || range === "own" ? range : "day",
        from: query.get("from") ?? "", to: query.get("to") ?? "",
        errors: query.get("errors") === "1", slow: query.get("slow") === "1",
        class: status && /^[2-5]$/.test(status) ? (status as Class) : undefined,
        user: query.get("user") ?? "",
    };
}

export function toAddress(query: Query): Record<string, string | undefined> {
    return {
        filter: query.filter || undefined, level: query.level === undefined ? undefined : String(query.level),
        range: query.range === "day" ? undefined : query.range, from: query.range === "own" ? query.from || undefined : undefined, to: query.range === "own" ? query.to || undefined : undefined,
        errors: query.errors ? "1" : undefined, slow: query.slow ? "1" : undefined, class: query.class, user: query.user || undefined,
    };
}

const text = (value: string) => `'${value.replaceAll("\\", "\\\\").replaceAll("'", "\\'")}'`;
const wire = (at: Date) => at.toISOString().replace("T", " ");
const moment = (local: string) => {
    const at = new Date(local);
    return local && !Number.isNaN(at.getTime()) ? at : undefined;
};

/** When the range begins and ends; undefined where it is open. */
export function span(query: Query, now: Date): { from?: Date; to?: Date } {
    if (query.range === "own") return { from: moment(query.from), to: moment(query.to) };
    const hours = HOURS[query.range];
    return { from: hours ? new Date(now.getTime() - hours * 3_600_000) : undefined };
}

/** The filter of all of it. The person's own stands on lines of its own: it may end in a comment. */
export function filterOf(query: Query, now: Date): string {
    const { from, to } = span(query, now);
    return [
        query.filter.trim() && `(\n${query.filter}\n)`,
        query.level !== undefined && `level >= ${query.level}`,
        from && `created >= ${text(wire(from))}`,
        to && `created <= ${text(wire(to))}`,
        query.errors && "level >= 8",
        query.slow && `data.execTime >= ${SLOW}`,
        query.class && `data.status >= ${query.class}00 && data.status < ${Number(query.class) + 1}00`,
        query.user && `data.authId = ${text(query.user)}`,
    ].filter(Boolean).join(" && ");
}

/** The filter for others like this one. */
export const like = {
    request: (id: string) => `data.requestId = ${text(id)}`,
    /** Without its query; % and _ mean themselves. */
    path: (url: string) => `data.url ~ ${text((url.split("?")[0] ?? "").replaceAll("\\", "\\\\").replaceAll("%", "\\%"))}`,
};

/** Bars without holes, by the hour; over two weeks by the day. Seconds since 1970. */
export function bars(stats: { date: string; total: number }[], { from, to }: { from?: Date; to?: Date }, now: Date): { times: number[]; values: number[]; daily: boolean } {
    const found = stats.map(({ date, total }) => ({ at: Date.parse(date.replace(" ", "T")) / 1000, total })).filter(({ at }) => Number.isFinite(at)).sort((a, b) => a.at - b.at);
    const first = from ? from.getTime() / 1000 : found[0]?.at, last = Math.min(to?.getTime() ?? Infinity, now.getTime()) / 1000;
    if (first === undefined || last < first) return { times: [], values: [], daily: false };
    const daily = last - first > 15 * 86_400;
    const step = daily ? 86_400 : 3_600;
    const start = Math.floor(first / step) * step, count = Math.min(Math.floor((last - start) / step) + 1, 3_000);
    const times = Array.from({ length: count }, (_, at) => start + at * step), values = times.map(() => 0);
    for (const { at, total } of found) {
        const place = Math.floor((at - start) / step);
        if (place >= 0 && place < count) values[place] = (values[place] ?? 0) + total;
    }
    return { times, values, daily };
}

export const levelName = (level: number): "debug" | "info" | "warn" | "error" => (level >= 8 ? "error" : level >= 4 ? "warn" : level >= 0 ? "info" : "debug");
const field = (data: Record<string, unknown>, name: string) => (data && typeof data === "object" ? data[name] : undefined);
export const string = (log: Log, name: string) => { const value = field(log.data, name); return typeof value === "string" ? value : ""; };
export const figure = (log: Log, name: string) => { const value = field(log.data, name); return typeof value === "number" && Number.isFinite(value) ? value : undefined; };
