// Reads a file away from the page, as often as it is needed: to count, to check, and piece by piece to be sent. Of the
// file itself only a piece is in memory at a time.

import { Csv, CsvError, delimiterOf } from "./csv";
import { convert, isBlankCell } from "./convert";
import { JsonError, JsonRows } from "./json-rows";
import type { Answer, Ask, Fault, Plan, Reading, Row } from "./protocol";

const SAMPLE = 20, FAULTS = 200, MOST_COLUMNS = 500, PIECE_BYTES = 3_000_000;
const tell = (answer: Answer) => postMessage(answer);

let file: File;
let reading: Reading;
let columns: string[] = [];
let problem: { row: number; what: "open" | "json" } | undefined;
/** Of the newest question: an older pass that is still running ends itself. */
let newest = 0;
let source: AsyncGenerator<unknown[][]> | undefined;
let waiting: unknown[][] = [];
let plan: Plan;
let sent = 0;

/** What the first bytes say about how the text is written. */
async function encodingOf(of: File): Promise<string> {
    const head = new Uint8Array(await of.slice(0, 1_000_000).arrayBuffer());
    if (head[0] === 0xff && head[1] === 0xfe) return "utf-16le";
    if (head[0] === 0xfe && head[1] === 0xff) return "utf-16be";
    try {
        new TextDecoder("utf-8", { fatal: true }).decode(head, { stream: true });
        return "utf-8";
    } catch {
        return "windows-1252";
    }
}

async function* pieces(mine: number): AsyncGenerator<string> {
    const decoder = new TextDecoder(reading.encoding), reader = file.stream().getReader();
    let done = 0, told = 0;
    for (let next = await reader.read(); !next.done; next = await reader.read()) {
        if (mine !== newest) return void reader.cancel();
        yield decoder.decode(next.value, { stream: true });
        done += next.value.length;
        if (done - told > 2_000_000) { told = done; tell({ kind: "progress", done, total: file.size }); }
    }
    yield decoder.decode();
}

/** All rows as cells in the order of the columns; names are learnt from the first rows. */
async function* rowsOf(mine: number): AsyncGenerator<unknown[][]> {
    problem = undefined;
    if (reading.format === "json") return yield* objects(mine);
    const csv = new Csv(reading.delimiter);
    let first = true, count = 0;
    const named = (rows: string[][]) => {
        if (first && rows.length) {
            first = false;
            const head = rows[0] ?? [];
            columns = head.slice(0, MOST_COLUMNS).map((name, at) => (reading.named ? name.trim() : "") || `${at + 1}`);
            if (reading.named) rows = rows.slice(1);
        }
        count += rows.length;
        return rows;
    };
    try {
        for await (const text of pieces(mine)) yield named(csv.push(text));
        const { rows, open } = csv.end();
        yield named(rows);
        if (open) problem = { row: count, what: "open" };
    } catch (failure) {
        if (!(failure instanceof CsvError)) throw failure;
        problem = { row: failure.row, what: "open" };
    }
}

async function* objects(mine: number): AsyncGenerator<unknown[][]> {
    const json = new JsonRows(), known = new Map<string, number>();
    columns = [];
    let count = 0;
    try {
        for await (const text of pieces(mine)) {
            const rows = json.push(text);
            for (const row of rows) {
                if (count < 1000) for (const name of Object.keys(row)) if (!known.has(name) && known.size < MOST_COLUMNS) known.set(name, known.size);
                count += 1;
            }
            columns = [...known.keys()];
            yield rows.map((row) => columns.map((name) => row[name]));
        }
        if (json.end().open) problem = { row: count + 1, what: "json" };
    } catch (failure) {
        if (!(failure instanceof JsonError)) throw failure;
        problem = { row: failure.row, what: "json" };
    }
}

async function read(next: File, wanted: Partial<Reading>, mine: number) {
    file = next;
    const encoding = wanted.encoding ?? await encodingOf(file);
    const head = new TextDecoder(encoding).decode(await file.slice(0, 65_536).arrayBuffer());
    const format = wanted.format ?? (/^\s*[[{]/.test(head) ? "json" : "csv");
    reading = { format, encoding, delimiter: wanted.delimiter ?? delimiterOf(head), named: wanted.named ?? true };
    const sample: unknown[][] = [];
    let rows = 0;
    for await (const some of rowsOf(mine)) {
        if (mine !== newest) return;
        for (const row of some.slice(0, SAMPLE - sample.length)) sample.push(row);
        rows += some.length;
    }
    if (mine === newest) tell({ kind: "read", reading, columns, sample: sample.map((row) => row.map(short)), rows, problem });
}

/** What is shown of a cell. */
const short = (cell: unknown) => raw(cell).slice(0, 200);
const raw = (cell: unknown) => (cell === undefined || cell === null ? "" : typeof cell === "object" ? JSON.stringify(cell) : String(cell));

function rowOf(cells: unknown[], at: number, by: Plan): Row {
    const body: Record<string, unknown> = {}, blank: string[] = [], faults: Fault[] = [];
    for (const { column, field } of by.mapped) {
        const converted = convert(field, cells[column], by.manner);
        if ("wrong" in converted) faults.push({ ...converted.wrong, row: at, field: field.name, column: columns[column] ?? "" });
        else if (converted.value !== undefined) body[field.name] = converted.value;
        if (isBlankCell(cells[column])) blank.push(field.name);
    }
    return { at, raw: columns.map((_, column) => raw(cells[column])), body, blank, faults };
}

async function check(by: Plan, mine: number) {
    const preview: Row[] = [], faults: Fault[] = [];
    let rows = 0, bad = 0;
    for await (const some of rowsOf(mine)) {
        if (mine !== newest) return;
        for (const cells of some) {
            rows += 1;
            const row = rowOf(cells, rows, by);
            if (preview.length < 10) preview.push({ ...row, raw: row.raw.map((cell) => cell.slice(0, 200)), body: shortened(row.body) });
            if (row.faults.length) bad += 1;
            for (const fault of row.faults) if (faults.length < FAULTS) faults.push(fault);
        }
    }
    if (mine === newest) tell({ kind: "checked", preview, rows, bad, faults });
}

const shortened = (body: Record<string, unknown>) => Object.fromEntries(Object.entries(body).map(([name, value]) => [name, short(value)]));

/** The next rows to be sent: as many as wanted, fewer when they are big. */
async function next(count: number) {
    const rows: Row[] = [];
    let size = 0, done = false;
    while (rows.length < count && size < PIECE_BYTES) {
        const cells = waiting.shift();
        if (cells) {
            sent += 1;
            const row = rowOf(cells, sent, plan);
            size += row.raw.reduce((sum, cell) => sum + cell.length, 0);
            rows.push(row);
            continue;
        }
        const more = await source?.next();
        if (!more || more.done) { done = true; break; }
        waiting = more.value;
    }
    tell({ kind: "rows", rows, done });
}

addEventListener("message", ({ data }: MessageEvent<Ask>) => {
    const failed = (failure: unknown) => tell({ kind: "failed", message: failure instanceof Error ? failure.message : String(failure) });
    if (data.kind === "next") return void next(data.count).catch(failed);
    const mine = ++newest;
    if (data.kind === "read") void read(data.file, data.reading, mine).catch(failed);
    else if (data.kind === "check") void check(data.plan, mine).catch(failed);
    else {
        plan = data.plan;
        source = rowsOf(mine);
        waiting = [];
        sent = 0;
    }
});
