// When a cron expression comes next, by the clock of UTC: what the schedule of backups goes by. It reads what that setting
// takes: five fields of numbers, lists, ranges and steps, or a macro. All fields have to fit.

import { MACROS } from "./cron";

const BOUNDS = [[0, 59], [0, 23], [1, 31], [1, 12], [0, 6]] as const;
const DAY = 86_400_000;
/** A leap day on a given weekday is never further away, across a century without one. */
const DAYS_AHEAD = 41 * 366;

/** What the five fields allow; undefined for what is no expression. */
function read(expression: string): number[][] | undefined {
    const text = expression.trim();
    const fields = (MACROS[text] ?? text).split(/\s+/);
    if (text.length > 256 || fields.length !== BOUNDS.length) return undefined;
    const sets = BOUNDS.map(([first, last], at) => values(fields[at] ?? "", first, last));
    return sets.every((set) => set !== undefined) ? sets : undefined;
}

/** The values of one field in their order. */
function values(field: string, first: number, last: number): number[] | undefined {
    const found = new Set<number>();
    for (const part of field.split(",")) {
        const read = /^(?:\*|(\d{1,2})(?:-(\d{1,2}))?)(?:\/(\d{1,2}))?$/.exec(part);
        if (!read) return undefined;
        const [, one, end, by] = read;
        const from = one === undefined ? first : Number(one), to = one === undefined ? last : Number(end ?? one), step = by === undefined ? 1 : Number(by);
        // A step needs something to step through.
        if (from < first || to > last || from > to || step < 1 || step > last || (by !== undefined && one !== undefined && end === undefined)) return undefined;
        for (let value = from; value <= to; value += step) found.add(value);
    }
    return [...found].sort((a, b) => a - b);
}

/** The next times after `now`, at most `count`; none for what never comes, undefined for what is no expression. */
export function nextTimes(expression: string, now: Date, count: number): Date[] | undefined {
    const sets = read(expression);
    if (!sets) return undefined;
    const [minutes = [], hours = [], days = [], months = [], weekdays = []] = sets;
    const found: Date[] = [];
    const today = Math.floor(now.getTime() / DAY) * DAY;
    for (let ahead = 0; ahead < DAYS_AHEAD && found.length < count; ahead += 1) {
        const day = new Date(today + ahead * DAY);
        if (!months.includes(day.getUTCMonth() + 1) || !days.includes(day.getUTCDate()) || !weekdays.includes(day.getUTCDay())) continue;
        for (const hour of hours) for (const minute of minutes) {
            const at = day.getTime() + (hour * 60 + minute) * 60_000;
            if (at > now.getTime() && found.length < count) found.push(new Date(at));
        }
    }
    return found;
}
