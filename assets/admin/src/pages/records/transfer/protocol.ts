// What the page and the worker that reads the file say to each other.

import type { CollectionField } from "pocketbase";
import type { Manner, Wrong } from "./convert";

export type Format = "csv" | "json";
export interface Reading { format: Format; encoding: string; delimiter: string; /** The first row holds the names. */ named: boolean }
/** Column → field, for those that are taken over. */
export interface Mapped { column: number; field: CollectionField }
export interface Plan { mapped: Mapped[]; manner: Manner }

export interface Fault extends Wrong { /** Counted from 1, without the line of names. */ row: number; field: string; column: string }
export interface Row { at: number; raw: string[]; body: Record<string, unknown>; /** Mapped fields whose cells are empty. */ blank: string[]; faults: Fault[] }

export type Ask =
    | { kind: "read"; file: File; reading: Partial<Reading> }
    | { kind: "check"; plan: Plan }
    | { kind: "start"; plan: Plan }
    | { kind: "next"; count: number };

export type Answer =
    | { kind: "progress"; done: number; total: number }
    | { kind: "read"; reading: Reading; columns: string[]; sample: unknown[][]; rows: number; problem?: { row: number; what: "open" | "json" } }
    | { kind: "checked"; preview: Row[]; rows: number; bad: number; faults: Fault[] }
    | { kind: "rows"; rows: Row[]; done: boolean }
    | { kind: "failed"; message: string };
