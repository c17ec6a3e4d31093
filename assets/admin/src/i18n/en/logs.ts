// English: logs.

export default {
} as const;
