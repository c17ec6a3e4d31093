// The end of a sign-in with another site, in the window that the app opened for it.

import { show } from "./parts.js";

export function open(_token, name) {
    show(name);
    // Only windows that a page has opened may close themselves; the others say what to do.
    window.close();
}
