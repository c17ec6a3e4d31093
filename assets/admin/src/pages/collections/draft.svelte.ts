// A collection while it is edited: what is stored beside what it is to become, what of it was changed, and what the
// server had against it.

import { changes } from "./changes";
import * as indexes from "./indexes";
import { free, fresh, RULES, type Definition, type FieldDef, type FieldType } from "./model";
import { renameInRule, ruleUses } from "./mentions";

export interface Row {
    readonly key: number;
    field: FieldDef;
    /** The field as it is stored; none for a new one. */
    readonly stored?: FieldDef;
    removed: boolean;
    /** The name that the indexes know it by. */
    named: string;
}

export const TOKENS = ["authToken", "passwordResetToken", "emailChangeToken", "verificationToken", "fileToken"] as const;
export const TEMPLATES = ["verificationTemplate", "resetPasswordTemplate", "confirmEmailChangeTemplate"] as const;
const AUTH = ["authAlert", "oauth2", "passwordAuth", "mfa", "otp", ...TOKENS, ...TEMPLATES];

let last = 0;
const copy = <T>(value: T): T => JSON.parse(JSON.stringify(value ?? null)) as T;

export interface Provider { name: string; clientId?: string; clientSecret?: string; authURL?: string; tokenURL?: string; userInfoURL?: string; displayName?: string; pkce?: boolean | null; extra?: Record<string, unknown> | null }
export interface Template { subject: string; body: string }
/** The options of a collection of accounts (§3). */
export interface AuthOptions {
    authAlert: { enabled: boolean; emailTemplate: Template };
    oauth2: { enabled: boolean; providers: Provider[]; mappedFields: Record<string, string> };
    passwordAuth: { enabled: boolean; identityFields: string[] };
    mfa: { enabled: boolean; duration: number; rule: string };
    otp: { enabled: boolean; duration: number; length: number; emailTemplate: Template };
    authToken: { duration: number; secret?: string };
    passwordResetToken: { duration: number; secret?: string };
    emailChangeToken: { duration: number; secret?: string };
    verificationToken: { duration: number; secret?: string };
    fileToken: { duration: number; secret?: string };
    verificationTemplate: Template;
    resetPasswordTemplate: Template;
    confirmEmailChangeTemplate: Template;
}

export class Draft {
    readonly stored: Definition;
    name = $state("");
    rows = $state<Row[]>([]);
    indexes = $state<{ key: number; text: string }[]>([]);
    viewQuery = $state("");
    auth = $state<AuthOptions>() as AuthOptions;
    /** What the server said, by its keys; those of fields by row, so that they stay with theirs when the order changes. */
    errors = $state<Record<string, string>>({});
    rowErrors = $state<Record<number, Record<string, string>>>({});

    constructor(stored: Definition) {
        this.stored = stored;
        this.name = stored.name;
        this.rows = stored.fields.map((field) => ({ key: ++last, field: copy(field), stored: field, removed: false, named: field.name }));
        this.indexes = stored.indexes.map((text) => ({ key: ++last, text }));
        this.viewQuery = stored.viewQuery ?? "";
        if (stored.type === "auth") this.auth = copy(Object.fromEntries(AUTH.map((key) => [key, stored[key]]))) as unknown as AuthOptions;
    }

    /** The definition as it would be saved. */
    readonly edited = $derived.by((): Definition => ({
        ...this.stored,
        name: this.name,
        fields: this.rows.filter(({ removed }) => !removed).map(({ field }) => field),
        indexes: this.indexes.map(({ text }) => text).filter((text) => !this.#goes(text)),
        ...(this.stored.type === "view" ? { viewQuery: this.viewQuery } : {}),
        ...(this.stored.type === "auth" ? this.auth : {}),
    }));

    /** Only what differs: nothing of what somebody else may have changed meanwhile is sent along. */
    readonly body = $derived.by((): Record<string, unknown> => {
        const body: Record<string, unknown> = {};
        for (const key of ["name", "fields", "indexes", "viewQuery", ...AUTH]) {
            if (this.stored.type === "view" && (key === "fields" || key === "indexes")) continue;
            if (!(key in this.edited) || JSON.stringify(this.edited[key]) === JSON.stringify(this.stored[key])) continue;
            body[key] = this.edited[key];
        }
        // The texts of indexes name columns: the server takes both together or none.
        if (body.fields && this.edited.indexes.length) body.indexes = this.edited.indexes;
        return body;
    });

    readonly dirty = $derived(Object.keys(this.body).length > 0);

    changes(all: Definition[]) {
        return changes(this.stored, this.edited, all);
    }

    /** An index over a field that is to be removed goes with it. */
    #goes(text: string) {
        return this.rows.some(({ removed, named, stored }) => removed && stored && indexes.mentions(text, named)
            && !this.rows.some((row) => !row.removed && row.field.name === named));
    }
    /** The removed field that takes this index along. */
    goesWith(text: string): string | undefined {
        return this.#goes(text) ? this.rows.find(({ removed, named }) => removed && indexes.mentions(text, named))?.named : undefined;
    }

    add(type: FieldType, after?: Row): Row {
        const starts: Partial<Record<FieldType, string>> = { autodate: "created", geoPoint: "place", bool: "flag", editor: "content", password: "secret" };
        const row = this.#insert(fresh(type, free(starts[type] ?? type, this.#names())), after);
        return row;
    }

    duplicate(row: Row): Row {
        const { id: _, ...field } = copy($state.snapshot(row.field)) as FieldDef;
        return this.#insert({ ...field, name: free(`${row.field.name}_copy`, this.#names()), system: false, primaryKey: row.field.primaryKey === undefined ? undefined : false }, row);
    }

    #names = () => this.rows.map(({ field }) => field.name);

    #insert(field: FieldDef, after?: Row): Row {
        const key = ++last;
        // New fields come before the times at the end, where people keep them.
        let at = after ? this.rows.findIndex((one) => one.key === after.key) + 1 : this.rows.length;
        while (!after && field.type !== "autodate" && at > 0 && this.rows[at - 1]?.field.type === "autodate") at -= 1;
        this.rows.splice(at, 0, { key, field, removed: false, named: field.name });
        return this.rows[at] as Row;
    }

    /** A stored field is marked, and can be taken back until it is saved; a new one is gone. */
    remove(row: Row) {
        if (row.stored) row.removed = true;
        else this.rows = this.rows.filter(({ key }) => key !== row.key);
    }

    restore(row: Row) {
        row.removed = false;
    }

    move(key: number, to: number) {
        const from = this.rows.findIndex((row) => row.key === key);
        const row = this.rows[from];
        if (!row || to < 0 || to >= this.rows.length || from === to) return;
        this.rows.splice(from, 1);
        this.rows.splice(to, 0, row);
    }

    /** Another type is another field: the server keeps nothing of the old one's values. */
    retype(row: Row, type: FieldType) {
        if (row.stored?.type === type) row.field = { ...copy(row.stored), name: row.field.name };
        else {
            const { required, hidden, presentable, help } = row.field;
            row.field = { ...fresh(type, row.field.name), hidden, presentable, ...(type === "autodate" ? {} : { required, help }) };
        }
    }

    /** The name of a field has been typed to its end: the indexes follow. */
    renamed(row: Row) {
        if (!row.field.name || row.field.name === row.named) return;
        for (const index of this.indexes) index.text = indexes.rename(index.text, row.named, row.field.name);
        row.named = row.field.name;
    }

    addIndex(text: string) {
        this.indexes.push({ key: ++last, text });
    }

    /** Stored fields that are called otherwise now. */
    readonly renames = $derived(this.rows.filter(({ stored, removed, field }) => stored && !removed && stored.name !== field.name)
        .map(({ stored, field }) => ({ from: stored?.name ?? "", to: field.name })));

    /** The rules of this collection with the new names in them; only those that change. */
    followedRules(): Record<string, string> {
        const rules: Record<string, string> = {};
        for (const key of RULES) {
            const rule = this.stored[key];
            if (typeof rule !== "string") continue;
            // By way of names that nobody has, so that two fields can swap theirs.
            const marked = this.renames.reduce((text, { from }, at) => (ruleUses(text, from, this.stored.name) ? renameInRule(text, from, `\u0001${at}\u0001`, this.stored.name) : text), rule);
            const next = marked.replace(/\u0001(\d+)\u0001/g, (_, at: string) => this.renames[Number(at)]?.to ?? "");
            if (next !== rule) rules[key] = next;
        }
        return rules;
    }

    /** Puts what the server said where it belongs. */
    take(fields: Record<string, string>) {
        const sent = this.rows.filter(({ removed }) => !removed);
        this.errors = {};
        this.rowErrors = {};
        for (const [path, message] of Object.entries(fields)) {
            const found = /^fields\.(\d+)(?:\.(.*))?$/.exec(path);
            const row = found && sent[Number(found[1])];
            if (row) this.rowErrors[row.key] = { ...this.rowErrors[row.key], [found[2] ?? ""]: message };
            else {
                // Indexes are counted without those that go with their field.
                const index = /^indexes\.(\d+)/.exec(path);
                const kept = index && this.indexes.filter(({ text }) => !this.#goes(text))[Number(index[1])];
                this.errors[kept ? `index.${kept.key}` : path] = message;
            }
        }
    }
}
