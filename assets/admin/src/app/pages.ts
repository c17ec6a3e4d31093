// Which page an address means; each is loaded when it is first opened.

import type { Component } from "svelte";

/** The module of the page that a path means. */
export function pageOf(path: string[]): () => Promise<{ default: Component }> {
    switch (path[0]) {
        case undefined:
            return () => import("../pages/home/Home.svelte");
        case "collections":
            return path[1] ? collectionPage(path) : () => import("../pages/collections/Collections.svelte");
        // The two that are about all collections.
        case "diagram":
            return () => import("../pages/collections/Diagram.svelte");
        case "import":
            return () => import("../pages/collections/Transfer.svelte");
        case "notifications":
            return () => import("../pages/notifications/Notifications.svelte");
        case "mailbox":
            return () => import("../pages/notifications/Mailbox.svelte");
        case "jobs":
            return () => import("../pages/jobs/Jobs.svelte");
        case "logs":
            return () => import("../pages/logs/Logs.svelte");
        case "sql":
            return () => import("../pages/sql/Sql.svelte");
        case "settings":
            return () => import("../pages/settings/Settings.svelte");
        default:
            return () => import("../pages/home/Unknown.svelte");
    }
}

/** #/collections/NAME[/schema|/rules|/api|/try|/import|/records/ID] */
function collectionPage(path: string[]): () => Promise<{ default: Component }> {
    switch (path[2]) {
        case "schema":
            return () => import("../pages/collections/Schema.svelte");
        case "rules":
            return () => import("../pages/rules/Rules.svelte");
        case "api":
            return () => import("../pages/rules/Api.svelte");
        default:
            return () => import("../pages/records/Records.svelte");
    }
}
