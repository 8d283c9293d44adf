import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { svelte } from "@sveltejs/vite-plugin-svelte";
import { defineConfig } from "vitest/config";

const at = (path: string): string => fileURLToPath(new URL(path, import.meta.url));
const [, version] = /^version = "(.*)"$/m.exec(readFileSync(at("../Cargo.toml"), "utf8"))!;

/** The engine's package, as `cargo xtask web` leaves it. */
const engine = (file: string): string => at(`../target/npm/ovl/${file}`);

export default defineConfig({
  plugins: [svelte()],
  base: "./",
  define: { __VERSION__: JSON.stringify(version) },
  resolve: {
    alias: [
      { find: /^ovl$/, replacement: engine("node.js") },
      { find: /^ovl\/(client|worker)$/, replacement: engine("$1.js") },
    ],
  },
  build: { target: "es2023", manifest: true, modulePreload: { polyfill: false }, chunkSizeWarningLimit: 1500 },
  worker: { format: "es" },
  server: { proxy: { "/v1": "http://127.0.0.1:8080", "/openapi.json": "http://127.0.0.1:8080" } },
  test: { include: ["tests/**/*.test.ts"], testTimeout: 20_000 },
});
