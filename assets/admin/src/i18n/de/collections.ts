// German: collections.

import type words from "../en/collections";

export default {
    "collections.tabs.label": "Seiten dieser Sammlung",
    "collections.tabs.records": "Datensätze",
    "collections.tabs.schema": "Schema",
    "collections.tabs.rules": "Regeln",
    "collections.tabs.api": "API",
} satisfies Record<keyof typeof words, string>;
