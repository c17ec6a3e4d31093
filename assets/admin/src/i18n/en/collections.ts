// English: collections.

export default {
} as const;
