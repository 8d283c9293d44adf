// Opens a zip and reads 1,000 of its members: milliseconds for either, and the peak of memory in MiB.
//
//   node bench.mjs ovl|fflate|jszip ARCHIVE.zip MODULE
import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { pathToFileURL } from "node:url";

const [who, archive, from] = process.argv.slice(2);
const module = await import(pathToFileURL(resolve(from)));
const bytes = new Uint8Array(readFileSync(archive));
const names = Array.from({ length: 1000 }, (_, i) => ((i * 7919 + 13) % 100000)).map(
  (i) => `p${String(i % 97).padStart(2, "0")}/q${String(Math.floor(i / 97) % 53).padStart(2, "0")}/file_${String(i).padStart(7, "0")}.txt`,
);
const contenders = {
  ovl: {
    open() {
      const stack = new module.Stack();
      stack.addZip("a.zip", bytes);
      return stack;
    },
    read: (stack, name) => stack.read(name),
  },
  fflate: {
    // The directory alone: nothing is inflated.
    open: () => module.unzipSync(bytes, { filter: () => false }),
  },
  jszip: {
    open: () => module.default.loadAsync(bytes),
    read: (zip, name) => zip.file(name).async("uint8array"),
  },
};
const { open, read } = contenders[who];

const start = performance.now();
const opened = await open();
const between = performance.now();
const rss = process.resourceUsage().maxRSS / 1024;
// fflate has no index: it would look through the whole directory for every member, and is not asked.
for (const name of read ? names : []) {
  if ((await read(opened, name)).length === 0) throw new Error(`${name} is empty`);
}
const end = performance.now();
console.log(JSON.stringify({ open: between - start, reads: end - between, rss }));
