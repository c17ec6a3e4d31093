// What was run here, and what is kept by name: in this browser only, and bounded.

export interface Ran { text: string; at: string; milliseconds: number; rows: number; failed: boolean; wrote: boolean }
export interface Kept { name: string; text: string }

const MOST_RUNS = 200, MOST_KEPT = 100, MOST_LETTERS = 400_000;

function read<T>(key: string, fits: (one: T) => boolean): T[] {
    try {
        const list: unknown = JSON.parse(localStorage.getItem(key) ?? "[]");
        return Array.isArray(list) ? (list as T[]).filter((one) => typeof one === "object" && one !== null && fits(one)) : [];
    } catch {
        return [];
    }
}

function write(key: string, list: { text: string }[]) {
    // The oldest go first when it becomes too much.
    let letters = 0;
    const fitting = list.filter(({ text }) => (letters += text.length) <= MOST_LETTERS);
    try {
        localStorage.setItem(key, JSON.stringify(fitting));
    } catch {
        // A full or locked store: it is remembered until the window closes.
    }
}

let runs = $state.raw(read<Ran>("conch.sql.history", ({ text, at }) => typeof text === "string" && typeof at === "string").slice(0, MOST_RUNS));
let kept = $state.raw(read<Kept>("conch.sql.saved", ({ text, name }) => typeof text === "string" && typeof name === "string").slice(0, MOST_KEPT));

export const history = {
    get runs() { return runs; },
    get kept() { return kept; },
    /** The same text again moves to the top. */
    add(ran: Ran) {
        runs = [ran, ...runs.filter(({ text }) => text !== ran.text)].slice(0, MOST_RUNS);
        write("conch.sql.history", runs);
    },
    clear() {
        runs = [];
        write("conch.sql.history", runs);
    },
    /** Under a name; one of the same name is replaced. */
    keep(one: Kept) {
        kept = [one, ...kept.filter(({ name }) => name !== one.name)].slice(0, MOST_KEPT);
        write("conch.sql.saved", kept);
    },
    drop(name: string) {
        kept = kept.filter((one) => one.name !== name);
        write("conch.sql.saved", kept);
    },
};
