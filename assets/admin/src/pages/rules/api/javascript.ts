// The actions of a collection in JavaScript, with the official SDK.

import type { ActionId, Setting } from "./actions";

/** A value as JavaScript writes it: keys bare where they may be. */
export function literal(value: unknown, indent = ""): string {
    if (Array.isArray(value)) return `[${value.map((one) => literal(one, indent)).join(", ")}]`;
    if (typeof value !== "object" || value === null) return JSON.stringify(value) ?? "undefined";
    const inner = `${indent}    `;
    const lines = Object.entries(value).map(([key, one]) => `${inner}${/^[A-Za-z_$][\w$]*$/.test(key) ? key : JSON.stringify(key)}: ${literal(one, inner)},`);
    return lines.length ? `{\n${lines.join("\n")}\n${indent}}` : "{}";
}

export function javascript(id: ActionId, setting: Setting): string {
    return `${start(setting)}\n${actions[id](setting)}`;
}

const start = ({ base }: Setting) => `import PocketBase from "pocketbase";\n\nconst pb = new PocketBase(${JSON.stringify(base)});\n`;
const of = ({ collection }: Setting) => `pb.collection(${JSON.stringify(collection.name)})`;
const expand = (setting: Setting) => (setting.expand ? `\n    expand: ${JSON.stringify(setting.expand)},` : "");

/** The body of a new record, with its files. */
function sent(setting: Setting): string {
    const files = setting.files.map(({ name, several }) => [name, several ? "[...fileInput.files]" : "fileInput.files[0]"] as const);
    const text = literal(setting.create);
    if (!files.length) return text;
    const lines = files.map(([name, value]) => `    ${/^[A-Za-z_$][\w$]*$/.test(name) ? name : JSON.stringify(name)}: ${value},`).join("\n");
    return text === "{}" ? `{\n${lines}\n}` : text.replace(/\n}$/, `\n${lines}\n}`);
}

const actions: Record<ActionId, (setting: Setting) => string> = {
    list: (setting) => `// A page, 30 records each.
const page = await ${of(setting)}.getList(1, 30, {
    filter: pb.filter(${JSON.stringify(setting.filter.replace(/= .*$/, "= {:value}"))}, { value: ${setting.filter.replace(/^.*?= /, "")} }),
    sort: ${JSON.stringify(setting.sort)},${expand(setting)}
});

// All of them.
const records = await ${of(setting)}.getFullList({ sort: ${JSON.stringify(setting.sort)} });

// The first that fits.
const first = await ${of(setting)}.getFirstListItem(${JSON.stringify(setting.filter)});`,
    view: (setting) => `const record = await ${of(setting)}.getOne("RECORD_ID"${setting.expand ? `, { expand: ${JSON.stringify(setting.expand)} }` : ""});`,
    create: (setting) => `const record = await ${of(setting)}.create(${sent(setting)});`,
    update: (setting) => `const record = await ${of(setting)}.update("RECORD_ID", ${literal(setting.update)});`,
    delete: (setting) => `await ${of(setting)}.delete("RECORD_ID");`,
    realtime: (setting) => `// All records; "RECORD_ID" instead of "*" for one.
await ${of(setting)}.subscribe("*", ({ action, record }) => {
    console.log(action, record);
});

await ${of(setting)}.unsubscribe("*");`,
    batch: (setting) => `const batch = pb.createBatch();

batch.collection(${JSON.stringify(setting.collection.name)}).create(${literal(setting.create)});
batch.collection(${JSON.stringify(setting.collection.name)}).update("RECORD_ID", ${literal(setting.update)});
batch.collection(${JSON.stringify(setting.collection.name)}).delete("OTHER_ID");

// All of it, or none.
const results = await batch.send();`,
    files: (setting) => {
        const field = setting.files[0] ?? { name: "file", several: false };
        const name = `record[${JSON.stringify(field.name)}]${field.several ? "[0]" : ""}`;
        return `const record = await ${of(setting)}.getOne("RECORD_ID");
const url = pb.files.getURL(record, ${name}, { thumb: "100x250" });

// Of a protected file: a token that lives for a few minutes.
const token = await pb.files.getToken();
const secret = pb.files.getURL(record, ${name}, { token });`;
    },
    methods: (setting) => `const methods = await ${of(setting)}.listAuthMethods();`,
    password: (setting) => `const { token, record } = await ${of(setting)}.authWithPassword(${JSON.stringify(setting.identity.value)}, "a-long-password");

// Signed in from now on.
console.log(pb.authStore.isValid, pb.authStore.record.id);

pb.authStore.clear();`,
    oauth2: (setting) => `// Opens a window of the provider; call it in a click.
const { token, record } = await ${of(setting)}.authWithOAuth2({ provider: ${JSON.stringify(setting.provider)} });`,
    otp: (setting) => `const { otpId } = await ${of(setting)}.requestOTP("ada@example.com");

// With the code from the mail.
const { token, record } = await ${of(setting)}.authWithOTP(otpId, "123456");`,
    refresh: (setting) => `// A fresh token for whoever is signed in.
const { token, record } = await ${of(setting)}.authRefresh();`,
    verification: (setting) => `await ${of(setting)}.requestVerification("ada@example.com");

// With the token from the mail.
await ${of(setting)}.confirmVerification("TOKEN");`,
    passwordReset: (setting) => `await ${of(setting)}.requestPasswordReset("ada@example.com");

// With the token from the mail.
await ${of(setting)}.confirmPasswordReset("TOKEN", "a-new-password", "a-new-password");`,
    emailChange: (setting) => `// By whoever is signed in.
await ${of(setting)}.requestEmailChange("new@example.com");

// With the token from the mail.
await ${of(setting)}.confirmEmailChange("TOKEN", "a-long-password");`,
};
