/**
 * The open tree over HTTP, where no route gives its rows: pages of the directories that are open, laid out when asked.
 *
 * Only open directories are kept. A row is found by walking down the open directories, so that a million closed
 * rows cost their entries and nothing else.
 */
import type { Entry, Page, Row, Rows } from "../driver";

type Fetch = (path: string, cursor: string | undefined, hidden: boolean) => Promise<Page>;

/** Rows that came are told of not more often than this. */
const PAUSE_MS = 250;

class Dir {
  entries: Entry[] = [];
  stale = true;
  /** The open directories in it, by their index among the entries; ascending. */
  open: [number, Dir][] = [];
  /** Rows beneath it. */
  rows = 0;
  /** Counts the loads, so that an older one gives up. */
  load = 0;
  loading: Promise<void> | undefined;
}

export class OpenTree {
  private readonly dirs = new Map<string, Dir>([["/", new Dir()]]);
  private hidden = false;

  constructor(
    private readonly fetch: Fetch,
    private readonly grown: () => void,
  ) {}

  expand(path: string): void {
    if (!this.dirs.has(path)) this.dirs.set(path, new Dir());
  }

  /** Directories beneath it stay open, for when it is opened again. */
  collapse(path: string): void {
    if (path !== "/") this.dirs.delete(path);
  }

  /** What stood in the directory of this path may differ now. */
  touch(path: string): void {
    const dir = this.dirs.get(path.slice(0, path.lastIndexOf("/")) || "/");
    if (dir) dir.stale = true;
    if (this.dirs.has(path)) this.dirs.get(path)!.stale = true;
  }

  touchAll(): void {
    for (const dir of this.dirs.values()) dir.stale = true;
  }

  async rows(start: number, count: number, hidden: boolean): Promise<Rows> {
    if (hidden !== this.hidden) this.touchAll();
    this.hidden = hidden;
    for (const [path, dir] of this.dirs) if (dir.stale) dir.loading = this.load(path, dir);
    await Promise.all([...this.dirs.values()].map((dir) => dir.loading));
    const root = this.dirs.get("/")!;
    this.lay("/", root);
    const rows: Row[] = [];
    this.collect(root, 1, { skip: start, take: count }, rows);
    return { total: root.rows, rows };
  }

  async rowOf(path: string): Promise<number | undefined> {
    const { rows } = await this.rows(0, Infinity, this.hidden);
    const at = rows.findIndex(({ entry }) => entry.path === path);
    return at < 0 ? undefined : at;
  }

  /** Loads the first page; the others come behind it, while the rows are looked at. */
  private async load(path: string, dir: Dir): Promise<void> {
    dir.stale = false;
    const load = ++dir.load;
    let page: Page;
    try {
      page = await this.fetch(path, undefined, this.hidden);
    } catch (error) {
      if (path === "/") throw error;
      this.dirs.delete(path); // It went away; its row goes with the directory that held it.
      return;
    }
    dir.entries = page.entries;
    if (page.next_cursor) void this.more(path, dir, load, page.next_cursor);
  }

  private async more(path: string, dir: Dir, load: number, cursor: string): Promise<void> {
    let told = performance.now();
    for (let next: string | null | undefined = cursor; next && dir.load === load; ) {
      const page: Page = await this.fetch(path, next, this.hidden).catch(() => ({ path, entries: [] }));
      if (dir.load !== load) return;
      for (const entry of page.entries) dir.entries.push(entry);
      next = page.next_cursor;
      // Who draws is not asked to for each of many pages.
      if (next && performance.now() < told + PAUSE_MS) continue;
      told = performance.now();
      this.grown();
    }
  }

  private lay(path: string, dir: Dir): void {
    dir.open = [];
    dir.rows = dir.entries.length;
    const index = new Map<string, number>();
    const within = path === "/" ? "/" : `${path}/`;
    const inside = [...this.dirs].filter(([at]) => at !== path && at.startsWith(within) && !at.slice(within.length).includes("/"));
    if (inside.length === 0) return;
    dir.entries.forEach((entry, at) => entry.kind === "dir" && !entry.hidden && index.set(entry.path, at));
    for (const [at, child] of inside) {
      const place = index.get(at);
      if (place === undefined) continue;
      this.lay(at, child);
      dir.open.push([place, child]);
      dir.rows += child.rows;
    }
    dir.open.sort((a, b) => a[0] - b[0]);
  }

  private collect(dir: Dir, level: number, want: { skip: number; take: number }, rows: Row[]): void {
    let next = 0;
    for (const [at, child] of [...dir.open, [dir.entries.length - 1, undefined] as const]) {
      this.plain(dir, next, at, level, want, rows, child !== undefined);
      next = at + 1;
      if (!child) break;
      if (want.skip >= child.rows) want.skip -= child.rows;
      else if (want.take > 0) this.collect(child, level + 1, want, rows);
    }
  }

  /** Takes the entries `from..=to`, of which only the last may be open. */
  private plain(dir: Dir, from: number, to: number, level: number, want: { skip: number; take: number }, rows: Row[], open: boolean): void {
    const first = from + Math.min(want.skip, Math.max(0, to + 1 - from));
    want.skip -= first - from;
    for (let at = first; at <= to && want.take > 0; at++, want.take--) {
      const entry = dir.entries[at]!;
      const row: Row = { level, position: at + 1, siblings: dir.entries.length, entry };
      rows.push(entry.kind === "dir" && !entry.hidden ? { ...row, open: open && at === to } : row);
    }
  }
}
