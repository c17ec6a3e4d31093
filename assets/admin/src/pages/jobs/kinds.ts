// What the server does by itself, in words: its crons, and the jobs that are their runs.

import { t, type Key } from "../../lib/i18n.svelte";

const WORDS: Record<string, Key> = {
    "files.tidy": "crons.is.files.tidy", __pbDBOptimize__: "crons.is.optimize", __pbRateLimitersCleanup__: "crons.is.rateLimits",
    __pbMFACleanup__: "crons.is.mfa", __pbOTPCleanup__: "crons.is.otp", __pbLogsCleanup__: "crons.is.logs",
    __pbAutoBackup__: "crons.is.backup", __conchNotificationsCleanup__: "crons.is.notifications",
    "files.remove": "jobs.is.filesRemove", "account-mail": "jobs.is.accountMail", "notify-preferences": "jobs.is.preferences", "notify.cancel": "jobs.is.cancel",
};

/** The sentence for a kind of job; empty for one that goes by its name only. */
export function kindInWords(kind: string): string {
    const key = Object.hasOwn(WORDS, kind) ? WORDS[kind] : undefined;
    return key ? t(key) : "";
}
