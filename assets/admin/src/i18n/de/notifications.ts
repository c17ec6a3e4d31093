// German: notifications, and what goes with them.

import type words from "../en/notifications";
import jobs from "./jobs";

export default {
    ...jobs,
} satisfies Record<keyof typeof words, string>;
