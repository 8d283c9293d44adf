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
const MOST = 20_000;

/** Returns nothing when a tree is too large, or when `wanted` says that nobody waits any more. */
export async function measure(driver: OvlDriver, layers: Layer[], wanted: () => boolean): Promise<Map<string, Usage> | undefined> {
  const counted = new Map<string, Usage>();
  for (const { id } of layers.filter(({ index }) => index !== undefined)) {
    const usage = { bytes: 0, live: 0, entries: 0, whiteouts: 0 };
    const all = await each(driver, id, wanted, ({ kind, size }) => {
      if (kind === "whiteout") usage.whiteouts++;
      else usage.entries++;
      if (kind === "file") usage.bytes += size ?? 0;
    });
    if (!all) return undefined;
    counted.set(id, usage);
  }
  const all = await each(driver, undefined, wanted, ({ kind, layer, size }) => {
    const usage = counted.get(layer);
    if (kind === "file" && usage) usage.live += size ?? 0;
  });
  return all ? counted : undefined;
}

async function each(driver: OvlDriver, layer: string | undefined, wanted: () => boolean, count: (entry: Entry) => void): Promise<boolean> {
  let seen = 0;
  await driver.walk(layer, (entries) => {
    entries.forEach(count);
    seen += entries.length;
    return wanted() && seen <= MOST;
  });
  return wanted() && seen <= MOST;
}
