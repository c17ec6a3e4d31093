// What saving an edited definition does to the data that is there (docs/wire/records-collections.md §6), as sentences
// for people. Pure: two definitions and the other collections in, a list out.

import type { Key } from "../../lib/i18n.svelte";
import { isMultiple, optionsOf, RULES, type Definition, type FieldDef } from "./model";
import { elsewhere, ofCollection, ownRules, type Mention } from "./mentions";
import { mentions } from "./indexes";

/** plain: nothing to think about; note: good to know; warn: something may stop working; danger: data is gone. */
export type Level = "plain" | "note" | "warn" | "danger";

export interface Change {
    level: Level;
    /** The name of the field it is about; blank for the collection itself. */
    about: string;
    text: Key;
    values: Record<string, string | number>;
    /** Rules, queries and indexes that come along. */
    mentions?: Mention[];
    /** Records that this concerns: those that match, told by {count} in the `counted` text. */
    counted?: { filter: string; text: Key };
}

const same = (one: unknown, other: unknown) => JSON.stringify(one ?? null) === JSON.stringify(other ?? null);

/** Which records have something in a field, as a filter; undefined where that cannot be asked. */
export function hasValue(field: FieldDef): string | undefined {
    if (isMultiple(field)) return `${field.name}:length > 0`;
    switch (field.type) {
        case "number": return `${field.name} != 0`;
        case "bool": return `${field.name} = true`;
        case "json": return `${field.name} != null`;
        case "geoPoint": return `${field.name}.lon != 0 || ${field.name}.lat != 0`;
        case "password": return undefined;
        default: return `${field.name} != ""`;
    }
}
const hasNone = (field: FieldDef) => (isMultiple(field) ? `${field.name}:length = 0` : { number: `${field.name} = 0`, bool: `${field.name} = false`, json: `${field.name} = null` }[field.type]
    ?? (["geoPoint", "password"].includes(field.type) ? undefined : `${field.name} = ""`));

/** All that saving `edited` over `stored` does. A field is the same one if its id is. */
export function changes(stored: Definition, edited: Definition, all: Definition[]): Change[] {
    const found: Change[] = [];
    const say = (level: Level, about: string, text: Key, values: Change["values"] = {}, more: Partial<Change> = {}) => found.push({ level, about, text, values, ...more });

    if (stored.name !== edited.name) {
        const used = ofCollection(all, stored.name);
        say(used.length ? "warn" : "note", "", "collections.change.collectionRenamed", { from: stored.name, to: edited.name }, { mentions: used });
    }
    if (stored.type === "view") {
        if (stored.viewQuery !== edited.viewQuery) say("note", "", "collections.change.query");
        return [...found, ...others(stored, edited)];
    }
    const kept = new Map(edited.fields.filter(({ id }) => id).map((field) => [field.id, field]));
    for (const field of stored.fields) {
        const next = kept.get(field.id);
        if (next) found.push(...fieldChanges(stored, field, next, all));
        else found.push(removed(stored, field, edited, all));
    }
    const before = new Set(stored.fields.map(({ id }) => id));
    for (const field of edited.fields) {
        if (field.id && before.has(field.id)) continue;
        const replaced = stored.fields.find(({ id, name, type }) => name === field.name && type !== field.type && !kept.has(id));
        if (!replaced) say("plain", field.name, field.required ? "collections.change.addedRequired" : "collections.change.added");
    }
    const order = (fields: FieldDef[], other: Set<string | undefined>) => fields.map(({ id }) => id).filter((id) => other.has(id)).join();
    if (order(stored.fields, new Set(kept.keys())) !== order(edited.fields, before)) say("plain", "", "collections.change.order");
    return [...found, ...indexChanges(stored, edited), ...others(stored, edited)];
}

function removed(stored: Definition, field: FieldDef, edited: Definition, all: Definition[]): Change {
    const next = edited.fields.find(({ id, name }) => !stored.fields.some((one) => one.id === id) && name === field.name);
    const filter = hasValue(field);
    const used = [...ownRules(edited, field.name).map((where) => ({ collection: stored.name, where })), ...elsewhere(all, stored, field.name)];
    const counted = { filter: filter ?? "", text: "collections.change.lose" as Key };
    if (next && next.type !== field.type) {
        return { level: "danger", about: field.name, text: "collections.change.retyped", values: { from: field.type, to: next.type }, counted };
    }
    return { level: "danger", about: field.name, text: field.type === "file" ? "collections.change.removedFiles" : "collections.change.removed", values: {}, mentions: used, counted };
}

/** What becomes of one field that stays. */
function fieldChanges(stored: Definition, field: FieldDef, next: FieldDef, all: Definition[]): Change[] {
    const found: Change[] = [];
    const say = (level: Level, text: Key, values: Change["values"] = {}, more: Partial<Change> = {}) => found.push({ level, about: next.name, text, values, ...more });
    if (field.name !== next.name) {
        const used = [...ownRules(stored, field.name).map((where) => ({ collection: stored.name, where })), ...elsewhere(all, stored, field.name)];
        say(used.length ? "warn" : "note", "collections.change.renamed", { from: field.name, to: next.name }, { mentions: used });
    }
    if (field.type !== next.type) say("danger", "collections.change.typeRefused", { from: field.type, to: next.type });
    if (!field.required && next.required) {
        const filter = hasNone(field);
        say("note", "collections.change.required", {}, filter ? { counted: { filter, text: "collections.change.blank" } } : {});
    }
    if (field.required && !next.required) say("plain", "collections.change.optional");
    if (!field.hidden && next.hidden) say("note", "collections.change.hidden");
    if (field.hidden && !next.hidden) say("warn", "collections.change.shown");
    if (!field.presentable !== !next.presentable || !same(field.help ?? "", next.help ?? "")) say("plain", "collections.change.appearance");
    const special = optionSentences(field, next, say);
    for (const { key } of optionsOf(field.type)) {
        if (!special.has(key) && !same(field[key], next[key])) say("plain", "collections.change.option", { option: key });
    }
    return found;
}

type Say = (level: Level, text: Key, values?: Change["values"], more?: Partial<Change>) => void;

/** The options whose change does more than to bind what is saved from now on; answers which it has spoken about. */
function optionSentences(field: FieldDef, next: FieldDef, say: Say): Set<string> {
    const told = new Set<string>();
    const before = Number(field.maxSelect ?? 0), after = Number(next.maxSelect ?? 0);
    if (isMultiple(field) !== isMultiple(next)) {
        told.add("maxSelect");
        if (isMultiple(next)) say("note", "collections.change.toMany");
        else say("danger", field.type === "file" ? "collections.change.toOneFiles" : "collections.change.toOne", {}, { counted: { filter: `${field.name}:length > 1`, text: "collections.change.loseSome" } });
    } else if (isMultiple(field) && after < before) {
        told.add("maxSelect");
        say("note", "collections.change.fewer", { from: before, to: after }, { counted: { filter: `${field.name}:length > ${after}`, text: "collections.change.over" } });
    }
    if (field.type === "select") {
        const gone = (field.values as string[] ?? []).filter((value) => !(next.values as string[] ?? []).includes(value));
        if (gone.length) {
            told.add("values");
            say("note", "collections.change.values", { values: gone.slice(0, 10).map((value) => value.slice(0, 60)).join(", ") });
        }
    }
    if (field.type === "relation" && field.cascadeDelete !== next.cascadeDelete) {
        told.add("cascadeDelete");
        say(next.cascadeDelete ? "warn" : "note", next.cascadeDelete ? "collections.change.cascade" : "collections.change.noCascade");
    }
    if (field.type === "relation" && field.collectionId !== next.collectionId) {
        told.add("collectionId");
        say("danger", "collections.change.target");
    }
    if (field.type === "file" && Boolean(field.protected) !== Boolean(next.protected)) {
        told.add("protected");
        say(next.protected ? "note" : "warn", next.protected ? "collections.change.protected" : "collections.change.unprotected");
    }
    for (const key of ["min", "max", "pattern", "maxSize", "onlyInt", "onlyDomains", "exceptDomains", "mimeTypes", "minSelect"]) {
        if (told.has(key) || !(key in field || key in next) || same(field[key], next[key])) continue;
        told.add(key);
        say("plain", "collections.change.limit", { option: key });
    }
    return told;
}

function indexChanges(stored: Definition, edited: Definition): Change[] {
    const found: Change[] = [];
    // An index that only followed its field is no news.
    const names = new Map(stored.fields.map((field) => [field.name, edited.fields.find(({ id }) => id === field.id)?.name]));
    const gone = stored.fields.filter(({ name }) => names.get(name) === undefined).map(({ name }) => name);
    const label = (text: string) => /index\s+(?:if\s+not\s+exists\s+)?[`"'[]?([\w.]+)/i.exec(text)?.[1] ?? text.slice(0, 60);
    const now = new Set(edited.indexes.map(label)), then = new Set(stored.indexes.map(label));
    for (const text of stored.indexes) {
        if (now.has(label(text))) continue;
        const because = gone.find((name) => mentions(text, name));
        found.push({ level: "note", about: "", text: because ? "collections.change.indexGone" : "collections.change.indexRemoved", values: { name: label(text), field: because ?? "" } });
    }
    for (const text of edited.indexes) {
        if (then.has(label(text))) {
            const old = stored.indexes.find((one) => label(one) === label(text));
            if (old !== text && /unique/i.test(text) && !/unique/i.test(old ?? "")) found.push({ level: "note", about: "", text: "collections.change.indexUnique", values: { name: label(text) } });
            continue;
        }
        found.push({ level: "plain", about: "", text: /^\s*create\s+unique/i.test(text) ? "collections.change.indexUnique" : "collections.change.indexAdded", values: { name: label(text) } });
    }
    return found;
}

/** Rules and the options of accounts. */
function others(stored: Definition, edited: Definition): Change[] {
    const found: Change[] = [];
    const say = (level: Level, text: Key, values: Change["values"] = {}) => found.push({ level, about: "", text, values });
    for (const key of RULES) {
        if (!(key in edited) || same(stored[key], edited[key])) continue;
        say(edited[key] === "" ? "warn" : "note", edited[key] === "" ? "collections.change.ruleOpened" : edited[key] === null ? "collections.change.ruleLocked" : "collections.change.rule", { rule: key });
    }
    if (edited.type !== "auth") return found;
    if (!same(stored.authRule ?? "", edited.authRule ?? "") && "authRule" in edited) say("warn", "collections.change.signedOut");
    for (const key of ["authToken", "passwordResetToken", "emailChangeToken", "verificationToken", "fileToken"]) {
        const next = edited[key] as { secret?: string } | undefined;
        if (next?.secret) say("warn", key === "authToken" ? "collections.change.signedOut" : "collections.change.secret", { token: key });
    }
    const on = (of: Definition, key: string) => Boolean((of[key] as { enabled?: boolean } | undefined)?.enabled);
    for (const key of ["passwordAuth", "oauth2", "otp"]) {
        if (on(stored, key) && !on(edited, key) && key in edited) say("warn", "collections.change.wayOff", { way: key });
    }
    if (!on(stored, "mfa") && on(edited, "mfa")) say("note", "collections.change.mfaOn");
    return found;
}

export const isDestructive = (list: Change[]) => list.some(({ level }) => level === "danger");
/** Whether there is something to say before it is saved. */
export const isTelling = (list: Change[]) => list.some(({ level }) => level !== "plain");
