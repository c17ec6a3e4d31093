// German: panel.

import type words from "../en/panel";

export default {
} satisfies Record<keyof typeof words, string>;
