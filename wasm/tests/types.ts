// What a user of the types writes: it is checked, not run.
import { Stack, type Change, type Entry, type OvlError, type Progress, type Rows, type Why } from "ovl";
import { connect, type RemoteStack } from "ovl/client";

const stack = new Stack({ upper: true, undo: 10 });
const id: string = stack.addZip("a.zip", new Uint8Array(), { at: 0, strict: true }, (done, total) => done > (total ?? 0));
stack.addTree("t", [{ path: "a", content: "text", mode: 0o644 }, { path: new Uint8Array([1]), target: "a" }]);
const entry: Entry | undefined = stack.write("/a", "x", { parents: true, mtime: 0 }).entry;
const kinds: Change["what"][] = stack.changes({ limit: 5 }).changes.map(({ what }) => what);
const why: Why = stack.why("/a");
const rows: Rows = stack.rows(0, 100, { shadowed: true });
const none: undefined | string[] = stack.undo();
const row: number | undefined = stack.rowOf("/a");
const bytes: Uint8Array = stack.exportBytes({ what: `layer:${id}`, format: "tar", whiteouts: "kernel" });
const progress: Progress = () => true;
stack.import(bytes, { on_conflict: "keep" }, progress);
stack.onEvent((event) => event.kind === "copied_up" && console.log(event.bytes, event.kernel));
try {
  stack.discard("/");
} catch (error) {
  const code: OvlError["code"] = (error as OvlError).code;
  if (code === "cancelled") console.log(code);
}
// @ts-expect-error a path is needed
stack.read();
// @ts-expect-error there is no such option
stack.list("/", { limt: 1 });
// @ts-expect-error there is no such code
const wrong: OvlError["code"] = "nothing";

async function remote(worker: Worker): Promise<void> {
  const there: RemoteStack = await connect(worker).open();
  const entry: Entry = await there.stat("/a");
  const changes: number = await there.canUndo();
  const digest: string = await there.digest("/", { signal: AbortSignal.timeout(1000) }, (done) => void done);
  console.log(entry.path, changes, digest);
}
console.log(entry, kinds, why, rows, none, row, wrong, remote);
