// The form of one record: what the server has, what stands in the fields, and what goes wrong between the two.

import { ClientResponseError, type CollectionField, type CollectionModel, type RecordModel } from "pocketbase";
import { pb, problem } from "../../../lib/api";
import { t } from "../../../lib/i18n.svelte";
import { type Draft, type Drafts, type FileDraft, isBlank, isFixed, isMultiple, same, toDrafts, toDraft, toWire, wrong } from "./drafts";
import { uploading } from "../../../lib/upload";

/** A field that both sides changed. */
export interface Clash { field: CollectionField; theirs: Draft }

export class Form {
    /** As the server last told it; null while the record is new. */
    record = $state.raw<RecordModel | null>(null);
    drafts = $state.raw<Drafts>({});
    errors = $state<Record<string, string>>({});
    clashes = $state.raw<Clash[]>([]);
    /** Fields that others changed meanwhile and that were brought up to date here. */
    renewed = $state.raw<string[]>([]);
    /** Deleted by somebody else while it was open. */
    gone = $state(false);
    saving = $state(false);
    sent = $state<{ done: number; total: number } | undefined>();
    /** Values that a duplicate starts with; null for everything else. */
    private start: Drafts;
    private stop: AbortController | undefined;
    private late: RecordModel | undefined;

    constructor(readonly collection: CollectionModel, record: RecordModel | null, copied: RecordModel | null = null) {
        this.record = record;
        this.start = toDrafts(this.fields, record);
        this.drafts = copied ? { ...this.start, ...this.copy(copied) } : this.start;
    }

    get fields(): CollectionField[] { return this.collection.fields; }
    get isNew() { return this.record === null; }
    get readonly() { return this.collection.type === "view"; }
    get changed(): string[] {
        return this.fields.filter(({ name }) => !same(this.drafts[name], this.start[name])).map(({ name }) => name);
    }
    get dirty() { return !this.readonly && this.changed.length > 0; }

    /** What a duplicate takes over: no id, no files, no secrets, nothing that the server sets. */
    private copy(record: RecordModel): Drafts {
        const kept = this.fields.filter(({ name, type }) => name !== "id" && !["file", "password", "autodate"].includes(type) && !(this.collection.type === "auth" && name === "tokenKey"));
        return Object.fromEntries(kept.map((field) => [field.name, toDraft(field, record[field.name])]));
    }

    set(name: string, draft: Draft) {
        this.drafts = { ...this.drafts, [name]: draft };
        delete this.errors[name];
    }

    /** What is wrong with a field: what the server said, or what can be seen from here. */
    errorOf(field: CollectionField): string | undefined {
        return this.errors[field.name] ?? wrong(field, this.drafts[field.name]);
    }

    /** The fields that cannot be sent as they are, with the reasons set beside them. */
    private check(): string[] {
        const found: Record<string, string> = {};
        for (const field of this.fields) {
            const draft = this.drafts[field.name];
            const missing = field.required && isBlank(field, draft) && !field.autogeneratePattern && !isFixed(field) && (field.type !== "password" || this.isNew);
            const error = missing ? t("panel.required") : wrong(field, draft);
            if (error) found[field.name] = error;
        }
        this.errors = found;
        return Object.keys(found);
    }

    /** The body of the request, and the files that go along with it. */
    private body() {
        const body: Record<string, unknown> = {};
        const files: [string, File][] = [];
        for (const field of this.fields) {
            const draft = this.drafts[field.name];
            if (draft === undefined || isFixed(field) || same(draft, this.start[field.name])) continue;
            if (field.type === "file") this.files(field, draft as FileDraft, body, files);
            else body[field.name] = toWire(field, draft);
        }
        if (this.collection.type === "auth" && body.password) body.passwordConfirm = body.password;
        return { body, files };
    }

    private files(field: CollectionField, { kept, added }: FileDraft, body: Record<string, unknown>, files: [string, File][]) {
        const before = (this.start[field.name] as FileDraft).kept;
        const removed = before.filter((name) => !kept.includes(name));
        const rest = before.filter((name) => kept.includes(name));
        if (!isMultiple(field)) {
            if (added.length) files.push([field.name, added.at(-1) as File]);
            else if (removed.length) body[field.name] = "";
            return;
        }
        // Modifiers leave alone what others added meanwhile; only a new order has to name them all.
        if (JSON.stringify(rest) !== JSON.stringify(kept)) body[field.name] = kept;
        else if (removed.length) body[`${field.name}-`] = removed;
        for (const file of added) files.push([`${field.name}+`, file]);
    }

    /** Saves what was changed. The record, or undefined when something stood in the way (then it stands beside the fields). */
    async save(): Promise<RecordModel | undefined> {
        if (this.saving || this.check().length) return undefined;
        const { body, files } = this.body();
        this.saving = true;
        this.stop = new AbortController();
        try {
            this.settle(await this.send(body, files));
            return this.record ?? undefined;
        } catch (failure) {
            if (failure instanceof ClientResponseError && failure.isAbort) return undefined;
            const { fields, message, status } = problem(failure);
            for (const [key, text] of Object.entries(fields)) this.errors[this.fieldOf(key)] ??= text;
            if (status === 404 && this.record) this.gone = true;
            else if (!Object.keys(fields).length) throw this.stop.signal.aborted ? new Error("") : new Error(message);
            return undefined;
        } finally {
            this.saving = false;
            this.sent = undefined;
            if (this.late) this.theirs(this.late);
            this.late = undefined;
        }
    }

    /** Keys of the server's errors may be about a part of a field, or about a virtual one. */
    private fieldOf(key: string) {
        const name = key.split(".")[0] ?? key;
        if (name === "passwordConfirm" || name === "oldPassword") return "password";
        return name.replace(/^\+|[+-]$/g, "");
    }

    private send(body: Record<string, unknown>, files: [string, File][]): Promise<RecordModel> {
        const records = pb.collection(this.collection.name);
        let content: Record<string, unknown> | FormData = body, options = {};
        if (files.length) {
            content = new FormData();
            content.append("@jsonPayload", JSON.stringify(body));
            for (const [key, file] of files) content.append(key, file);
            options = { fetch: uploading((done, total) => { this.sent = { done, total }; }, this.stop?.signal) };
        }
        return this.record ? records.update(this.record.id, content, options) : records.create(content, options);
    }

    abort() { this.stop?.abort(); }

    /** Everything as the server has it now. */
    private settle(record: RecordModel) {
        this.record = record;
        this.start = toDrafts(this.fields, record);
        this.drafts = this.start;
        this.errors = {};
        this.clashes = [];
        this.renewed = [];
        this.gone = false;
    }

    /** Back to what the server has. */
    reset() {
        this.drafts = this.start;
        this.errors = {};
        this.clashes = [];
    }

    /** Starts with what was left behind earlier. */
    restore(drafts: Drafts) {
        const known = Object.fromEntries(Object.entries(drafts).filter(([name]) => name in this.drafts));
        this.drafts = { ...this.drafts, ...known };
    }

    /** The record as somebody else left it: what was not touched here follows, what was is asked about. */
    theirs(record: RecordModel) {
        if (this.saving) { this.late = record; return; }
        if (!this.record || record.id !== this.record.id || (record.updated && record.updated < this.record.updated)) return;
        const now = toDrafts(this.fields, record), drafts = { ...this.drafts };
        const renewed: string[] = [], clashes: Clash[] = [];
        for (const field of this.fields) {
            const { name } = field, theirs = now[name] as Draft;
            if (same(theirs, this.start[name]) || field.type === "password") continue;
            if (same(drafts[name], this.start[name])) {
                drafts[name] = theirs;
                if (!isFixed(field)) renewed.push(name);
            } else if (same(drafts[name], theirs)) drafts[name] = theirs;
            else if (field.type === "file") drafts[name] = merged(this.start[name] as FileDraft, drafts[name] as FileDraft, theirs as FileDraft);
            else clashes.push({ field, theirs });
        }
        this.record = record;
        this.start = now;
        this.drafts = drafts;
        this.gone = false;
        this.renewed = [...new Set([...this.renewed, ...renewed])];
        this.clashes = [...this.clashes.filter(({ field }) => !clashes.some((one) => one.field.name === field.name)), ...clashes];
    }

    /** Answers one clash. */
    choose({ field, theirs }: Clash, mine: boolean) {
        if (!mine) this.set(field.name, theirs);
        this.clashes = this.clashes.filter((one) => one.field.name !== field.name);
    }

    forgetRenewed() { this.renewed = []; }
}

/** Files are lists: theirs, without what was removed here, and with what was added here. */
function merged(before: FileDraft, mine: FileDraft, theirs: FileDraft): FileDraft {
    const removed = before.kept.filter((name) => !mine.kept.includes(name));
    return { kept: theirs.kept.filter((name) => !removed.includes(name)), added: mine.added };
}
