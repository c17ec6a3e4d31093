// Where a JSON text is broken, and the same text laid out anew – without reading its numbers, which JavaScript would round.

/** The offset of the first thing that is wrong; undefined for valid JSON and for nothing at all. */
export function fault(text: string): { at: number } | undefined {
    if (!text.trim()) return undefined;
    try {
        JSON.parse(text);
        return undefined;
    } catch {
        return { at: firstFault(text) };
    }
}

const TOKEN = /[ \t\n\r]*(?:([{}[\]:,])|("(?:[^"\\\u0000-\u001f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*")|(-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null)(?![\w.+-]))/y;

interface Token { kind: "mark" | "string" | "plain"; text: string; at: number }

/** The next token from `from`; undefined where there is none. */
function tokenAt(text: string, from: number): { token: Token; next: number } | undefined {
    TOKEN.lastIndex = from;
    const found = TOKEN.exec(text);
    if (!found) return undefined;
    const inside = (found[1] ?? found[2] ?? found[3]) as string;
    const kind = found[1] ? "mark" : found[2] ? "string" : "plain";
    return { token: { kind, text: inside, at: TOKEN.lastIndex - inside.length }, next: TOKEN.lastIndex };
}

const blanks = (text: string, from: number) => from + (/^[ \t\n\r]*/.exec(text.slice(from, from + 10_000))?.[0].length ?? 0);

/** Walks the tokens with a stack of what is open, so that depth costs no call stack. */
function firstFault(text: string): number {
    const open: ("{" | "[")[] = [];
    // What may come next.
    let want: "value" | "first" | "key" | "firstKey" | "colon" | "after" = "value";
    let at = 0;
    while (true) {
        const found = tokenAt(text, at);
        if (!found) return blanks(text, at);
        const { token, next } = found;
        const is = (mark: string) => token.kind === "mark" && token.text === mark;
        if (want === "colon") {
            if (!is(":")) return token.at;
            want = "value";
        } else if (want === "key" || want === "firstKey") {
            if (token.kind === "string") want = "colon";
            else if (want === "firstKey" && is("}")) { open.pop(); want = "after"; }
            else return token.at;
        } else if (want === "after") {
            const inside = open.at(-1);
            if (is(",") && inside) want = inside === "{" ? "key" : "value";
            else if ((is("}") && inside === "{") || (is("]") && inside === "[")) open.pop();
            else return token.at;
        } else if (is("{")) { open.push("{"); want = "firstKey"; }
        else if (is("[")) { open.push("["); want = "first"; }
        else if (want === "first" && is("]")) { open.pop(); want = "after"; }
        else if (token.kind === "mark") return token.at;
        else want = "after";
        at = next;
    }
}

/** Valid JSON with two blanks a level. What is in it stays to the letter. */
export function laidOut(text: string): string {
    const parts: string[] = [];
    let depth = 0, at = 0;
    const line = () => `\n${"  ".repeat(depth)}`;
    for (let found = tokenAt(text, at); found; found = tokenAt(text, at)) {
        const { token, next } = found;
        if (token.text === "{" || token.text === "[") {
            const after = tokenAt(text, next)?.token;
            const empty = after?.kind === "mark" && (after.text === "}" || after.text === "]");
            depth += 1;
            parts.push(token.text, empty ? "" : line());
        } else if (token.kind === "mark" && (token.text === "}" || token.text === "]")) {
            depth -= 1;
            const last = parts.at(-1);
            if (last === "") parts.pop();
            else parts.push(line());
            parts.push(token.text);
        } else if (token.text === "," && token.kind === "mark") parts.push(",", line());
        else if (token.text === ":" && token.kind === "mark") parts.push(": ");
        else parts.push(token.text);
        at = next;
    }
    return parts.join("");
}
