// The visual editor: ProseMirror with the schema of this folder. Loaded when the first formatted text is shown.

import { baseKeymap, chainCommands, exitCode, lift, setBlockType, toggleMark, wrapIn } from "prosemirror-commands";
import { history, redo, undo } from "prosemirror-history";
import { inputRules, textblockTypeInputRule, wrappingInputRule } from "prosemirror-inputrules";
import { keymap } from "prosemirror-keymap";
import type { MarkType, Node, NodeType } from "prosemirror-model";
import { liftListItem, sinkListItem, splitListItem, wrapInList } from "prosemirror-schema-list";
import { type Command, EditorState } from "prosemirror-state";
import { EditorView } from "prosemirror-view";
import { bare, isWhole, toDoc, toHtml } from "./html";
import { isSafe, schema } from "./schema";

export { isWhole };
export type Format = "strong" | "em" | "underline" | "strike" | "code" | "link" | "h1" | "h2" | "h3" | "bullet_list" | "ordered_list" | "blockquote" | "code_block";
export interface Options { html: string; label: string; readonly: boolean; onchange: (html: string) => void; onmove: (formats: Set<Format>) => void }
export interface Rich {
    set(html: string): void;
    lock(readonly: boolean): void;
    toggle(format: Exclude<Format, "link">): void;
    /** The address of the link at the cursor. */
    linked(): string;
    /** Makes the selection a link, or an address to click where nothing is selected; an empty one takes the link away. */
    link(address: string): void;
    image(address: string, text: string): void;
    rule(): void;
    undo(): void;
    redo(): void;
    invalid(invalid: boolean): void;
    close(): void;
}

const { nodes, marks } = schema;
const node = (name: string) => nodes[name] as NodeType;
const mark = (name: string) => marks[name] as MarkType;
const MARKS = ["strong", "em", "underline", "strike", "code", "link"] as const;

const typing = inputRules({
    rules: [
        textblockTypeInputRule(/^(#{1,3})\s$/, node("heading"), (found) => ({ level: found[1]?.length ?? 1 })),
        textblockTypeInputRule(/^```$/, node("code_block")),
        wrappingInputRule(/^\s*([-+*])\s$/, node("bullet_list")),
        wrappingInputRule(/^1\.\s$/, node("ordered_list")),
        wrappingInputRule(/^\s*>\s$/, node("blockquote")),
    ],
});
const newLine: Command = chainCommands(exitCode, (state, dispatch) => {
    dispatch?.(state.tr.replaceSelectionWith(node("hard_break").create()).scrollIntoView());
    return true;
});
const keys = keymap({
    "Mod-b": toggleMark(mark("strong")), "Mod-i": toggleMark(mark("em")), "Mod-u": toggleMark(mark("underline")), "Mod-`": toggleMark(mark("code")),
    "Mod-z": undo, "Mod-y": redo, "Shift-Mod-z": redo, "Shift-Enter": newLine,
    "Enter": splitListItem(node("list_item")), "Mod-[": liftListItem(node("list_item")), "Mod-]": sinkListItem(node("list_item")),
});

/** What holds at the selection. */
function formatsAt({ selection, doc, storedMarks }: EditorState): Set<Format> {
    const found = new Set<Format>(), { $from, from, to, empty } = selection;
    for (const name of MARKS) {
        if (empty ? mark(name).isInSet(storedMarks ?? $from.marks()) : doc.rangeHasMark(from, to, mark(name))) found.add(name);
    }
    if ($from.parent.type === node("heading") && $from.parent.attrs.level <= 3) found.add(`h${$from.parent.attrs.level as 1 | 2 | 3}`);
    if ($from.parent.type === node("code_block")) found.add("code_block");
    for (let depth = $from.depth; depth > 0; depth -= 1) {
        const name = $from.node(depth).type.name;
        if (name === "bullet_list" || name === "ordered_list" || name === "blockquote") found.add(name);
    }
    return found;
}

/** Pictures from elsewhere are not fetched: the page asks nobody but its server. */
function picture(of: Node) {
    const address = String(of.attrs.src), own = /^(data:image|blob:)/.test(address) || (URL.canParse(address, location.href) && new URL(address, location.href).origin === location.origin);
    const dom = document.createElement(own ? "img" : "span");
    if (dom instanceof HTMLImageElement) { dom.src = address; dom.alt = String(of.attrs.alt ?? ""); }
    else { dom.className = "picture"; dom.textContent = `▨ ${String(of.attrs.alt ?? "") || address.slice(0, 80)}`; dom.title = address.slice(0, 500); }
    return { dom };
}

/** Chromium keeps the look of what is typed over in a style attribute, which the page's policy refuses aloud: this types instead. */
function typedOver(view: EditorView, event: InputEvent): boolean {
    const { selection } = view.state;
    if (event.inputType !== "insertText" || event.data === null || selection.empty || view.composing) return false;
    event.preventDefault();
    view.dispatch(view.state.tr.insertText(event.data, selection.from, selection.to).scrollIntoView());
    return true;
}

export function open(host: HTMLElement, options: Options): Rich {
    let readonly = options.readonly, invalid = false;
    const stateOf = (html: string) => EditorState.create({ doc: toDoc(html), plugins: [typing, keys, keymap(baseKeymap), history()] });
    const view: EditorView = new EditorView(host, {
        state: stateOf(options.html),
        editable: () => !readonly,
        attributes: () => ({ "aria-label": options.label, "role": "textbox", "aria-multiline": "true", "aria-invalid": String(invalid), "dir": "auto", ...(readonly ? { "tabindex": "0", "aria-readonly": "true" } : {}) }),
        // The schema takes only what it knows; styles and handlers do not even get into a document.
        transformPastedHTML: bare,
        nodeViews: { image: picture },
        handleDOMEvents: { beforeinput: typedOver },
        dispatchTransaction(transaction) {
            view.updateState(view.state.apply(transaction));
            if (transaction.docChanged) options.onchange(toHtml(view.state.doc));
            options.onmove(formatsAt(view.state));
        },
    });
    const run = (command: Command) => { command(view.state, view.dispatch, view); view.focus(); };
    const inList = (name: string) => formatsAt(view.state).has(name as Format);
    return {
        set(html) { view.updateState(stateOf(html)); options.onmove(formatsAt(view.state)); },
        lock(next) { readonly = next; view.setProps({}); },
        invalid(next) { invalid = next; view.setProps({}); },
        toggle(format) {
            if (format === "bullet_list" || format === "ordered_list") return run(inList(format) ? liftListItem(node("list_item")) : wrapInList(node(format)));
            if (format === "blockquote") return run(inList(format) ? lift : wrapIn(node(format)));
            if (format === "code_block") return run(setBlockType(node(inList(format) ? "paragraph" : format)));
            if (format === "h1" || format === "h2" || format === "h3") return run(inList(format) ? setBlockType(node("paragraph")) : setBlockType(node("heading"), { level: Number(format[1]) }));
            run(toggleMark(mark(format)));
        },
        linked() {
            const { $from } = view.state.selection;
            return String([...$from.marks(), ...($from.nodeAfter?.marks ?? [])].find(({ type }) => type === mark("link"))?.attrs.href ?? "");
        },
        link(address) {
            const { from, to, empty } = view.state.selection, change = view.state.tr;
            if (!empty) change.removeMark(from, to, mark("link"));
            if (address && isSafe(address)) {
                if (empty) change.insert(from, schema.text(address, [mark("link").create({ href: address })]));
                else change.addMark(from, to, mark("link").create({ href: address }));
            }
            view.dispatch(change);
            view.focus();
        },
        image(address, text) {
            if (address && isSafe(address)) view.dispatch(view.state.tr.replaceSelectionWith(node("image").create({ src: address, alt: text || null })));
            view.focus();
        },
        rule: () => run((state, dispatch) => { dispatch?.(state.tr.replaceSelectionWith(node("horizontal_rule").create())); return true; }),
        undo: () => run(undo),
        redo: () => run(redo),
        close: () => view.destroy(),
    };
}
