export { Stack } from "./ovl.js";
export type * from "./ovl.js";
