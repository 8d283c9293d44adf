/** What tells one layer from another at little cost, so that a layer picked again is the one that was there. */
import { sha256 } from "./digest";
import type { Handed } from "./handed";
import { plain, size } from "./layers";

export interface Looks {
  bytes: number;
  /** SHA-256 of what [`looks`] looks at. */
  digest: string | undefined;
}

/** The end of a zip lists its members, with a checksum of each. */
const END = 64 * 1024;

/** Of a zip its length and its end, of files their paths and lengths. What was changed in place, with the same length, is not seen in files. */
export async function looks(handed: Handed): Promise<Looks> {
  if (handed.kind === "zip") return { bytes: handed.file.size, digest: await sha256(handed.file.slice(-END)) };
  const lengths = handed.items.map(({ path, content }) => [path, content instanceof Blob ? content.size : (content?.length ?? 0)] as const);
  const lines = lengths.map(([path, length]) => `${path}\0${length}\n`).sort();
  return { bytes: lengths.reduce((sum, [, length]) => sum + length, 0), digest: await sha256(new Blob(lines)) };
}

/** Says how what was picked differs from what was there; nothing where it looks the same. */
export async function differs(picked: Handed[], was: Looks & { name: string }): Promise<string | undefined> {
  const [one, ...others] = picked;
  if (!one) return undefined;
  if (others.length > 0) return `These are ${picked.length} layers; ${plain(was.name)} was one.`;
  const is = await looks(one);
  if (is.bytes !== was.bytes) return `${plain(one.name)} is another than ${plain(was.name)} was: it has ${size(is.bytes)}, not ${size(was.bytes)}.`;
  return is.digest === was.digest ? undefined : `${plain(one.name)} is another than ${plain(was.name)} was: it is as long, but other things are in it.`;
}
