// Tables as files to keep.

/** RFC 4180: CRLF, quotes where they are needed. Nothing and a blank text are told apart: nothing is not quoted. */
export function csv(columns: string[], rows: Iterable<readonly unknown[]>): string {
    const cell = (value: unknown) => {
        if (value === null || value === undefined) return "";
        const text = typeof value === "string" ? value : typeof value === "object" ? JSON.stringify(value) : String(value);
        return text === "" || /[",\r\n]/.test(text) || text !== text.trim() ? `"${text.replaceAll("\"", "\"\"")}"` : text;
    };
    const lines = [columns.map(cell).join(",")];
    for (const row of rows) lines.push(row.map(cell).join(","));
    return `${lines.join("\r\n")}\r\n`;
}

/** Rows as objects; a name that comes twice gets a number. */
export function objects(columns: string[], rows: Iterable<readonly unknown[]>): Record<string, unknown>[] {
    const seen = new Set<string>();
    const names = columns.map((name) => {
        let unique = name;
        for (let count = 2; seen.has(unique); count += 1) unique = `${name}_${count}`;
        seen.add(unique);
        return unique;
    });
    return [...rows].map((row) => Object.fromEntries(names.map((name, at) => [name, row[at] ?? null])));
}

/** Has the browser save a text. */
export function save(name: string, text: string, type: "text/csv" | "application/json" | "text/plain") {
    const url = URL.createObjectURL(new Blob([text], { type: `${type};charset=utf-8` }));
    const link = document.createElement("a");
    link.href = url;
    link.download = name;
    link.click();
    setTimeout(() => URL.revokeObjectURL(url), 10_000);
}
