// Where the boxes of the diagram stand: what is pointed at on the left, what points at it further right, collections
// that have to do with each other together, lonely ones at the end. Pure: definitions in, coordinates out.

import { isMultiple, type Definition } from "./model";

export interface Box {
    id: string; name: string; type: string; x: number; y: number; height: number;
    rows: { name: string; type: string; target: boolean }[];
    /** Fields that are not shown. */
    more: number;
}
export interface Line { key: string; from: string; field: string; to: string; many: boolean; cascade: boolean; path: string }
export interface Layout { boxes: Box[]; lines: Line[]; width: number; height: number }

export const WIDTH = 220, HEAD = 34, ROW = 20;
const GAP_X = 110, GAP_Y = 26, ISLAND = 70;
/** How much wider than high a screen is. */
const WIDE = 1.7;

interface Edge { from: string; field: string; to: string; many: boolean; cascade: boolean }

/** Fields that say something: neither the id nor the times that all have. */
function boxOf(one: Definition, ids: Set<string>, most: number): Box {
    const telling = one.fields.filter(({ system, type }) => !system && type !== "autodate");
    const relations = telling.filter(({ type, collectionId }) => type === "relation" && ids.has(String(collectionId)));
    const rest = telling.filter((field) => !relations.includes(field)).slice(0, Math.max(0, most - relations.length));
    const shown = telling.filter((field) => relations.includes(field) || rest.includes(field));
    const more = telling.length - shown.length;
    return {
        id: one.id, name: one.name, type: one.type, x: 0, y: 0, more,
        height: HEAD + ROW * (shown.length + (more ? 1 : 0)) + 6,
        rows: shown.map(({ name, type, collectionId }) => ({ name, type, target: type === "relation" && ids.has(String(collectionId)) })),
    };
}

/** The ids of those that point at something or are pointed at. */
export function related(all: Definition[]): Set<string> {
    const ids = new Set(all.map(({ id }) => id));
    return new Set(all.flatMap((one) => one.fields.filter(({ type, collectionId }) => type === "relation" && ids.has(String(collectionId)))
        .flatMap(({ collectionId }) => [one.id, String(collectionId)])));
}

export function layout(all: Definition[]): Layout {
    const ids = new Set(all.map(({ id }) => id));
    // Many collections: only what connects them.
    const most = all.length > 150 ? 0 : 8;
    const boxes = new Map(all.map((one) => [one.id, boxOf(one, ids, most)]));
    const edges = all.flatMap((one) => one.fields.filter(({ type, collectionId }) => type === "relation" && ids.has(String(collectionId)))
        .map((field): Edge => ({ from: one.id, field: field.name, to: String(field.collectionId), many: isMultiple(field), cascade: Boolean(field.cascadeDelete) })));
    const stops = new Map<Edge, Box[]>();
    const { groups, lonely } = components([...ids], edges);
    const islands = groups.map((members) => island(members.map((id) => boxes.get(id) as Box), edges, stops));
    const size = pack(lonely.length ? [...islands, grid(lonely.map((id) => boxes.get(id) as Box), islands)] : islands);
    return { boxes: [...boxes.values()], lines: edges.map((edge, at) => line(edge, at, boxes, stops.get(edge) ?? [])), ...size };
}

/** The collections that are connected, the largest group first, and those that are not. */
function components(ids: string[], edges: Edge[]): { groups: string[][]; lonely: string[] } {
    const parent = new Map(ids.map((id) => [id, id]));
    const find = (id: string): string => {
        let root = id;
        while (parent.get(root) !== root) root = parent.get(root) as string;
        parent.set(id, root);
        return root;
    };
    for (const { from, to } of edges) parent.set(find(from), find(to));
    const groups = new Map<string, string[]>();
    for (const id of ids) groups.set(find(id), [...groups.get(find(id)) ?? [], id]);
    const found = [...groups.values()].sort((one, other) => other.length - one.length);
    return { groups: found.filter(({ length }) => length > 1), lonely: found.filter(({ length }) => length === 1).flat() };
}

interface Island { boxes: Box[]; width: number; height: number }

/** Places one group; `stops` are told for each line that passes columns in between where it has room in them. */
function island(boxes: Box[], edges: Edge[], stops: Map<Edge, Box[]>): Island {
    const here = new Set(boxes.map(({ id }) => id));
    const own = edges.filter(({ from, to }) => here.has(from) && here.has(to) && from !== to);
    const ranks = rank(boxes, own);
    const columns = byRank(boxes, ranks);
    const links: { from: string; to: string }[] = [];
    for (const edge of own) {
        const from = ranks.get(edge.from) ?? 0, to = ranks.get(edge.to) ?? 0;
        const passed: Box[] = [];
        for (let at = from - 1; at > to; at -= 1) {
            const stop: Box = { id: `~${edge.from}.${edge.field}.${at}`, name: "", type: "", x: 0, y: 0, height: 8, rows: [], more: 0 };
            columns[at]?.push(stop);
            passed.push(stop);
        }
        if (passed.length) stops.set(edge, passed);
        const chain = [edge.from, ...passed.map(({ id }) => id), edge.to];
        chain.slice(1).forEach((next, at) => links.push({ from: chain[at] ?? "", to: next }));
    }
    order(columns, links);
    // Not much taller than wide: long columns go on beside themselves.
    const tall = Math.max(700, Math.sqrt(boxes.reduce((sum, { height }) => sum + (height + GAP_Y) * (WIDTH + GAP_X), 0)) * .9);
    const split = columns.flatMap((column) => cut(column, tall));
    const heights = split.map((column) => column.reduce((sum, { height }) => sum + height + GAP_Y, -GAP_Y));
    const height = Math.max(0, ...heights);
    split.forEach((column, at) => {
        let y = (height - (heights[at] ?? 0)) / 2;
        for (const box of column) {
            box.x = at * (WIDTH + GAP_X);
            box.y = y;
            y += box.height + GAP_Y;
        }
    });
    return { boxes: split.flat(), width: split.length * (WIDTH + GAP_X) - GAP_X, height };
}

/** Those that have nothing to do with each other: rows as wide as what stands above them, or as a screen is for all of it. */
function grid(boxes: Box[], above: Island[]): Island {
    // Room for the line of a collection that points at itself.
    const step = WIDTH + ISLAND;
    const area = above.reduce((sum, { width, height }) => sum + (width + ISLAND) * (height + ISLAND), 0) + boxes.reduce((sum, { height }) => sum + step * (height + GAP_Y), 0);
    const wide = Math.max(Math.sqrt(area * WIDE), ...above.map(({ width }) => width));
    const columns = Math.min(boxes.length, Math.max(1, Math.round((wide + ISLAND) / step)));
    let y = 0;
    for (let from = 0; from < boxes.length; from += columns) {
        const row = boxes.slice(from, from + columns);
        row.forEach((box, at) => { box.x = at * step; box.y = y; });
        y += Math.max(...row.map(({ height }) => height)) + GAP_Y;
    }
    return { boxes, width: columns * step - ISLAND, height: y - GAP_Y };
}

/** How many steps away from something that points at nothing: the longest way there, or, where circles make that a
 *  chain through everything, the shortest. */
function rank(boxes: Box[], edges: Edge[]): Map<string, number> {
    const longest = longestWays(boxes, edges);
    return Math.max(0, ...longest.values()) > 4 + 2 * Math.sqrt(boxes.length) ? shortestWays(boxes, edges) : longest;
}

/** Circles are cut where they are met. */
function longestWays(boxes: Box[], edges: Edge[]): Map<string, number> {
    const targets = new Map<string, string[]>();
    for (const { from, to } of edges) targets.set(from, [...targets.get(from) ?? [], to]);
    const ranks = new Map<string, number>();
    const open = new Set<string>();
    const visit = (id: string): number => {
        const known = ranks.get(id);
        if (known !== undefined) return known;
        if (open.has(id)) return -1;
        open.add(id);
        const found = 1 + Math.max(-1, ...(targets.get(id) ?? []).map(visit));
        open.delete(id);
        ranks.set(id, found);
        return found;
    };
    for (const { id } of boxes) visit(id);
    return ranks;
}

/** From what points at nothing outwards; in circles, from what is pointed at most. */
function shortestWays(boxes: Box[], edges: Edge[]): Map<string, number> {
    const sources = new Map<string, string[]>(boxes.map(({ id }) => [id, []]));
    for (const { from, to } of edges) sources.get(to)?.push(from);
    const pointing = new Set(edges.map(({ from }) => from));
    const ranks = new Map<string, number>();
    const spread = (starts: string[]) => {
        for (const id of starts) ranks.set(id, 0);
        const next = [...starts];
        for (const id of next) {
            for (const from of sources.get(id) ?? []) {
                if (ranks.has(from)) continue;
                ranks.set(from, (ranks.get(id) ?? 0) + 1);
                next.push(from);
            }
        }
    };
    spread(boxes.filter(({ id }) => !pointing.has(id)).map(({ id }) => id));
    const wanted = boxes.map(({ id }) => id).sort((one, other) => (sources.get(other)?.length ?? 0) - (sources.get(one)?.length ?? 0));
    for (const id of wanted) if (!ranks.has(id)) spread([id]);
    return ranks;
}

function byRank(boxes: Box[], ranks: Map<string, number>): Box[][] {
    const columns: Box[][] = [];
    for (const box of boxes) {
        const at = Math.max(0, ranks.get(box.id) ?? 0);
        (columns[at] ??= []).push(box);
    }
    return Array.from(columns, (column) => column ?? []);
}

/** A few passes to and fro: each box as high as the middle of those it is connected with. */
function order(columns: Box[][], edges: { from: string; to: string }[]) {
    const near = new Map<string, string[]>();
    for (const { from, to } of edges) {
        near.set(from, [...near.get(from) ?? [], to]);
        near.set(to, [...near.get(to) ?? [], from]);
    }
    const place = new Map<string, number>();
    const note = (column: Box[]) => column.forEach(({ id }, at) => place.set(id, (at + .5) / column.length));
    columns.forEach(note);
    for (let pass = 0; pass < 6; pass += 1) {
        for (const column of pass % 2 ? [...columns].reverse() : columns) {
            const wanted = new Map(column.map(({ id }) => {
                const others = near.get(id) ?? [];
                return [id, others.length ? others.reduce((sum, other) => sum + (place.get(other) ?? .5), 0) / others.length : place.get(id) ?? .5];
            }));
            column.sort((one, other) => (wanted.get(one.id) ?? 0) - (wanted.get(other.id) ?? 0));
            note(column);
        }
    }
}

function cut(column: Box[], tall: number): Box[][] {
    const parts: Box[][] = [[]];
    let height = 0;
    for (const box of column) {
        if (height + box.height > tall && parts.at(-1)?.length) {
            parts.push([]);
            height = 0;
        }
        parts.at(-1)?.push(box);
        height += box.height + GAP_Y;
    }
    return parts;
}

/** The islands in rows, about as wide as a screen is for their area. */
function pack(islands: Island[]): { width: number; height: number } {
    const area = islands.reduce((sum, { width, height }) => sum + (width + ISLAND) * (height + ISLAND), 0);
    const wide = Math.max(Math.sqrt(area * WIDE), ...islands.map(({ width }) => width));
    let x = 0, y = 0, tall = 0, right = 0;
    for (const { boxes, width, height } of islands) {
        if (x > 0 && x + width > wide) {
            x = 0;
            y += tall + ISLAND;
            tall = 0;
        }
        for (const box of boxes) {
            box.x += x;
            box.y += y;
        }
        right = Math.max(right, x + width);
        x += width + ISLAND;
        tall = Math.max(tall, height);
    }
    return { width: right, height: y + tall };
}

/** From the field to the head of what it points at, by way of its stops. */
function line(edge: Edge, at: number, boxes: Map<string, Box>, stops: Box[]): Line {
    const from = boxes.get(edge.from) as Box, to = boxes.get(edge.to) as Box;
    const row = from.rows.findIndex(({ name }) => name === edge.field);
    const y1 = from.y + (row < 0 ? HEAD / 2 : HEAD + ROW * row + ROW / 2), y2 = to.y + HEAD / 2;
    if (from.x > to.x) {
        let path = `M${from.x} ${y1}`, x = from.x, y = y1;
        for (const stop of [...stops, { x: to.x, y: y2 - 4, last: true }]) {
            const end = stop.x + WIDTH, middle = stop.y + 4, bend = Math.max(30, (x - end) / 2);
            path += ` C${x - bend} ${y} ${end + bend} ${middle} ${end} ${middle}`;
            if (!("last" in stop)) path += ` H${stop.x}`;
            x = stop.x;
            y = middle;
        }
        return { ...edge, key: `${at}`, path };
    }
    const start = from.x + WIDTH;
    const [end, bend1, bend2] = from.x < to.x ? [to.x, start + Math.max(40, (to.x - start) / 2), to.x - Math.max(40, (to.x - start) / 2)] : [start, start + 60, start + 60];
    return { ...edge, key: `${at}`, path: `M${start} ${y1} C${bend1} ${y1} ${bend2} ${y2} ${end} ${y2}` };
}
