// What a program can do with a collection: the requests of docs/wire, filled with its real names. Pure.

import type { CollectionModel } from "pocketbase";
import { answer, body, example, writable } from "../examples";
import { stored, type RuleKey } from "../kinds";

export type ActionId = "list" | "view" | "create" | "update" | "delete" | "realtime" | "batch" | "files"
    | "methods" | "password" | "oauth2" | "otp" | "refresh" | "verification" | "passwordReset" | "emailChange";
export type ParamId = "page" | "perPage" | "sort" | "filter" | "expand" | "fields" | "skipTotal" | "thumb" | "token" | "download";

export interface Action {
    id: ActionId;
    /** The requests it is made of: "POST /api/…". */
    requests: { method: string; path: string }[];
    rule?: RuleKey;
    params: ParamId[];
    /** An answer and its status. */
    answer: { status: number; body: unknown };
}

/** Everything that the languages need to know. */
export interface Setting {
    base: string;
    collection: CollectionModel;
    create: Record<string, unknown>;
    update: Record<string, unknown>;
    files: { name: string; several: boolean }[];
    filter: string;
    sort: string;
    expand: string | undefined;
    /** By which fields one signs in with a password. */
    identity: { field: string; value: string };
    provider: string;
}

export function settingOf(collection: CollectionModel, collections: CollectionModel[], base: string): Setting {
    const create = body(collection, collections);
    const plain = Object.entries(create).find(([name, value]) => !/^(email|password|passwordConfirm)$/.test(name) && ["string", "number", "boolean"].includes(typeof value));
    const fields = collection.fields.filter(({ hidden, type }) => !hidden && type !== "password");
    const asked = fields.find(({ name, type }) => name !== "id" && ["select", "text", "bool", "number", "email"].includes(type)) ?? fields.find(({ name }) => name === "id");
    const dated = fields.find(({ type }) => type === "autodate") ?? fields.find(({ type }) => type === "date");
    const auth = collection.type === "auth" ? collection : undefined;
    const identity = auth?.passwordAuth?.identityFields?.[0] ?? "email";
    return {
        base, collection, create,
        update: plain ? { [plain[0]]: plain[1] } : {},
        files: writable(collection).filter(({ type }) => type === "file").slice(0, 2).map(({ name, maxSelect }) => ({ name, several: Number(maxSelect) > 1 })),
        filter: asked ? `${asked.name} = ${literal(example(asked, collections))}` : "id != ''",
        sort: dated ? `-${dated.name}` : "-@rowid",
        expand: fields.find(({ type }) => type === "relation")?.name,
        identity: { field: identity, value: identity === "email" ? "ada@example.com" : "ada" },
        provider: auth?.oauth2?.providers?.[0]?.name ?? "google",
    };
}

function literal(value: unknown): string {
    const one = Array.isArray(value) ? value[0] : value;
    return typeof one === "string" ? `"${one.replace(/["\\]/g, "\\$&")}"` : String(one);
}

/** The actions of a collection: what it is for, and of an auth collection the ways to sign in that are switched on. */
export function actionsOf(collection: CollectionModel, collections: CollectionModel[]): Action[] {
    const records = `/api/collections/${encodeURIComponent(collection.name)}/records`;
    const record = { status: 200, body: answer(collection, collections) };
    const hasFile = collection.fields.some(({ type }) => type === "file");
    const found: Action[] = [
        { id: "list", requests: [{ method: "GET", path: records }], rule: "listRule", params: ["page", "perPage", "sort", "filter", "expand", "fields", "skipTotal"],
            answer: { status: 200, body: { page: 1, perPage: 30, totalItems: 1, totalPages: 1, items: [record.body] } } },
        { id: "view", requests: [{ method: "GET", path: `${records}/RECORD_ID` }], rule: "viewRule", params: ["expand", "fields"], answer: record },
    ];
    if (collection.type !== "view") {
        found.push(
            { id: "create", requests: [{ method: "POST", path: records }], rule: "createRule", params: ["expand", "fields"], answer: record },
            { id: "update", requests: [{ method: "PATCH", path: `${records}/RECORD_ID` }], rule: "updateRule", params: ["expand", "fields"], answer: record },
            { id: "delete", requests: [{ method: "DELETE", path: `${records}/RECORD_ID` }], rule: "deleteRule", params: [], answer: { status: 204, body: null } },
        );
    }
    if (collection.type === "auth") found.push(...signIns(collection, collections));
    if (collection.type !== "view") {
        found.push({ id: "realtime", requests: [{ method: "GET", path: "/api/realtime" }, { method: "POST", path: "/api/realtime" }], params: [],
            answer: { status: 200, body: { action: "update", record: record.body } } });
        found.push({ id: "batch", requests: [{ method: "POST", path: "/api/batch" }], params: [], answer: { status: 200, body: [{ status: 200, body: record.body }] } });
    }
    if (hasFile) found.push({ id: "files", requests: [{ method: "GET", path: `/api/files/${encodeURIComponent(collection.name)}/RECORD_ID/FILENAME` }], rule: "viewRule", params: ["thumb", "token", "download"], answer: { status: 200, body: null } });
    return found;
}

function signIns(collection: CollectionModel, collections: CollectionModel[]): Action[] {
    if (collection.type !== "auth") return [];
    const here = `/api/collections/${encodeURIComponent(collection.name)}`;
    const signedIn = { status: 200, body: { token: "eyJhbGciOiJIUzI1NiJ9…", record: answer(collection, collections) } };
    const nothing = { status: 204, body: null };
    const post = (...paths: string[]) => paths.map((path) => ({ method: "POST", path: `${here}/${path}` }));
    const { passwordAuth, oauth2, otp, mfa } = collection;
    const found: Action[] = [{
        id: "methods", requests: [{ method: "GET", path: `${here}/auth-methods` }], params: ["fields"],
        answer: { status: 200, body: {
            password: { enabled: Boolean(passwordAuth?.enabled), identityFields: passwordAuth?.identityFields ?? [] },
            oauth2: { enabled: Boolean(oauth2?.enabled), providers: (oauth2?.providers ?? []).map(({ name }) => ({ name })) },
            mfa: { enabled: Boolean(mfa?.enabled), duration: mfa?.duration ?? 0 }, otp: { enabled: Boolean(otp?.enabled), duration: otp?.duration ?? 0 },
        } },
    }];
    const ways: [boolean, ActionId, string[]][] = [
        [Boolean(passwordAuth?.enabled), "password", ["auth-with-password"]],
        [Boolean(oauth2?.enabled), "oauth2", ["auth-with-oauth2"]],
        [Boolean(otp?.enabled), "otp", ["request-otp", "auth-with-otp"]],
    ];
    for (const [on, id, paths] of ways) if (on) found.push({ id, requests: post(...paths), rule: "authRule", params: ["expand", "fields"], answer: signedIn });
    found.push({ id: "refresh", requests: post("auth-refresh"), params: ["expand", "fields"], answer: signedIn });
    found.push({ id: "verification", requests: post("request-verification", "confirm-verification"), params: [], answer: nothing });
    if (passwordAuth?.enabled) found.push({ id: "passwordReset", requests: post("request-password-reset", "confirm-password-reset"), params: [], answer: nothing });
    found.push({ id: "emailChange", requests: post("request-email-change", "confirm-email-change"), params: [], answer: nothing });
    return found;
}

/** The rule that holds for an action; undefined where there is none. */
export const ruleOf = (collection: CollectionModel, { rule }: Action): string | null | undefined => (rule ? stored(collection, rule) : undefined);
