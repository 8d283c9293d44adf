// After the build: writes the service worker with the list of what it keeps.
import { createHash } from "node:crypto";
import { readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";

const DIST = new URL("../dist/", import.meta.url).pathname;

const files = [];
const hash = createHash("sha256");
for (const entry of await readdir(DIST, { recursive: true, withFileTypes: true })) {
  const path = join(entry.parentPath, entry.name).slice(DIST.length);
  if (!entry.isFile() || path.startsWith(".vite/")) continue;
  hash.update(path).update(await readFile(join(DIST, path)));
  if (path !== "index.html") files.push(`./${path}`);
}
const template = await readFile(new URL("sw.js", import.meta.url), "utf8");
const version = hash.digest("hex").slice(0, 16);
await writeFile(join(DIST, "sw.js"), template.replace("__VERSION__", version).replace("__FILES__", JSON.stringify(files.sort())));
