// English: sql.

export default {
} as const;
