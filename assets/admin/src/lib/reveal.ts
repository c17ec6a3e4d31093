// After something was asked for, what has come is looked at: it may stand far above or below the button.

import { tick } from "svelte";

/** Brings something into sight and puts the keyboard there, so that it is read out as well. */
export function reveal(what: HTMLElement | null | undefined, block: ScrollLogicalPosition = "center") {
    if (!what) return;
    // What takes no keyboard by itself takes it from here only.
    if (what.tabIndex < 0) what.tabIndex = -1;
    what.focus({ preventScroll: true });
    what.scrollIntoView({ block, behavior: matchMedia("(prefers-reduced-motion: reduce)").matches ? "auto" : "smooth" });
}

/** The first input of a form that is wrong; where none is, what is said of the form as a whole. */
export async function revealWrong(form: HTMLElement | undefined) {
    // What is wrong may open a part that was folded, which takes another round.
    await tick();
    await tick();
    const seen = [...form?.querySelectorAll<HTMLElement>('[aria-invalid="true"], [role="alert"]') ?? []].filter((one) => one.checkVisibility());
    reveal(seen.find((one) => !one.matches(".notice")) ?? seen[0]);
}
