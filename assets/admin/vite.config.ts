import { svelte } from "@sveltejs/vite-plugin-svelte";
import { defineConfig } from "vite";

// The server that pages talk to while they are being worked on: `npm run dev`.
const server = process.env.CONCH_URL ?? "http://127.0.0.1:8090";
const proxy = { "/api": { target: server, changeOrigin: true } };

// What the executable sends with the pages; `npm run preview` shows them under the same rule.
const policy =
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data: blob:; "
    + "media-src 'self' blob:; font-src 'self'; worker-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'none'; "
    + "frame-ancestors 'none'";

export default defineConfig({
    base: "./",
    plugins: [svelte()],
    build: {
        target: "es2022",
        outDir: "dist",
        emptyOutDir: true,
        // Nothing becomes a data: URL, and nothing is loaded by an inline script.
        assetsInlineLimit: 0,
        modulePreload: { polyfill: false },
        reportCompressedSize: true,
        chunkSizeWarningLimit: 700,
    },
    server: { proxy },
    preview: { proxy, headers: { "Content-Security-Policy": policy } },
});
