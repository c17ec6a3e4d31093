// German: settings.

import type words from "../en/settings";

export default {
} satisfies Record<keyof typeof words, string>;
