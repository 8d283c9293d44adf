/** Draws what a driver shows, in the words that `src/model/drawing.ts` reads. */
import type { OvlDriver } from "../../src/driver/driver";

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
