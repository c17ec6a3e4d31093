// The first superuser of a new server: reads the one-time token from the link, creates the account with it.
"use strict";

const FIELDS = ["email", "password", "passwordConfirm"];
const byId = (id) => document.getElementById(id);
// The page lives at <base>/_/, the API at <base>/api/.
const base = location.href.split("#")[0].replace(/_\/[^/]*$/, "").replace(/\/$/, "");

function tokenFromLink() {
    const match = location.hash.match(/^#\/pbinstall\/([\w.-]+)$/);
    return match ? match[1] : "";
}

function isExpired(token) {
    try {
        const claims = token.split(".")[1].replace(/-/g, "+").replace(/_/g, "/");
        return JSON.parse(atob(claims)).exp * 1000 < Date.now();
    } catch {
        return true;
    }
}

function say(text, failed = false) {
    byId("status").textContent = text;
    byId("status").classList.toggle("failed", failed);
}

function mark(name, text) {
    byId(`${name}-error`).textContent = text;
    byId(name).setAttribute("aria-invalid", text ? "true" : "false");
}

function check(values) {
    const problems = {};
    if (!byId("email").validity.valid) problems.email = "Enter an e-mail address.";
    if (values.password.length < 8) problems.password = "Use at least 8 characters.";
    if (values.password !== values.passwordConfirm) problems.passwordConfirm = "The passwords differ.";
    return problems;
}

function show(problems) {
    FIELDS.forEach((name) => mark(name, problems[name] ?? ""));
    const first = FIELDS.find((name) => problems[name]);
    if (first) byId(first).focus();
    return Boolean(first);
}

async function create(values, token) {
    const response = await fetch(`${base}/api/collections/_superusers/records`, {
        method: "POST",
        headers: {"Content-Type": "application/json", "Authorization": token},
        body: JSON.stringify(values),
    });
    return {ok: response.ok, status: response.status, body: await response.json().catch(() => ({}))};
}

function finish(email) {
    byId("form").hidden = true;
    byId("intro").hidden = true;
    say(`The superuser ${email} was created. This link no longer works.`);
    byId("api").textContent = `${base}/api/`;
    byId("example").textContent = [
        `import PocketBase from "pocketbase";`,
        ``,
        `const pb = new PocketBase(${JSON.stringify(base)});`,
        `await pb.collection("_superusers")`,
        `    .authWithPassword(${JSON.stringify(email)}, password);`,
    ].join("\n");
    byId("next").hidden = false;
    // The token is spent: it should not stay in the address or the history.
    history.replaceState(null, "", location.pathname);
}

async function submit(event) {
    event.preventDefault();
    const values = Object.fromEntries(FIELDS.map((name) => [name, byId(name).value]));
    say("");
    if (show(check(values))) return;
    byId("submit").disabled = true;
    try {
        const answer = await create(values, tokenFromLink());
        if (answer.ok) return finish(values.email);
        const fields = Object.entries(answer.body.data ?? {}).map(([name, problem]) => [name, problem.message]);
        if (show(Object.fromEntries(fields))) return;
        say(answer.status === 401 || answer.status === 403
            ? "This link is no longer valid: it was used already, or it has expired."
            : answer.body.message || "The superuser could not be created.", true);
    } catch {
        say("The server could not be reached.", true);
    } finally {
        byId("submit").disabled = false;
    }
}

const token = tokenFromLink();
if (!token) {
    byId("intro").textContent = "This server is running.";
    say("To set it up, open the link that it printed when it was started for the first time.");
} else if (isExpired(token)) {
    byId("intro").hidden = true;
    say("This link has expired. Restart the server for a new one, or run: conch superuser create EMAIL PASSWORD", true);
} else {
    byId("form").hidden = false;
    byId("form").addEventListener("submit", submit);
    byId("email").focus();
}
