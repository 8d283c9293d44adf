/** The overlay of an `ovl-server`, by its REST API. */
import {
  OvlError,
  type Change,
  type Entry,
  type ExportOptions,
  type Import,
  type Layer,
  type ListOptions,
  type OvlDriver,
  type OvlEvent,
  type Overlay,
  type Page,
  type Patch,
  type ReadOptions,
  type Rows,
  type Why,
  type Work,
  type Written,
} from "../driver";
import type { components } from "./api";
import { follow } from "./events";
import { address, ended, Requests } from "./request";
import { OpenTree } from "./tree";

type Schemas = components["schemas"];
const PAGE = 10_000;
/** The first page of an open directory: enough to be looked at while the others come. */
const FIRST = 500;
const ROW_FIELDS = "path,path_b64,name,kind,size,mode,mtime,layer,shadowed,hidden";

export interface Health {
  alive: boolean;
  ready: boolean;
  requests: number | undefined;
}

export class HttpDriver implements OvlDriver {
  readonly can = { stack: false, shared: true };
  grown: (() => void) | undefined;
  private readonly requests: Requests;
  private readonly tree: OpenTree;

  /** `base` is empty for the server that this page comes from. */
  constructor(base = "", token?: string) {
    this.requests = new Requests(base, token);
    this.tree = new OpenTree(
      (path, cursor, hidden) => this.page(path, { cursor, hidden, limit: cursor === undefined ? FIRST : PAGE }, ROW_FIELDS),
      () => this.grown?.(),
    );
  }

  get place(): string {
    return this.requests.base || globalThis.location?.host || "the server";
  }

  get uploaded(): number {
    return this.requests.sent;
  }

  async version(): Promise<string> {
    return (await this.requests.get<Schemas["About"]>("/v1")).version;
  }

  /** How the server does; what does not answer is false or missing. */
  async health(): Promise<Health> {
    const answers = (route: string): Promise<boolean> => this.requests.send("GET", route).then(() => true, () => false);
    const [alive, ready] = await Promise.all([answers("/healthz"), answers("/readyz")]);
    const metrics = await this.requests.send("GET", "/metrics").then((response) => response.text(), () => "");
    const counts = [...metrics.matchAll(/^ovl_requests_total\{[^}]*\} (\d+)/gm)].map(([, count]) => Number(count));
    return { alive, ready, requests: counts.length > 0 ? counts.reduce((sum, count) => sum + count, 0) : undefined };
  }

  overlay(): Promise<Overlay> {
    return this.requests.get("/v1/overlay");
  }

  async stat(path: string, layer?: string): Promise<Entry> {
    return this.requests.get(address(within("entries", layer), path));
  }

  async list(path: string, options: ListOptions = {}): Promise<Page> {
    return this.page(path, options);
  }

  async read(path: string, { layer, offset = 0, length }: ReadOptions = {}): Promise<Uint8Array> {
    if (length === 0) return new Uint8Array();
    const whole = offset === 0 && length === undefined;
    const end = length === undefined ? "" : offset + length - 1;
    const headers: Record<string, string> = whole ? {} : { range: `bytes=${offset}-${end}` };
    try {
      const response = await this.requests.send("GET", address(within("files", layer), path), { headers });
      return new Uint8Array(await response.arrayBuffer());
    } catch (error) {
      // Behind the end there is nothing to read, which is no failure.
      if (error instanceof OvlError && error.code === "range-not-satisfiable") return new Uint8Array();
      throw error;
    }
  }

  /** The answer comes with 404 where nothing shows. */
  async why(path: string): Promise<Why> {
    const response = await fetch(this.requests.base + address("/v1/why", path), { headers: this.requests.headers() });
    const told = (await response.json()) as Why | Schemas["Problem"];
    if ("layers" in told) return told;
    throw new OvlError(told.type.split("/").pop() ?? "internal", told.detail, told.path ?? undefined);
  }

  async xray(paths: string[]): Promise<Why[]> {
    const response = await this.requests.json("POST", "/v1/lookups", { paths });
    return ((await response.json()) as Schemas["WhyRows"]).rows;
  }

  async changes(): Promise<Change[]> {
    const changes: Change[] = [];
    for (let cursor: string | null | undefined = ""; cursor != null; ) {
      const query: string = cursor === "" ? "" : `&cursor=${encodeURIComponent(cursor)}`;
      const page = await this.requests.get<Schemas["ChangesPage"]>(`/v1/changes?limit=${PAGE}${query}`);
      changes.push(...page.changes);
      cursor = page.next_cursor;
    }
    return changes;
  }

  async digest(path: string, layer?: string): Promise<string> {
    return (await this.requests.get<Entry>(`${address(within("entries", layer), path)}?digest=blake3`)).blake3 ?? "";
  }

  async walk(layer: string | undefined, visit: (entries: Entry[]) => boolean): Promise<void> {
    for (let cursor: string | undefined, more = true; more; ) {
      const page: Page = await this.page("/", { layer, cursor, limit: PAGE, hidden: layer !== undefined }, ROW_FIELDS, true);
      cursor = page.next_cursor ?? undefined;
      more = visit(page.entries) && cursor !== undefined;
    }
  }

  rows(start: number, count: number, hidden: boolean): Promise<Rows> {
    return this.tree.rows(start, count, hidden);
  }

  async expand(path: string): Promise<void> {
    this.tree.expand(path);
  }

  async collapse(path: string): Promise<void> {
    this.tree.collapse(path);
  }

  /** Whatever was read may differ now: where no events are told, as while the kernel has the upper mounted. */
  doubt(): void {
    this.tree.touchAll();
  }

  async rowOf(path: string): Promise<number | undefined> {
    return this.tree.rowOf(path);
  }

  async write(path: string, content: Uint8Array): Promise<Written> {
    return this.content("PUT", address("/v1/files", path), path, content);
  }

  async append(path: string, content: Uint8Array): Promise<Written> {
    return this.content("PATCH", `${address("/v1/files", path)}?append=true`, path, content);
  }

  async mkdir(path: string): Promise<void> {
    await this.changed([path], this.requests.json("PUT", address("/v1/entries", path), { kind: "dir" }));
  }

  async symlink(path: string, target: string): Promise<void> {
    await this.changed([path], this.requests.json("PUT", address("/v1/entries", path), { kind: "symlink", target }));
  }

  async link(existing: string, path: string): Promise<void> {
    const body = { kind: "hardlink", target: existing };
    await this.changed([path], this.requests.json("PUT", address("/v1/entries", path), body));
  }

  async remove(path: string, recursive = false): Promise<void> {
    const to = `${address("/v1/entries", path)}?recursive=${recursive}`;
    await this.changed([path], this.requests.send("DELETE", to));
  }

  async move(from: string, to: string, overwrite = false): Promise<void> {
    await this.changed([from, to], this.requests.json("POST", "/v1/moves", { from, to, overwrite }));
  }

  async copy(from: string, to: string, overwrite = false): Promise<void> {
    await this.changed([to], this.requests.json("POST", "/v1/copies", { from, to, overwrite }));
  }

  async patch(path: string, patch: Patch): Promise<void> {
    const type = "application/merge-patch+json";
    await this.changed([path], this.requests.json("PATCH", address("/v1/entries", path), patch, type));
  }

  async discard(path: string): Promise<void> {
    await this.changed(null, this.requests.send("DELETE", address("/v1/changes", path)));
  }

  async discardAll(): Promise<void> {
    const etag = (await this.requests.send("GET", "/v1/overlay")).headers.get("etag") ?? "";
    await this.changed(null, this.requests.send("DELETE", "/v1/changes", { headers: { "if-match": etag } }));
  }

  async export({ what, format }: ExportOptions, { signal, heard }: Work = {}): Promise<Blob> {
    const query = new URLSearchParams({ what, format, reproducible: "1" });
    const response = await this.requests.send("GET", `/v1/export?${query}`, signal && { signal });
    let done = 0;
    const counted = new TransformStream<Uint8Array, Uint8Array>({
      transform(piece, on) {
        heard?.((done += piece.length));
        signal?.throwIfAborted();
        on.enqueue(piece);
      },
    });
    const headers = { "content-type": response.headers.get("content-type") ?? "" };
    return ended(signal, new Response(response.body!.pipeThrough(counted), { headers }).blob());
  }

  async import(archive: Blob, { signal }: Work = {}): Promise<Import> {
    const init = { body: archive, headers: { "content-type": "application/octet-stream" }, ...(signal && { signal }) };
    const response = await this.changed(null, this.requests.send("POST", "/v1/imports", init));
    return response.json() as Promise<Import>;
  }

  follow(heard: (event: OvlEvent) => void, connected?: (up: boolean) => void): () => void {
    const told = (event: OvlEvent): void => {
      if (event.kind === "overflow" || event.kind === "discarded") this.tree.touchAll();
      this.tree.touch(event.path);
      if (event.from) this.tree.touch(event.from);
      heard(event);
    };
    return follow(this.requests, told, connected ?? (() => {}));
  }

  close(): void {}

  private async page(path: string, options: ListOptions, fields?: string, recursive = false): Promise<Page> {
    const query = new URLSearchParams({ list: "true", limit: String(options.limit ?? 1000) });
    if (options.cursor !== undefined) query.set("cursor", options.cursor);
    if (options.hidden) query.set("include", options.layer === undefined ? `whiteouts,shadowed${fields === undefined || recursive ? "" : ",hidden"}` : "whiteouts");
    else if (options.layer === undefined && !recursive) query.set("include", "shadowed");
    if (fields !== undefined) query.set("fields", fields);
    if (recursive) query.set("recursive", "true");
    return this.requests.get(`${address(within("entries", options.layer), path)}?${query}`);
  }

  private async content(method: string, to: string, path: string, content: Uint8Array): Promise<Written> {
    const init = { body: content as BodyInit, headers: { "content-type": "application/octet-stream" } };
    const response = await this.changed([path], this.requests.send(method, to, init));
    const copied = Number(response.headers.get("ovl-copied-up") ?? 0);
    return { created: response.status === 201, copied_up: copied };
  }

  /** Marks what a change may have touched in the open tree; `null` is everything. */
  private async changed<T>(paths: string[] | null, change: Promise<T>): Promise<T> {
    const done = await change;
    if (paths === null) this.tree.touchAll();
    else for (const path of paths) this.touchUp(path);
    return done;
  }

  /** A change may copy up the directories above, whose layer then differs. */
  private touchUp(path: string): void {
    for (let at = path; at !== ""; at = at.slice(0, at.lastIndexOf("/"))) this.tree.touch(at);
  }
}

function within(resource: string, layer: Layer["id"] | undefined): string {
  return layer === undefined ? `/v1/${resource}` : `/v1/layers/${encodeURIComponent(layer)}/${resource}`;
}
