/** Files that were dropped or picked, on their way to a stack. */
import type { Files } from "../driver/driver";

export type Handed = { kind: "zip"; name: string; file: File } | { kind: "folder"; name: string; files: Files };

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
  const loose: Files = {};
  for (const one of given) {
    if (!(one instanceof File) && one.isDirectory) {
      const files: Files = {};
      await walk(one as FileSystemDirectoryEntry, "", files);
      handed.push({ kind: "folder", name: one.name, files });
      continue;
    }
    const file = one instanceof File ? one : await content(one as FileSystemFileEntry);
    if (await isZip(file)) handed.push({ kind: "zip", name: file.name, file });
    else loose[file.webkitRelativePath || file.name] = file;
  }
  if (Object.keys(loose).length > 0) handed.push(folder(loose));
  return handed;
}

/** Files of a picked folder carry its name in front of their paths. */
function folder(files: Files): Handed {
  const paths = Object.keys(files);
  const [root] = paths[0]!.split("/");
  if (!paths.every((path) => path.startsWith(`${root}/`))) return { kind: "folder", name: "files", files };
  const within = Object.entries(files).map(([path, file]) => [path.slice(root!.length + 1), file] as const);
  return { kind: "folder", name: root!, files: Object.fromEntries(within) };
}

/** A zip is known by its content; an empty one has only its end. */
async function isZip(file: Blob): Promise<boolean> {
  const [a, b, c] = new Uint8Array(await file.slice(0, 4).arrayBuffer());
  return a === 0x50 && b === 0x4b && (c === 3 || c === 5);
}

async function walk(dir: FileSystemDirectoryEntry, above: string, files: Files): Promise<void> {
  const reader = dir.createReader();
  for (;;) {
    const entries = await new Promise<FileSystemEntry[]>((done, failed) => reader.readEntries(done, failed));
    if (entries.length === 0) return;
    for (const entry of entries) {
      const path = above + entry.name;
      if (entry.isDirectory) {
        files[path] = null;
        await walk(entry as FileSystemDirectoryEntry, `${path}/`, files);
      } else files[path] = await content(entry as FileSystemFileEntry);
    }
  }
}

function content(entry: FileSystemFileEntry): Promise<File> {
  return new Promise((done, failed) => entry.file(done, failed));
}
