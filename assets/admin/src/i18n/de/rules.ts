// German: rules.

import type words from "../en/rules";

export default {
} satisfies Record<keyof typeof words, string>;
