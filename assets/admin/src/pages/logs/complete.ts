// The fields of the log as a collection: for the completion of filters, and for the check that says where one is wrong.

import type { CollectionField, CollectionModel } from "pocketbase";

const field = (name: string, type: string, more: object = {}) => ({ id: name, name, type, system: true, hidden: false, presentable: false, ...more }) as CollectionField;
const collection = (id: string, fields: CollectionField[]) => ({ id, name: id, type: "base", fields }) as unknown as CollectionModel;

const data = collection("data", [
    ...["method", "url", "type", "auth", "authId", "requestId", "userIP", "remoteIP", "userAgent", "referer", "error"].map((name) => field(name, "text")),
    field("status", "number"), field("execTime", "number"), field("details", "json"),
]);
export const logs = collection("logs", [
    field("message", "text"), field("level", "number"), field("created", "date"), field("data", "relation", { collectionId: "data", maxSelect: 1 }), field("id", "text"),
]);
export const logCollections = [data];
/**
 * What the server checks a filter of the log against. The log is no collection: this is a definition of one with the
 * columns that it has, and no id to find one by.
 */
export const checked = { name: "logs", type: "base", fields: [
    { name: "created", type: "date" }, { name: "level", type: "number" }, { name: "message", type: "text" }, { name: "data", type: "json" },
] } as unknown as CollectionModel;
