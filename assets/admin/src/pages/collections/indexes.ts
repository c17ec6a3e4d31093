// Indexes are CREATE INDEX texts on the wire (docs/wire/records-storage.md §5): reads and writes the simple ones, and
// follows fields that are renamed.

export interface Index { name: string; unique: boolean; columns: string[]; where: string; /** Has more than names of columns: edited as SQL only. */ complex: boolean }

const STATEMENT = /^\s*create\s+(unique\s+)?index\s+(?:if\s+not\s+exists\s+)?(?:[`"[]?\w+[`"\]]?\s*\.\s*)?([`"'[]?)([^`"'\]\s]+)[`"'\]]?\s+on\s+([`"'[]?)([^`"'\]\s(]*)[`"'\]]?\s*\(([\s\S]*)$/i;

/** What an index text says; undefined for what is no such text. */
export function read(text: string): Index | undefined {
    const found = STATEMENT.exec(text);
    if (!found) return undefined;
    const rest = found[6] ?? "";
    const end = closing(rest);
    if (end < 0) return undefined;
    const parts = split(rest.slice(0, end));
    const columns = parts.map((part) => /^\s*[`"'[]?(\w+)[`"'\]]?/.exec(part)?.[1] ?? part.trim());
    const where = /^\s*where\s+([\s\S]*?)\s*;?\s*$/i.exec(rest.slice(end + 1))?.[1] ?? "";
    return {
        name: found[3] ?? "", unique: Boolean(found[1]), columns, where,
        complex: parts.some((part) => !/^\s*[`"'[]?\w+[`"'\]]?\s*$/.test(part)),
    };
}

/** Where the bracket that was opened before `text` closes; -1 if it does not. */
function closing(text: string): number {
    let depth = 1;
    let quote = "";
    for (let at = 0; at < text.length; at += 1) {
        const char = text[at] as string;
        if (quote) {
            if (char === quote) quote = "";
        } else if (char === "'" || char === '"' || char === "`") quote = char;
        else if (char === "(") depth += 1;
        else if (char === ")" && --depth === 0) return at;
    }
    return -1;
}

/** The parts between the commas that stand in no brackets. */
function split(text: string): string[] {
    const parts: string[] = [];
    let depth = 0, from = 0;
    for (let at = 0; at < text.length; at += 1) {
        if (text[at] === "(") depth += 1;
        else if (text[at] === ")") depth -= 1;
        else if (text[at] === "," && depth === 0) {
            parts.push(text.slice(from, at));
            from = at + 1;
        }
    }
    parts.push(text.slice(from));
    return parts.filter((part) => part.trim());
}

export function write(index: Index, table: string): string {
    const columns = index.columns.map((name) => `\`${name}\``).join(", ");
    return `CREATE ${index.unique ? "UNIQUE " : ""}INDEX \`${index.name}\` ON \`${table}\` (${columns})${index.where ? ` WHERE ${index.where}` : ""}`;
}

/** A name for a new index: idx_posts_title, cut to what the server takes. */
export const nameFor = (table: string, columns: string[]) => `idx_${table.slice(0, 30)}_${columns.join("_")}`.slice(0, 60);

/** Where the columns of an index text begin; what stands before is its own name and the table's. */
const body = (text: string) => text.indexOf("(");

/** Whether an index uses a column. */
export function mentions(text: string, column: string): boolean {
    return rename(text, column, `${column}\u0000`) !== text;
}

/** The text with one column called otherwise; strings in it stay. */
export function rename(text: string, from: string, to: string): string {
    const at = body(text);
    if (at < 0 || !from) return text;
    const rest = text.slice(at).replace(/'(?:[^']|'')*'|[`"[]\w+[`"\]]|\w+(?!\s*\()/g, (token) => {
        const bare = token.replace(/^[`"[]|[`"\]]$/g, "");
        if (token.startsWith("'") || bare.toLowerCase() !== from.toLowerCase()) return token;
        return token === bare ? to : `\`${to}\``;
    });
    return text.slice(0, at) + rest;
}

/** Whether an index keeps one column on its own unique: what a field needs that one signs in with. */
export function isUniqueOver(text: string, column: string): boolean {
    const index = read(text);
    return Boolean(index?.unique && index.columns.length === 1 && index.columns[0] === column);
}
