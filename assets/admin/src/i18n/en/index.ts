// English: the catalogue that the others are held against. One file for each part of the UI.

import collections from "./collections";
import common from "./common";
import home from "./home";
import links from "./links";
import logs from "./logs";
import notifications from "./notifications";
import panel from "./panel";
import records from "./records";
import rules from "./rules";
import settings from "./settings";
import sql from "./sql";

export default {
    ...common, ...links, ...home, ...collections, ...rules, ...records, ...panel, ...notifications, ...logs, ...settings, ...sql,
};
