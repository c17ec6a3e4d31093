// Where the name of a field or of a collection stands in the rules and queries of this server. Names in rules are the
// server's own grammar (docs/wire/records-filter.md); this finds the words that may be meant, outside of strings.

import { RULES, type Definition } from "./model";

const TOKENS = /'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|\/\/[^\n]*|@?[\w.:]+/g;

export interface Mention { collection: string; /** listRule, viewQuery … */ where: string }

/** A path of a rule with the names of a renamed field put right; the same path if it is not meant. */
function follow(path: string, from: string, to: string, collection: string): string {
    const heads = ["", "@request.body.", `@collection.${collection}.`];
    for (const head of heads) {
        if (!path.startsWith(head + from)) continue;
        const rest = path.slice(head.length + from.length);
        if (rest === "" || rest.startsWith(".") || rest.startsWith(":")) return head + to + rest;
    }
    return path;
}

/** A rule of `collection` itself after one of its fields was renamed. */
export function renameInRule(rule: string, from: string, to: string, collection: string): string {
    return rule.replace(TOKENS, (token) => (/^['"/]/.test(token) ? token : follow(token, from, to, collection)));
}

/** Whether a rule of the collection itself uses one of its fields. */
export const ruleUses = (rule: string, field: string, collection: string) => renameInRule(rule, field, `${field}\u0000`, collection) !== rule;

const words = (text: string) => (text.match(TOKENS) ?? []).flatMap((token) => (/^['/]/.test(token) ? [] : token.replace(/"/g, "").split(/[.:]/)));

/** The rules of one collection that use one of its fields. */
export function ownRules(collection: Definition, field: string): string[] {
    return RULES.filter((key) => typeof collection[key] === "string" && ruleUses(collection[key] as string, field, collection.name));
}

/** Rules and queries of other collections that may mean this field: they name it, and can get at the collection. */
export function elsewhere(all: Definition[], collection: Definition, field: string): Mention[] {
    const found: Mention[] = [];
    for (const one of all) {
        if (one.id === collection.id) continue;
        const reaches = one.fields.some(({ collectionId }) => collectionId === collection.id);
        for (const key of RULES) {
            const rule = one[key];
            if (typeof rule !== "string" || !rule.includes(field)) continue;
            const named = words(rule);
            if (named.includes(field) && (reaches || named.includes(collection.name) || (collection.type === "auth" && rule.includes("@request.auth.")))) found.push({ collection: one.name, where: key });
        }
        if (queryUses(one, collection.name) && words(one.viewQuery ?? "").includes(field)) found.push({ collection: one.name, where: "viewQuery" });
    }
    return found;
}

/** Rules and queries that name a collection. */
export function ofCollection(all: Definition[], name: string): Mention[] {
    const found: Mention[] = [];
    for (const one of all) {
        for (const key of RULES) {
            const rule = one[key];
            if (typeof rule === "string" && new RegExp(`@collection\\.${name}\\b|_via_|collectionName`).test(rule) && rule.includes(name)) found.push({ collection: one.name, where: key });
        }
        if (queryUses(one, name)) found.push({ collection: one.name, where: "viewQuery" });
    }
    return found;
}

function queryUses(one: Definition, collection: string): boolean {
    return typeof one.viewQuery === "string" && words(one.viewQuery.replace(/[`[\]]/g, " ")).some((word) => word.toLowerCase() === collection.toLowerCase());
}
