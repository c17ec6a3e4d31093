// Whether the server can be reached: shown when it cannot, asked until it can.

import { base } from "./api";

let lost = $state(false);
let asking = false;

export const connection = { get lost() { return lost; } };

/** Something could not be reached: asks every two seconds until the server answers again. */
export async function doubt() {
    if (asking) return;
    asking = true;
    for (let round = 0; ; round += 1) {
        const answered = await fetch(`${base}/api/health`, { cache: "no-store" }).then(() => true, () => false);
        if (answered) break;
        lost = true;
        await new Promise((resolve) => setTimeout(resolve, Math.min(2_000, 250 * 2 ** round)));
    }
    asking = false;
    if (lost) {
        lost = false;
        dispatchEvent(new CustomEvent("conch:back"));
    }
}

// Whatever fails or loses its stream asks (session, live rows): a window in which nothing happens notices by itself, but
// seldom, since each question stands in the server's log.
setInterval(() => {
    if (!document.hidden && !asking) fetch(`${base}/api/health`, { cache: "no-store" }).catch(() => void doubt());
}, 60_000);
addEventListener("offline", () => void doubt());
addEventListener("online", () => void doubt());
