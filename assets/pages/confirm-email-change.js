// Gives an account another address.

import { ask, giveUp, isSpent, readLink } from "./links.js";
import { advise, byId, explain, finish, forgetToken, mark, onSubmit, say, show } from "./parts.js";

export function open(token) {
    show("confirm-email-change");
    const claims = readLink(token);
    if (!claims) return;
    byId("newEmail").textContent = claims.newEmail ?? "";
    byId("oldEmail").textContent = claims.email;
    byId("username").value = claims.email;
    byId("password").focus();
    onSubmit(() => submit(claims, token));
}

async function submit(claims, token) {
    const password = byId("password").value;
    if (mark(["password"], password ? {} : { password: "Enter your password." })) return;
    const answer = await ask(claims, "confirm-email-change", { token, password });
    if (answer.ok) {
        forgetToken();
        return finish(`Your address is ${claims.newEmail} now. You can close this page and sign in to the app with it.`, "done");
    }
    if (isSpent(answer)) {
        const taken = answer.fields.token?.code === "validation_invalid_token_email";
        giveUp(claims);
        if (taken) say("Another account uses this address by now.", "failed");
        return advise(taken
            ? "Ask the app for another address, or sign in to the account that has this one."
            : "Sign in to the app and ask there for the new address once more: that sends a new link.");
    }
    if (mark(["password"], { password: answer.fields.password?.message })) return;
    say(explain(answer), "failed");
}
