// Asks the server what is wrong with a rule, a moment after the last letter.

import type { CollectionModel } from "pocketbase";
import { send } from "../../lib/api";
import { said } from "../../lib/faults";
import type { Mark } from "../../ui/Editor.svelte";

interface Checked { ok: boolean; error?: { message: string; from: number; to: number } }

export class Check {
    /** What is wrong with the text that was looked at last. */
    error = $state.raw<{ message: string; from: number; to: number }>();
    /** While it is not known yet. */
    waiting = $state(false);
    #timer: ReturnType<typeof setTimeout> | undefined;
    #asked = 0;

    get marks(): Mark[] {
        if (!this.error) return [];
        const { message, from, to } = this.error;
        return [{ from, to: Math.max(to, from + 1), message, kind: "error" }];
    }

    /** Looks at a text after a quarter of a second without another one. A blank one is never wrong. */
    look(collection: CollectionModel | undefined, rule: string, kind: "rule" | "filter") {
        clearTimeout(this.#timer);
        this.#asked += 1;
        if (!collection || !rule.trim()) {
            this.error = undefined;
            this.waiting = false;
            return;
        }
        this.waiting = true;
        this.#timer = setTimeout(() => void this.ask(collection, rule, kind), 250);
    }

    /** Looks at a text now; true if it may stand. */
    async ask(collection: CollectionModel, rule: string, kind: "rule" | "filter"): Promise<boolean> {
        clearTimeout(this.#timer);
        const turn = ++this.#asked;
        try {
            // By name once it is saved: the server knows it, and need not read the definition again.
            const { ok, error } = await send<Checked>("/api/rules/check", { method: "POST", body: { collection: collection.id || collection, rule, kind } });
            if (turn === this.#asked) this.error = ok || !error ? undefined : { ...error, message: said(error.message) };
            return ok;
        } catch {
            // Whoever runs or saves it will be told.
            if (turn === this.#asked) this.error = undefined;
            return true;
        } finally {
            if (turn === this.#asked) this.waiting = false;
        }
    }

    close() {
        clearTimeout(this.#timer);
        this.#asked += 1;
    }
}
