/** Trees as text, as core's tests draw them: `a=1 d/ l->a -gone e/!`. */
import type { Files, OvlDriver } from "../../src/driver/driver";

export interface Drawn {
  files: Files;
  links: Record<string, string>;
}

/** Reads a drawing of a lower: files, directories and symbolic links. */
export function read(drawing: string): Drawn {
  const drawn: Drawn = { files: {}, links: {} };
  for (const word of drawing.split(" ").filter((word) => word !== "")) {
    const [, link, target] = /^(.*)->(.*)$/.exec(word) ?? [];
    const [, name, text] = /^([^=]*)=(.*)$/.exec(word) ?? [];
    if (link !== undefined) drawn.links[link] = target!;
    else if (name !== undefined) drawn.files[name] = text!;
    else drawn.files[word.replace(/\/$/, "")] = null;
  }
  return drawn;
}

/** Draws what shows, or what one layer holds. */
export async function draw(driver: OvlDriver, layer?: string): Promise<string> {
  const words: string[] = [];
  const entries: Awaited<ReturnType<OvlDriver["stat"]>>[] = [];
  await driver.walk(layer, (page) => (entries.push(...page), true));
  for (const { path, kind } of entries) {
    const name = path.slice(1);
    if (kind === "dir") words.push(`${name}/${layer && (await opaque(driver, layer, path)) ? "!" : ""}`);
    else if (kind === "whiteout") words.push(`-${name}`);
    else if (kind === "symlink") words.push(`${name}->${(await driver.stat(path, layer)).target}`);
    else words.push(`${name}=${new TextDecoder().decode(await driver.read(path, { layer }))}`);
  }
  return words.sort().join(" ");
}

async function opaque(driver: OvlDriver, layer: string, path: string): Promise<boolean> {
  return (await driver.why(path)).layers.find((verdict) => verdict.layer === layer)?.opaque ?? false;
}
