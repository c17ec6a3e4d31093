// Values as JSON in one line.

/** The beginning of a value as JSON: stops after about `most` characters, however large the value is. */
export function preview(value: unknown, most: number): string {
    let text = "";
    const full = () => text.length > most;
    const write = (one: unknown, depth: number): void => {
        if (full()) return;
        if (typeof one === "string") text += JSON.stringify(one.slice(0, most));
        else if (typeof one !== "object" || one === null) text += String(one);
        else if (depth > 6) text += "…";
        else if (Array.isArray(one)) {
            text += "[";
            for (let at = 0; at < one.length && !full(); at += 1) { if (at) text += ", "; write(one[at], depth + 1); }
            text += "]";
        } else {
            text += "{";
            let first = true;
            for (const name in one) {
                if (full()) break;
                text += `${first ? "" : ", "}${JSON.stringify(name.slice(0, 80))}: `;
                first = false;
                write((one as Record<string, unknown>)[name], depth + 1);
            }
            text += "}";
        }
    };
    write(value, 0);
    return text.length > most ? `${text.slice(0, most)}…` : text;
}
