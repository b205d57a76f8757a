import { svelte } from "@sveltejs/vite-plugin-svelte";
import { defineConfig } from "vite";

export default defineConfig({
  // Relative, so that the chunks find each other whatever STATIC_URL is.
  base: "./",
  plugins: [svelte()],
  build: {
    manifest: "manifest.json",
    target: "es2022",
    // The output is committed: no source maps, and names depend on content only.
    sourcemap: false,
    modulePreload: { polyfill: false },
    rollupOptions: { input: "src/main.ts" },
  },
});
