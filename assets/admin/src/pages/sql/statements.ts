// A text of SQL cut into statements, and whether each only reads. Pure. What is not certain to read counts as writing:
// then the person is asked first.

export interface Statement { text: string; from: number; to: number; /** Its first word, or what it does after WITH. */ verb: string; writes: boolean }

interface Word { text: string; from: number; kind: "word" | "sign" | "quoted" }

/** Comments, the four kinds of quotes, words and numbers, and single signs. An open quote or comment goes to the end. */
const TOKEN = /\s+|--[^\n]*|\/\*[^]*?(?:\*\/|$)|'(?:[^']|'')*(?:'|$)|"(?:[^"]|"")*(?:"|$)|`(?:[^`]|``)*(?:`|$)|\[[^\]]*(?:\]|$)|[\p{L}\p{N}_$]+|[^]/uy;

function words(text: string): Word[] {
    const found: Word[] = [];
    for (let at = 0; at < text.length;) {
        TOKEN.lastIndex = at;
        const said = TOKEN.exec(text)?.[0];
        if (!said) break;
        if (!/^(?:\s|--|\/\*)/.test(said)) found.push({ text: said, from: at, kind: /^['"`[]/.test(said) ? "quoted" : /^[\p{L}\p{N}_$]/u.test(said) ? "word" : "sign" });
        at += said.length;
    }
    return found;
}

/** The statements of a text, without those that are blank. */
export function statements(text: string): Statement[] {
    const found: Statement[] = [];
    let current: Word[] = [];
    // A trigger has statements within: BEGIN … END.
    let inside = 0;
    const close = (end: number) => {
        const first = current[0];
        if (first) found.push({ text: text.slice(first.from, end).trim(), from: first.from, to: end, ...judge(current) });
        current = [];
        inside = 0;
    };
    for (const word of words(text)) {
        if (word.kind === "sign" && word.text === ";" && !inside) { close(word.from); continue; }
        current.push(word);
        if (word.kind !== "word" || !isTrigger(current)) continue;
        const said = word.text.toUpperCase();
        if (said === "BEGIN" || (said === "CASE" && inside)) inside += 1;
        if (said === "END" && inside) inside -= 1;
    }
    close(text.length);
    return found;
}

const isTrigger = (list: Word[]) => list[0]?.text.toUpperCase() === "CREATE" && list.slice(1, 4).some(({ text }) => text.toUpperCase() === "TRIGGER");

/** Pragmas that tell something and change nothing, with or without an argument in parentheses. */
const TELLING = new Set(["table_info", "table_xinfo", "table_list", "index_list", "index_info", "index_xinfo", "foreign_key_list", "foreign_key_check", "database_list",
    "collation_list", "compile_options", "function_list", "module_list", "pragma_list", "integrity_check", "quick_check"]);
/** These tell without an argument; with one they set. */
const ASKED = new Set(["page_count", "page_size", "freelist_count", "schema_version", "user_version", "application_id", "encoding", "journal_mode", "auto_vacuum", "cache_size", "data_version"]);

function judge(list: Word[]): { verb: string; writes: boolean } {
    const verb = list[0]?.kind === "word" ? list[0].text.toUpperCase() : list[0]?.text ?? "";
    switch (verb) {
        case "SELECT": case "VALUES": case "EXPLAIN":
            return { verb, writes: false };
        case "WITH":
            return afterWith(list);
        case "PRAGMA": {
            const named = list[2]?.text === "." ? list.slice(3) : list.slice(1);
            const [name, next] = named;
            const known = name?.text.toLowerCase() ?? "";
            const reads = (TELLING.has(known) && (!next || next.text === "(")) || (ASKED.has(known) && !next);
            return { verb, writes: !reads };
        }
        default:
            return { verb, writes: true };
    }
}

/** What a statement does that begins with WITH: its verb stands outside of all parentheses. */
function afterWith(list: Word[]): { verb: string; writes: boolean } {
    let depth = 0, reads = "";
    for (const [at, word] of list.entries()) {
        if (word.kind === "sign") depth += word.text === "(" ? 1 : word.text === ")" ? -1 : 0;
        if (depth || word.kind !== "word") continue;
        const said = word.text.toUpperCase();
        // replace(…) is a function.
        if (["INSERT", "UPDATE", "DELETE", "REPLACE"].includes(said) && list[at + 1]?.text !== "(") return { verb: said, writes: true };
        if (!reads && (said === "SELECT" || said === "VALUES")) reads = said;
    }
    return { verb: reads || "WITH", writes: !reads };
}

/** The text for some more rows of a statement that has given a page of them; nothing where that cannot be. */
export function page(statement: Statement, offset: number, limit: number): string | undefined {
    if (statement.writes || !["SELECT", "VALUES"].includes(statement.verb)) return undefined;
    return `SELECT * FROM (\n${statement.text}\n) LIMIT ${Math.floor(limit)} OFFSET ${Math.floor(offset)}`;
}
