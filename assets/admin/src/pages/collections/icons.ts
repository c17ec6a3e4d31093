// One picture for each type of collection and of field.

import type { Component } from "svelte";
import Braces from "@lucide/svelte/icons/braces";
import Calendar from "@lucide/svelte/icons/calendar";
import CalendarClock from "@lucide/svelte/icons/calendar-clock";
import Eye from "@lucide/svelte/icons/eye";
import FileText from "@lucide/svelte/icons/file-text";
import Hash from "@lucide/svelte/icons/hash";
import KeyRound from "@lucide/svelte/icons/key-round";
import Link from "@lucide/svelte/icons/link";
import List from "@lucide/svelte/icons/list";
import Mail from "@lucide/svelte/icons/mail";
import MapPin from "@lucide/svelte/icons/map-pin";
import Paperclip from "@lucide/svelte/icons/paperclip";
import Table from "@lucide/svelte/icons/table-2";
import ToggleLeft from "@lucide/svelte/icons/toggle-left";
import Type from "@lucide/svelte/icons/type";
import Users from "@lucide/svelte/icons/users";
import Waypoints from "@lucide/svelte/icons/waypoints";

type Icon = Component<{ size?: number | string }>;

const collection: Record<string, Icon> = { base: Table, auth: Users, view: Eye };
const field: Record<string, Icon> = {
    text: Type, number: Hash, bool: ToggleLeft, select: List, relation: Waypoints, file: Paperclip, date: Calendar, autodate: CalendarClock,
    email: Mail, url: Link, editor: FileText, json: Braces, geoPoint: MapPin, password: KeyRound,
};

export const collectionIcon = (type: string): Icon => collection[type] ?? Table;
export const fieldIcon = (type: string): Icon => field[type] ?? Braces;
