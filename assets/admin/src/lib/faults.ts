// What the server says of a failure, in the language of the UI. English keeps the server's own text; so does what has no
// words here, for the server's text is always more than nothing.

import { exact } from "./format";
import { faults, language } from "./i18n.svelte";

/** What an answer says of one field. */
export interface Leaf { code: string; message: string; params?: Record<string, unknown> }

export function isLeaf(data: unknown): data is Leaf {
    const leaf = data as Partial<Leaf> | null;
    return typeof leaf === "object" && leaf !== null && typeof leaf.code === "string" && typeof leaf.message === "string";
}

/** The sentence of a whole answer. */
export function sentence(status: number, message: string): string {
    const words = faults();
    return words?.texts[message] ?? words?.statuses[status] ?? message;
}

/** The sentence beside a field. */
export function besideField({ code, message, params }: Leaf): string {
    const words = faults(), text = words?.texts[message];
    if (text) return text;
    for (const form of [words?.codes[code] ?? []].flat()) {
        const filled = fill(form, params ?? {});
        if (filled !== null) return filled;
    }
    return message;
}

/** The text with its {names} filled; null when the server gave no value for one. */
function fill(text: string, params: Record<string, unknown>): string | null {
    let whole = true;
    const filled = text.replace(/\{(\w+)\}/g, (_, name: string) => {
        const value = params[name];
        if (typeof value === "number") return value.toLocaleString(language.tag);
        if (typeof value !== "string") { whole = false; return ""; }
        return /^\d{4}-\d\d-\d\d[T ]/.test(value) ? exact(new Date(value)) : value;
    });
    return whole ? filled : null;
}
