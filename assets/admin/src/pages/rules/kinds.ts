// Which rules a collection has, and the three states of each: locked (null), public (""), a rule.

import type { CollectionModel } from "pocketbase";

export type RuleKey = "listRule" | "viewRule" | "createRule" | "updateRule" | "deleteRule" | "authRule" | "manageRule";
export type RuleAction = "list" | "view" | "create" | "update" | "delete" | "auth" | "manage";
export type Mode = "locked" | "public" | "rule";
export interface Draft { mode: Mode; text: string }

export const ACTIONS: Record<RuleKey, RuleAction> = {
    listRule: "list", viewRule: "view", createRule: "create", updateRule: "update", deleteRule: "delete", authRule: "auth", manageRule: "manage",
};

/** The rules of a collection, in the order in which one thinks of them. A view is only read. */
export function rulesOf({ type }: Pick<CollectionModel, "type">): RuleKey[] {
    const reading: RuleKey[] = ["listRule", "viewRule"];
    if (type === "view") return reading;
    const all: RuleKey[] = [...reading, "createRule", "updateRule", "deleteRule"];
    return type === "auth" ? [...all, "authRule", "manageRule"] : all;
}

/** What the collection says now. */
export function stored(collection: CollectionModel, key: RuleKey): string | null {
    const value: unknown = (collection as unknown as Record<string, unknown>)[key];
    return typeof value === "string" ? value : null;
}

export function draftOf(value: string | null): Draft {
    if (value === null) return { mode: "locked", text: "" };
    return value === "" ? { mode: "public", text: "" } : { mode: "rule", text: value };
}

/** What is sent: a rule without a text is public. */
export function valueOf({ mode, text }: Draft): string | null {
    return mode === "locked" ? null : mode === "public" ? "" : text;
}
