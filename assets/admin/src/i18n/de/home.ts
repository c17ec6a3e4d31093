// German: home.

import type words from "../en/home";

export default {
} satisfies Record<keyof typeof words, string>;
