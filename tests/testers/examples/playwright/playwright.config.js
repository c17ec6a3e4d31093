// conch exec --seed ../seed.json -- npx playwright test
import { defineConfig } from "@playwright/test";

export default defineConfig({
    testDir: ".",
    // One server, which goes back to the beginning before each test.
    workers: 1,
    reporter: "list",
    use: {
        baseURL: process.env.CONCH_URL,
        launchOptions: { executablePath: process.env.CHROMIUM_BIN },
    },
});
