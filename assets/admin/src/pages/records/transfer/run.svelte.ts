// Sends the rows of a file: in batches of one transaction each, or singly where batches are off. What fails is kept with
// its reason, everything else goes on.

import { ClientResponseError, type CollectionField, type CollectionModel } from "pocketbase";
import { base, pb, problem } from "../../../lib/api";
import { besideField, isLeaf, sentence } from "../../../lib/faults";
import { t } from "../../../lib/i18n.svelte";
import { csvRow } from "./csv";
import type { Plan, Row } from "./protocol";
import type { Reader } from "./reader";
import { inWords } from "./words";

export interface Batches { enabled: boolean; maxRequests: number }
export interface Wish { plan: Plan; columns: string[]; rows: number; /** By which records are found that are there already; none: all rows are new. */ key: CollectionField | undefined; /** Empty cells clear what is stored. */ clear: boolean }
interface Request { row: Row; method: "POST" | "PATCH"; url: string; body: Record<string, unknown> }

const AT_ONCE = 4, TOLD = 100, PART = 1_000_000;
const sleep = (time: number) => new Promise((resolve) => setTimeout(resolve, time));

export class Run {
    state = $state<"running" | "paused" | "done">("running");
    created = $state(0);
    updated = $state(0);
    failed = $state(0);
    /** The first of what went wrong. */
    reasons = $state<{ row: number; text: string }[]>([]);
    private halted = false;
    private report: (Blob | string)[] = [];
    private lines: string[] = [];
    private size = 0;
    private read = { done: false };
    private batched: boolean;

    constructor(private readonly collection: CollectionModel, private readonly reader: Reader, readonly wish: Wish, private readonly batches: Batches) {
        this.batched = batches.enabled && batches.maxRequests > 1;
        this.lines.push(csvRow([...wish.columns, "error"]));
        reader.start(wish.plan);
    }

    get finished() { return this.created + this.updated + this.failed; }

    /** Goes on until the end, or until it is told to stop. */
    async go() {
        this.state = "running";
        this.halted = false;
        const size = this.batched ? Math.min(this.batches.maxRequests, 100) : 50;
        while (!this.halted && !this.read.done) {
            const { rows, done } = await this.reader.next(size);
            this.read.done = done;
            const sound = rows.filter((row) => !row.faults.length);
            for (const row of rows) if (row.faults.length) this.fail(row, row.faults.map((fault) => `${fault.field}: ${inWords(fault)}`).join(" "));
            for (const group of this.apart(sound)) await this.group(group);
        }
        this.state = this.read.done ? "done" : "paused";
    }

    /** What is on its way is still answered. */
    stop() { this.halted = true; }
    finish() { this.state = "done"; }

    /** The rows that failed, as they were, each with its reason. */
    failures(): Blob {
        return new Blob([...this.report, this.lines.join("")], { type: "text/csv;charset=utf-8" });
    }

    private fail(row: Row, text: string) {
        this.failed += 1;
        if (this.reasons.length < TOLD) this.reasons.push({ row: row.at, text: text.slice(0, 500) });
        const line = csvRow([...row.raw, text]);
        this.lines.push(line);
        this.size += line.length;
        // Blobs need not stay in memory.
        if (this.size > PART) { this.report.push(new Blob([this.lines.join("")])); this.lines = []; this.size = 0; }
    }

    /** Rows about the same record must not go together: the second has to find what the first has made. */
    private apart(rows: Row[]): Row[][] {
        const { key } = this.wish, groups: Row[][] = [];
        let group: Row[] = [], seen = new Set<unknown>();
        for (const row of rows) {
            const value = key && row.body[key.name];
            if (value !== undefined && seen.has(value)) { groups.push(group); group = []; seen = new Set(); }
            seen.add(value);
            group.push(row);
        }
        return group.length ? [...groups, group] : groups;
    }

    /** One group, until it has been answered; a lost connection is waited for. */
    private async group(rows: Row[]) {
        for (let left = rows; left.length;) {
            const before = new Set(left);
            try {
                const requests = await this.requests(left);
                if (this.batched) await this.together(requests, before);
                else await this.singly(requests, before);
                return;
            } catch (failure) {
                const { status, message } = problem(failure);
                left = [...before];
                if (status !== 0) { for (const row of left) this.fail(row, message); return; }
                // Whether they were stored is not known. With a key they can be sent again, without one they could double.
                if (!this.wish.key) { for (const row of left) this.fail(row, t("import.lost")); left = []; }
                await this.back();
            }
        }
    }

    private async back() {
        while (!await fetch(`${base}/api/health`, { cache: "no-store" }).then(() => true, () => false)) await sleep(1000);
    }

    /** What each row asks for: a new record, or a change of the one that is there. */
    private async requests(rows: Row[]): Promise<Request[]> {
        const { key, clear, plan } = this.wish, path = `/api/collections/${this.collection.name}/records`;
        const there = key ? await this.stored(key, rows) : new Map<string, string>();
        return rows.map((row) => {
            const body: Record<string, unknown> = { ...row.body };
            const id = key && there.get(String(body[key.name]));
            if (id === undefined) {
                if (this.collection.type === "auth" && body.password) body.passwordConfirm = body.password;
                return { row, method: "POST", url: path, body };
            }
            if (clear) for (const { field } of plan.mapped) if (row.blank.includes(field.name) && field.type !== "password") body[field.name] = null;
            if (this.collection.type === "auth" && body.password) body.passwordConfirm = body.password;
            delete body.id;
            return { row, method: "PATCH", url: `${path}/${encodeURIComponent(id)}`, body };
        });
    }

    /** The ids of the records that are there already, by the values of the key. */
    private async stored(key: CollectionField, rows: Row[]): Promise<Map<string, string>> {
        const found = new Map<string, string>();
        const values = [...new Set(rows.map(({ body }) => body[key.name]).filter((value) => value !== undefined))];
        for (let from = 0; from < values.length;) {
            let filter = "", to = from;
            for (; to < values.length && to - from < 100; to += 1) {
                const next = `${filter && `${filter}||`}${pb.filter(`${key.name}={:value}`, { value: values[to] })}`;
                if (filter && new TextEncoder().encode(next).length > 3000) break;
                filter = next;
            }
            const page = await patiently(() => pb.collection(this.collection.name).getList(1, 1000, { filter, skipTotal: true, fields: `id,${key.name}` }));
            for (const record of page.items) found.set(String(record[key.name]), record.id);
            from = to;
        }
        return found;
    }

    private count({ row, method }: Request, open: Set<Row>) {
        open.delete(row);
        if (method === "POST") this.created += 1;
        else this.updated += 1;
    }

    /** In one transaction. The request that fails takes the others along: it is put aside, and they are sent again. */
    private async together(requests: Request[], open: Set<Row>): Promise<void> {
        for (let left = requests; left.length;) {
            try {
                await patiently(() => pb.send("/api/batch", { method: "POST", body: { requests: left.map(({ method, url, body }) => ({ method, url, body })) }, requestKey: null }));
                for (const request of left) this.count(request, open);
                return;
            } catch (failure) {
                if (!(failure instanceof ClientResponseError) || failure.status === 0) throw failure;
                const told = Object.entries((failure.response?.data?.requests ?? {}) as Record<string, unknown>)[0];
                const guilty = told && left[Number(told[0])];
                if (guilty && told) {
                    this.fail(guilty.row, reasonOf((told[1] as { response?: unknown }).response ?? told[1]));
                    open.delete(guilty.row);
                    left = left.filter((request) => request !== guilty);
                } else if (failure.status === 403) {
                    // Batches were switched off meanwhile.
                    this.batched = false;
                    return this.singly(left, open);
                } else if (left.length > 1) {
                    // Too big, or too slow for one transaction.
                    const half = Math.ceil(left.length / 2);
                    await this.together(left.slice(0, half), open);
                    left = left.slice(half);
                } else return this.singly(left, open);
            }
        }
    }

    /** A few at a time. */
    private async singly(requests: Request[], open: Set<Row>) {
        const queue = [...requests];
        const work = async () => {
            for (let request = queue.shift(); request; request = queue.shift()) {
                const { row, method, url, body } = request;
                try {
                    await patiently(() => pb.send(url, { method, body, requestKey: null }));
                    this.count(request, open);
                } catch (failure) {
                    if (!(failure instanceof ClientResponseError) || failure.status === 0) throw failure;
                    this.fail(row, reasonOf(failure.response));
                    open.delete(row);
                }
            }
        };
        const ended = await Promise.allSettled(Array.from({ length: AT_ONCE }, work));
        for (const one of ended) if (one.status === "rejected") throw one.reason;
    }
}

/** Waits when the server says that it is asked too often. */
async function patiently<T>(ask: () => Promise<T>): Promise<T> {
    for (let round = 0; ; round += 1) {
        try {
            return await ask();
        } catch (failure) {
            if (!(failure instanceof ClientResponseError) || failure.status !== 429 || round >= 20) throw failure;
            await sleep(Math.min(1000 * (round + 1), 10_000));
        }
    }
}

/** What the server says about one record, in one line. */
function reasonOf(answer: unknown): string {
    const { data, message, status } = (answer ?? {}) as { data?: Record<string, unknown>; message?: string; status?: number };
    const fields = Object.entries(data ?? {}).map(([name, leaf]) => `${name}: ${isLeaf(leaf) ? besideField(leaf) : ""}`);
    return fields.join(" ") || (message ? sentence(status ?? 400, message) : t("import.refused"));
}
