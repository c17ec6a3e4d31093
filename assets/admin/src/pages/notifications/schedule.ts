// A row of _schedules.

import type { RecordModel } from "pocketbase";

export interface Schedule extends RecordModel {
    name: string; active: boolean; kind: "cron" | "change"; cron: string; zone: string; missed: string;
    collection: string; action: "create" | "update" | "delete" | ""; condition: string; delay: string; unless: string;
    notification: unknown; next: string; last: string; runs: number; error: string;
}

export const newSchedule = (): Partial<Schedule> => ({
    name: "", active: true, kind: "cron", cron: "0 9 * * 1", zone: Intl.DateTimeFormat().resolvedOptions().timeZone, missed: "once",
    collection: "", action: "create", condition: "", delay: "", unless: "", notification: null,
});
