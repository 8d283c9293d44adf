// In Node: the module is read from the package.
import { readFileSync } from "node:fs";
import { initSync, Stack } from "./ovl.js";

initSync({ module: readFileSync(new URL("ovl_bg.wasm", import.meta.url)) });

export { Stack };
