import { Stack } from "ovl";
import { WasmDriver } from "../src/driver/wasm/driver";
import { contract } from "./contract/run";

contract("wasm", async (lowers) => {
  const driver = new WasmDriver(new Stack(), "0.0.0");
  for (const [at, items] of lowers.entries()) await driver.addTree(`lower ${at + 1}`, items);
  return { driver, end: async () => {} };
});
