// The same for each of some, one after the other.

import { problem } from "./api";
import { done, failed } from "./toasts.svelte";

/** Does `work` to each; then says how many went well, and how many did not with what was said to the first of them. */
export async function each(ids: string[], work: (id: string) => Promise<unknown>, well: (count: number) => string, ill: (count: number, error: string) => string) {
    const errors: string[] = [];
    for (const id of ids) await work(id).catch((failure) => errors.push(problem(failure).message));
    if (errors.length < ids.length) done(well(ids.length - errors.length));
    if (errors[0] !== undefined) failed(new Error(ill(errors.length, errors[0])));
}
