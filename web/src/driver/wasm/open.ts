/** Opens stacks in this tab's one Worker. */
import { connect } from "ovl/client";
import type { StackDriver } from "../driver";
import { WasmDriver } from "./driver";
import type { Engine } from "./engine";

let client: ReturnType<typeof connect> | undefined;

export async function openStack(options: { redirect_dir?: boolean } = {}): Promise<StackDriver> {
  client ??= connect(new Worker(new URL("./worker.ts", import.meta.url), { type: "module" }));
  const stack = await client.open(options);
  return new WasmDriver(stack as unknown as Engine, __VERSION__);
}
