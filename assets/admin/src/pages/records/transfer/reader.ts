// The worker that reads the file, as calls that are answered.

import type { Answer, Ask, Plan, Reading, Row } from "./protocol";

type Of<K extends Answer["kind"]> = Extract<Answer, { kind: K }>;

export class Reader {
    private worker = new Worker(new URL("./worker.ts", import.meta.url), { type: "module" });
    private asked: { kind: Answer["kind"]; resolve: (answer: never) => void; reject: (failure: Error) => void } | undefined;

    constructor(private readonly onprogress: (done: number, total: number) => void, private readonly broken: string) {
        this.worker.onmessage = ({ data }: MessageEvent<Answer>) => {
            if (data.kind === "progress") return this.onprogress(data.done, data.total);
            if (data.kind === "failed") this.asked?.reject(new Error(data.message));
            else if (data.kind === this.asked?.kind) this.asked.resolve(data as never);
            else return;
            this.asked = undefined;
        };
        this.worker.onerror = (event) => {
            event.preventDefault();
            this.asked?.reject(new Error(this.broken));
            this.asked = undefined;
        };
    }

    /** Counts the rows and finds the columns. What is guessed can be said. A newer question leaves an older one unanswered. */
    read(file: File, reading: Partial<Reading>): Promise<Of<"read">> { return this.ask({ kind: "read", file, reading }, "read"); }
    /** Converts everything and tells what cannot be. */
    check(plan: Plan): Promise<Of<"checked">> { return this.ask({ kind: "check", plan }, "checked"); }
    /** Goes back to the first row. */
    start(plan: Plan) { this.worker.postMessage({ kind: "start", plan } satisfies Ask); }
    next(count: number): Promise<{ rows: Row[]; done: boolean }> { return this.ask({ kind: "next", count }, "rows"); }
    close() { this.worker.terminate(); }

    private ask<K extends Answer["kind"]>(question: Ask, kind: K): Promise<Of<K>> {
        return new Promise((resolve, reject) => {
            this.asked = { kind, resolve, reject };
            this.worker.postMessage(question);
        });
    }
}
