// The settings as the pages show them: which belong together, and how each is entered. Labels stand in the catalogue
// under "settings.<key>", hints under "settings.<key>.hint".

export type FieldKind = "text" | "email" | "url" | "number" | "switch" | "secret" | "colour" | "lines" | "choice" | "bytes" | "cron";

export interface SettingField {
    key: string;
    kind: FieldKind;
    /** Of a choice: what is stored. Its label is "settings.<key>.<value>", "settings.<key>.none" for the blank one. */
    values?: string[];
    /** Shown only while this switch is on. */
    when?: string;
    min?: number;
    placeholder?: string;
}

export interface Section { id: string; fields: SettingField[] }

const bucket = (path: string): SettingField[] => [
    { key: `${path}.enabled`, kind: "switch" },
    { key: `${path}.endpoint`, kind: "url", when: `${path}.enabled`, placeholder: "https://s3.example.com" },
    { key: `${path}.bucket`, kind: "text", when: `${path}.enabled` },
    { key: `${path}.region`, kind: "text", when: `${path}.enabled`, placeholder: "eu-central-1" },
    { key: `${path}.accessKey`, kind: "text", when: `${path}.enabled` },
    { key: `${path}.secret`, kind: "secret", when: `${path}.enabled` },
    { key: `${path}.forcePathStyle`, kind: "switch", when: `${path}.enabled` },
];

export const SECTIONS = {
    general: [
        { id: "app", fields: [
            { key: "meta.appName", kind: "text" }, { key: "meta.appURL", kind: "url" }, { key: "meta.accentColor", kind: "colour" }, { key: "meta.hideControls", kind: "switch" },
        ] },
        { id: "batch", fields: [
            { key: "batch.enabled", kind: "switch" },
            { key: "batch.maxRequests", kind: "number", when: "batch.enabled", min: 0 }, { key: "batch.timeout", kind: "number", when: "batch.enabled", min: 0 },
            { key: "batch.maxBodySize", kind: "bytes", when: "batch.enabled", min: 0 },
        ] },
        { id: "log", fields: [
            { key: "logs.maxDays", kind: "number", min: 0 }, { key: "logs.minLevel", kind: "choice", values: ["-4", "0", "4", "8"] },
            { key: "logs.logIP", kind: "switch" }, { key: "logs.logAuthId", kind: "switch" }, { key: "logs.maxDataSize", kind: "bytes", min: 0 },
        ] },
    ],
    mail: [
        { id: "sender", fields: [{ key: "meta.senderName", kind: "text" }, { key: "meta.senderAddress", kind: "email" }] },
        { id: "smtp", fields: [
            { key: "smtp.enabled", kind: "switch" },
            { key: "smtp.host", kind: "text", when: "smtp.enabled" }, { key: "smtp.port", kind: "number", when: "smtp.enabled", min: 0 },
            { key: "smtp.username", kind: "text", when: "smtp.enabled" }, { key: "smtp.password", kind: "secret", when: "smtp.enabled" },
            { key: "smtp.tls", kind: "switch", when: "smtp.enabled" }, { key: "smtp.authMethod", kind: "choice", values: ["", "PLAIN", "LOGIN"], when: "smtp.enabled" },
            { key: "smtp.localName", kind: "text", when: "smtp.enabled" },
        ] },
    ],
    storage: [{ id: "s3", fields: bucket("s3") }],
    limits: [
        { id: "proxy", fields: [{ key: "trustedProxy.headers", kind: "lines", placeholder: "X-Forwarded-For" }, { key: "trustedProxy.useLeftmostIP", kind: "switch" }] },
        { id: "access", fields: [{ key: "superuserIPs", kind: "lines", placeholder: "203.0.113.0/24" }] },
    ],
    notify: [
        { id: "notify", fields: [
            { key: "notify.defaultZone", kind: "text", placeholder: "Europe/Berlin" }, { key: "notify.retentionDays", kind: "number", min: 0 }, { key: "notify.allowPrivate", kind: "switch" },
        ] },
        { id: "rates", fields: [
            { key: "notify.rates.email", kind: "number", min: 0 }, { key: "notify.rates.push", kind: "number", min: 0 }, { key: "notify.rates.webhook", kind: "number", min: 0 },
        ] },
        { id: "webPush", fields: [{ key: "notify.webPush.subject", kind: "text", placeholder: "mailto:you@example.com" }] },
        { id: "fcm", fields: [{ key: "notify.fcm.serviceAccount", kind: "secret" }, { key: "notify.fcm.baseURL", kind: "url" }, { key: "notify.fcm.tokenURL", kind: "url" }] },
    ],
    backups: [
        { id: "schedule", fields: [{ key: "backups.cron", kind: "cron", placeholder: "0 3 * * *" }, { key: "backups.cronMaxKeep", kind: "number", min: 1 }] },
        { id: "bucket", fields: bucket("backups.s3") },
    ],
} satisfies Record<string, Section[]>;

export type Tree = { [key: string]: unknown };

/** What stands at a dotted key. */
export function at(tree: Tree, key: string): unknown {
    return key.split(".").reduce<unknown>((value, part) => (value as Tree | undefined)?.[part], tree);
}

/** Puts a value at a dotted key. */
export function put(tree: Tree, key: string, value: unknown) {
    const parts = key.split("."), last = parts.pop()!;
    let here = tree;
    for (const part of parts) here = (here[part] ??= {}) as Tree;
    here[last] = value;
}

/** The leaves of these sections that differ, as the tree that a PATCH takes; undefined when none does. */
export function changed(before: Tree, after: Tree, keys: string[]): Tree | undefined {
    const tree: Tree = {};
    const differing = keys.filter((key) => JSON.stringify(at(before, key)) !== JSON.stringify(at(after, key)));
    for (const key of differing) put(tree, key, at(after, key));
    return differing.length ? tree : undefined;
}
