// Where a link leads: mails and sign-ins end on small pages of their own, everything else is the admin UI.

import "./app.css";

const LINKS = /^#\/?auth\//;

const opened = LINKS.test(location.hash);
if (opened) void import("./links/main").then(({ open }) => open());
else void import("./app/main").then(({ open }) => open());

// A mailed link that is opened in the window of the admin UI, and the other way round.
addEventListener("hashchange", () => {
    if (LINKS.test(location.hash) !== opened) location.reload();
});
