// What the settings say about the UI itself: its colour, and whether collections can be changed here.

import { pb } from "./api";

interface Meta { accentColor?: unknown; hideControls?: unknown }

let fixed = $state(false);

export const look = {
    /** Collections come from elsewhere (settings: meta.hideControls): what changes them is not offered. */
    get fixed() { return fixed; },
};

type Colour = [number, number, number];

function read(text: unknown): Colour | undefined {
    const found = typeof text === "string" && /^#([0-9a-f]{2})([0-9a-f]{2})([0-9a-f]{2})$/i.exec(text.trim());
    return found ? found.slice(1).map((part) => parseInt(part, 16)) as Colour : undefined;
}
const written = (colour: Colour) => `#${colour.map((part) => Math.round(part).toString(16).padStart(2, "0")).join("")}`;

/** How bright it is for the eye, from 0 to 1 (WCAG 2, relative luminance). */
function luminance(colour: Colour) {
    const [r, g, b] = colour.map((part) => { const share = part / 255; return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4; }) as Colour;
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}
function contrast(one: Colour, other: Colour) {
    const [low, high] = [luminance(one), luminance(other)].sort((a, b) => a - b) as [number, number];
    return (high + 0.05) / (low + 0.05);
}

/** The colour where it can be read on this ground, else up to half way towards the other end; none where that is not enough. */
function readable(colour: Colour, ground: Colour, end: number): string | undefined {
    for (let share = 0; share <= 0.5; share += 0.05) {
        const tried = colour.map((part) => part + (end - part) * share) as Colour;
        if (contrast(tried, ground) >= 4.6) return written(tried);
    }
    return undefined;
}

// The ground that is hardest to read on, and the accent where the settings name none, of each theme (app.css).
const LIGHT = { ground: [0xe3, 0xec, 0xfb] as Colour, end: 0, accent: "#0f4fb5" };
const DARK = { ground: [0x1e, 0x30, 0x4d] as Colour, end: 255, accent: "#86b4ff" };

/** Stands in the settings until somebody chooses: the colours of app.css, which is nearly this one, hold. */
const OF_A_NEW_SERVER = "#1055c9";

/** Shows what the settings say; called with them once they are read, and when they are saved. */
export function show({ accentColor, hideControls }: Meta = {}) {
    fixed = hideControls === true;
    const colour = accentColor === OF_A_NEW_SERVER ? undefined : read(accentColor);
    const [light, dark] = [LIGHT, DARK].map(({ ground, end, accent }) => (colour && readable(colour, ground, end)) || accent);
    document.documentElement.style.setProperty("--accent", `light-dark(${light}, ${dark})`);
}

export async function load() {
    const { meta } = await pb.settings.getAll({ fields: "meta" });
    show(meta as Meta | undefined);
}
