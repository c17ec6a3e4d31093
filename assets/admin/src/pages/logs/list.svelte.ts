// The logs that are on the screen: page by page downwards, and, when live, what comes new on top.

import { problem, send } from "../../lib/api";
import { wire } from "../../lib/format";
import type { Log } from "./query";

const PAGE = 200;
/** Rows that are kept; further down is read again. */
const MOST = 20_000;
/** The log writes a few seconds late: what is older than the newest row may still come. */
const LATE = 6_000;
export const EVERY = 2_000;

interface Answer { items: Log[]; totalItems: number }

export class LogList {
    rows = $state.raw<Log[]>([]);
    total = $state(0);
    loading = $state(false);
    loaded = $state(false);
    more = $state(false);
    /** What the server said about the filter. */
    wrong = $state("");
    /** Ids of what came in by itself. */
    fresh = $state.raw<ReadonlySet<string>>(new Set());
    #filter = "";
    #turn = 0;
    #polling = false;

    async #ask(filter: string, page: number, skipTotal: boolean) {
        return send<Answer>("/api/logs", { query: { page, perPage: PAGE, sort: "-@rowid", filter, skipTotal: skipTotal ? 1 : undefined } });
    }

    /** From the top. */
    async load(filter: string) {
        const turn = ++this.#turn;
        this.#filter = filter;
        this.loading = true;
        try {
            const { items, totalItems } = await this.#ask(filter, 1, false);
            if (turn !== this.#turn) return;
            this.rows = items;
            this.fresh = new Set();
            this.total = totalItems;
            this.more = items.length === PAGE;
            this.wrong = "";
            this.loaded = true;
        } catch (failure) {
            if (turn !== this.#turn) return;
            const { message } = problem(failure);
            this.wrong = message;
            this.rows = [];
            this.total = 0;
            this.more = false;
            this.loaded = true;
        } finally {
            if (turn === this.#turn) this.loading = false;
        }
    }

    /** The next page below. */
    async next() {
        if (this.loading || !this.more) return;
        const turn = this.#turn;
        this.loading = true;
        try {
            // New rows push the pages down: one that is there already is left out.
            const { items } = await this.#ask(this.#filter, Math.floor(this.rows.length / PAGE) + 1, true);
            if (turn !== this.#turn) return;
            const known = new Set(this.rows.map(({ id }) => id));
            this.rows = [...this.rows, ...items.filter(({ id }) => !known.has(id))];
            this.more = items.length === PAGE && this.rows.length < MOST;
        } catch (failure) {
            if (turn === this.#turn) { this.wrong = problem(failure).message; this.more = false; }
        } finally {
            if (turn === this.#turn) this.loading = false;
        }
    }

    /** What came since; how many there were. */
    async poll(): Promise<number> {
        if (this.#polling || this.loading || !this.loaded || this.wrong) return 0;
        const turn = this.#turn;
        this.#polling = true;
        try {
            const newest = this.rows.slice(0, 50).reduce((latest, { created }) => (created > latest ? created : latest), "");
            const since = newest && wire(new Date(Date.parse(newest.replace(" ", "T")) - LATE));
            const filter = [this.#filter, since && `created >= '${since}'`].filter(Boolean).join(" && ");
            const { items } = await this.#ask(filter, 1, true);
            if (turn !== this.#turn) return 0;
            const known = new Set(this.rows.slice(0, 5_000).map(({ id }) => id));
            const found = items.filter(({ id }) => !known.has(id));
            if (!found.length) return 0;
            // More than a page at once: what lies between is not known.
            if (found.length === PAGE) { await this.load(this.#filter); return 0; }
            this.rows = [...found, ...this.rows].slice(0, MOST);
            this.fresh = new Set(found.map(({ id }) => id));
            this.total += found.length;
            return found.length;
        } catch {
            // The frame says that the server cannot be reached; it is asked again.
            return 0;
        } finally {
            this.#polling = false;
        }
    }
}
