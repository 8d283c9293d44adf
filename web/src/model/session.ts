/**
 * Keeps the open stack in the browser's own file system, so that a reload finds it again.
 *
 * Zips are kept as they are, other lowers as zips, the upper as a tar that remembers deletions.
 */
import { isStack, type StackDriver } from "../driver/driver";
import type { Bench } from "./bench.svelte";
import type { Handed } from "./handed";
import { looks, type Looks } from "./looks";

/** A lower; without a `file` it was not kept. */
interface Kept {
  id: string;
  name: string;
  file?: string;
  /** What to pick to have it again. */
  pick?: "files" | "folder";
  looks?: Looks;
}

interface Recipe {
  version: 1;
  /** The lowers in the order in which they were added: their numbers follow it. */
  lowers: Kept[];
  /** Those that take part, from the top. */
  order: string[];
}

/** A lower of the last visit that is not there any more. */
export interface Lost {
  name: string;
  pick: "files" | "folder";
  /** Unknown where an older page kept the stack. */
  looks: Looks | undefined;
  /** Its place among the lowers. */
  at: number;
}

const RECIPE = "stack.json";
const UPPER = "upper.tar";
/** A larger layer is not kept: it is copied for it, and a browser has not room for everything. */
const LARGEST = 1024 ** 3;
const NO_ROOM = "this browser gives no room";

export class Session {
  private lowers: Kept[] = [];
  /** What was missing when the stack was put back, in order; it is remembered until it is there again, or not wanted. */
  private missing: Lost[] = [];
  private saving: Promise<void> | undefined;
  private again = false;

  private constructor(private readonly dir: FileSystemDirectoryHandle | undefined) {}

  static async open(): Promise<Session> {
    const root = await navigator.storage?.getDirectory?.().catch(() => undefined);
    return new Session(await root?.getDirectoryHandle("session", { create: true }).catch(() => undefined));
  }

  /** Puts back what was kept; returns what was not. */
  async restore(driver: StackDriver): Promise<Lost[]> {
    const kept = await this.file(RECIPE);
    if (!kept) return [];
    const recipe = JSON.parse(await kept.text()) as Recipe;
    const ids = new Map<string, string>();
    for (const { id, name, file, pick = "files", looks } of recipe.lowers) {
      const zip = file && (await this.file(file));
      if (!zip) {
        this.missing.push({ name, pick, looks, at: Math.max(0, recipe.order.indexOf(id)) });
        continue;
      }
      const now = await driver.addZip(name, zip);
      ids.set(id, now);
      this.lowers.push({ id: now, name, file });
    }
    this.missing.sort((a, b) => a.at - b.at);
    await driver.arrange(recipe.order.flatMap((id) => ids.get(id) ?? []));
    const upper = await this.file(UPPER);
    if (upper && upper.size > 0) await driver.import(upper);
    return this.missing;
  }

  /** Keeps a lower that was just added; returns why it is not kept, where it is not. */
  async keep(driver: StackDriver, id: string, handed: Handed): Promise<string | undefined> {
    const lower: Kept = { id, name: handed.name, pick: handed.kind === "zip" || handed.loose ? "files" : "folder" };
    this.lowers.push(lower);
    // A page that came by plain HTTP from another machine has neither room nor SHA-256.
    if (!this.dir) return NO_ROOM;
    lower.looks = await looks(handed);
    if (lower.looks.bytes > LARGEST) return "it is larger than 1 GiB";
    const file = `${id}-${Date.now()}.zip`;
    const content = handed.kind === "zip" ? handed.file : await driver.export({ what: `layer:${id}`, format: "zip" });
    if (!(await this.write(file, content))) return NO_ROOM;
    lower.file = file;
    return undefined;
  }

  /** Says that what was missing is there again, or not wanted any more; returns what still is missing. */
  found(lost: Lost): Lost[] {
    return (this.missing = this.missing.filter((one) => one !== lost));
  }

  /** Keeps the order and the upper; calls that come meanwhile are one more. */
  async save(bench: Bench): Promise<void> {
    this.again = true;
    this.saving ??= this.saveAll(bench).finally(() => (this.saving = undefined));
    await this.saving;
  }

  async forget(): Promise<void> {
    this.lowers = this.missing = [];
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
      const lost = this.missing.map((one, number) => ({ ...one, id: `lost-${number}` }));
      for (const { id, at } of lost) order.splice(at, 0, id);
      const lowers = [...this.lowers, ...lost.map(({ id, name, pick, looks }) => ({ id, name, pick, ...(looks && { looks }) }))];
      const recipe: Recipe = { version: 1, lowers, order };
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
