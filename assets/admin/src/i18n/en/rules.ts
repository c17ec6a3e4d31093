// English: rules.

export default {
} as const;
