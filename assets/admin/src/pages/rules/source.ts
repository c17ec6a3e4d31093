// The suggestions of complete.ts as CodeMirror asks for them.

import type { CompletionSource } from "@codemirror/autocomplete";
import { suggest, type Asked, type Suggestion } from "./complete";

const ICONS: Record<Suggestion["kind"], string> = {
    field: "property", relation: "interface", back: "interface", request: "namespace", collection: "class", macro: "constant", function: "function",
    constant: "keyword", value: "text", modifier: "method", operator: "keyword",
};

/** `asked` is called at each letter: what it names may have changed. */
export function ruleSource(asked: () => Asked | undefined): CompletionSource {
    return (context) => {
        const about = asked();
        if (!about) return null;
        const found = suggest(context.state.doc.toString(), context.pos, { ...about, explicit: context.explicit });
        return found && {
            from: found.from,
            options: found.options.map(({ label, apply, kind, detail, boost }) => ({ label, apply, type: ICONS[kind], detail, boost })),
        };
    };
}
