// Test pictures of 200 × 100: red and green over blue and white; `turned.jpg` is held by its EXIF data to stand upright
// at 100 × 200, `moving.gif` has two frames.

import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const folder = join(dirname(fileURLToPath(import.meta.url)), "..", "files", "pictures");

export const pictures = Object.fromEntries(["plain.png", "plain.jpg", "turned.jpg", "moving.gif", "still.webp"]
    .map((name) => [name, readFileSync(join(folder, name))]));

/** What a picture's own bytes say: `png 50x50`; `none` for what is no picture. */
export function dimensions(bytes) {
    if (bytes.length < 24) return "none";
    if (bytes.subarray(1, 4).toString("latin1") === "PNG") return `png ${bytes.readUInt32BE(16)}x${bytes.readUInt32BE(20)}`;
    if (bytes.subarray(0, 3).toString("latin1") === "GIF") return `gif ${bytes.readUInt16LE(6)}x${bytes.readUInt16LE(8)}`;
    if (bytes.subarray(8, 12).toString("latin1") === "WEBP") return "webp";
    if (bytes.readUInt16BE(0) !== 0xffd8) return "none";
    for (let at = 2; at + 9 < bytes.length; at += 2 + bytes.readUInt16BE(at + 2)) {
        const marker = bytes[at + 1];
        // The frame header tells the size.
        if (marker >= 0xc0 && marker <= 0xcf && ![0xc4, 0xc8, 0xcc].includes(marker)) {
            return `jpeg ${bytes.readUInt16BE(at + 7)}x${bytes.readUInt16BE(at + 5)}`;
        }
    }
    return "none";
}
