// Runs test programs that were compiled to WebAssembly, one after the other. Exit code 1 when one of them fails.
//
//   node wasi.mjs PROGRAM.wasm…
import { readFileSync } from "node:fs";
import { basename } from "node:path";
import { WASI } from "node:wasi";

let failed = 0;
for (const program of process.argv.slice(2)) {
  // One thread: there are no others. A panic ends the program, so what fails is the last that is named.
  const args = [basename(program), "--test-threads=1"];
  const wasi = new WASI({ version: "preview1", args, env: {}, returnOnExit: true });
  const { instance } = await WebAssembly.instantiate(readFileSync(program), wasi.getImportObject());
  let code = 1;
  try {
    code = wasi.start(instance);
  } catch (error) {
    console.error(`${args[0]}: ${error.message}`);
  }
  failed += code !== 0;
}
process.exitCode = Math.min(failed, 1);
