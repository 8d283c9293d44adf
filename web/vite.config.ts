import { svelte } from "@sveltejs/vite-plugin-svelte";
import { defineConfig } from "vitest/config";

export default defineConfig({
  plugins: [svelte()],
  base: "./",
  build: { target: "es2023", modulePreload: { polyfill: false } },
  worker: { format: "es" },
  server: { proxy: { "/v1": "http://127.0.0.1:8080", "/openapi.json": "http://127.0.0.1:8080" } },
  test: { include: ["tests/**/*.test.ts"], testTimeout: 20_000 },
});
