// German: notifications.

import type words from "../en/notifications";

export default {
} satisfies Record<keyof typeof words, string>;
