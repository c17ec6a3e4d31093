// Which of a list are chosen, by their ids.

export class Selection {
    #ids = new Set<string>();
    #version = $state(0);

    get size() { void this.#version; return this.#ids.size; }
    get ids() { void this.#version; return [...this.#ids]; }
    has(id: string | undefined) { void this.#version; return id !== undefined && this.#ids.has(id); }

    set(ids: Iterable<string>, chosen = true) {
        for (const id of ids) if (chosen) this.#ids.add(id); else this.#ids.delete(id);
        this.#version += 1;
    }
    /** Forgets those that are not there any more. */
    keep(there: Iterable<string>) {
        const still = new Set(there);
        const gone = [...this.#ids].filter((id) => !still.has(id));
        if (gone.length) this.set(gone, false);
    }
    clear() {
        if (!this.#ids.size) return;
        this.#ids.clear();
        this.#version += 1;
    }
}
