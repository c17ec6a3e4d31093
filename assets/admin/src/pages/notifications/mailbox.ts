// What the server has kept instead of sending it (docs/mailbox.md).

import { send } from "../../lib/api";

export interface Captured {
    id: string; created: string; channel: "email" | "webpush" | "fcm" | "webhook"; from: string; to: string; subject: string; text: string; html: string;
    template: string; links: string[]; tokens: string[]; codes: string[]; headers: Record<string, string>; target: string; payload: unknown; body: string;
}
export type Line = Pick<Captured, "id" | "created" | "channel" | "to" | "subject" | "text" | "template">;

export const mailbox = {
    /** The newest 500, each in a line; texts are cut by the server's excerpt. */
    list: (channel: string) => send<{ items: Line[]; total: number }>("/api/mailbox", {
        query: { limit: 500, channel: channel || undefined, fields: "id,created,channel,to,subject,template,text:excerpt(400)" },
    }),
    one: (id: string) => send<Captured>(`/api/mailbox/${encodeURIComponent(id)}`),
    clear: () => send("/api/mailbox", { method: "DELETE" }),
};
