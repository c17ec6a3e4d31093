// Which page an address means: what stands behind its # chooses the module that shows it.

const PAGES = {
    "pbinstall": () => import("./setup.js"),
    "auth/confirm-verification": () => import("./confirm-verification.js"),
    "auth/confirm-password-reset": () => import("./confirm-password-reset.js"),
    "auth/confirm-email-change": () => import("./confirm-email-change.js"),
    "auth/oauth2-redirect-success": () => import("./oauth2-redirect.js"),
    "auth/oauth2-redirect-failure": () => import("./oauth2-redirect.js"),
};

/** Shows the page of the current address; an unknown one says that the server is there. */
async function route() {
    const path = location.hash.replace(/^#\/?/, "").replace(/[?&].*$/, "").replace(/\/$/, "");
    const name = Object.keys(PAGES).find((name) => path === name || path.startsWith(`${name}/`)) ?? "pbinstall";
    const { open } = await PAGES[name]();
    open(path.startsWith(`${name}/`) ? decode(path.slice(name.length + 1)) : "", name.replace("auth/", ""));
}

/** Some mail programs encode what they need not. */
function decode(text) {
    try {
        return decodeURIComponent(text);
    } catch {
        return text;
    }
}

// Another link that is opened in the same window changes nothing but the part behind the #.
addEventListener("hashchange", route);
route();
