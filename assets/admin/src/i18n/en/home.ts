// English: home.

export default {
} as const;
