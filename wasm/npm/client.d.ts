import type { Stack, StackOptions } from "./ovl.js";

/**
 * A stack in a Worker: each method returns a promise, and so does each property, called as a method. Functions that are
 * handed over are heard, but what they return comes too late: it is an option `signal` that cancels.
 */
export type RemoteStack = {
  [K in keyof Stack]: Stack[K] extends (...args: infer A) => infer R ? (...args: A) => Promise<R> : () => Promise<Stack[K]>;
};

/** Stacks in a Worker that runs `ovl/worker`. */
export interface Connection {
  open(options?: StackOptions): Promise<RemoteStack>;
  /** Ends the Worker, and all stacks with it. */
  close(): void;
}

export function connect(worker: Worker): Connection;
