// What the three pages behind mailed links share: a token that names its collection, and may be of no use any more.

import { advise, claimsOf, explain, finish, forgetToken, offer, post, say } from "./parts.js";

/** The claims of a link's token, or null after saying that the link is broken. */
export function readLink(token) {
    const claims = claimsOf(token);
    if (typeof claims.collectionId === "string" && typeof claims.email === "string") return claims;
    finish("This link is not complete.", "failed");
    advise("Open it from the mail again. If that does not help, copy the whole link out of the mail, all its lines, "
        + "into the address bar.");
    return null;
}

/** POSTs to an endpoint of the token's collection. */
export function ask(claims, endpoint, values) {
    return post(`collections/${encodeURIComponent(claims.collectionId)}/${endpoint}`, values);
}

/** True when the token itself was refused: then nothing on this page can be tried again. */
export function isSpent({ fields, status }) {
    return Boolean(fields.token) || status === 404;
}

/** Says that the link is of no use, and how to come by a new one: `endpoint` mails one to the same address. */
export function giveUp(claims, endpoint) {
    forgetToken();
    finish("This link is no longer valid: it was used already, it has expired, or there is a newer one.", "failed");
    if (!endpoint) return;
    offer(`Mail a new link to ${claims.email}`, async () => {
        const answer = await ask(claims, endpoint, { email: claims.email });
        if (answer.ok) say(`If the account still needs it, a new mail is on its way to ${claims.email}. Look into the `
            + "spam folder as well; asking again sends nothing for two minutes.", "done");
        else say(explain(answer), "failed");
        return answer.ok;
    });
}
