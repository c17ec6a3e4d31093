// Which rows and columns are on the screen. Browsers cannot lay out more than some 17 million pixels, so beyond that the
// scrollbar stands for more than it is high.

const TALLEST = 12_000_000;

export interface Span { first: number; last: number }

/** Where things are: `top` is how far the list is scrolled, in pixels of a list without bounds. */
export class Scale {
    /** Of the element that scrolls. */
    readonly height: number;
    readonly #ratio: number;
    constructor(rows: number, rowHeight: number, readonly view: number) {
        const full = rows * rowHeight;
        this.height = Math.min(full, TALLEST);
        this.#ratio = full > TALLEST ? (full - view) / (TALLEST - view) : 1;
    }
    get exact() { return this.#ratio === 1; }
    toList(scrolled: number) { return scrolled * this.#ratio; }
    toScroll(top: number) { return top / this.#ratio; }
}

export function rowsIn(top: number, rowHeight: number, rows: number, slots: number): Span {
    const first = Math.max(0, Math.min(Math.floor(top / rowHeight) - 6, rows - slots));
    return { first, last: Math.min(first + slots, rows) - 1 };
}

/** The columns that touch what is seen: `edges` are their left edges and, at the end, the right one of the last. */
export function columnsIn(edges: number[], left: number, view: number): Span {
    let first = 0, last = edges.length - 2;
    while (first < last && (edges[first + 1] ?? 0) < left - 120) first += 1;
    while (last > first && (edges[last] ?? 0) > left + view + 120) last -= 1;
    return { first, last };
}
