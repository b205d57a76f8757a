import { defineConfig } from "vitest/config";

// Pure logic only: no component, so no plugin and no document are needed.
export default defineConfig({ test: { include: ["tests/**/*.test.ts"], environment: "node" } });
