// Between HTML and what the visual editor shows, and whether anything is lost on the way.

import { DOMParser as Reader, DOMSerializer, type Node } from "prosemirror-model";
import { schema } from "./schema";

const BLOCKS = new Set(["P", "H1", "H2", "H3", "H4", "H5", "H6", "BLOCKQUOTE", "PRE", "HR", "UL", "OL", "LI", "DIV", "TABLE", "SECTION", "ARTICLE", "FIGURE"]);
const SAME: Record<string, string> = { B: "STRONG", I: "EM", DEL: "S", STRIKE: "S" };

/** A tag with its attributes, also those that hold a ">". */
const TAG = /<([a-z][\w:-]*)((?:[^>"']|"[^"]*"|'[^']*')*)>/gi;

/** Without the attributes that a document applies or runs, even one that is never shown: styles and handlers. */
export function bare(html: string): string {
    return html.replace(TAG, (_, name: string, attributes: string) => `<${name}${attributes.replace(/\s(style|on\w+|srcset)\s*=\s*("[^"]*"|'[^']*'|[^\s>]+)/gi, "")}>`);
}

/** The body of a document that loads and runs nothing. */
const parsed = (html: string) => new DOMParser().parseFromString(bare(html), "text/html").body;

export const toDoc = (html: string): Node => Reader.fromSchema(schema).parse(parsed(html));

/** As people write it: an item of a list with one paragraph holds its text itself. */
function loosened(root: HTMLElement | DocumentFragment) {
    for (const item of root.querySelectorAll("li")) {
        const paragraphs = [...item.children].filter(({ tagName }) => tagName === "P");
        if (paragraphs.length === 1 && item.firstElementChild === paragraphs[0]) paragraphs[0]?.replaceWith(...paragraphs[0].childNodes);
    }
}

export function toHtml(doc: Node): string {
    // An empty document is no text at all.
    if (doc.childCount === 1 && doc.firstChild?.type.name === "paragraph" && !doc.firstChild.childCount) return "";
    const empty = new DOMParser().parseFromString("", "text/html");
    const fragment = DOMSerializer.fromSchema(schema).serializeFragment(doc.content, { document: empty });
    loosened(fragment);
    empty.body.append(fragment);
    return empty.body.innerHTML;
}

/** Whether the visual editor shows all of it, so that nothing is lost when it is changed there. */
export function isWhole(html: string): boolean {
    if (!html.trim()) return true;
    // Comments, styles and handlers are seen before anything is parsed.
    if (/<!--|<!doctype/i.test(html) || bare(html) !== html) return false;
    return canonical(parsed(html)) === canonical(parsed(toHtml(toDoc(html))));
}

/** Two texts that look and mean the same are the same here. */
function canonical(root: HTMLElement): string {
    loosened(root);
    wrapLoose(root);
    return [...root.childNodes].map((node) => told(node, false)).join("").replace(/ +(<\/?[A-Z]+\d?[^>]*>)/g, "$1").replace(/\s+/g, " ").trim();
}

/** Text beside paragraphs becomes one. */
function wrapLoose(root: HTMLElement) {
    let open: HTMLElement | undefined;
    for (const node of [...root.childNodes]) {
        const isBlock = node.nodeType === 1 && BLOCKS.has((node as Element).tagName);
        if (isBlock) open = undefined;
        else if (open) open.append(node);
        else if (node.nodeType === 1 || node.textContent?.trim()) {
            open = root.ownerDocument.createElement("p");
            node.replaceWith(open);
            open.append(node);
        }
    }
}

function told(node: ChildNode, pre: boolean): string {
    if (node.nodeType === 3) {
        const text = (node.textContent ?? "").replaceAll("&", "&amp;").replaceAll("<", "&lt;");
        const between = !text.trim() && node.parentElement && (BLOCKS.has((node.nextSibling as Element | null)?.tagName ?? "") || BLOCKS.has((node.previousSibling as Element | null)?.tagName ?? "") || ["UL", "OL"].includes(node.parentElement.tagName));
        return pre ? text.replace(/\n$/, "").replaceAll("\n", "¶").replaceAll(" ", "·") : between ? "" : text.replace(/[ \t\r\n]+/g, " ");
    }
    if (node.nodeType !== 1) return "?";
    const element = node as Element, name = SAME[element.tagName] ?? element.tagName;
    // The code of a block stands in a pre of its own, or directly in it.
    const inner = [...element.childNodes].map((child) => told(child, pre || name === "PRE")).join("");
    if (name === "CODE" && element.parentElement?.tagName === "PRE" && element.parentElement.childNodes.length === 1 && !element.attributes.length) return inner;
    const attributes = [...element.attributes].map((one) => `${one.name}=${JSON.stringify(one.value)}`).sort().join(" ");
    return `<${name}${attributes && ` ${attributes}`}>${inner}</${name}>`;
}
