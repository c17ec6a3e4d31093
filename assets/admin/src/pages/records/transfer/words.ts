// What is wrong with a cell, for people.

import { t, type Key } from "../../../lib/i18n.svelte";
import type { Wrong } from "./convert";

export const inWords = ({ reason, detail = "" }: Wrong) => t(`import.wrong.${reason}` as Key, { detail });
