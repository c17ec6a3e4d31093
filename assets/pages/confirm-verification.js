// Proves that an address belongs to its account. Not before a click: programs that look into links in mails for dangers
// must not confirm anything on somebody's behalf.

import { ask, giveUp, isSpent, readLink } from "./links.js";
import { byId, explain, finish, forgetToken, onSubmit, say, show } from "./parts.js";

export function open(token) {
    show("confirm-verification");
    const claims = readLink(token);
    if (!claims) return;
    byId("email").textContent = claims.email;
    byId("submit").focus();
    onSubmit(async () => {
        const answer = await ask(claims, "confirm-verification", { token });
        if (answer.ok) {
            forgetToken();
            return finish(`${claims.email} is confirmed. You can close this page and go back to the app.`, "done");
        }
        if (isSpent(answer)) return giveUp(claims, "request-verification");
        say(explain(answer), "failed");
    });
}
