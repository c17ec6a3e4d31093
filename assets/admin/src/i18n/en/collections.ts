// English: collections.

export default {
    "collections.tabs.label": "Pages of this collection",
    "collections.tabs.records": "Records",
    "collections.tabs.schema": "Schema",
    "collections.tabs.rules": "Rules",
    "collections.tabs.api": "API",
} as const;
