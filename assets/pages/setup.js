// The first superuser of a new server: reads the one-time token from the link, creates the account with it.

import { base, byId, claimsOf, explain, finish, forgetToken, mark, onSubmit, post, say, show } from "./parts.js";

const FIELDS = ["email", "password", "passwordConfirm"];

export function open(token) {
    show("setup");
    if (!token) {
        byId("page").querySelector("h1").textContent = document.title = "This server is running";
        byId("intro").textContent = "There is nothing to do here. "
            + "Its owner sets it up with the link that it printed when it was started for the first time.";
    } else if (!(claimsOf(token).exp * 1000 > Date.now())) {
        finish("This link has expired. Restart the server for a new one, or run: conch superuser create EMAIL PASSWORD", "failed");
    } else {
        byId("form").hidden = false;
        byId("email").focus();
        onSubmit(() => submit(token));
    }
}

async function submit(token) {
    const values = Object.fromEntries(FIELDS.map((name) => [name, byId(name).value]));
    if (mark(FIELDS, check(values))) return;
    const answer = await post("collections/_superusers/records", values, { Authorization: token });
    if (answer.ok) return welcome(values.email);
    const problems = Object.entries(answer.fields).map(([name, problem]) => [name, problem.message]);
    if (mark(FIELDS, Object.fromEntries(problems))) return;
    say([401, 403].includes(answer.status)
        ? "This link is no longer valid: it was used already, or it has expired."
        : explain(answer), "failed");
}

function check(values) {
    const problems = {};
    if (!byId("email").validity.valid) problems.email = "Enter an e-mail address.";
    if (values.password.length < 8) problems.password = "Use at least 8 characters.";
    if (values.password !== values.passwordConfirm) problems.passwordConfirm = "The passwords differ.";
    return problems;
}

function welcome(email) {
    forgetToken();
    finish(`The superuser ${email} was created. This link no longer works.`, "done");
    byId("next").replaceChildren(byId("after-setup").content.cloneNode(true));
    byId("api").textContent = `${base}api/`;
    byId("example").textContent = [
        `import PocketBase from "pocketbase";`,
        ``,
        `const pb = new PocketBase(${JSON.stringify(base.replace(/\/$/, ""))});`,
        `await pb.collection("_superusers")`,
        `    .authWithPassword(${JSON.stringify(email)}, password);`,
    ].join("\n");
}
