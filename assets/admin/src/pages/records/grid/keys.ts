// Where the arrows and their friends lead in a grid: rows from -1 (the header) on, columns from 0 (the checkboxes) on.

export interface Place { row: number; column: number }

export function move(key: string, mod: boolean, { row, column }: Place, grid: { rows: number; columns: number; page: number }): Place | undefined {
    const last = Math.max(grid.rows - 1, -1), end = grid.columns - 1;
    const to = (row: number, to = column): Place => ({ row: Math.min(Math.max(row, -1), last), column: Math.min(Math.max(to, 0), end) });
    switch (key) {
        case "ArrowDown": return to(mod ? last : row + 1);
        case "ArrowUp": return to(mod ? 0 : row - 1);
        case "ArrowLeft": return to(row, mod ? 0 : column - 1);
        case "ArrowRight": return to(row, mod ? end : column + 1);
        case "PageDown": return to(Math.max(row, 0) + grid.page);
        case "PageUp": return to(Math.max(row - grid.page, Math.min(row, 0)));
        case "Home": return mod ? to(Math.min(0, last), 0) : to(row, 0);
        case "End": return mod ? to(last, end) : to(row, end);
        default: return undefined;
    }
}
