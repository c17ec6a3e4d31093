// The words of the UI. English comes along, others are loaded when they are chosen. A text may hold {names}, and
// "one | many" forms that {count} chooses between.

import en from "../i18n/en";
import { ready, type Sentences } from "./sentences";

export type Catalogue = Record<keyof typeof en, string>;
export type Key = keyof typeof en;
/** The server's texts in a language: by what it says, by the code of a field, by the status. */
export interface Faults { sentences: Sentences; codes: Record<string, string | string[]>; statuses: Record<number, string> }
interface Words { words: Catalogue; faults: Faults | null }
export const LANGUAGES = { en: "English", de: "Deutsch" } as const;
export type Language = keyof typeof LANGUAGES;

const loaders: Record<Language, () => Promise<Words>> = {
    // The server speaks English by itself.
    en: async () => ({ words: en, faults: null }),
    de: async () => {
        const [de, server] = await Promise.all([import("../i18n/de"), import("../i18n/de/server")]);
        return { words: de.default, faults: { ...de.faults, sentences: ready(server.default) } };
    },
};

const state = $state<{ language: Language } & Words>({ language: "en", words: en, faults: null });

/** The server's texts in the current language; null where they are as the server says them. */
export const faults = () => state.faults;

export const language = {
    get current() { return state.language; },
    /** The tag for dates and numbers. */
    get tag() { return state.language === "en" ? "en-GB" : state.language; },
};

/** Loads a language and shows it; what was chosen is remembered. */
export async function choose(next: Language) {
    const loaded = await loaders[next]();
    state.language = next;
    state.words = loaded.words;
    state.faults = loaded.faults;
    document.documentElement.lang = next;
    localStorage.setItem("conch.language", next);
}

/** The language that was chosen here, or the browser's first that there is. */
export async function start() {
    const known = (name: string | null): name is Language => name !== null && name in LANGUAGES;
    const stored = localStorage.getItem("conch.language");
    const wanted = known(stored) ? stored : navigator.languages.map((tag) => tag.slice(0, 2)).find(known);
    if (wanted && wanted !== "en") await choose(wanted);
}

/** The text of a key in the current language. */
export function t(key: Key, values: Record<string, string | number> = {}): string {
    let text: string = state.words[key] ?? en[key] ?? key;
    if ("count" in values && text.includes(" | ")) {
        const [one = "", many = one] = text.split(" | ");
        text = values.count === 1 ? one : many;
    }
    return text.replace(/\{(\w+)\}/g, (whole, name: string) => {
        const value = values[name];
        if (value === undefined) return whole;
        return typeof value === "number" ? value.toLocaleString(language.tag) : value;
    });
}
