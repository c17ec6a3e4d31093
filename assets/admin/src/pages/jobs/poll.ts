// Asks again and again while somebody can see it.

/** Does `work` now and `every` so many milliseconds after it has ended, unless the window is hidden; stops when called. */
export function poll(work: () => Promise<unknown>, every = 2_500): () => void {
    let timer: ReturnType<typeof setTimeout> | undefined;
    let stopped = false;
    const round = async () => {
        clearTimeout(timer);
        // What fails is told by whoever shows it, or by the line about the lost connection; the next round may work.
        if (!document.hidden) await work().catch(() => {});
        if (!stopped) timer = setTimeout(() => void round(), every);
    };
    const seen = () => { if (!document.hidden) void round(); };
    document.addEventListener("visibilitychange", seen);
    void round();
    return () => {
        stopped = true;
        clearTimeout(timer);
        document.removeEventListener("visibilitychange", seen);
    };
}
