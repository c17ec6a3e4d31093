// German: records.

import type words from "../en/records";

export default {
} satisfies Record<keyof typeof words, string>;
