// In a browser or a Worker: the module lies beside this script.
import init, { Stack } from "./ovl.js";

await init({ module_or_path: new URL("ovl_bg.wasm", import.meta.url) });

export { Stack };
