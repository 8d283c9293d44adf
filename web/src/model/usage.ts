/** How many bytes each layer holds, and how many of them show. The engine counts neither, so the trees are walked. */
import type { Entry, Layer, OvlDriver } from "../driver/driver";

export interface Usage {
  bytes: number;
  /** Bytes of files that show. */
  live: number;
  entries: number;
  whiteouts: number;
}

/** A tree with more entries than this is not counted. */
const MOST = 50_000;

/** Counts nothing at all when a tree is too large. */
export async function measure(driver: OvlDriver, layers: Layer[]): Promise<Map<string, Usage>> {
  const counted = new Map<string, Usage>();
  for (const { id } of layers.filter(({ index }) => index !== undefined)) {
    const usage = { bytes: 0, live: 0, entries: 0, whiteouts: 0 };
    await each(driver, id, ({ kind, size }) => {
      if (kind === "whiteout") usage.whiteouts++;
      else usage.entries++;
      if (kind === "file") usage.bytes += size ?? 0;
    });
    counted.set(id, usage);
  }
  await each(driver, undefined, ({ kind, layer, size }) => {
    const usage = counted.get(layer);
    if (kind === "file" && usage) usage.live += size ?? 0;
  });
  return counted;
}

async function each(driver: OvlDriver, layer: string | undefined, count: (entry: Entry) => void): Promise<void> {
  let seen = 0;
  await driver.walk(layer, (entries) => {
    entries.forEach(count);
    seen += entries.length;
    return seen <= MOST;
  });
  if (seen > MOST) throw new Error("too many entries to count");
}
