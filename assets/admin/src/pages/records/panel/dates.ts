// Between the wire's dates and what datetime-local inputs hold, to the millisecond, here and in UTC.

import { parse, wire } from "../../../lib/format";

const two = (value: number, size = 2) => String(value).padStart(size, "0");

/** "2026-11-22T19:20:17.123": a wire date as an input shows it; "" for none. */
export function shown(date: string, utc: boolean): string {
    const at = parse(date);
    if (!at) return "";
    if (utc) return at.toISOString().replace(/Z$/, "");
    const day = `${two(at.getFullYear(), 4)}-${two(at.getMonth() + 1)}-${two(at.getDate())}`;
    return `${day}T${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}.${two(at.getMilliseconds(), 3)}`;
}

/** The wire date that an input's text means; undefined for what is no date. */
export function meant(text: string, utc: boolean): string | undefined {
    const at = new Date(utc ? `${text}Z` : text);
    return Number.isNaN(at.getTime()) ? undefined : wire(at);
}
