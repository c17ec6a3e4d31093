// The time, every ten seconds: for what says "5 minutes ago".

let tick = $state(Date.now());
setInterval(() => { tick = Date.now(); }, 10_000);

export const now = { get current() { return tick; } };
