// Numbers, sizes and times as people read them.

import { language } from "./i18n.svelte";

const UNITS = ["B", "KB", "MB", "GB", "TB"];

/** 1536 → "1.5 KB". */
export function bytes(count: number | null | undefined): string {
    if (count === null || count === undefined) return "–";
    let value = count, unit = 0;
    for (; value >= 1000 && unit < UNITS.length - 1; unit += 1) value /= 1024;
    return `${value.toLocaleString(language.tag, { maximumFractionDigits: value < 10 && unit ? 1 : 0 })} ${UNITS[unit]}`;
}

export function number(value: number, digits = 0): string {
    return value.toLocaleString(language.tag, { maximumFractionDigits: digits });
}

/** The wire's dates have a blank where ISO 8601 has a T. Undefined for what is no date. */
export function parse(date: string | null | undefined): Date | undefined {
    if (!date) return undefined;
    const at = new Date(date.replace(" ", "T"));
    return Number.isNaN(at.getTime()) ? undefined : at;
}

/** A date as the wire writes it: "2026-11-22 18:20:17.000Z". */
export function wire(at: Date): string {
    return at.toISOString().replace("T", " ");
}

/** "22 Nov 2026, 19:20:17", here or in UTC. */
export function exact(at: Date, zone?: "UTC"): string {
    return at.toLocaleString(language.tag, { dateStyle: "medium", timeStyle: "medium", timeZone: zone });
}

/** What a clock on a wall shows, "2026-11-22T23:39" of no zone: "22 Nov 2026, 23:39". What is none stays as it is. */
export function wall(text: string): string {
    const at = new Date(`${text}Z`);
    return Number.isNaN(at.getTime()) ? text.slice(0, 16) : at.toLocaleString(language.tag, { dateStyle: "medium", timeStyle: "short", timeZone: "UTC" });
}

const STEPS: [Intl.RelativeTimeFormatUnit, number][] = [["second", 60], ["minute", 60], ["hour", 24], ["day", 30], ["month", 12], ["year", Infinity]];

/** "5 minutes ago", "in 2 days". */
export function relative(at: Date, now = Date.now()): string {
    const words = new Intl.RelativeTimeFormat(language.tag, { numeric: "auto" });
    let value = (at.getTime() - now) / 1000;
    for (const [unit, size] of STEPS) {
        if (Math.abs(Math.round(value)) < size) return words.format(Math.round(value), unit);
        value /= size;
    }
    return exact(at);
}

/** 93784 seconds → "1 d 2 h", 0.25 → "250 ms". */
export function span(seconds: number): string {
    if (seconds < 1) return `${number(seconds * 1000, seconds < .01 ? 1 : 0)} ms`;
    const parts: [string, number][] = [["d", 86400], ["h", 3600], ["min", 60], ["s", 1]];
    const said: string[] = [];
    let left = Math.floor(seconds);
    for (const [name, size] of parts) {
        if (left >= size && said.length < 2) said.push(`${Math.floor(left / size)} ${name}`);
        left %= size;
    }
    return said.join(" ");
}
