/** The engine's stack as the driver calls it: here at once, or in a Worker by promises. */
import type { Stack } from "ovl";

type Called<F> = F extends (...args: infer A) => infer R ? (...args: A) => R | Promise<R> : never;

type Methods =
  | "addZip" | "addTree" | "arrange" | "dropLayer" | "overlay" | "stat" | "statIn" | "list" | "listIn" | "read" | "readIn"
  | "why" | "digest" | "write" | "mkdir" | "symlink" | "link" | "copy" | "rename" | "remove" | "set" | "discard"
  | "undo" | "redo" | "changes" | "events" | "export" | "import" | "rows" | "expand" | "collapse" | "rowOf" | "free";

export type Engine = { [M in Methods]: Called<Stack[M]> };
