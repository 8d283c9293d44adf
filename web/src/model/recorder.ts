/** Notes what is done to a stack, so that it can be done again elsewhere. */
import type { Patch, StackDriver } from "../driver/driver";
import { base64, bytes } from "./share";

/** Content is a text, or bytes in base64 after `b64:`. */
export type Op =
  | ["write" | "append", string, string]
  | ["mkdir" | "discard", string]
  | ["symlink" | "link", string, string]
  | ["remove", string, boolean]
  | ["move" | "copy", string, string, boolean]
  | ["patch", string, Patch]
  | ["discardAll"]
  /** Noted so that undoing counts right; no link can carry it. */
  | ["import"]
  | ["arrange", string[]];

const RECORDED = new Set(["write", "append", "mkdir", "discard", "symlink", "link", "remove", "move", "copy", "patch", "discardAll", "arrange"]);

export interface Recording {
  driver: StackDriver;
  ops: Op[];
}

/** Wraps a driver: what succeeds is noted; what is taken back is crossed out. */
export function record(driver: StackDriver): Recording {
  const ops: Op[] = [];
  const undone: Op[] = [];
  const note = (name: string, args: unknown[]): void => {
    ops.push((name === "import" ? [name] : [name, ...args.map(plain)]) as unknown as Op);
    undone.length = 0;
  };
  const noting = new Proxy(driver, {
    get(target, name) {
      const method = Reflect.get(target, name) as unknown;
      if (typeof method !== "function") return method;
      if (typeof name !== "string" || !(RECORDED.has(name) || name === "import" || name === "undo" || name === "redo")) return method.bind(target) as unknown;
      return async (...args: unknown[]) => {
        const answer: unknown = await method.apply(target, args);
        if (name === "undo") answer && shift(ops, undone);
        else if (name === "redo") answer && shift(undone, ops);
        else note(name, args);
        return answer;
      };
    },
  });
  return { driver: noting, ops };
}

/** Does it all again. */
export async function replay(driver: StackDriver, ops: Op[]): Promise<void> {
  for (const [name, ...args] of ops) {
    if (!RECORDED.has(name)) throw new Error(`this link holds an operation that is not known: ${name}`);
    const given = name === "write" || name === "append" ? [args[0], content(args[1] as string)] : args;
    await (driver[name] as (...args: unknown[]) => Promise<unknown>)(...given);
  }
}

function shift(from: Op[], to: Op[]): void {
  const op = from.pop();
  if (op) to.push(op);
}

function plain(arg: unknown): unknown {
  if (!(arg instanceof Uint8Array)) return arg;
  try {
    const text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(arg);
    if (!text.startsWith("b64:")) return text;
  } catch {
    // Bytes that are no text.
  }
  return `b64:${base64(arg)}`;
}

function content(text: string): Uint8Array {
  return text.startsWith("b64:") ? bytes(text.slice(4)) : new TextEncoder().encode(text);
}
