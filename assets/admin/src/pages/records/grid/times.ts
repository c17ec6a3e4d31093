// How times are shown in grids: remembered for all of them.

export type Times = "relative" | "local" | "utc";
const KEY = "conch.grid.times";

export function chosenTimes(): Times {
    const stored = localStorage.getItem(KEY);
    return stored === "local" || stored === "utc" ? stored : "relative";
}
export const keepTimes = (times: Times) => localStorage.setItem(KEY, times);
