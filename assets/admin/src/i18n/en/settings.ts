// English: settings.

export default {
} as const;
