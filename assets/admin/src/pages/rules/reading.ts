// A simple rule as a sentence: comparisons with one way of joining them. What is more than that stays as it is written.

import { tokens } from "./complete";

/** A piece of the sentence: which text, and what is filled in. */
export interface Said { key: "signedIn" | "guest" | "own" | "as" | "user" | "sent" | "unsent" | "is" | "isNot" | "has" | "hasNot" | "more" | "less" | "atLeast" | "atMost" | "blank" | "filled" | "changed" | "unchanged"; values: Record<string, string> }
export interface Reading { join: "and" | "or"; parts: Said[] }

/** The sentence of a rule; nothing if it is not simple. */
export function read(rule: string): Reading | undefined {
    const found = tokens(rule);
    if (!found.length || found.length > 40 || found.some(({ kind, open }) => open || ["open", "close", "comma", "other"].includes(kind))) return undefined;
    const joins = new Set(found.filter(({ kind }) => kind === "join").map(({ text }) => text));
    if (joins.size > 1 || [...joins].some((text) => text !== "&&" && text !== "||")) return undefined;
    const parts: Said[] = [];
    for (let at = 0; at < found.length; at += 4) {
        const [left, sign, right, join] = found.slice(at, at + 4);
        if (!left || sign?.kind !== "sign" || !right || (join && join.kind !== "join") || (join && at + 4 >= found.length)) return undefined;
        const said = comparison(left.text, sign.text.replace(/^\?/, ""), right.text);
        if (!said) return undefined;
        parts.push(said);
    }
    return { join: joins.has("||") ? "or" : "and", parts };
}

const isBlank = (text: string) => text === "''" || text === "\"\"" || text === "null";

function comparison(left: string, sign: string, right: string): Said | undefined {
    const signs: Record<string, [Said["key"], Said["key"]]> = {
        "=": ["is", "isNot"], "!=": ["isNot", "is"], "~": ["has", "hasNot"], "!~": ["hasNot", "has"],
        ">": ["more", "less"], "<": ["less", "more"], ">=": ["atLeast", "atMost"], "<=": ["atMost", "atLeast"],
    };
    if (!signs[sign]) return undefined;
    if (left === "@request.auth.id" && isBlank(right)) return sign === "!=" ? { key: "signedIn", values: {} } : sign === "=" ? { key: "guest", values: {} } : undefined;
    if (right === "@request.auth.id" && sign === "=" && !left.startsWith("@")) return { key: "own", values: { field: name(left) } };
    if (left === "@request.auth.id" && sign === "=" && !right.startsWith("@")) return { key: "own", values: { field: name(right) } };
    if (left === "@request.auth.collectionName" && sign === "=") return { key: "as", values: { value: name(right) } };
    const flag = /^@request\.body\.(\w+):(isset|changed)$/.exec(left);
    if (flag && /^(true|false)$/.test(right) && (sign === "=" || sign === "!=")) {
        const yes = (right === "true") === (sign === "=");
        const key = flag[2] === "isset" ? (yes ? "sent" : "unsent") : (yes ? "changed" : "unchanged");
        return { key, values: { field: flag[1] ?? "" } };
    }
    if (/^@(?!request\.(auth|body)\.)/.test(left) || /^(?:@collection|@request\.(?:query|headers|body))/.test(right) || /:/.test(left)) return undefined;
    if (isBlank(right) && (sign === "=" || sign === "!=")) return { key: sign === "=" ? "blank" : "filled", values: { field: name(left) } };
    return { key: signs[sign][0], values: { field: name(left), value: name(right) } };
}

/** As people would call it: the text without its quotes, a path with its steps. */
function name(text: string): string {
    const quoted = /^(['"])([^]*)\1$/.exec(text);
    if (quoted) return `“${(quoted[2] ?? "").replace(/\\(['"\\])/g, "$1").slice(0, 60)}”`;
    return text.replace(/^@request\.(auth|body)\./, "$1.").slice(0, 80);
}
