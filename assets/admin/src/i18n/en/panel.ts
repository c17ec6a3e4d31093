// English: panel.

export default {
} as const;
