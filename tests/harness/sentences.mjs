// The sentences in the source of the server: every literal text of a Rust file that reads like something said to a
// person. Tests, comments and what goes only to the log are left out.

import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

/** The literal texts of a Rust source, outside comments and the tests at its end; each with what stands before it. */
export function literals(source) {
    const found = [];
    // In this order: comments, raw texts, texts, characters (a lifetime is none of them).
    const token = /\/\/[^\n]*|\/\*[^]*?\*\/|\bb?r(#*)"([^]*?)"\1|"((?:[^"\\]|\\[^])*)"|'(?:[^'\\\n]|\\[^]{1,8}?)'|#\[cfg\(test\)\]\s*(?:pub(?:\(\w+\))? )?mod \w+ \{/g;
    for (let match; (match = token.exec(source)); ) {
        if (match[0].startsWith("#[cfg(test)]")) break;
        const text = match[2] ?? (match[3] === undefined ? undefined : unescape(match[3]));
        if (text !== undefined) found.push({ text, before: source.slice(Math.max(0, match.index - 120), match.index) });
    }
    return found;
}

/** What Rust makes of a text's escapes. */
function unescape(text) {
    return text.replace(/\\(?:\n\s*|u\{([0-9a-fA-F]+)\}|x([0-9a-fA-F]{2})|([^]))/g, (whole, long, short, one) => {
        if (long ?? short) return String.fromCodePoint(parseInt(long ?? short, 16));
        return one === undefined ? "" : { n: "\n", t: "\t", r: "\r", 0: "\0" }[one] ?? one;
    });
}

/** A word or more that begin like a sentence and end like one, or with the reason: "Cannot be blank.", "It failed: {why}". */
const SENTENCE = /^(?:[A-Z{`"'“][^]*\s[^]*|[A-Z]\w+)(?:[.!?…]|: \{\w*\})$|^[a-z][^]*\s[^]*\w\.$/;
/** Parts of sentences: two words or more outside of holes, and no SQL or HTML. */
const PART = /^[a-z{][^]*[^\s\d]$/, WORDS = /[A-Za-z]{2,}[^]*\s[^]*[A-Za-z]{2,}|[a-z]+: \{/, SQL = /\b(?:SELECT|WHERE|INSERT|UPDATE|DELETE|FROM|CASE|JOIN|CAST|VALUES|ORDER|DESC|COUNT|IS NOT|ON)\b|json_|coalesce|\{\d\}|<|---/;
/** Said to the log, to whoever starts the server, or to nobody. */
const UNSAID = /(?:\b(?:expect|panic|unreachable|assert(?:_eq|_ne)?|debug_assert(?:_eq)?|context|because|debug|info|warn|error|trace|println|eprintln)!?\s*\((?:[^"();]*,)?\s*(?:format!\(\s*)?|#\[error\(|\bdoc\s*=\s*)$/;
/** The cause behind an error: for the log, but where it is told. */
const CAUSE = /\b(?:anyhow|bail|ensure)!\s*\((?:[^"();]*,)?\s*$/;
/** "code: A sentence." is a reason; its code has words of its own. */
const CODE = /^[a-z_]+: (?=[A-Z])/;

/** What Rust files say, each text with the files that say it; of those in `partly`, the parts of sentences as well. */
export function sentences(root, partly) {
    const told = new Map(), all = new Set();
    for (const name of readdirSync(root, { recursive: true }).sort()) {
        if (!name.endsWith(".rs") || /(?:^|\/)(?:tests(?:\/|\.rs$)|testing)/.test(name)) continue;
        const parts = partly.some((start) => name.startsWith(start));
        for (const { text, before } of literals(readFileSync(join(root, name), "utf8"))) {
            const plain = text.replace(CODE, "");
            all.add(text).add(plain);
            // The parser expects things, and says so: .expect("a comma")
            const unsaid = (UNSAID.test(before) && !/self\s*\.expect\(\s*$/.test(before)) || (!parts && CAUSE.test(before));
            if (unsaid || !(SENTENCE.test(plain) || (parts && PART.test(text) && WORDS.test(text.replace(/\{[^}]*\}/g, "{")) && !SQL.test(text)))) continue;
            told.set(plain, [...told.get(plain) ?? [], name]);
        }
    }
    return { told, all };
}
