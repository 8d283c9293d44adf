/** Files that were dropped or picked, on their way to a stack. */
import { OvlError, type Item, type Work } from "../driver/driver";

export type Handed =
  | { kind: "zip"; name: string; file: File }
  /** `loose` are files that were picked one by one. */
  | { kind: "folder"; name: string; items: Item[]; loose: boolean };

let waiting: (File | FileSystemEntry)[] = [];

/** Keeps what was dropped on one screen for the next. */
export function handOver(files: (File | FileSystemEntry)[]): void {
  waiting = files;
}

export function takeOver(): (File | FileSystemEntry)[] {
  return waiting.splice(0);
}

/**
 * A zip each, a folder each, and one folder for all plain files. A zip in a folder stays a file of it.
 *
 * Who gave the work hears how many files were found so far.
 */
export async function sort(given: (File | FileSystemEntry)[], work: Work = {}): Promise<Handed[]> {
  const found = new Found(work);
  const handed: Handed[] = [];
  const loose: Item[] = [];
  for (const one of given) {
    if (!(one instanceof File) && one.isDirectory) {
      const items: Item[] = [];
      await walk(one as FileSystemDirectoryEntry, "", items, found);
      handed.push({ kind: "folder", name: one.name, items, loose: false });
      continue;
    }
    const file = one instanceof File ? one : await content(one as FileSystemFileEntry);
    const inFolder = file.webkitRelativePath !== "";
    if (!inFolder && (await isZip(file))) handed.push({ kind: "zip", name: file.name, file });
    else loose.push({ path: file.webkitRelativePath || file.name, content: file });
    found.more(1);
  }
  if (loose.length > 0) handed.push(folder(loose));
  return handed;
}

/** Counts what is found, until it is cancelled. */
class Found {
  private count = 0;

  constructor(private readonly work: Work) {}

  more(files: number): void {
    if (this.work.signal?.aborted) throw new OvlError("cancelled", "cancelled; nothing was changed");
    this.work.heard?.((this.count += files));
  }
}

/** Files of a picked folder carry its name in front of their paths. */
function folder(items: Item[]): Handed {
  const [root] = items[0]!.path.split("/");
  if (!items.every(({ path }) => path.startsWith(`${root}/`))) return { kind: "folder", name: "files", items, loose: true };
  return { kind: "folder", name: root!, items: items.map((item) => ({ ...item, path: item.path.slice(root!.length + 1) })), loose: false };
}

/** A zip is known by its content; an empty one has only its end. */
async function isZip(file: Blob): Promise<boolean> {
  const [a, b, c] = new Uint8Array(await file.slice(0, 4).arrayBuffer());
  return a === 0x50 && b === 0x4b && (c === 3 || c === 5);
}

async function walk(dir: FileSystemDirectoryEntry, above: string, items: Item[], found: Found): Promise<void> {
  const reader = dir.createReader();
  for (;;) {
    const entries = await new Promise<FileSystemEntry[]>((done, failed) => reader.readEntries(done, failed));
    if (entries.length === 0) return;
    const files = entries.filter(({ isFile }) => isFile);
    const contents = await Promise.all(files.map((file) => content(file as FileSystemFileEntry)));
    contents.forEach((content, at) => items.push({ path: above + files[at]!.name, content }));
    found.more(files.length);
    for (const inner of entries.filter(({ isDirectory }) => isDirectory)) {
      items.push({ path: above + inner.name, kind: "dir" });
      await walk(inner as FileSystemDirectoryEntry, `${above}${inner.name}/`, items, found);
    }
  }
}

function content(entry: FileSystemFileEntry): Promise<File> {
  return new Promise((done, failed) => entry.file(done, failed));
}
