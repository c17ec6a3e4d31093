// CSV as RFC 4180 has it and as programs write it: quotes, line ends in quotes, any delimiter, any line end. Read in
// pieces of any size, so that no file is too long for it.

/** The longest row: a quote that is never closed must not swallow a whole file. */
export const LONGEST = 16_000_000;

export class CsvError extends Error {
    constructor(/** Counted from 1, the line of names included. */ readonly row: number) {
        super("A row is too long: a quote is probably not closed.");
    }
}

export class Csv {
    private cell = "";
    private row: string[] = [];
    private size = 0;
    private count = 0;
    /** Inside of quotes; a quote has just been closed; the cell had quotes; the last character was a CR. */
    private quoted = false;
    private closed = false;
    private hadQuotes = false;
    private afterReturn = false;
    private readonly plain: RegExp;

    constructor(private readonly delimiter: string) {
        const mark = delimiter.replace(/[\\\]^-]/g, "\\$&");
        this.plain = new RegExp(`[^"${mark}\\r\\n]+`, "y");
    }

    /** The rows that are whole by now. */
    push(text: string): string[][] {
        const rows: string[][] = [];
        let at = 0;
        while (at < text.length) {
            if (this.quoted) {
                const end = text.indexOf("\"", at);
                this.grow(text.slice(at, end < 0 ? text.length : end));
                if (end < 0) break;
                this.quoted = false;
                this.closed = true;
                at = end + 1;
                continue;
            }
            const sign = text[at] as string;
            if (sign === "\"" && this.closed) { this.grow("\""); this.quoted = true; this.closed = false; }
            else if (sign === "\"" && !this.cell && !this.hadQuotes) { this.quoted = true; this.hadQuotes = true; }
            else if (sign === this.delimiter) this.endCell();
            else if (sign === "\n" && this.afterReturn) { this.afterReturn = false; at += 1; continue; }
            else if (sign === "\n" || sign === "\r") this.endRow(rows);
            else at = this.take(text, at) - 1;
            this.afterReturn = sign === "\r";
            at += 1;
        }
        return rows;
    }

    /** What is left when the text has ended; `open` when a quote was never closed. */
    end(): { rows: string[][]; open: boolean } {
        const rows: string[][] = [], open = this.quoted;
        this.endRow(rows);
        return { rows, open };
    }

    /** Characters that mean nothing, and quotes in the middle of a cell, which are just quotes. */
    private take(text: string, at: number): number {
        this.closed = false;
        this.plain.lastIndex = at;
        const run = this.plain.exec(text)?.[0] ?? (text[at] as string);
        this.grow(run);
        return at + run.length;
    }

    private grow(text: string) {
        this.size += text.length;
        if (this.size > LONGEST) throw new CsvError(this.count + 1);
        this.cell += text;
    }

    private endCell() {
        this.row.push(this.cell);
        this.cell = "";
        this.closed = false;
        this.hadQuotes = false;
    }

    private endRow(rows: string[][]) {
        const blank = !this.row.length && !this.cell && !this.hadQuotes;
        if (!blank) {
            this.endCell();
            rows.push(this.row);
        }
        this.count += 1;
        this.row = [];
        this.cell = "";
        this.size = 0;
        this.closed = false;
        this.hadQuotes = false;
    }
}

/** The delimiter that cuts the beginning of a file into the most columns, evenly. */
export function delimiterOf(sample: string): string {
    let best = ",", most = 1;
    for (const delimiter of [",", ";", "\t", "|"]) {
        const csv = new Csv(delimiter);
        let rows: string[][];
        try {
            rows = csv.push(sample).slice(0, 50);
            if (!rows.length) rows = csv.end().rows;
        } catch {
            continue;
        }
        const width = rows[0]?.length ?? 0;
        const even = rows.filter((row) => row.length === width).length / Math.max(rows.length, 1);
        if (width > 1 && width * even > most) { best = delimiter; most = width * even; }
    }
    return best;
}

/** A row as CSV, with quotes where they are needed. */
export function csvRow(cells: string[]): string {
    return `${cells.map((cell) => (/[",;\t\r\n]|^\s|\s$/.test(cell) ? `"${cell.replaceAll("\"", "\"\"")}"` : cell)).join(",")}\r\n`;
}
