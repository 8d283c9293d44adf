/**
 * Keeps the open stack in the browser's own file system, so that a reload finds it again.
 *
 * Zips are kept as they are, other lowers as zips, the upper as a tar that remembers deletions.
 */
import { isStack, type StackDriver } from "../driver/driver";
import type { Bench } from "./bench.svelte";
import type { Handed } from "./handed";

interface Recipe {
  version: 1;
  /** The lowers in the order in which they were added: their numbers follow it. */
  lowers: { id: string; name: string; file: string }[];
  /** Those that take part, from the top. */
  order: string[];
}

const RECIPE = "stack.json";
const UPPER = "upper.tar";
/** A larger layer is not kept: it is copied for it, and a browser has not room for everything. */
const LARGEST = 1024 ** 3;

export class Session {
  private lowers: Recipe["lowers"] = [];
  private saving: Promise<void> | undefined;
  private again = false;

  private constructor(private readonly dir: FileSystemDirectoryHandle | undefined) {}

  static async open(): Promise<Session> {
    const root = await navigator.storage?.getDirectory?.().catch(() => undefined);
    return new Session(await root?.getDirectoryHandle("session", { create: true }).catch(() => undefined));
  }

  /** Puts back what was kept; false when there is nothing. */
  async restore(driver: StackDriver): Promise<boolean> {
    const kept = await this.file(RECIPE);
    if (!kept) return false;
    const recipe = JSON.parse(await kept.text()) as Recipe;
    const ids = new Map<string, string>();
    for (const { id, name, file } of recipe.lowers) {
      const zip = await this.file(file);
      if (!zip) continue;
      const now = await driver.addZip(name, zip);
      ids.set(id, now);
      this.lowers.push({ id: now, name, file });
    }
    await driver.arrange(recipe.order.flatMap((id) => ids.get(id) ?? []));
    const upper = await this.file(UPPER);
    if (upper && upper.size > 0) await driver.import(upper);
    return this.lowers.length > 0 || upper !== undefined;
  }

  /** Keeps a lower that was just added, unless it is too large. */
  async keep(driver: StackDriver, id: string, handed: Handed): Promise<void> {
    if (weight(handed) > LARGEST) return;
    const file = `${id}-${Date.now()}.zip`;
    const content = handed.kind === "zip" ? handed.file : await driver.export({ what: `layer:${id}`, format: "zip" });
    if (await this.write(file, content)) this.lowers.push({ id, name: handed.name, file });
  }

  /** Keeps the order and the upper; calls that come meanwhile are one more. */
  async save(bench: Bench): Promise<void> {
    this.again = true;
    this.saving ??= this.saveAll(bench).finally(() => (this.saving = undefined));
    await this.saving;
  }

  async forget(): Promise<void> {
    this.lowers = [];
    for await (const name of this.dir?.keys() ?? []) await this.dir?.removeEntry(name);
  }

  private async saveAll(bench: Bench): Promise<void> {
    while (this.again) {
      this.again = false;
      const { driver } = bench;
      if (!isStack(driver)) return;
      const { layers } = await driver.overlay();
      const order = layers.filter(({ role, index }) => role === "lower" && index !== undefined).map(({ id }) => id);
      const there = new Set(layers.map(({ id }) => id));
      this.lowers = this.lowers.filter(({ id }) => there.has(id));
      const recipe: Recipe = { version: 1, lowers: this.lowers, order };
      await this.write(UPPER, await driver.export({ what: "upper", format: "tar" }));
      await this.write(RECIPE, new Blob([JSON.stringify(recipe)]));
    }
  }

  private async file(name: string): Promise<File | undefined> {
    return this.dir?.getFileHandle(name).then(
      (handle) => handle.getFile(),
      () => undefined,
    );
  }

  /** False when the browser gives no room. */
  private async write(name: string, content: Blob): Promise<boolean> {
    try {
      const handle = await this.dir?.getFileHandle(name, { create: true });
      const to = await handle?.createWritable();
      await to?.write(content);
      await to?.close();
      return to !== undefined;
    } catch {
      return false;
    }
  }
}

/** The bytes of what was handed over. */
function weight(handed: Handed): number {
  if (handed.kind === "zip") return handed.file.size;
  return handed.items.reduce((sum, { content }) => sum + (content instanceof Blob ? content.size : (content?.length ?? 0)), 0);
}
