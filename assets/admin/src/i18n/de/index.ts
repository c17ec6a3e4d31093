// German.

import type { Catalogue } from "../../lib/i18n.svelte";
import collections from "./collections";
import common from "./common";
import * as faults from "./faults";
import home from "./home";
import links from "./links";
import logs from "./logs";
import notifications from "./notifications";
import panel from "./panel";
import records from "./records";
import rules from "./rules";
import settings from "./settings";
import sql from "./sql";

const de: Catalogue = {
    ...common, ...links, ...home, ...collections, ...rules, ...records, ...panel, ...notifications, ...logs, ...settings, ...sql,
};
export default de;
export { faults };
