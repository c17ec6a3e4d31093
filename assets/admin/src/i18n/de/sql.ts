// German: sql.

import type words from "../en/sql";

export default {
} satisfies Record<keyof typeof words, string>;
