import { Stack } from "ovl";
import { WasmDriver } from "../src/driver/wasm/driver";
import type { Engine } from "../src/driver/wasm/engine";
import { contract } from "./contract/run";

contract("wasm", async (lowers) => {
  const driver = new WasmDriver(reading(new Stack()), "0.0.0");
  for (const [at, items] of lowers.entries()) await driver.addTree(`lower ${at + 1}`, items);
  return { driver, end: async () => {} };
});

/** Only a Worker reads a blob by slices: here its bytes are handed over. */
function reading(stack: Stack): Engine {
  const open = async (value: unknown): Promise<unknown> => (value instanceof Blob ? new Uint8Array(await value.arrayBuffer()) : value);
  const call = (method: keyof Stack) => async (...args: unknown[]) => {
    const given = await Promise.all(args.map(open));
    return (stack[method] as (...args: unknown[]) => unknown)(...given);
  };
  return new Proxy({}, { get: (_, method) => call(method as keyof Stack) }) as Engine;
}
