// German: notifications, and what goes with them.

import type words from "../en/notifications";
import jobs from "./jobs";
import notify from "./notify";

export default {
    ...jobs,
    ...notify,
} satisfies Record<keyof typeof words, string>;
