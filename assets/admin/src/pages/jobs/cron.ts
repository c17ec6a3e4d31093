// A cron expression in words; what is too special for words stays as it is written.

import { language, t } from "../../lib/i18n.svelte";

/** What the macros stand for. */
export const MACROS: Record<string, string> = {
    "@yearly": "0 0 1 1 *", "@annually": "0 0 1 1 *", "@monthly": "0 0 1 * *", "@weekly": "0 0 * * 0", "@daily": "0 0 * * *", "@midnight": "0 0 * * *", "@hourly": "0 * * * *",
};
const DAYS = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"];
const whole = (text: string) => (/^\d{1,2}$/.test(text) ? Number(text) : undefined);

/** "0 9 * * 1" → "Monday at 09:00". Blank if there are no words for it. */
export function inWords(expression: string): string {
    const fields = (MACROS[expression.trim()] ?? expression).trim().split(/\s+/);
    if (fields.length !== 5) return "";
    const [minute = "", hour = "", day = "", month = "", weekday = ""] = fields;
    const anyDay = day === "*" && month === "*" && weekday === "*";
    if (hour === "*" && anyDay) {
        if (minute === "*" || minute === "*/1") return t("cron.everyMinute");
        const step = /^\*\/(\d+)$/.exec(minute);
        // Only what divides an hour comes at even distances.
        if (step && 60 % Number(step[1]) === 0) return t("cron.everyMinutes", { count: Number(step[1]) });
        const at = whole(minute);
        return at === undefined ? "" : at === 0 ? t("cron.everyHour") : t("cron.everyHourAt", { minute: at });
    }
    const at = whole(minute);
    if (at === undefined) return "";
    const hours = /^\*\/(\d+)$/.exec(hour);
    if (hours && at === 0 && anyDay && 24 % Number(hours[1]) === 0) return t("cron.everyHours", { count: Number(hours[1]) });
    const when = whole(hour);
    if (when === undefined) return "";
    const time = `${String(when).padStart(2, "0")}:${String(at).padStart(2, "0")}`;
    if (anyDay) return t("cron.daily", { time });
    if (day === "*" && month === "*") {
        const days = weekdays(weekday);
        return days && t("cron.weekly", { days, time });
    }
    const on = whole(day);
    if (on === undefined || weekday !== "*") return "";
    if (month === "*") return t("cron.monthly", { day: on, time });
    const of = whole(month);
    if (of === undefined) return "";
    const date = new Date(2024, of - 1, on).toLocaleDateString(language.tag, { day: "numeric", month: "long" });
    return t("cron.yearly", { date, time });
}

function weekdays(field: string): string {
    if (field === "1-5" || field.toUpperCase() === "MON-FRI") return t("cron.weekdays");
    const named: string[] = [];
    for (const part of field.split(",")) {
        const at = DAYS.indexOf(part.toUpperCase());
        const day = at >= 0 ? at : whole(part);
        if (day === undefined || day > 7) return "";
        // The first of September 2024 was a Sunday.
        named.push(new Date(2024, 8, 1 + (day % 7)).toLocaleDateString(language.tag, { weekday: "long" }));
    }
    return new Intl.ListFormat(language.tag).format(named);
}
