// What all pages share: talking to the API, to the reader, and about what went wrong.

export const byId = (id) => document.getElementById(id);

/** Where the server is, with a slash at the end: the pages live at <base>_/, the API at <base>api/. */
export const base = new URL("../", import.meta.url).href;

/** Puts the page of a <template> on the screen, in place of whatever was there. */
export function show(template) {
    byId("page").replaceChildren(byId(template).content.cloneNode(true));
    byId("next").replaceChildren();
    say("");
    const title = byId("page").querySelector("h1").textContent;
    document.title = title;
}

/** Tells the reader how things stand; "failed" or "done" say how to look. */
export function say(text, how = "") {
    byId("status").textContent = text;
    byId("status").className = how;
}

/** The last word of a page: nothing is left to fill in. */
export function finish(text, how) {
    byId("form")?.remove();
    byId("intro")?.remove();
    say(text, how);
    byId("status").focus();
}

/** What a token says, unproven; an empty object when it cannot be read. */
export function claimsOf(token) {
    try {
        const payload = token.split(".")[1].replace(/-/g, "+").replace(/_/g, "/");
        const bytes = Uint8Array.from(atob(payload), (character) => character.charCodeAt(0));
        return JSON.parse(new TextDecoder().decode(bytes)) ?? {};
    } catch {
        return {};
    }
}

/** A spent token should not stay in the address or the history. */
export function forgetToken() {
    history.replaceState(null, "", location.pathname);
}

/** POSTs JSON to the API. A server that cannot be reached answers with the status 0. */
export async function post(path, values, headers = {}) {
    try {
        const response = await fetch(`${base}api/${path}`, {
            method: "POST",
            headers: { "Content-Type": "application/json", ...headers },
            body: JSON.stringify(values),
        });
        const body = await response.json().catch(() => ({}));
        const wait = Number(response.headers.get("Retry-After")) || 0;
        return { ok: response.ok, status: response.status, wait, fields: body?.data ?? {}, message: body?.message ?? "" };
    } catch {
        return { ok: false, status: 0, wait: 0, fields: {}, message: "" };
    }
}

/** What to say of an answer that blames no field. */
export function explain({ status, wait, message }) {
    if (status === 0) return "The server could not be reached. Check your connection and try again.";
    if (status === 429) return `That was tried too often. Wait ${wait > 1 ? `${wait} seconds` : "a moment"} and try again.`;
    if (status >= 500) return "The server cannot do this at the moment. Try again in a minute.";
    return message || "This did not work.";
}

/** Marks the named inputs with their problems, clears the others, and goes to the first. True when there is any. */
export function mark(names, problems) {
    for (const name of names) {
        byId(`${name}-error`).textContent = problems[name] ?? "";
        byId(name).setAttribute("aria-invalid", problems[name] ? "true" : "false");
    }
    const first = names.find((name) => problems[name]);
    if (first) byId(first).focus();
    return Boolean(first);
}

/** Runs `work` whenever the form is sent, once at a time. */
export function onSubmit(work) {
    byId("form").addEventListener("submit", async (event) => {
        event.preventDefault();
        const button = byId("submit");
        if (button.disabled) return;
        button.disabled = true;
        say("");
        try {
            await work();
        } finally {
            button.disabled = false;
        }
    });
}

/** A further paragraph below the status. */
export function advise(text) {
    const paragraph = document.createElement("p");
    paragraph.textContent = text;
    byId("next").append(paragraph);
}

/** A button below the status that runs `work` once. */
export function offer(label, work) {
    const button = document.createElement("button");
    button.textContent = label;
    button.addEventListener("click", async () => {
        button.disabled = true;
        if (await work()) button.remove();
        button.disabled = false;
    });
    byId("next").append(button);
}
