// English: records.

export default {
} as const;
