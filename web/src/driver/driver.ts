/**
 * What the screens ask of an overlay, whoever runs it: the engine in this tab, or a server.
 *
 * The shapes are the REST API's, generated from its description. A driver translates and decides nothing; what one
 * cannot do it says in `can`, and the screens leave that out.
 */
import type { components } from "./http/api";

type Schemas = components["schemas"];
export type Entry = Schemas["Entry"];
export type Kind = Schemas["EntryKind"];
export type Page = Schemas["Page"];
export type Layer = Omit<Schemas["LayerBody"], "index"> & {
  /** Its place, 0 on top; missing while it is left out. */
  index?: number | undefined;
};
export type Overlay = Pick<Schemas["OverlayBody"], "generation" | "read_only" | "policy" | "usage"> & {
  layers: Layer[];
};
export type Change = Schemas["Change"];
export type Why = Schemas["WhyBody"];
export type Verdict = Schemas["VerdictBody"];
export type Import = Schemas["Import"];
export type Patch = Partial<Pick<Schemas["EntryPatch"], "mode" | "mtime" | "uid" | "gid" | "xattrs">>;
export type OvlEvent = Omit<Schemas["EventBody"], "kind"> & {
  /** `restored` where changes can be taken back. */
  kind: Schemas["EventBody"]["kind"] | "restored";
  /** What the kernel's overlay would leave in its upper for this, where the driver tells it. */
  kernel?: string | null | undefined;
};

/** What a driver can do beyond reading and writing one overlay. */
export interface Abilities {
  /** Lowers can be added, moved, hidden and taken away, and the last change taken back: a [`StackDriver`]. */
  stack: boolean;
  /** Others may change the overlay, and there is a server to watch. */
  shared: boolean;
}

export interface ListOptions {
  /** Whiteouts too, and which layers below hold something that does not show. */
  hidden?: boolean | undefined;
  cursor?: string | undefined;
  limit?: number | undefined;
  /** One layer as it is, instead of what shows. */
  layer?: string | undefined;
}

export interface ReadOptions {
  /** As this layer holds it, not as the overlay shows it. */
  layer?: string | undefined;
  offset?: number | undefined;
  length?: number | undefined;
}

/** What a change of content did. */
export interface Written {
  created: boolean;
  /** Content bytes that were copied up for it. */
  copied_up: number;
}

/** A line of the tree as it is drawn: what stands in the directories that are open. */
export interface Row {
  /** How deep it stands, 1 for what is in the root. */
  level: number;
  /** Its place among those in the same directory, from 1. */
  position: number;
  /** How many there are in the same directory. */
  siblings: number;
  /** Of a directory: whether it is open. */
  open?: boolean | undefined;
  entry: Entry;
}

export interface Rows {
  total: number;
  rows: Row[];
}

export interface ExportOptions {
  /** `merged`, `upper` or `layer:ID`. */
  what: string;
  format: "zip" | "tar";
}

/** Long work: who hears how far it is, and what ends it. Cancelled work fails with `cancelled` and has changed nothing. */
export interface Work {
  signal?: AbortSignal | undefined;
  heard?: ((done: number, total?: number) => void) | undefined;
}

/** An error, in the words of the REST API's problems. */
export class OvlError extends Error {
  constructor(
    /** The problem's slug, such as `not-found`. */
    readonly code: string,
    message: string,
    readonly path?: string | undefined,
    readonly layer?: string | undefined,
  ) {
    super(message);
    this.name = "OvlError";
  }
}

export interface OvlDriver {
  readonly can: Abilities;
  /** Where the overlay lives, for people. */
  readonly place: string;
  /** Bytes that left this tab. */
  readonly uploaded: number;

  version(): Promise<string>;
  overlay(): Promise<Overlay>;
  /** No symbolic link is followed. */
  stat(path: string, layer?: string): Promise<Entry>;
  list(path: string, options?: ListOptions): Promise<Page>;
  read(path: string, options?: ReadOptions): Promise<Uint8Array>;
  why(path: string): Promise<Why>;
  /** One answer a path, for the rows that are on the screen. */
  xray(paths: string[]): Promise<Why[]>;
  changes(): Promise<Change[]>;
  /** BLAKE3 of a file, or of everything in a directory. */
  digest(path: string, layer?: string): Promise<string>;
  /** Everything in a tree, page by page; `visit` returns false to end. */
  walk(layer: string | undefined, visit: (entries: Entry[]) => boolean): Promise<void>;

  /** With `hidden`, whiteouts and hidden names (what an opaque directory covers) have rows too. */
  rows(start: number, count: number, hidden: boolean): Promise<Rows>;
  expand(path: string): Promise<void>;
  collapse(path: string): Promise<void>;
  /** Where a path stands among the rows; undefined when a directory above it is closed, or it is not there. */
  rowOf(path: string): Promise<number | undefined>;
  /** Calls back when rows came that nobody asked for: more of a long directory. */
  grown: (() => void) | undefined;

  write(path: string, content: Uint8Array): Promise<Written>;
  append(path: string, content: Uint8Array): Promise<Written>;
  mkdir(path: string): Promise<void>;
  symlink(path: string, target: string): Promise<void>;
  link(existing: string, path: string): Promise<void>;
  remove(path: string, recursive?: boolean): Promise<void>;
  move(from: string, to: string, overwrite?: boolean): Promise<void>;
  copy(from: string, to: string, overwrite?: boolean): Promise<void>;
  patch(path: string, patch: Patch): Promise<void>;
  discard(path: string): Promise<void>;
  discardAll(): Promise<void>;

  export(options: ExportOptions, work?: Work): Promise<Blob>;
  import(archive: Blob, work?: Work): Promise<Import>;

  /** Calls back for each event until the returned function is called; `connected` says when none is missed any more. */
  follow(heard: (event: OvlEvent) => void, connected?: (up: boolean) => void): () => void;
  close(): void;
}

/** An object of a tree that is handed over; directories above it are made. */
export interface Item {
  path: string;
  /** By default a file, or a symbolic link where there is a `target`. */
  kind?: "file" | "dir" | "symlink" | "whiteout";
  content?: string | Uint8Array | Blob;
  target?: string;
  mode?: string;
  /** Whether a directory hides what lies below. */
  opaque?: boolean;
}

/** A driver whose stack can be made and remade. */
export interface StackDriver extends OvlDriver {
  /** Puts a zip in as a lower, at this place (0 is on top; by default beneath), and returns its id. */
  addZip(name: string, file: Blob | Uint8Array, at?: number, work?: Work): Promise<string>;
  addTree(name: string, items: Item[], at?: number, work?: Work): Promise<string>;
  /** Says which lowers take part, from the top; those not named are left out, and can come back. */
  arrange(ids: string[]): Promise<void>;
  dropLayer(id: string): Promise<void>;
  /** False when there is nothing to take back. */
  undo(): Promise<boolean>;
  redo(): Promise<boolean>;
}

export function isStack(driver: OvlDriver): driver is StackDriver {
  return driver.can.stack;
}
