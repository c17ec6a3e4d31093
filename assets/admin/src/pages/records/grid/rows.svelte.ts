// The rows of a grid: pages of a list that is far too long to be read at once, fetched where they are looked at.
//
// A row's place is counted from the first record of the list as it was read: rows that came later at the top have
// negative places, and nothing below them moves.

import type { CollectionModel, RecordModel } from "pocketbase";
import { pb, problem, type Problem } from "../../../lib/api";
import type { Change } from "./live";
import type { Wanted } from "./query";

/** Requests at a time: a browser has six connections for a server, one is the stream's. */
const FLIGHTS = 3;
const KEPT = 4_000;
/** So long a row is shown as changed, in ms. */
const FRESH = 1_800;

export class Rows {
    /** How many rows the grid has, those that came later included; null before the first answer. */
    count = $state<number | null>(null);
    /** Changes that are not shown yet. */
    created = $state(0);
    removed = $state(0);
    problem = $state.raw<Problem | null>(null);
    /** The rows on the screen are those of the question before. */
    stale = $state(false);
    /** Grows with each change of what `at` answers. */
    version = $state(0);
    /** Rows above place 0. */
    above = $state(0);

    #rows = new Map<number, RecordModel>();
    #places = new Map<string, number>();
    #gone = new Set<string>();
    #fresh = new Map<string, number>();
    #flights = new Map<number, AbortController>();
    #counting: AbortController | undefined;
    #failed = new Set<number>();
    #wanted: Wanted = { filter: "", sort: "", fields: "", expand: "" };
    #round = 0;
    #answered = false;
    #first = 0;
    #last = 0;
    #timer = 0;
    #cleaning = 0;
    #total: number | undefined;

    constructor(readonly collection: CollectionModel, readonly perPage: number) {}

    /** The record at an index of the grid (0 = topmost). */
    at(index: number): RecordModel | undefined {
        void this.version;
        return this.#rows.get(index - this.above);
    }
    indexOf(id: string): number | undefined {
        void this.version;
        const place = this.#places.get(id);
        return place === undefined ? undefined : place + this.above;
    }
    isGone = (id: string) => this.#gone.has(id);
    isFresh = (id: string) => (this.#fresh.get(id) ?? 0) > Date.now() - FRESH;
    /** All that are here, in order: for "select all that is shown". */
    loaded(): RecordModel[] {
        return [...this.#rows.entries()].sort(([a], [b]) => a - b).map(([, record]) => record);
    }

    /** Another question, or the same again; what is shown stays until the answer comes. */
    ask(wanted: Wanted) {
        this.#wanted = wanted;
        this.refresh();
    }
    refresh() {
        this.#round += 1;
        this.#drop();
        this.#answered = false;
        this.#failed.clear();
        this.problem = null;
        this.stale = true;
        this.#total = undefined;
        void this.#recount();
        this.#pump();
    }
    close() {
        this.#round += 1;
        this.#drop();
        clearTimeout(this.#timer);
        clearTimeout(this.#cleaning);
    }
    #drop() {
        for (const flight of this.#flights.values()) flight.abort();
        this.#flights.clear();
        this.#counting?.abort();
    }

    /** What is on the screen now: fetched at once, or after a breath while somebody drags through thousands of rows. */
    look(first: number, last: number) {
        const jumped = Math.abs(first - this.#first) > this.perPage;
        this.#first = first;
        this.#last = last;
        if (!jumped) return this.#pump();
        clearTimeout(this.#timer);
        this.#timer = window.setTimeout(() => this.#pump(), 35);
    }

    retry() {
        this.#failed.clear();
        this.problem = null;
        if (!this.#answered) this.refresh();
        else this.#pump();
    }

    /** How many rows the server has before the row at an index that this grid does not show, less those that it shows though they are gone. */
    #toServer(index: number): number {
        let gone = 0;
        for (const id of this.#gone) if ((this.indexOf(id) ?? Infinity) < index) gone += 1;
        return Math.max(index + (this.#newestFirst() ? this.created : 0) - gone, 0);
    }
    #newestFirst() {
        return this.#wanted.sort === "-@rowid";
    }

    #pump() {
        if (this.#round === 0) return;
        const rows = this.count ?? this.perPage;
        const last = Math.max(Math.min(this.#last, rows - 1), 0), first = Math.min(this.#first, last);
        const page = (index: number) => Math.floor(this.#toServer(index) / this.perPage);
        const seen: number[] = [];
        for (let one = page(first); one <= page(last); one += 1) seen.push(one);
        const ahead = [page(last + this.perPage / 2), page(Math.max(first - this.perPage / 2, 0))].filter((one) => !seen.includes(one));
        const near = new Set([...seen, ...ahead]);
        for (const [one, flight] of this.#flights) if (!near.has(one)) { flight.abort(); this.#flights.delete(one); }
        const missing = (one: number) => !this.#flights.has(one) && !this.#failed.has(one) && (!this.#answered || this.#lacks(one));
        for (const one of seen) if (this.#flights.size < FLIGHTS && missing(one)) void this.#fetch(one);
        // What comes next is fetched when what is seen is here.
        if (this.#answered && !seen.some((one) => this.#flights.has(one))) for (const one of ahead) if (this.#flights.size < FLIGHTS && one * this.perPage < rows && missing(one)) void this.#fetch(one);
    }
    #lacks(page: number): boolean {
        const from = page * this.perPage;
        for (let server = from; server < from + this.perPage; server += 1) {
            const index = this.#fromServer(server);
            if (index >= 0 && index < (this.count ?? Infinity) && !this.#rows.has(index - this.above)) return true;
        }
        return false;
    }
    #fromServer(server: number): number {
        let index = server - (this.#newestFirst() ? this.created : 0);
        if (this.#gone.size) for (const gone of [...this.#gone].map((id) => this.indexOf(id) ?? Infinity).sort((a, b) => a - b)) if (gone <= index) index += 1;
        return index;
    }

    async #fetch(page: number) {
        const flight = new AbortController(), round = this.#round;
        this.#flights.set(page, flight);
        try {
            const { filter, sort, fields, expand } = this.#wanted;
            const { items } = await pb.collection(this.collection.name).getList(page + 1, this.perPage, { filter, sort, fields, expand, skipTotal: true, signal: flight.signal, requestKey: null });
            if (round !== this.#round) return;
            if (!this.#answered) this.#begin();
            this.problem = null;
            items.forEach((record, at) => {
                const index = this.#fromServer(page * this.perPage + at);
                if (index >= 0) this.#put(index - this.above, record);
            });
            // A list that has become shorter, or whose length nobody has told yet.
            const end = Math.max(this.#fromServer(page * this.perPage) + items.length, 0);
            if (items.length < this.perPage) this.count = end;
            else if (this.#total === undefined) this.count = Math.max(this.count ?? 0, end + 1);
            this.#evict();
            this.version += 1;
        } catch (failure) {
            if (flight.signal.aborted || round !== this.#round) return;
            this.#failed.add(page);
            this.problem = problem(failure);
            if (!this.#answered) this.stale = false;
        } finally {
            if (this.#flights.get(page) === flight) this.#flights.delete(page);
            if (round === this.#round) this.#pump();
        }
    }

    /** The first answer of a question: what was shown before goes. */
    #begin() {
        this.#answered = true;
        this.stale = false;
        this.#rows.clear();
        this.#places.clear();
        this.#gone.clear();
        this.above = 0;
        this.created = 0;
        this.removed = 0;
        if (this.#total !== undefined) this.count = this.#total;
    }

    async #recount() {
        const counting = new AbortController(), round = this.#round;
        this.#counting = counting;
        try {
            const { totalItems } = await pb.collection(this.collection.name).getList(1, 1, { filter: this.#wanted.filter, fields: "id", signal: counting.signal, requestKey: null });
            if (round !== this.#round) return;
            this.#total = totalItems;
            if (this.#answered) this.count = totalItems + this.above;
            this.#pump();
        } catch { /* The pages tell what is wrong. */ }
    }

    #put(place: number, record: RecordModel) {
        const before = this.#rows.get(place);
        if (before && before.id !== record.id && this.#places.get(before.id) === place) this.#places.delete(before.id);
        this.#rows.set(place, record);
        this.#places.set(record.id, place);
    }
    #evict() {
        if (this.#rows.size <= KEPT) return;
        const middle = (this.#first + this.#last) / 2 - this.above;
        for (const [place, { id }] of this.#rows) {
            if (Math.abs(place - middle) < KEPT / 4 || this.#gone.has(id)) continue;
            this.#rows.delete(place);
            if (this.#places.get(id) === place) this.#places.delete(id);
        }
    }

    /** What happened in the last frame. `atTop`: new rows may appear at once. */
    change(changes: Change[], atTop: boolean) {
        if (!this.#answered) return;
        const now = Date.now();
        for (const { action, record, fits } of changes) {
            const place = this.#places.get(record.id);
            if (action === "delete") {
                if (place === undefined || this.#gone.has(record.id)) continue;
                this.#gone.add(record.id);
                this.removed += 1;
            } else if (place !== undefined) {
                this.#rows.set(place, record);
                this.#fresh.set(record.id, now);
            } else if (action === "create" && fits) {
                if (atTop && this.created === 0 && this.#newestFirst()) {
                    this.above += 1;
                    this.count = (this.count ?? 0) + 1;
                    this.#put(-this.above, record);
                    this.#fresh.set(record.id, now);
                } else this.created += 1;
            }
        }
        this.#evict();
        this.version += 1;
        clearTimeout(this.#cleaning);
        this.#cleaning = window.setTimeout(() => { this.#fresh.clear(); this.version += 1; }, FRESH);
        this.#pump();
    }

    /** The ids from one index to another, whether their rows are here or not. */
    async ids(from: number, to: number, signal?: AbortSignal, progress?: (done: number) => void): Promise<string[]> {
        const [first, last] = from < to ? [from, to] : [to, from];
        const known: string[] = [];
        for (let index = first; index <= last; index += 1) {
            const record = this.#rows.get(index - this.above);
            if (!record) break;
            known.push(record.id);
        }
        if (known.length === last - first + 1) return known;
        const size = 1_000, start = this.#toServer(first), end = this.#toServer(last), found: string[] = [];
        const { filter, sort } = this.#wanted;
        for (let page = Math.floor(start / size); page * size <= end; page += 1) {
            const { items } = await pb.collection(this.collection.name).getList(page + 1, size, { filter, sort, fields: "id", skipTotal: true, signal, requestKey: null });
            items.forEach(({ id }, at) => { if (page * size + at >= start && page * size + at <= end) found.push(id); });
            progress?.(found.length);
            if (items.length < size) break;
        }
        return found;
    }
    get wanted() { return this.#wanted; }
}
