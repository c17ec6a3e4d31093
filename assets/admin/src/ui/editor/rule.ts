// The rule language for CodeMirror: what is a name, a string, an operator.

import { StreamLanguage } from "@codemirror/language";
import type { Extension } from "@codemirror/state";

/** Colours of rules and filters (docs/wire/records-filter.md). */
export function rule(): Extension {
    return StreamLanguage.define({
        name: "rule",
        token(stream) {
            if (stream.eatSpace()) return null;
            if (stream.match(/^\/\/.*/)) return "comment";
            if (stream.match(/^'(?:[^'\\]|\\.)*'?/) || stream.match(/^"(?:[^"\\]|\\.)*"?/)) return "string";
            if (stream.match(/^-?\d+(?:\.\d+)?/)) return "number";
            if (stream.match(/^(?:&&|\|\||\?=|\?!=|\?>=|\?>|\?<=|\?<|\?~|\?!~|!=|>=|<=|!~|[=<>~])/)) return "keyword";
            if (stream.match(/^(?:true|false|null)\b/)) return "atom";
            if (stream.match(/^@[\w.:]*/)) return "variableName.special";
            if (stream.match(/^\w+(?=\s*\()/)) return "variableName.function";
            if (stream.match(/^[\w.:]+/)) return "variableName";
            stream.next();
            return null;
        },
    });
}
