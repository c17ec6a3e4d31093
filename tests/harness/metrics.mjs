// Reads what /metrics says.

/** All samples: [{ name, labels, value }]. */
export async function metrics(server, headers = {}) {
    const answer = await fetch(`${server.url}/metrics`, { headers });
    if (!answer.ok) throw new Error(`/metrics: ${answer.status} ${await answer.text()}`);
    const lines = (await answer.text()).split("\n").filter((line) => line && !line.startsWith("#"));
    return lines.map((line) => {
        const [, name, texts, number] = /^([a-z_]+)(?:\{(.*)\})? (.+)$/.exec(line);
        const labels = Object.fromEntries([...(texts ?? "").matchAll(/(\w+)="((?:[^"\\]|\\.)*)"/g)].map(([, key, text]) => [key, text]));
        return { name, labels, value: Number(number) };
    });
}

/** The sum of all samples of this name that have these labels; undefined if there is none. */
export function value(samples, name, labels = {}) {
    const found = samples.filter((sample) => sample.name === name && Object.entries(labels).every(([key, text]) => sample.labels[key] === text));
    return found.length ? found.reduce((sum, sample) => sum + sample.value, 0) : undefined;
}
