// German: collections.

import type words from "../en/collections";

export default {
} satisfies Record<keyof typeof words, string>;
