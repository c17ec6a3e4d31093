// What the server says, in German, by its English sentences as they stand in its source (src/**/*.rs). How a translation
// names their holes is told in lib/sentences.ts. tests/admin/sentences.test.mjs keeps these files whole and without what
// the server does not say any more; others.json has what SQLite says of statements and the engine of templates.

import auth from "./auth.json";
import backups from "./backups.json";
import jobs from "./jobs.json";
import notify from "./notify.json";
import others from "./others.json";
import records from "./records.json";
import requests from "./requests.json";
import rules from "./rules.json";
import schema from "./schema.json";
import settings from "./settings.json";

export default { ...requests, ...records, ...rules, ...schema, ...auth, ...notify, ...jobs, ...backups, ...settings, ...others } as Record<string, string>;
