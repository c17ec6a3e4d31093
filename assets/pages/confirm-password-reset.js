// Sets a new password.

import { ask, giveUp, isSpent, readLink } from "./links.js";
import { byId, explain, finish, forgetToken, mark, onSubmit, say, show } from "./parts.js";

const FIELDS = ["password", "passwordConfirm"];

export function open(token) {
    show("confirm-password-reset");
    const claims = readLink(token);
    if (!claims) return;
    byId("email").value = claims.email;
    byId("password").focus();
    onSubmit(() => submit(claims, token));
}

async function submit(claims, token) {
    const values = Object.fromEntries(FIELDS.map((name) => [name, byId(name).value]));
    if (mark(FIELDS, check(values))) return;
    const answer = await ask(claims, "confirm-password-reset", { token, ...values });
    if (answer.ok) {
        forgetToken();
        return finish("Your new password is set. You can close this page and sign in to the app with it.", "done");
    }
    if (isSpent(answer)) return giveUp(claims, "request-password-reset");
    const problems = Object.entries(answer.fields).map(([name, problem]) => [name, problem.message]);
    if (!mark(FIELDS, Object.fromEntries(problems))) say(explain(answer), "failed");
}

/** Only what is certain; how a password has to look is the server's to say. */
function check({ password, passwordConfirm }) {
    if (!password) return { password: "Enter a new password." };
    return password === passwordConfirm ? {} : { passwordConfirm: "The passwords differ." };
}
