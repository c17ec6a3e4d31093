// Long lists make what costs something only for the lines that are seen or about to be: this tells a line when it is.

const eyes = new WeakMap<Element, IntersectionObserver>();
const told = new WeakMap<Element, (near: boolean) => void>();

/** How far outside of what is seen is near, above and below. */
const MARGIN = "400px 0px";

/** Tells `tell` when the element comes near what is seen of the page, and when it goes; call what is returned to end it. */
export function watch(element: Element, tell: (near: boolean) => void): () => void {
    // Margins count for the root only, and it is <main> that scrolls; one observer serves all lines of a page.
    const main = element.closest("main") ?? document.documentElement;
    let eye = eyes.get(main);
    if (!eye) {
        eye = new IntersectionObserver((entries) => { for (const { target, isIntersecting } of entries) told.get(target)?.(isIntersecting); }, { root: main === document.documentElement ? null : main, rootMargin: MARGIN });
        eyes.set(main, eye);
    }
    told.set(element, tell);
    eye.observe(element);
    return () => { told.delete(element); eye.unobserve(element); };
}

/** Lists shorter than this are drawn whole at once. */
export const MANY = 40;
