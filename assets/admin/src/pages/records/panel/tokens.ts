// Tokens for protected files, one for all of them, asked for anew before it ends.

import { pb } from "../../../lib/api";

const LIFE = 100_000;
let asked: { token: Promise<string>; at: number } | undefined;

/** A token that is good for at least another minute. */
export function fileToken(): Promise<string> {
    if (!asked || Date.now() - asked.at > LIFE) {
        const token = pb.files.getToken();
        token.catch(() => { asked = undefined; });
        asked = { token, at: Date.now() };
    }
    return asked.token;
}
