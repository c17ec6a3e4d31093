// What the visual editor knows of HTML. Everything else is left to the source view, see `html.ts`.

import { type DOMOutputSpec, type NodeSpec, Schema } from "prosemirror-model";
import { bulletList, listItem, orderedList } from "prosemirror-schema-list";

/** Addresses that may stand in a link: nothing that runs. */
export const isSafe = (address: string) => !/^[\s\u0000-\u0020]*(javascript|vbscript|data)\s*:/i.test(address);

/** The attributes that are there, and only those. */
const given = (attrs: Record<string, unknown>) => Object.fromEntries(Object.entries(attrs).filter(([, value]) => value !== null && value !== ""));
const take = (names: string[]) => (dom: HTMLElement) => Object.fromEntries(names.map((name) => [name, dom.getAttribute(name)]));
const optional = (names: string[]) => Object.fromEntries(names.map((name) => [name, { default: null }]));

const LINK = ["href", "title", "target", "rel"], IMAGE = ["src", "alt", "title", "width", "height"];

const heading: NodeSpec = {
    attrs: { level: { default: 1 } }, content: "inline*", group: "block", defining: true,
    parseDOM: [1, 2, 3, 4, 5, 6].map((level) => ({ tag: `h${level}`, attrs: { level } })),
    toDOM: (node): DOMOutputSpec => [`h${node.attrs.level as number}`, 0],
};

export const schema = new Schema({
    nodes: {
        doc: { content: "block+" },
        paragraph: { content: "inline*", group: "block", parseDOM: [{ tag: "p" }], toDOM: () => ["p", 0] },
        heading,
        blockquote: { content: "block+", group: "block", defining: true, parseDOM: [{ tag: "blockquote" }], toDOM: () => ["blockquote", 0] },
        code_block: { content: "text*", marks: "", group: "block", code: true, defining: true, parseDOM: [{ tag: "pre", preserveWhitespace: "full" }], toDOM: () => ["pre", ["code", 0]] },
        horizontal_rule: { group: "block", parseDOM: [{ tag: "hr" }], toDOM: () => ["hr"] },
        bullet_list: { ...bulletList, content: "list_item+", group: "block" },
        ordered_list: { ...orderedList, content: "list_item+", group: "block" },
        list_item: { ...listItem, content: "paragraph block*" },
        text: { group: "inline" },
        image: { inline: true, attrs: optional(IMAGE), group: "inline", draggable: true, parseDOM: [{ tag: "img[src]", getAttrs: take(IMAGE) }], toDOM: (node) => ["img", given(node.attrs)] },
        hard_break: { inline: true, group: "inline", selectable: false, parseDOM: [{ tag: "br" }], toDOM: () => ["br"] },
    },
    marks: {
        link: {
            attrs: optional(LINK), inclusive: false, toDOM: (mark) => ["a", given(mark.attrs), 0],
            parseDOM: [{ tag: "a[href]", getAttrs: (dom) => (isSafe(dom.getAttribute("href") ?? "") ? take(LINK)(dom) : false) }],
        },
        strong: { parseDOM: [{ tag: "strong" }, { tag: "b" }], toDOM: () => ["strong", 0] },
        em: { parseDOM: [{ tag: "em" }, { tag: "i" }], toDOM: () => ["em", 0] },
        underline: { parseDOM: [{ tag: "u" }], toDOM: () => ["u", 0] },
        strike: { parseDOM: [{ tag: "s" }, { tag: "del" }, { tag: "strike" }], toDOM: () => ["s", 0] },
        sub: { parseDOM: [{ tag: "sub" }], excludes: "sup", toDOM: () => ["sub", 0] },
        sup: { parseDOM: [{ tag: "sup" }], excludes: "sub", toDOM: () => ["sup", 0] },
        code: { parseDOM: [{ tag: "code" }], toDOM: () => ["code", 0] },
    },
});
