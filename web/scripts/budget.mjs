// After the build: precompresses what is served, and fails when a part is larger than its budget.
import { readdir, readFile, writeFile } from "node:fs/promises";
import { extname, join } from "node:path";
import { brotliCompressSync, constants } from "node:zlib";

const DIST = new URL("../dist/", import.meta.url).pathname;
const KIB = 1024;
const budgets = { "first load": 60 * KIB, editor: 190 * KIB, shell: 290 * KIB };

const sizes = new Map();
for (const entry of await readdir(DIST, { recursive: true, withFileTypes: true })) {
  const path = join(entry.parentPath, entry.name);
  if (!entry.isFile() || ![".html", ".js", ".css", ".svg", ".wasm", ".webmanifest"].includes(extname(path))) continue;
  const content = await readFile(path);
  const small = brotliCompressSync(content, { params: { [constants.BROTLI_PARAM_QUALITY]: 11, [constants.BROTLI_PARAM_SIZE_HINT]: content.length } });
  await writeFile(`${path}.br`, small);
  sizes.set(path.slice(DIST.length), small.length);
}

const manifest = JSON.parse(await readFile(join(DIST, ".vite/manifest.json"), "utf8"));

/** The files of a chunk with all that it imports at once, less those that are there already. */
function files(name, known = new Set()) {
  const found = new Set();
  const visit = (key) => {
    const chunk = manifest[key];
    for (const file of [chunk.file, ...(chunk.css ?? [])]) if (!known.has(file)) found.add(file);
    for (const next of chunk.imports ?? []) visit(next);
  };
  visit(name);
  return found;
}

const total = (names) => [...names].reduce((sum, name) => sum + sizes.get(name), 0);
const entry = files("index.html");
const screens = Object.keys(manifest).filter((key) => key.startsWith("src/screens/"));
const heaviest = screens.map((key) => [key, total(files(key, entry))]).sort((a, b) => b[1] - a[1])[0];
// A first visit may lead to any one screen: the heaviest counts. Editor and shell come from a workbench that is there;
// the editor's languages come one by one, and all are counted.
const there = new Set([...entry, ...files(heaviest[0])]);
const editor = files("src/parts/editor.ts", there);
const languages = Object.keys(manifest).filter((key) => key.includes("@codemirror/lang-"));
const parts = {
  "first load": sizes.get("index.html") + total(entry) + heaviest[1],
  editor: total(new Set([...editor, ...languages.flatMap((key) => [...files(key, new Set([...there, ...editor]))])])),
  shell: total(files("src/shell/shell.ts", there)),
};

let over = false;
for (const [part, size] of Object.entries(parts)) {
  over ||= size > budgets[part];
  console.log(`${part}: ${(size / KIB).toFixed(1)} of ${budgets[part] / KIB} KiB brotli${size > budgets[part] ? ": TOO LARGE" : ""}`);
}
for (const [name, size] of sizes) if (name.endsWith(".wasm")) console.log(`engine: ${(size / KIB).toFixed(1)} KiB brotli`);
if (over) process.exit(1);
