/** What lies in a directory that does not show: beneath a whiteout, an opaque directory, or a file. */
import type { OvlDriver, Why } from "../driver/driver";

/** So many names of a layer are told. */
const MOST = 50;

export interface Unseen {
  layer: string;
  names: string[];
  more: boolean;
}

/** Asks each layer whose directory at this path is hidden; one that lies elsewhere by then has nothing to tell. */
export async function unseen(driver: OvlDriver, why: Why): Promise<Unseen[]> {
  const hidden = why.layers.filter(({ found, fate }) => found === "dir" && fate === "hidden");
  const told = hidden.map(async ({ layer }): Promise<Unseen> => {
    const { entries, next_cursor } = await driver.list(why.path, { layer, limit: MOST }).catch(() => ({ entries: [], next_cursor: undefined }));
    return { layer, names: entries.map(({ name, kind }) => (kind === "dir" ? `${name}/` : name)), more: next_cursor != null };
  });
  return (await Promise.all(told)).filter(({ names }) => names.length > 0);
}
