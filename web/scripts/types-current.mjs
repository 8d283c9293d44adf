// Fails when src/driver/http/api.d.ts is not what server/openapi.json gives.
import { readFile } from "node:fs/promises";
import openapi, { astToString, COMMENT_HEADER } from "openapi-typescript";

const description = new URL("../../server/openapi.json", import.meta.url);
const types = new URL("../src/driver/http/api.d.ts", import.meta.url);
const expected = COMMENT_HEADER + astToString(await openapi(description));
if (expected !== (await readFile(types, "utf8"))) {
  console.error("src/driver/http/api.d.ts is not current: npm run types");
  process.exit(1);
}
