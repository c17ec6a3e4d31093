// Where in the UI one is: the part of the address behind the #, as a path and its query.
//
//   #/collections/posts?filter=title~'a'     route.path = ["collections", "posts"], route.query.get("filter")

const read = () => {
    const [path = "", query = ""] = location.hash.replace(/^#\/?/, "").split(/\?(.*)/s);
    return { path: path.split("/").filter(Boolean).map(decode), query: new URLSearchParams(query) };
};

function decode(text: string) {
    try {
        return decodeURIComponent(text);
    } catch {
        return text;
    }
}

let here = $state.raw(read());
let shown = location.hash;

export const route = {
    get path() { return here.path; },
    get query() { return here.query; },
};

/** Asked before the page is left: each answers whether there is nothing to lose, after asking the person if need be. */
const guards = new Set<() => boolean | Promise<boolean>>();

/** Keeps `mayLeave` asked before the address changes; call what is returned when there is nothing to guard any more. */
export function guard(mayLeave: () => boolean | Promise<boolean>): () => void {
    guards.add(mayLeave);
    return () => guards.delete(mayLeave);
}

async function allowed() {
    for (const mayLeave of guards) if (!await mayLeave()) return false;
    return true;
}

/** The address of a place: href("collections", name, { filter }). */
export function href(...parts: (string | Record<string, string | undefined>)[]): string {
    const last = parts.at(-1);
    const query = typeof last === "object" ? last : {};
    const path = parts.filter((part): part is string => typeof part === "string").map(encodeURIComponent).join("/");
    const given = Object.entries(query).filter((entry): entry is [string, string] => Boolean(entry[1]));
    return `#/${path}${given.length ? `?${new URLSearchParams(given)}` : ""}`;
}

/** Goes to a place, unless somebody has something to lose there. */
export function go(to: string) {
    if (location.hash !== to) location.hash = to;
}

/** Changes the address without a step in the history, and asks nobody: for filters and the like. */
export function replace(to: string) {
    history.replaceState(null, "", to);
    shown = to;
    here = read();
}

addEventListener("hashchange", async () => {
    if (location.hash === shown) return;
    const wanted = location.hash;
    if (guards.size) {
        // The old place stays on the screen while the person is asked.
        history.replaceState(null, "", shown || "#/");
        if (!await allowed()) return;
        history.replaceState(null, "", wanted);
    }
    shown = wanted;
    here = read();
});
addEventListener("beforeunload", (event) => {
    if (guards.size) event.preventDefault();
});
