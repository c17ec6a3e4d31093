// The server's English sentences in another language. A catalogue has them as they stand in the server's source, with
// holes for what is filled in when they are said: "Must be no less than {min}." A translation names the holes by their
// place: {0} is the first, as it was said; {=0} is the first where the server put another of its sentences or words.
//
// What is said may hold foreign text of any kind and size: sentences are compared from both ends, without patterns that
// could take long, each hole is taken once, and the outcome is text.

export interface Sentences { whole: Map<string, string>; forms: Form[] }
/** How a number or a time is written. */
type Show = (value: string) => string;
interface Form { pieces: string[]; quoted: boolean[]; letters: number; text: string }

/** More is no sentence but somebody's text. */
const MOST = 4_000;
/** Sentences within sentences, and beside each other in one. */
const DEPTH = 4, MANY = 50;
/** A hole as Rust's format! has it, "{}", "{name}" or "{name:?}", which puts quotes around the text. */
const HOLE = /\{(?:\w*)(:\?)?\}/;

/** Makes a catalogue ready for being asked. */
export function ready(catalogue: Record<string, string>): Sentences {
    const whole = new Map<string, string>(), forms: Form[] = [];
    for (const [said, text] of Object.entries(catalogue)) {
        const [first = "", ...rest] = said.split(HOLE);
        if (!rest.length) { whole.set(said, text); continue; }
        // split() puts what the pattern's group held between the pieces.
        const pieces = [first, ...rest.filter((_, at) => at % 2 === 1)];
        forms.push({ pieces, quoted: rest.filter((_, at) => at % 2 === 0).map(Boolean), letters: pieces.join("").length, text });
    }
    // The one that says more itself knows better what it is about.
    return { whole, forms: forms.sort((a, b) => b.letters - a.letters) };
}

/** The sentence in the catalogue's language; null when it is not known. */
export function translated(known: Sentences, said: string, show: Show = (value) => value, depth = DEPTH): string | null {
    if (said.length > MOST) return known.whole.get(said) ?? null;
    const text = found(known, said, show, depth);
    if (text !== null) return text;
    // What stands in a hole at the end of another sentence has left its period to it.
    if (!said.endsWith(".")) return found(known, `${said}.`, show, depth)?.replace(/\.$/, "") ?? null;
    // A part that is told by itself was made a sentence: a capital letter, and a period.
    const part = said.slice(0, -1), small = part.slice(0, 1).toLowerCase() + part.slice(1);
    const told = found(known, part, show, depth) ?? found(known, small, show, depth) ?? found(known, `${small}.`, show, depth);
    return told === null ? null : `${told.slice(0, 1).toUpperCase()}${told.slice(1).replace(/\.$/, "")}.`;
}

function found(known: Sentences, said: string, show: Show, depth: number): string | null {
    const text = known.whole.get(said);
    if (text !== undefined) return text;
    for (const form of known.forms) {
        // A hole at the end does not take the period in.
        const period = form.pieces[form.pieces.length - 1] === "" && said.endsWith(".") ? "." : "";
        const values = fillings(form, period ? said.slice(0, -1) : said);
        if (values) return filled(known, form, values, show, depth) + period;
    }
    return null;
}

const filled = (known: Sentences, { text, quoted }: Form, values: string[], show: Show, depth: number) => text.replace(/\{(=?)(\d)\}/g, (_, inner: string, number: string) => {
    const at = Number(number), value = values[at] ?? "";
    if (inner && depth) return translated(known, value, show, depth - 1) ?? eachTranslated(known, value, show, depth - 1);
    if (quoted[at] && value.length > 1 && value.startsWith('"')) return `„${value.slice(1, -1)}“`;
    return show(value);
});

/** Several, each with what it is about: "users/ann: the account is gone; …". */
function eachTranslated(known: Sentences, values: string, show: Show, depth: number): string {
    const all = values.split("; ", MANY + 1);
    if (all.length > MANY) return values;
    return all.map((value) => {
        const at = value.includes(": ") ? value.indexOf(": ") + 2 : 0, rest = value.slice(at);
        return value.slice(0, at) + (translated(known, rest, show, depth) ?? rest);
    }).join("; ");
}

/** What stands in the holes, if all the rest is as it should be. */
function fillings({ pieces, quoted, letters }: Form, said: string): string[] | null {
    const first = pieces[0] ?? "", last = pieces[pieces.length - 1] ?? "";
    if (said.length < letters || !said.startsWith(first) || !said.endsWith(last)) return null;
    const values: string[] = [], end = said.length - last.length;
    let at = first.length;
    for (const piece of pieces.slice(1, -1)) {
        const next = said.indexOf(piece, at);
        if (next < 0 || next + piece.length > end) return null;
        values.push(said.slice(at, next));
        at = next + piece.length;
    }
    if (at > end) return null;
    values.push(said.slice(at, end));
    // {:?} writes texts in quotes, and numbers and durations as they are.
    return values.every((value, hole) => !quoted[hole] || /^(?:"[^]*"|'[^]*'|\d[\w.]*)$/.test(value)) ? values : null;
}
