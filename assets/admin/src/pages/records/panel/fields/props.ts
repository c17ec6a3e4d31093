// What each field's component gets, and which component a type has.

import type { CollectionField, CollectionModel, RecordModel } from "pocketbase";
import type { Component } from "svelte";
import type { Draft } from "../drafts";
import Autodate from "./Autodate.svelte";
import Bool from "./Bool.svelte";
import DateField from "./Date.svelte";
import Editor from "./Editor.svelte";
import File from "./File.svelte";
import Geo from "./Geo.svelte";
import Id from "./Id.svelte";
import Json from "./Json.svelte";
import Line from "./Line.svelte";
import Password from "./Password.svelte";
import Relation from "./Relation.svelte";
import Select from "./Select.svelte";
import Text from "./Text.svelte";

export interface FieldProps<D extends Draft = Draft> {
    field: CollectionField;
    value: D;
    error: string | undefined;
    readonly: boolean;
    collection: CollectionModel;
    /** As the server has it; null while it is new. */
    record: RecordModel | null;
    onchange: (value: D) => void;
}

const parts: Record<string, Component<any>> = {
    text: Text, number: Line, bool: Bool, email: Line, url: Line, editor: Editor, date: DateField, autodate: Autodate, select: Select,
    json: Json, geoPoint: Geo, file: File, relation: Relation, password: Password,
};

/** The component that shows a field; a type that is not known here is shown as text. */
export const partOf = (field: CollectionField) => (field.primaryKey ? Id : parts[field.type] ?? Text) as Component<FieldProps>;
