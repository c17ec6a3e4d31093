// English: notifications, and what goes with them.

import jobs from "./jobs";

export default {
    ...jobs,
} as const;
