/** Files that were dropped or picked, on their way to a stack. */
import type { Item } from "../driver/driver";

export type Handed = { kind: "zip"; name: string; file: File } | { kind: "folder"; name: string; items: Item[] };

let waiting: (File | FileSystemEntry)[] = [];

/** Keeps what was dropped on one screen for the next. */
export function handOver(files: (File | FileSystemEntry)[]): void {
  waiting = files;
}

export function takeOver(): (File | FileSystemEntry)[] {
  return waiting.splice(0);
}

/** A zip each, a folder each, and one folder for all plain files. */
export async function sort(given: (File | FileSystemEntry)[]): Promise<Handed[]> {
  const handed: Handed[] = [];
  const loose: Item[] = [];
  for (const one of given) {
    if (!(one instanceof File) && one.isDirectory) {
      const items: Item[] = [];
      await walk(one as FileSystemDirectoryEntry, "", items);
      handed.push({ kind: "folder", name: one.name, items });
      continue;
    }
    const file = one instanceof File ? one : await content(one as FileSystemFileEntry);
    if (await isZip(file)) handed.push({ kind: "zip", name: file.name, file });
    else loose.push({ path: file.webkitRelativePath || file.name, content: file });
  }
  if (loose.length > 0) handed.push(folder(loose));
  return handed;
}

/** Files of a picked folder carry its name in front of their paths. */
function folder(items: Item[]): Handed {
  const [root] = items[0]!.path.split("/");
  if (!items.every(({ path }) => path.startsWith(`${root}/`))) return { kind: "folder", name: "files", items };
  return { kind: "folder", name: root!, items: items.map((item) => ({ ...item, path: item.path.slice(root!.length + 1) })) };
}

/** A zip is known by its content; an empty one has only its end. */
async function isZip(file: Blob): Promise<boolean> {
  const [a, b, c] = new Uint8Array(await file.slice(0, 4).arrayBuffer());
  return a === 0x50 && b === 0x4b && (c === 3 || c === 5);
}

async function walk(dir: FileSystemDirectoryEntry, above: string, items: Item[]): Promise<void> {
  const reader = dir.createReader();
  for (;;) {
    const entries = await new Promise<FileSystemEntry[]>((done, failed) => reader.readEntries(done, failed));
    if (entries.length === 0) return;
    for (const entry of entries) {
      const path = above + entry.name;
      if (entry.isDirectory) {
        items.push({ path, kind: "dir" });
        await walk(entry as FileSystemDirectoryEntry, `${path}/`, items);
      } else items.push({ path, content: await content(entry as FileSystemFileEntry) });
    }
  }
}

function content(entry: FileSystemFileEntry): Promise<File> {
  return new Promise((done, failed) => entry.file(done, failed));
}
