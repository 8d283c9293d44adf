/** A path from the root: a text, with or without a leading slash, or the exact bytes. */
export type Path = string | Uint8Array;

/** What stands at a name. */
export type Kind = "file" | "dir" | "symlink" | "fifo" | "socket" | "char" | "block" | "whiteout";

/**
 * Bytes from outside. A `Blob` or `File` is read by slices, in a Worker alone; `read` must answer at once. An archive's
 * bytes are not copied: leave them as they are while the stack is open.
 */
export type Source = Uint8Array | Blob | ReadSource;

/** A source that is read piece by piece: `read` returns up to `length` bytes at `offset`. */
export interface ReadSource {
  size: number;
  read(offset: number, length: number): Uint8Array;
}

/** Hears how far long work is; what returns `true` cancels it (`code` is then `cancelled`, and nothing was changed). */
export type Progress = (done: number, total: number | undefined) => boolean | void;

/** What ends long work: it throws with the code `cancelled`, and nothing was changed. */
export interface Cancellable {
  /** Looked at each time that a piece of the work is done. Through `ovl/client` the page may abort it at any time. */
  signal?: AbortSignal;
}

/** The value of an extended attribute: a text, or bytes in Base64. */
export type AttrValue = string | { b64: string };

/** What every method throws. `code` is the last part of the REST API's problem type, or `cancelled`. */
export interface OvlError extends Error {
  name: "OvlError";
  code: Code;
  /** The path, with a leading slash. */
  path?: string;
  /** What the layer is called. */
  layer?: string;
  /** The kernel's name for it. */
  errno?: string;
}

export type Code =
  | "invalid-path" | "invalid-query" | "invalid-body" | "permission-denied" | "read-only" | "no-upper" | "not-found"
  | "already-exists" | "not-a-directory" | "is-a-directory" | "directory-not-empty" | "cross-layer-rename" | "busy"
  | "gone-cursor" | "precondition-failed" | "too-large" | "unsupported-name" | "loop" | "name-too-long"
  | "unsupported-entry" | "corrupt-layer" | "io-error" | "internal" | "not-implemented" | "layer-changed"
  | "insufficient-storage" | "cancelled";

/** What stands at a path. */
export interface Entry {
  path: string;
  /** The exact bytes of the path, in Base64, where they are no UTF-8. */
  path_b64?: string;
  name: string;
  name_b64?: string;
  kind: Kind;
  size?: number;
  /** Permission bits in octal. */
  mode?: string;
  uid?: number;
  gid?: number;
  /** RFC 3339 with nanoseconds. */
  mtime?: string;
  atime?: string;
  nlink?: number;
  rdev?: string;
  target?: string;
  target_b64?: string;
  etag?: string;
  /** The id of the layer that gives it. */
  layer: string;
  /** The layers below with something by this name, when asked for. */
  shadowed?: string[];
  /** `true` where an opaque directory hides it, so that nothing shows at this name: only in rows. */
  hidden?: true;
  xattrs?: Record<string, AttrValue>;
  blake3?: string;
}

/** A page of a directory, in order of the names' bytes. */
export interface Page {
  path: string;
  path_b64?: string;
  entries: Entry[];
  /** What to send as `cursor` for the next page; missing on the last. */
  next_cursor?: string;
}

export interface ListOptions {
  /** Entries of one page, 1 to 10,000; 1,000 by default. */
  limit?: number;
  cursor?: string;
  /** Shows whiteouts where nothing shows over them. */
  whiteouts?: boolean;
  /** Fills in `shadowed`. */
  shadowed?: boolean;
}

export interface PageOptions {
  /** Names of one page, 1 to 10,000; 1,000 by default. */
  limit?: number;
  cursor?: string;
}

export interface RowsOptions {
  /** Whiteouts and hidden names (what an opaque directory covers) have rows, too; all is counted anew when this changes. */
  whiteouts?: boolean;
  /** Fills in `shadowed`. */
  shadowed?: boolean;
}

/** What one layer says about a path. */
export interface Verdict {
  layer: string;
  found?: Kind;
  size?: number;
  fate: "absent" | "shows" | "merges" | "gives_content" | "hides" | "hidden";
  hidden_by?: string;
  hidden_at?: string;
  reason?: "whiteout" | "opaque" | "covered";
  opaque: boolean;
  redirect?: string;
}

/** Why a path looks as it does. */
export interface Why {
  path: string;
  path_b64?: string;
  /** The layer that shows; missing when nothing does. */
  shown?: string;
  /** Content bytes in layers below that do not show. */
  hidden_bytes: number;
  /** One a layer, topmost first. */
  layers: Verdict[];
}

/** The names of a directory in all layers, hidden ones too, each with what every layer says. */
export interface Xray {
  path: string;
  path_b64?: string;
  rows: Why[];
  next_cursor?: string;
}

/** A change, seen from the lowers. */
export interface Change {
  path: string;
  path_b64?: string;
  what: "added" | "modified" | "metadata" | "deleted" | "opaque" | "renamed" | "type_changed";
  /** Where the lowers have it, when it was renamed. */
  from?: string;
  before?: Kind;
  now?: Kind;
  size?: number;
  metadata: boolean;
}

export interface Changes {
  changes: Change[];
  next_cursor?: string;
}

/** One thing that the overlay did. */
export interface OvlEvent {
  kind:
    | "created" | "modified" | "metadata" | "removed" | "copied_up" | "whiteout" | "opaque" | "moved" | "discarded"
    | "restored" | "overflow";
  path: string;
  path_b64?: string;
  generation: number;
  /** Where it came from, when it was moved. */
  from?: string;
  /** Content bytes that were copied up. */
  bytes?: number;
  /** What the kernel's overlay leaves in its upper for this; missing where it leaves nothing or has no such operation. */
  kernel?: string;
}

export interface Events {
  events: OvlEvent[];
  /** What to send as `since` the next time. */
  next: number;
}

/** What a change did. */
export interface Done {
  /** What stands at the path now; missing when it was removed. */
  entry?: Entry;
  created: boolean;
  /** Content bytes that were copied up for it. */
  copied_up: number;
  generation: number;
}

export interface Layer {
  id: string;
  /** Its place, 0 on top; missing while it is left out. */
  index?: number;
  role: "upper" | "lower";
  kind: "dir" | "zip" | "mem";
  name: string;
  read_only: boolean;
  /** Entries of an archive that are not shown, or not as they stand. */
  omitted: number;
}

export interface Omission {
  name: string;
  name_b64?: string;
  reason: string;
  /** Whether it is shown all the same. */
  shown: boolean;
}

export interface Overlay {
  generation: number;
  read_only: boolean;
  /** Topmost first; those that are left out come last. */
  layers: Layer[];
  policy: { redirect_dir: boolean };
}

export interface StackOptions {
  /** Whether there is an upper, in memory; `true` by default. */
  upper?: boolean;
  /** Whether directories of lowers can be moved; `true` by default. */
  redirect_dir?: boolean;
  /** How many changes can be undone; 100 by default. */
  undo?: number;
}

export interface LowerOptions extends Cancellable {
  /** The place among the lowers that show, 0 on top; beneath all by default. */
  at?: number;
}

export interface ZipOptions extends LowerOptions {
  /** Refuses an archive of which something had to be left out. */
  strict?: boolean;
}

export interface ChangesOptions {
  /** Only what lies beneath this directory. */
  path?: string;
  /** Changes of one page, 1 to 10,000; 1,000 by default. */
  limit?: number;
  cursor?: string;
}

export interface DigestOptions extends Cancellable {
  /** One layer as it is, by its id. */
  layer?: string;
}

export interface MkdirOptions {
  mode?: string | number;
  /** Makes the missing directories above. */
  parents?: boolean;
}

/** An object of a tree that is handed over. Directories above are made. */
export interface Item {
  path: Path;
  /** By default a file, or a symbolic link where there is a `target`. */
  kind?: "file" | "dir" | "symlink" | "whiteout";
  /** A text, or bytes: a `Blob` is read when it is needed, never as a whole. */
  content?: string | Source;
  target?: string;
  /** Permission bits in octal. */
  mode?: string | number;
  /** RFC 3339, or milliseconds since 1970. */
  mtime?: string | number;
  /** Whether a directory hides what lies below. */
  opaque?: boolean;
}

export interface WriteOptions {
  mode?: string | number;
  mtime?: string | number;
  /** Makes the missing directories above. */
  parents?: boolean;
  /** Writes from here on into what is there, instead of replacing it. */
  offset?: number;
  /** Writes behind the last byte. */
  append?: boolean;
}

/** What is changed of an entry; `null` removes an attribute. */
export interface Patch {
  mode?: string | number;
  uid?: number;
  gid?: number;
  mtime?: string | number;
  atime?: string | number;
  xattrs?: Record<string, AttrValue | null>;
}

export interface ExportOptions extends Cancellable {
  /** By default `merged`; `layer:ID` is one layer as it is. */
  what?: "merged" | "upper" | `layer:${string}`;
  /** By default `zip`. */
  format?: "zip" | "tar";
  /** The dialect of whiteouts in a tar, by default `oci`. */
  whiteouts?: "oci" | "kernel";
  /** The directory to export, by default all. */
  path?: string;
}

export interface Exported {
  entries: number;
  bytes: number;
  /** What the format could not hold: how often, by kind. */
  lossy: Record<string, number>;
}

export interface ImportOptions extends Cancellable {
  /** The directory that takes it; made when it is missing. An exported upper goes to the root alone. */
  path?: string;
  /** What becomes of an entry whose place is taken; by default `error`. */
  on_conflict?: "error" | "replace" | "keep";
}

export interface Imported {
  entries: number;
  bytes: number;
  kept: number;
  is_upper: boolean;
  omissions: Omission[];
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
  open?: boolean;
  entry: Entry;
}

export interface Rows {
  /** How many rows there are in all. */
  total: number;
  /** The first of `rows`. */
  start: number;
  rows: Row[];
}
