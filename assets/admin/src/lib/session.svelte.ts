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

/** Milliseconds for which a session that was found to hold counts as one that holds. */
const A_MOMENT = 2_000;
let lately = { token: "", until: 0, ended: Promise.resolve(false) };

/** Asks whether a token is no good any more; false where nobody can say. */
async function ask(token: string) {
    const answer = await fetch(`${base}/api/collections/_superusers/auth-refresh`, { method: "POST", headers: { Authorization: token }, signal: AbortSignal.timeout(10_000) }).catch(() => undefined);
    return answer?.status === 401 || answer?.status === 403;
}

/**
 * Whether an answer may come from a session that has ended. The server takes such a token for a guest's: it says 401 or
 * 403, and by the rules of a collection that a record is not found (404) or cannot be made (400).
 */
const doubtful = (url: string, status: number) => status === 401 || status === 403 || (status === 404 || status === 400) && /\/api\/(batch|collections\/[^/]+\/records)\b/.test(url);

/** True when the token is no good any more. Many that are refused at once ask once. */
async function isEnded(status: number) {
    if (interrupted) return true;
    const { token } = pb.authStore, waits = lately.until === Infinity;
    // A session that holds hears no 401: that is asked about at once. Everything else is said to superusers as well, in crowds.
    if (lately.token === token && (waits || status !== 401 && performance.now() < lately.until)) return lately.ended;
    const asked = { token, until: Infinity, ended: ask(token) };
    lately = asked;
    const ended = await asked.ended;
    asked.until = ended ? 0 : performance.now() + A_MOMENT;
    return ended;
}

/** Asks to sign in, over the page, and waits until somebody has. */
async function signedIn() {
    interrupted = true;
    await new Promise<void>((go) => { waiting.push(go); });
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
        if (!doubtful(url, answer.status)) return answer;
        const headers = new Headers(init?.headers);
        const used = headers.get("Authorization");
        // Somebody has signed in while it was on its way: what was said to the old token says nothing.
        const renewed = () => !interrupted && Boolean(pb.authStore.token) && used !== pb.authStore.token;
        if (!renewed() && !await isEnded(answer.status)) return answer;
        if (!renewed()) await signedIn();
        headers.set("Authorization", pb.authStore.token);
        return send(to, { ...init, headers });
    };
    return { url, options: { ...options, fetch: send } };
};

/** A stream that was cut may mean that the server is gone. One that ended with its last listener means nothing. */
pb.realtime.onDisconnect = (listeners) => { if (listeners.length) void doubt(); };

/** A fresh token every half hour; where there is none, the session has ended under whatever is being written. */
async function refresh() {
    if (!pb.authStore.isValid) return;
    await pb.collection("_superusers").authRefresh().catch((failure) => {
        if (failure?.status === 401 || failure?.status === 403) interrupted = true;
    });
}
setInterval(() => { if (!interrupted) void refresh(); }, 30 * 60_000);
