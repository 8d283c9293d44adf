// Runs a test program that was compiled to WebAssembly.
//
//   node wasi.mjs PROGRAM.wasm ARGUMENTS…
import { readFileSync } from "node:fs";
import { WASI } from "node:wasi";

// One thread: there are no others. A panic ends the program, so that what fails is the last test that is named.
const args = [...process.argv.slice(2), "--test-threads=1"];
const wasi = new WASI({ version: "preview1", args, env: {}, returnOnExit: true });
const { instance } = await WebAssembly.instantiate(readFileSync(args[0]), wasi.getImportObject());
try {
  process.exitCode = wasi.start(instance);
} catch (error) {
  console.error(String(error.message));
  process.exitCode = 1;
}
