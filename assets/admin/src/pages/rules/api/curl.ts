// The actions of a collection as lines for a shell.

import type { ActionId, Setting } from "./actions";

/** A text as a POSIX shell takes it: nothing in it is expanded. */
export const quoted = (text: string) => `'${text.replaceAll("'", "'\\''")}'`;

interface Line { method?: string; path: string; body?: unknown; query?: Record<string, string>; forms?: string[]; signedIn?: boolean }

function line({ base }: Setting, { method = "GET", path, body, query, forms = [], signedIn = false }: Line): string {
    const lines = [`curl${method === "GET" ? (query ? " --get" : "") : ` -X ${method}`} ${quoted(`${base}${path}`)}`];
    if (signedIn) lines.push("-H \"Authorization: $TOKEN\"");
    if (forms.length) for (const form of forms) lines.push(`${/^\w+=@\/path/.test(form) ? "--form" : "--form-string"} ${quoted(form)}`);
    for (const [name, value] of Object.entries(query ?? {})) lines.push(`--data-urlencode ${quoted(`${name}=${value}`)}`);
    if (body !== undefined && !forms.length) lines.push("-H 'Content-Type: application/json'", `-d ${quoted(JSON.stringify(body, null, 2))}`);
    return lines.join(" \\\n  ");
}

const records = ({ collection }: Setting) => `/api/collections/${encodeURIComponent(collection.name)}/records`;
const here = ({ collection }: Setting, name: string) => `/api/collections/${encodeURIComponent(collection.name)}/${name}`;
const post = (setting: Setting, name: string, body: unknown, signedIn = false) => line(setting, { method: "POST", path: here(setting, name), body, signedIn });

export function curl(id: ActionId, setting: Setting): string {
    return actions[id](setting);
}

const actions: Record<ActionId, (setting: Setting) => string> = {
    list: (setting) => line(setting, { path: records(setting), signedIn: true, query: { filter: setting.filter, sort: setting.sort, ...(setting.expand ? { expand: setting.expand } : {}), perPage: "30" } }),
    view: (setting) => line(setting, { path: `${records(setting)}/RECORD_ID`, signedIn: true, query: setting.expand ? { expand: setting.expand } : undefined }),
    create: (setting) => line(setting, {
        method: "POST", path: records(setting), signedIn: true, body: setting.create,
        // With a file it is a form; all other fields come as one part, so that they keep their types.
        forms: setting.files.length ? [`@jsonPayload=${JSON.stringify(setting.create)}`, ...setting.files.map(({ name }) => `${name}=@/path/to/file`)] : [],
    }),
    update: (setting) => line(setting, { method: "PATCH", path: `${records(setting)}/RECORD_ID`, signedIn: true, body: setting.update }),
    delete: (setting) => line(setting, { method: "DELETE", path: `${records(setting)}/RECORD_ID`, signedIn: true }),
    realtime: (setting) => `# The stream; its first event holds the clientId.
curl -N ${quoted(`${setting.base}/api/realtime`)}

# What it is to tell of, in another shell.
${line(setting, { method: "POST", path: "/api/realtime", signedIn: true, body: { clientId: "CLIENT_ID", subscriptions: [`${setting.collection.name}/*`] } })}`,
    batch: (setting) => line(setting, {
        method: "POST", path: "/api/batch", signedIn: true, body: { requests: [
            { method: "POST", url: records(setting), body: setting.create },
            { method: "PATCH", url: `${records(setting)}/RECORD_ID`, body: setting.update },
            { method: "DELETE", url: `${records(setting)}/OTHER_ID` },
        ] },
    }),
    files: (setting) => `${line(setting, { path: `/api/files/${encodeURIComponent(setting.collection.name)}/RECORD_ID/FILENAME` })} -O

# Of a protected file: a token that lives for a few minutes.
${line(setting, { method: "POST", path: "/api/files/token", signedIn: true })}
curl -O ${quoted(`${setting.base}/api/files/${encodeURIComponent(setting.collection.name)}/RECORD_ID/FILENAME?token=FILE_TOKEN`)}`,
    methods: (setting) => line(setting, { path: here(setting, "auth-methods") }),
    password: (setting) => post(setting, "auth-with-password", { identity: setting.identity.value, password: "a-long-password" }),
    oauth2: (setting) => `# After the provider has sent the browser back with a code.
${post(setting, "auth-with-oauth2", { provider: setting.provider, code: "CODE", codeVerifier: "VERIFIER", redirectURL: `${setting.base}/api/oauth2-redirect` })}`,
    otp: (setting) => `${post(setting, "request-otp", { email: "ada@example.com" })}

# With the code from the mail.
${post(setting, "auth-with-otp", { otpId: "OTP_ID", password: "123456" })}`,
    refresh: (setting) => line(setting, { method: "POST", path: here(setting, "auth-refresh"), signedIn: true }),
    verification: (setting) => `${post(setting, "request-verification", { email: "ada@example.com" })}

# With the token from the mail.
${post(setting, "confirm-verification", { token: "TOKEN" })}`,
    passwordReset: (setting) => `${post(setting, "request-password-reset", { email: "ada@example.com" })}

# With the token from the mail.
${post(setting, "confirm-password-reset", { token: "TOKEN", password: "a-new-password", passwordConfirm: "a-new-password" })}`,
    emailChange: (setting) => `# By whoever is signed in.
${post(setting, "request-email-change", { newEmail: "new@example.com" }, true)}

# With the token from the mail.
${post(setting, "confirm-email-change", { token: "TOKEN", password: "a-long-password" })}`,
};
