// What a grid asks the server for: filter and search as one rule, an order in which no two records are equal, and only
// the fields that are seen.

import type { CollectionField, CollectionModel } from "pocketbase";
import { pb } from "../../../lib/api";
import { collections } from "../../../lib/collections.svelte";
import type { Column } from "./columns";
import { namingFields } from "../panel/labels";

export interface Sort { name: string; down: boolean }
export interface Wanted { filter: string; sort: string; fields: string; expand: string }

const SEARCHED = 16;
const WORDS = 6;

/** "-created,title" → what is sorted by; two at most are shown in the headers. */
export function parseSort(text: string, collection: CollectionModel): Sort[] {
    return text.split(",").map((term) => term.trim()).filter(Boolean).slice(0, 4)
        .map((term) => ({ name: term.replace(/^[+-]/, ""), down: term.startsWith("-") }))
        .filter(({ name }) => collection.fields.some((field) => field.name === name));
}

export const sortText = (sort: Sort[]) => sort.map(({ name, down }) => (down ? `-${name}` : name)).join(",");

/** The newest first; records that are equal in what was chosen follow each other as they were made. */
export function orderOf(collection: CollectionModel, sort: Sort[]): string {
    const last = sort.at(-1)?.down ?? true;
    const tie = collection.type === "view" ? (sort.length && !sort.some(({ name }) => name === "id") ? [{ name: "id", down: last }] : []) : [{ name: "@rowid", down: last }];
    return sortText([...sort, ...tie]);
}

/** The fields that a search looks into. */
export function searched(collection: CollectionModel): CollectionField[] {
    return collection.fields.filter(({ name, type }) => ["text", "email", "url", "editor", "select", "json"].includes(type) && !(collection.type === "auth" && name === "tokenKey"))
        .sort((a, b) => Number(b.presentable) - Number(a.presentable)).slice(0, SEARCHED);
}

/** Every word has to be in one of the fields; a number may also be a number's value. */
export function searchFilter(collection: CollectionModel, search: string): string {
    const words = search.trim().split(/\s+/).filter(Boolean).slice(0, WORDS);
    const texts = searched(collection), numbers = collection.fields.filter(({ type }) => type === "number").slice(0, 8);
    return words.map((word) => {
        // What has a meaning for ~ stands for itself here.
        const like = pb.filter("{:word}", { word: `%${word.slice(0, 200).replace(/[\\%_]/g, "\\$&")}%` });
        const parts = texts.map(({ name }) => `${name}~${like}`);
        if (/^-?\d+(\.\d+)?$/.test(word)) parts.push(...numbers.map(({ name }) => `${name}=${word}`));
        return parts.length ? `(${parts.join("||")})` : "";
    }).filter(Boolean).join("&&");
}

export function filterOf(collection: CollectionModel, filter: string, search: string): string {
    const parts = [filter.trim() && `(${filter.trim()}\n)`, searchFilter(collection, search)].filter(Boolean);
    return parts.join("&&");
}

/** How many records are asked for at once: fewer where their values may be long. */
export function pageSize({ fields }: CollectionModel): number {
    const longest = Math.max(0, ...fields.filter(({ type }) => type === "text").map(({ max }) => Number(max) || 0));
    if (longest > 100_000) return 25;
    return longest > 5_000 || fields.some(({ type }) => type === "json") ? 50 : 100;
}

// An excerpt is text without its tags: right for formatted text, whose tags are not seen either. A plain text is shown
// to the letter, so it comes whole and is cut where it is drawn.
const isFormatted = ({ type }: CollectionField) => type === "editor";
const picked = (field: CollectionField, path = "", length = 200) => `${path}${field.name}${isFormatted(field) ? `:excerpt(${length},true)` : ""}`;

/** The fields of the columns, with the names of the records that their relations point to. */
export function fieldsOf(collection: CollectionModel, columns: Column[]): { fields: string; expand: string } {
    const shown = columns.filter(({ shown }) => shown).map(({ field }) => field);
    const relations = shown.filter(({ type }) => type === "relation").slice(0, 12);
    const names = relations.flatMap(({ name, collectionId }) => {
        const target = collections.find(collectionId);
        return [`expand.${name}.id`, ...(target ? namingFields(target).map((field) => picked(field, `expand.${name}.`, 80)) : [])];
    });
    const extra = collection.type === "auth" ? ["verified"] : [];
    // Many columns would make a long address: then all fields come, formatted text cut.
    const own = shown.length > 60 ? ["*", ...shown.filter(isFormatted).map((field) => picked(field))] : shown.map((field) => picked(field));
    return { fields: [...new Set(["id", "collectionId", "collectionName", ...extra, ...own, ...names])].join(","), expand: relations.map(({ name }) => name).join(",") };
}
