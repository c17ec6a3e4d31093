// What POST /api/rules/test says about a rule.

export interface Part {
    from: number;
    to: number;
    text: string;
    op: "and" | "or" | "compare";
    /** Of a comparison: "=", "?~". */
    sign?: string;
    result: boolean | null;
    left?: unknown;
    right?: unknown;
    children: Part[];
}
export interface Outcome { allowed: boolean; reason: string; rule: string | null; parts: Part | null; decided: { from: number; to: number } | null }

export interface Stretch { text: string; result?: boolean | null; decided: boolean }

/** The comparisons of a tree, in the order of the text. */
export function leaves(part: Part | null): Part[] {
    if (!part) return [];
    return part.children.length ? part.children.flatMap(leaves) : [part];
}

/** A rule cut into what its comparisons said, and what stands between them. */
export function stretches({ rule, parts, decided }: Outcome): Stretch[] {
    const found: Stretch[] = [];
    const text = rule ?? "";
    let at = 0;
    for (const { from, to, result } of leaves(parts).sort((a, b) => a.from - b.from)) {
        if (from < at || to > text.length) continue;
        if (from > at) found.push({ text: text.slice(at, from), decided: false });
        found.push({ text: text.slice(from, to), result, decided: isDecided({ from, to }, decided) });
        at = to;
    }
    if (at < text.length) found.push({ text: text.slice(at), decided: false });
    return found;
}

export const isDecided = ({ from, to }: { from: number; to: number }, decided: Outcome["decided"]) => Boolean(decided && from >= decided.from && to <= decided.to);

/** A compared value, short enough to be looked at. */
export function valueText(value: unknown): string {
    if (value === undefined) return "";
    const text = JSON.stringify(value) ?? "null";
    return text.length > 160 ? `${text.slice(0, 160)}…` : text;
}
