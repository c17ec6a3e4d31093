// English: notifications, and what goes with them.

import jobs from "./jobs";
import notify from "./notify";

export default {
    ...jobs,
    ...notify,
} as const;
