// What the server says, in the language of the UI: failures, faults of rules, reasons. English keeps the server's own
// text; so does what has no words here, for the server's text is always more than nothing.

import { exact } from "./format";
import { faults, language } from "./i18n.svelte";
import { translated } from "./sentences";

/** What an answer says of one field. */
export interface Leaf { code: string; message: string; params?: Record<string, unknown> }

export function isLeaf(data: unknown): data is Leaf {
    const leaf = data as Partial<Leaf> | null;
    return typeof leaf === "object" && leaf !== null && typeof leaf.code === "string" && typeof leaf.message === "string";
}

/** A sentence of the server, or a part of one; also with its cause behind it: "It failed. (no answer)". */
export function said(message: string): string {
    const text = known(message), at = message.indexOf(" (");
    if (text !== null || at < 0 || !message.endsWith(")")) return text ?? message;
    const what = message.slice(0, at), why = message.slice(at + 2, -1);
    return `${known(what) ?? what} (${known(why) ?? why})`;
}

/** The sentence of a whole answer. */
export const sentence = (status: number, message: string): string => known(message) ?? faults()?.statuses[status] ?? message;

/** The sentence beside a field. */
export function besideField({ code, message, params }: Leaf): string {
    const text = known(message);
    if (text !== null) return text;
    for (const form of [faults()?.codes[code] ?? []].flat()) {
        const filled = fill(form, params ?? {});
        if (filled !== null) return filled;
    }
    return message;
}

function known(message: string): string | null {
    const sentences = faults()?.sentences;
    return sentences ? translated(sentences, message, show) : null;
}

/** The text with its {names} filled; null when the server gave no value for one. */
function fill(text: string, params: Record<string, unknown>): string | null {
    let whole = true;
    const filled = text.replace(/\{(\w+)\}/g, (_, name: string) => {
        const value = params[name];
        if (typeof value !== "number" && typeof value !== "string") { whole = false; return ""; }
        return show(String(value));
    });
    return whole ? filled : null;
}

/** Numbers and times as the language writes them. */
function show(value: string): string {
    if (/^-?\d{1,15}(\.\d{1,15})?$/.test(value)) return Number(value).toLocaleString(language.tag, { maximumFractionDigits: 15 });
    return /^\d{4}-\d\d-\d\d[T ]\d\d:\d\d[\d:.Z]*$/.test(value) ? exact(new Date(value.replace(" ", "T"))) : value;
}
