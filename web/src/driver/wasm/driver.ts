/** The overlay of this tab, by the engine compiled to WebAssembly. */
import {
  OvlError,
  type Change,
  type Entry,
  type ExportOptions,
  type Import,
  type Item,
  type ListOptions,
  type OvlEvent,
  type Overlay,
  type Page,
  type Patch,
  type ReadOptions,
  type Rows,
  type StackDriver,
  type Why,
  type Work,
  type Written,
} from "../driver";
import type { Engine } from "./engine";

const PAGE = 10_000;
/** Short pages of a walk let other work of the Worker in between. */
const STEP = 1000;
/** So many pieces of an archive become one blob, which need not stay in memory. */
const PIECES = 64;

export class WasmDriver implements StackDriver {
  readonly can = { stack: true, shared: false };
  readonly place = "this tab";
  /** Nothing is ever sent. */
  readonly uploaded = 0;
  grown: (() => void) | undefined;
  private readonly listeners = new Set<(event: OvlEvent) => void>();
  private told = 0;

  constructor(
    private readonly engine: Engine,
    private readonly engineVersion: string,
  ) {}

  async version(): Promise<string> {
    return this.engineVersion;
  }

  overlay(): Promise<Overlay> {
    return call(() => this.engine.overlay());
  }

  stat(path: string, layer?: string): Promise<Entry> {
    return call(() => (layer === undefined ? this.engine.stat(path) : this.engine.statIn(layer, path)));
  }

  list(path: string, { hidden, cursor, limit, layer }: ListOptions = {}): Promise<Page> {
    const options = { whiteouts: hidden ?? false, shadowed: layer === undefined, ...(cursor && { cursor }), ...(limit && { limit }) };
    return call(() => (layer === undefined ? this.engine.list(path, options) : this.engine.listIn(layer, path, options)));
  }

  read(path: string, { layer, offset = 0, length }: ReadOptions = {}): Promise<Uint8Array> {
    return call(() => (layer === undefined ? this.engine.read(path, offset, length) : this.engine.readIn(layer, path, offset, length)));
  }

  why(path: string): Promise<Why> {
    return call(() => this.engine.why(path));
  }

  xray(paths: string[]): Promise<Why[]> {
    return Promise.all(paths.map((path) => this.why(path)));
  }

  async changes(): Promise<Change[]> {
    const changes: Change[] = [];
    for (let cursor: string | undefined, more = true; more; more = cursor !== undefined) {
      const page = await call(() => this.engine.changes({ limit: PAGE, ...(cursor && { cursor }) }));
      changes.push(...page.changes);
      cursor = page.next_cursor;
    }
    return changes;
  }

  digest(path: string, layer?: string): Promise<string> {
    return call(() => this.engine.digest(path, layer === undefined ? {} : { layer }));
  }

  async walk(layer: string | undefined, visit: (entries: Entry[]) => boolean): Promise<void> {
    const dirs = ["/"];
    for (let dir = dirs.pop(); dir !== undefined; dir = dirs.pop()) {
      for (let cursor: string | undefined, more = true; more; more = cursor !== undefined) {
        const page = await this.list(dir, { layer, cursor, limit: STEP, hidden: layer !== undefined });
        if (!visit(page.entries)) return;
        dirs.push(...page.entries.filter(({ kind }) => kind === "dir").map(({ path }) => path));
        cursor = page.next_cursor ?? undefined;
      }
    }
  }

  rows(start: number, count: number, hidden: boolean): Promise<Rows> {
    return call(() => this.engine.rows(start, count, { whiteouts: hidden, shadowed: true }));
  }

  async expand(path: string): Promise<void> {
    await call(() => this.engine.expand(path));
  }

  async collapse(path: string): Promise<void> {
    await call(() => this.engine.collapse(path));
  }

  rowOf(path: string): Promise<number | undefined> {
    return call(() => this.engine.rowOf(path));
  }

  async write(path: string, content: Uint8Array): Promise<Written> {
    const { created, copied_up } = await this.change(() => this.engine.write(path, content));
    return { created, copied_up };
  }

  /** As the REST API: what is appended to must be there. */
  async append(path: string, content: Uint8Array): Promise<Written> {
    await this.stat(path);
    const { created, copied_up } = await this.change(() => this.engine.write(path, content, { append: true }));
    return { created, copied_up };
  }

  async mkdir(path: string): Promise<void> {
    await this.change(() => this.engine.mkdir(path));
  }

  async symlink(path: string, target: string): Promise<void> {
    await this.change(() => this.engine.symlink(path, target));
  }

  async link(existing: string, path: string): Promise<void> {
    await this.change(() => this.engine.link(existing, path));
  }

  async remove(path: string, recursive = false): Promise<void> {
    await this.change(() => this.engine.remove(path, { recursive }));
  }

  async move(from: string, to: string, overwrite = false): Promise<void> {
    await this.change(() => this.engine.rename(from, to, { overwrite }));
  }

  async copy(from: string, to: string, overwrite = false): Promise<void> {
    await this.change(() => this.engine.copy(from, to, { overwrite }));
  }

  async patch(path: string, { mode, mtime, uid, gid, xattrs }: Patch): Promise<void> {
    const patch = { ...(mode && { mode }), ...(mtime && { mtime }), ...(uid != null && { uid }), ...(gid != null && { gid }), ...(xattrs && { xattrs }) };
    await this.change(() => this.engine.set(path, patch));
  }

  async discard(path: string): Promise<void> {
    await this.change(() => this.engine.discard(path));
  }

  discardAll(): Promise<void> {
    return this.discard("/");
  }

  async export({ what, format }: ExportOptions, { signal, heard }: Work = {}): Promise<Blob> {
    const blobs: Blob[] = [];
    const pieces: BlobPart[] = [];
    let done = 0;
    const write = (piece: Uint8Array): void => {
      if (pieces.push(piece as BlobPart) === PIECES) blobs.push(new Blob(pieces.splice(0)));
      heard?.((done += piece.length));
    };
    await call(() => this.engine.export(write, { what: what as "merged", format, ...(signal && { signal }) }));
    return new Blob([...blobs, ...pieces], { type: format === "zip" ? "application/zip" : "application/x-tar" });
  }

  import(archive: Blob, { signal, heard }: Work = {}): Promise<Import> {
    return this.change(() => this.engine.import(archive, signal && { signal }, heard));
  }

  addZip(name: string, file: Blob | Uint8Array, at?: number, { signal, heard }: Work = {}): Promise<string> {
    return call(() => this.engine.addZip(name, file, { ...(at !== undefined && { at }), ...(signal && { signal }) }, heard));
  }

  addTree(name: string, items: Item[], at?: number, { signal, heard }: Work = {}): Promise<string> {
    return call(() => this.engine.addTree(name, items, { ...(at !== undefined && { at }), ...(signal && { signal }) }, heard));
  }

  async arrange(ids: string[]): Promise<void> {
    await call(() => this.engine.arrange(ids));
  }

  async dropLayer(id: string): Promise<void> {
    await call(() => this.engine.dropLayer(id));
  }

  async undo(): Promise<boolean> {
    return (await this.change(() => this.engine.undo())) !== undefined;
  }

  async redo(): Promise<boolean> {
    return (await this.change(() => this.engine.redo())) !== undefined;
  }

  follow(heard: (event: OvlEvent) => void, connected?: (up: boolean) => void): () => void {
    this.listeners.add(heard);
    connected?.(true);
    return () => this.listeners.delete(heard);
  }

  close(): void {
    void this.engine.free();
  }

  /** Nobody else changes this stack: what happened is asked for after each change, failed ones too. */
  private async change<T>(change: () => T | Promise<T>): Promise<T> {
    try {
      return await call(change);
    } finally {
      const { events, next } = await this.engine.events(this.told);
      this.told = next;
      for (const event of events) for (const heard of this.listeners) heard(event);
    }
  }
}

/** Calls the engine; its errors carry the same words as the REST API's. */
async function call<T>(work: () => T | Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    const { code, message, path, layer } = error as { code?: string; message?: string; path?: string; layer?: string };
    throw code === undefined ? error : new OvlError(code, message ?? code, path, layer);
  }
}
