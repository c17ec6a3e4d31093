// The objects of a JSON array, or of one object a line, cut out one by one while the text comes in.

import { LONGEST } from "./csv";

export class JsonError extends Error {
    constructor(readonly row: number) {
        super("This is not an array of JSON objects.");
    }
}

export class JsonRows {
    private depth = 0;
    private inText = false;
    private escaped = false;
    private part = "";
    private count = 0;
    /** What may stand between objects: an array's bracket and commas. */
    private begun = false;

    push(text: string): Record<string, unknown>[] {
        if (!text) return [];
        const rows: Record<string, unknown>[] = [];
        let from = this.depth ? 0 : -1;
        const marks = /["\\{}[\]]|[^\s,"\\{}[\]]+/g;
        if (this.escaped) { marks.lastIndex = 1; this.escaped = false; }
        for (let found = marks.exec(text); found; found = marks.exec(text)) {
            const sign = found[0], at = found.index;
            if (this.inText) {
                if (sign === "\\") { marks.lastIndex = at + 2; this.escaped = at + 1 >= text.length; }
                else if (sign === "\"") this.inText = false;
            } else if (!this.depth) {
                if (sign === "{") { this.depth = 1; from = at; this.begun = true; }
                else if (!((sign === "[" && !this.begun) || sign === "]")) throw new JsonError(this.count + 1);
                else this.begun = true;
            } else if (sign === "\"") this.inText = true;
            else if (sign === "{" || sign === "[") this.depth += 1;
            else if (sign === "}" || sign === "]") {
                this.depth -= 1;
                if (!this.depth) { rows.push(this.whole(this.part + text.slice(from, at + 1))); from = -1; this.part = ""; }
            }
        }
        if (from >= 0) this.part += text.slice(from);
        if (this.part.length > LONGEST) throw new JsonError(this.count + 1);
        return rows;
    }

    /** Whether the text stopped in the middle of an object. */
    end(): { open: boolean } {
        return { open: this.depth > 0 };
    }

    private whole(text: string): Record<string, unknown> {
        this.count += 1;
        try {
            return JSON.parse(text) as Record<string, unknown>;
        } catch {
            throw new JsonError(this.count);
        }
    }
}
