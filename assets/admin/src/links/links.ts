// What the pages behind mailed links share: a token that names its collection, and may be of no use any more.

import { t } from "../lib/i18n.svelte";

/** Where the server is: these pages live at <base>_/, the API at <base>api/. */
const base = new URL("../", location.href.replace(/[?#].*$/, "")).href;

export interface Claims { collectionId: string; email: string; newEmail?: string }

/** How a request went. Status 0: the server could not be reached. */
export interface Answer { ok: boolean; status: number; wait: number; fields: Record<string, { code?: string; message?: string }>; message: string }

/** What a token says, unproven; undefined when it is not one of a link. */
export function claimsOf(token: string): Claims | undefined {
    const claims = payload(token);
    return typeof claims.collectionId === "string" && typeof claims.email === "string" ? claims as unknown as Claims : undefined;
}

/** The claims of any token; none when it cannot be read. */
export function payload(token: string): Record<string, unknown> {
    try {
        const bytes = Uint8Array.from(atob((token.split(".")[1] ?? "").replace(/-/g, "+").replace(/_/g, "/")), (character) => character.charCodeAt(0));
        return JSON.parse(new TextDecoder().decode(bytes)) ?? {};
    } catch {
        return {};
    }
}

/** A spent token should not stay in the address or the history. */
export function forgetToken() {
    history.replaceState(null, "", location.pathname);
}

/** POSTs to an endpoint of the token's collection. */
export async function ask(claims: Claims, endpoint: string, values: Record<string, string>): Promise<Answer> {
    try {
        const response = await fetch(`${base}api/collections/${encodeURIComponent(claims.collectionId)}/${endpoint}`, {
            method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(values),
        });
        const body = await response.json().catch(() => ({}));
        return { ok: response.ok, status: response.status, wait: Number(response.headers.get("Retry-After")) || 0, fields: body?.data ?? {}, message: body?.message ?? "" };
    } catch {
        return { ok: false, status: 0, wait: 0, fields: {}, message: "" };
    }
}

/** True when the token itself was refused: then nothing on the page can be tried again. */
export const isSpent = ({ fields, status }: Answer) => Boolean(fields.token) || status === 404;

/** What to say of an answer that blames no field. */
export function explain({ status, wait, message }: Answer): string {
    if (status === 0) return t("links.unreachable");
    if (status === 429) return wait > 1 ? t("links.tooOftenSeconds", { seconds: wait }) : t("links.tooOften");
    if (status >= 500) return t("links.down");
    return message || t("links.failed");
}
