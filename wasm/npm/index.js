// In a browser or a Worker: the module lies beside this script.
import init, { Stack } from "./ovl.js";

await init();

export { Stack };
