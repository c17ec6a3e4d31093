// The admin UI: the words first, then the frame.

import { mount } from "svelte";
import { start } from "../lib/i18n.svelte";
import App from "./App.svelte";

export async function open() {
    await start();
    mount(App, { target: document.getElementById("app")! });
}
