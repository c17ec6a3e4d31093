// The pages that mailed links and sign-ins with other sites end on.

import { mount } from "svelte";
import { start } from "../lib/i18n.svelte";
import "../lib/theme.svelte";
import Links from "./Links.svelte";

export async function open() {
    await start();
    mount(Links, { target: document.getElementById("app")! });
}
