// English: notifications.

export default {
} as const;
