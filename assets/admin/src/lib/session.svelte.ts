// Who is signed in, and what happens when a session ends in the middle of something: the sign-in comes over the page,
// nothing below it is lost, and the request that failed is sent again afterwards.

import type { RecordModel } from "pocketbase";
import { base, pb } from "./api";
import { doubt } from "./connection.svelte";

const superuser = () => (pb.authStore.isValid && pb.authStore.isSuperuser ? pb.authStore.record : null);
let record = $state.raw<RecordModel | null>(superuser());
let interrupted = $state(false);
let waiting: (() => void)[] = [];

export const session = {
    get record() { return record; },
    /** Signed out by the server while something was on the screen. */
    get interrupted() { return interrupted; },
};

pb.authStore.onChange(() => {
    record = superuser();
    if (record && interrupted) {
        interrupted = false;
        for (const go of waiting.splice(0)) go();
    }
});

export function signOut() {
    interrupted = false;
    waiting = [];
    pb.authStore.clear();
    location.hash = "#/";
}

const isSignIn = (url: string) => /\/(auth-with-|request-otp|auth-refresh|request-password-reset)/.test(url);

/** True for an answer that says that the token is no good any more. */
async function isEnded(answer: Response) {
    if (answer.status !== 401 && answer.status !== 403) return false;
    const asked = await fetch(`${base}/api/collections/_superusers/auth-refresh`, { method: "POST", headers: { Authorization: pb.authStore.token } });
    return asked.status === 401 || asked.status === 403;
}

/** All requests of the UI: what fails because the session has ended waits for the next sign-in, and is sent again. */
pb.beforeSend = (url, options) => {
    if (isSignIn(url)) return { url, options };
    const through: NonNullable<typeof options.fetch> = options.fetch ?? fetch;
    const send = async (to: RequestInfo | URL, init?: RequestInit): Promise<Response> => {
        const answer = await through(to, init).catch((failure) => {
            if (!init?.signal?.aborted) void doubt();
            throw failure;
        });
        if (!pb.authStore.token && !record) return answer;
        if (!await isEnded(answer.clone())) return answer;
        interrupted = true;
        await new Promise<void>((go) => { waiting.push(go); });
        const headers = new Headers(init?.headers);
        headers.set("Authorization", pb.authStore.token);
        return send(to, { ...init, headers });
    };
    return { url, options: { ...options, fetch: send } };
};

/** A fresh token every half hour, and at once when the stored one is no good. */
export async function refresh() {
    if (!pb.authStore.isValid) return;
    await pb.collection("_superusers").authRefresh().catch((failure) => {
        if (failure?.status === 401 || failure?.status === 403) pb.authStore.clear();
    });
}
setInterval(() => { if (!interrupted) void refresh(); }, 30 * 60_000);
