// Light, dark, or as the system has it.

export type Theme = "system" | "light" | "dark";

const stored = localStorage.getItem("conch.theme");
let chosen = $state<Theme>(stored === "light" || stored === "dark" ? stored : "system");

function show() {
    if (chosen === "system") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = chosen;
}
show();

export const theme = {
    get current() { return chosen; },
    set current(next: Theme) {
        chosen = next;
        localStorage.setItem("conch.theme", next);
        show();
    },
    /** Whether it is dark now, whoever said so. */
    get isDark() { return chosen === "dark" || (chosen === "system" && matchMedia("(prefers-color-scheme: dark)").matches); },
};
