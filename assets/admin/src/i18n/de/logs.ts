// German: logs.

import type words from "../en/logs";

export default {
} satisfies Record<keyof typeof words, string>;
