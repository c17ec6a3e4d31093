// CodeMirror with what all languages share; each language is loaded when it is first asked for.

import { autocompletion, closeBrackets, closeCompletion, closeBracketsKeymap, completionKeymap, type CompletionSource } from "@codemirror/autocomplete";
import { defaultKeymap, history, historyKeymap } from "@codemirror/commands";
import { bracketMatching, HighlightStyle, indentOnInput, syntaxHighlighting } from "@codemirror/language";
import { type Diagnostic, lintKeymap, setDiagnostics } from "@codemirror/lint";
import { Compartment, EditorState, type Extension } from "@codemirror/state";
import { EditorView, keymap, placeholder as placeholderText } from "@codemirror/view";
import { tags } from "@lezer/highlight";
import type { EditorLanguage, Mark } from "../Editor.svelte";

export interface Options {
    value: string;
    language: EditorLanguage;
    label: string;
    lines: number;
    /** Enter submits. */
    single?: boolean;
    readonly: boolean;
    placeholder?: string;
    tables?: Record<string, string[]>;
    complete: CompletionSource;
    onchange: (value: string) => void;
    onsubmit: () => void;
}

export interface EditorHandle {
    set(value: string): void;
    mark(marks: Mark[]): void;
    lock(readonly: boolean): void;
    /** At the end of the text: for who was already writing in what stood here before. */
    focus(): void;
    close(): void;
}

const languages: Record<EditorLanguage, (options: Options) => Promise<Extension>> = {
    text: async () => [],
    json: async () => (await import("@codemirror/lang-json")).json(),
    html: async () => (await import("@codemirror/lang-html")).html(),
    sql: async ({ tables }) => {
        const { sql, SQLite } = await import("@codemirror/lang-sql");
        return sql({ dialect: SQLite, schema: tables, upperCaseKeywords: true });
    },
    rule: async () => (await import("./rule")).rule(),
};

const colours = HighlightStyle.define([
    { tag: [tags.keyword, tags.operatorKeyword, tags.logicOperator], color: "var(--code-keyword)" },
    { tag: [tags.string, tags.special(tags.string)], color: "var(--code-string)" },
    { tag: [tags.number, tags.bool, tags.null, tags.atom], color: "var(--code-number)" },
    { tag: [tags.comment], color: "var(--soft)", fontStyle: "italic" },
    { tag: [tags.propertyName, tags.variableName, tags.attributeName], color: "var(--code-name)" },
    { tag: [tags.special(tags.variableName), tags.modifier, tags.function(tags.variableName), tags.tagName], color: "var(--code-special)" },
    { tag: tags.invalid, color: "var(--error)" },
]);

const look = (lines: number) => EditorView.theme({
    "&": { color: "var(--text)", background: "transparent", fontSize: ".9rem" },
    "&.cm-focused": { outline: "none" },
    ".cm-scroller": { fontFamily: "var(--mono)", lineHeight: "1.5", maxHeight: `${lines * 1.5 + 1}em`, overflow: "auto" },
    ".cm-content": { caretColor: "var(--text)", padding: ".45rem 0" },
    ".cm-line": { padding: "0 .6rem" },
    ".cm-cursor": { borderLeftColor: "var(--text)" },
    ".cm-placeholder": { color: "var(--soft)" },
    "&.cm-focused .cm-selectionBackground, .cm-selectionBackground, ::selection": { background: "var(--code-selection) !important" },
    ".cm-matchingBracket": { background: "var(--hover)", outline: "1px solid var(--line)" },
    ".cm-tooltip": { background: "var(--card)", color: "var(--text)", border: "1px solid var(--line)", borderRadius: ".4rem" },
    ".cm-tooltip-autocomplete > ul > li[aria-selected]": { background: "var(--accent)", color: "var(--on-accent)" },
    ".cm-completionDetail": { color: "inherit", opacity: ".75", fontStyle: "normal" },
    ".cm-diagnostic": { padding: ".3rem .6rem" },
});

/** Chromium keeps the look of what is typed over in a style attribute, which the page's policy refuses aloud: this types instead. */
const typedOver = EditorView.domEventHandlers({
    beforeinput(event, view) {
        const { ranges, main: { from, to, empty } } = view.state.selection;
        const text = event.data;
        if (event.inputType !== "insertText" || text === null || empty || ranges.length > 1 || view.composing || view.state.readOnly) return false;
        event.preventDefault();
        const insert = () => view.state.update({ changes: { from, to, insert: text }, selection: { anchor: from + text.length }, userEvent: "input.type", scrollIntoView: true });
        if (!view.state.facet(EditorView.inputHandler).some((handle) => handle(view, from, to, text, insert))) view.dispatch(insert());
        return true;
    },
});

/** Opens an editor in the shadow root of `host`. */
export async function open(host: HTMLElement, options: Options): Promise<EditorHandle> {
    const root = host.shadowRoot ?? host.attachShadow({ mode: "open" });
    const writable = new Compartment();
    const locked = (readonly: boolean) => [EditorState.readOnly.of(readonly), EditorView.editable.of(!readonly)];
    let silent = false;
    const submit = (view: EditorView) => {
        closeCompletion(view);
        options.onsubmit();
        return true;
    };
    const view = new EditorView({
        root,
        parent: root,
        state: EditorState.create({
            doc: options.value,
            extensions: [
                history(), indentOnInput(), bracketMatching(), closeBrackets(), typedOver, EditorView.lineWrapping, look(options.lines),
                syntaxHighlighting(colours), await languages[options.language](options), writable.of(locked(options.readonly)),
                options.language === "rule" ? autocompletion({ override: [options.complete] }) : autocompletion(),
                EditorView.contentAttributes.of({ "aria-label": options.label, spellcheck: "false", tabindex: "0" }),
                options.placeholder ? placeholderText(options.placeholder) : [],
                keymap.of([
                    ...(options.single ? [{ key: "Enter", run: submit }] : []),
                    { key: "Mod-Enter", run: submit },
                    ...closeBracketsKeymap, ...completionKeymap, ...lintKeymap, ...historyKeymap, ...defaultKeymap,
                ]),
                EditorView.updateListener.of((update) => {
                    if (update.docChanged && !silent) options.onchange(update.state.doc.toString());
                }),
            ],
        }),
    });
    return {
        set(value) {
            if (value === view.state.doc.toString()) return;
            silent = true;
            view.dispatch({ changes: { from: 0, to: view.state.doc.length, insert: value } });
            silent = false;
        },
        mark(marks) {
            const end = view.state.doc.length;
            const found = marks.map(({ from, to, message, kind }): Diagnostic => ({ from: Math.min(from, end), to: Math.min(Math.max(to, from), end), message, severity: kind }));
            view.dispatch(setDiagnostics(view.state, found));
        },
        lock: (readonly) => view.dispatch({ effects: writable.reconfigure(locked(readonly)) }),
        focus() {
            view.focus();
            view.dispatch({ selection: { anchor: view.state.doc.length } });
        },
        close: () => view.destroy(),
    };
}
