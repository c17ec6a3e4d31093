// HTML from outside, made fit to be shown: nothing runs, nothing is loaded, links lead nowhere.
//
// The page's policy refuses inline styles, which every mail has, and complains about each on the console. So the text is
// first rewritten tag by tag (`quiet`: styles and whatever loads are put aside under other names), then parsed, then cut
// down to what is harmless, and shown in a sandboxed frame whose styles are set by the document object model. The
// rewriting is for peace; the cutting, the sandbox and the policy are for safety.

/** What is not shown at all, with what is in it. */
const GONE = "script, style, iframe, frame, object, embed, link, meta, base, template, noscript, svg, math, audio, video, form input[type=file], dialog, portal";
/** Attributes that may stay. */
const KEPT = /^(data-css|data-link|class|id|dir|lang|title|alt|width|height|align|valign|bgcolor|color|size|face|border|cellpadding|cellspacing|colspan|rowspan|role|start|type|span|aria-[a-z]+)$/;
const RAW = new Set(["script", "style", "title", "textarea", "xmp", "iframe", "noembed", "noframes", "noscript", "plaintext", "svg", "math", "template"]);
const MAX = 1_000_000;

export interface Sheet { body: DocumentFragment; css: string; blocked: boolean }

/** Takes HTML to pieces that can be shown. */
export function sheet(html: string): Sheet {
    const { text, css } = quiet(html.slice(0, MAX));
    const parsed = new DOMParser().parseFromString(text, "text/html");
    let blocked = false;
    for (const element of parsed.querySelectorAll(GONE)) element.remove();
    for (const element of parsed.body.querySelectorAll("*")) {
        for (const { name, value } of [...element.attributes]) {
            if (name === "data-src" && element.localName === "img" && /^data:image\/(png|jpe?g|gif|webp|avif);/i.test(value)) element.setAttribute("src", value);
            else if (/^data-(src|srcset|background|poster)$/.test(name)) blocked ||= !value.startsWith("data:");
            if (!KEPT.test(name) && name !== "src") element.removeAttribute(name);
        }
        const src = element.getAttribute("src");
        if (src !== null && !src.startsWith("data:image/")) element.removeAttribute("src");
        if (element.localName === "a" && element.hasAttribute("data-link")) {
            element.setAttribute("title", (element.getAttribute("data-link") ?? "").slice(0, 500));
        }
    }
    const body = document.createDocumentFragment();
    body.append(...[...parsed.body.childNodes].map((node) => document.importNode(node, true)));
    const said = harmless(css);
    return { body, css: said, blocked: blocked || said !== css };
}

/** Style sheets without anything that is fetched. */
export function harmless(css: string): string {
    return css.replace(/@import[^;]*;?/gi, "").replace(/url\(\s*(?!["']?data:image\/)[^)]*\)/gi, "none").replace(/(image-set|image|src|cross-fade|element)\([^)]*\)/gi, "none");
}

/** The same tags with styles, handlers and addresses under names that mean nothing, and its style sheets beside it. */
function quiet(html: string): { text: string; css: string } {
    let text = "", css = "", at = 0;
    while (at < html.length) {
        const open = html.indexOf("<", at);
        if (open < 0) { text += html.slice(at); break; }
        text += html.slice(at, open);
        if (html.startsWith("<!--", open)) {
            const end = html.indexOf("-->", open + 4);
            at = end < 0 ? html.length : end + 3;
        } else if (/[!?]/.test(html[open + 1] ?? "")) {
            const end = html.indexOf(">", open);
            at = end < 0 ? html.length : end + 1;
        } else if (!/[a-z/]/i.test(html[open + 1] ?? "")) {
            text += "&lt;";
            at = open + 1;
        } else {
            const tag = readTag(html, open);
            at = tag.end;
            if (!tag.closing && RAW.has(tag.name)) {
                const close = new RegExp(`</${tag.name}`, "gi");
                close.lastIndex = at;
                const found = close.exec(html);
                if (tag.name === "style") css += `${html.slice(at, found?.index ?? html.length)}\n`;
                if (tag.name === "textarea") text += html.slice(at, found?.index ?? html.length).replaceAll("<", "&lt;");
                const end = found ? html.indexOf(">", found.index) : -1;
                at = end < 0 ? html.length : end + 1;
            } else {
                text += tag.closing ? `</${tag.name}>` : `<${tag.name}${tag.attributes.map(([name, value]) => ` ${name}="${value.replaceAll('"', "&quot;")}"`).join("")}>`;
            }
        }
    }
    return { text, css };
}

interface Tag { name: string; closing: boolean; attributes: [string, string][]; end: number }

/** One tag from its `<` on, as browsers read it; each character is looked at once. */
function readTag(html: string, from: number): Tag {
    const closing = html[from + 1] === "/";
    const until = (start: number, stop: RegExp) => { let end = start; while (end < html.length && !stop.test(html[end]!)) end += 1; return end; };
    let at = until(from + (closing ? 2 : 1), /[\s/>]/);
    const name = html.slice(from + (closing ? 2 : 1), at).toLowerCase().replace(/[^a-z0-9:-]/g, "") || "span";
    const attributes: [string, string][] = [];
    for (;;) {
        at = until(at, /[^\s/]/);
        if (at >= html.length || html[at] === ">") break;
        let end = until(at + 1, /[\s/>=]/);
        const attribute = html.slice(at, end).toLowerCase();
        at = until(end, /\S/);
        let value = "";
        if (html[at] === "=") {
            at = until(at + 1, /\S/);
            const quote = html[at];
            if (quote === '"' || quote === "'") {
                const close = html.indexOf(quote, at + 1);
                end = close < 0 ? html.length : close;
                value = html.slice(at + 1, end);
                at = end + 1;
            } else {
                end = until(at, /[\s>]/);
                value = html.slice(at, end);
                at = end;
            }
        }
        const kept = named(attribute);
        if (kept) attributes.push([kept, value]);
    }
    return { name, closing, attributes, end: Math.min(at + 1, html.length) };
}

function named(attribute: string): string | undefined {
    if (attribute === "style") return "data-css";
    if (attribute === "href") return "data-link";
    if (/^(src|srcset|background|poster)$/.test(attribute)) return `data-${attribute}`;
    return KEPT.test(attribute) && !attribute.startsWith("data-") ? attribute : undefined;
}
