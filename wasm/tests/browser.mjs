// The package in a page of headless Chromium: a Worker, a File read by slices, and a zip that goes out and comes back.
//
//   node browser.mjs PACKAGE PROFILE PLAYWRIGHT     (CHROMIUM names the browser)
import assert from "node:assert/strict";
import { createServer } from "node:http";
import { readFile, rm } from "node:fs/promises";
import { extname, join, resolve } from "node:path";
import { pathToFileURL } from "node:url";

const [home, profile] = [resolve(process.argv[2]), resolve(process.argv[3])];
const { chromium } = await import(pathToFileURL(resolve(process.argv[4])));

/** A Worker whose engine traps where it is asked for a digest. */
const DEFECT = `import "./worker.js";
const { Stack } = await import("./index.js");
const trap = new Uint8Array([0, 97, 115, 109, 1, 0, 0, 0, 1, 4, 1, 96, 0, 0, 3, 2, 1, 0, 7, 5, 1, 1, 116, 0, 0, 10, 5, 1, 3, 0, 0, 11]);
Stack.prototype.digest = new WebAssembly.Instance(new WebAssembly.Module(trap)).exports.t;`;

const TYPES = { ".js": "text/javascript", ".wasm": "application/wasm", ".html": "text/html" };
// The page may connect to where it came from, and to nothing else.
const CSP = "default-src 'none'; script-src 'self' 'unsafe-inline' 'wasm-unsafe-eval'; worker-src 'self'; connect-src 'self' blob:";
const server = createServer(async ({ url }, response) => {
  if (url === "/") return response.writeHead(200, { "content-type": "text/html", "content-security-policy": CSP }).end("<!doctype html><title>ovl</title>");
  try {
    const body = url === "/defect.js" ? DEFECT : await readFile(join(home, url.slice(1)));
    response.writeHead(200, { "content-type": TYPES[extname(url)] ?? "text/plain", "content-security-policy": CSP }).end(body);
  } catch {
    response.writeHead(404).end();
  }
});
await new Promise((done) => server.listen(0, "127.0.0.1", done));

const FLAGS = "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking --disable-component-update --disable-sync";
await rm(profile, { recursive: true, force: true });
const browser = await chromium.launchPersistentContext(profile, {
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  headless: true,
  args: FLAGS.split(" "),
});
try {
  const page = await browser.newPage();
  await page.goto(`http://127.0.0.1:${server.address().port}/`);
  const seen = await page.evaluate(async () => {
    const { connect } = await import("/client.js");
    const ovl = connect(new Worker("/worker.js", { type: "module" }));
    const text = (bytes) => new TextDecoder().decode(bytes);
    /** One file as a tar. */
    const tar = (content) => {
      const head = new Uint8Array(512);
      const put = (at, field) => head.set(new TextEncoder().encode(field), at);
      put(0, "much");
      put(100, "0000644\0");
      put(108, "0000000\0");
      put(116, "0000000\0");
      new DataView(head.buffer).setUint8(124, 0x80);
      new DataView(head.buffer).setBigUint64(128, BigInt(content.size));
      put(136, "00000000000\0");
      put(148, "        ");
      put(156, "0");
      put(257, "ustar\x0000");
      put(148, `${head.reduce((sum, byte) => sum + byte, 0).toString(8).padStart(6, "0")}\0 `);
      return new Blob([head, content, new Uint8Array(1024)]);
    };

    // A File of 64 MiB as a lower: only what is asked for is read.
    const stack = await ovl.open();
    const big = new Uint8Array(64 << 20).fill(97);
    big.set(new TextEncoder().encode("needle"), 50 << 20);
    await stack.addTree("files", [{ path: "big", content: new File([big], "big") }, { path: "d/f", content: "lower" }]);
    const needle = text(await stack.read("big", 50 << 20, 6));

    const events = [];
    await stack.onEvent((event) => events.push(event.kind));
    await stack.write("d/f", " and upper", { append: true });
    await stack.remove("big");
    const why = await stack.why("big");

    // An archive of it as a Blob, opened by slices in a second stack.
    const zip = new Blob([await stack.exportBytes()]);
    const second = await ovl.open();
    const heard = [];
    await second.addZip("out.zip", zip, {}, (done, total) => heard.push([done, total]));
    const content = text(await second.read("d/f"));
    const refused = await second.read("big").catch(({ name, code, path }) => ({ name, code, path }));

    // Work on 4 GiB is ended from outside while the Worker is in the middle of it; nothing is left of it.
    const piece = new Blob([big]);
    const much = new Blob(Array.from({ length: 64 }, () => piece));
    const vast = await ovl.open();
    await vast.addTree("vast", [{ path: "vast", content: much }]);
    const cancelled = async (work) => {
      const ending = new AbortController();
      let far = 0;
      const failed = await work(ending.signal, (done) => (far = Math.max(far, done?.length ?? done), ending.abort())).catch(({ code }) => code);
      return [failed, far > 0 && far < much.size / 2];
    };
    const ended = [
      await cancelled((signal, heard) => vast.digest("/", { signal }, heard)),
      await cancelled((signal, heard) => vast.export(heard, { signal, format: "tar" })),
      await cancelled((signal, heard) => vast.import(tar(much), { signal }, heard)),
      await vast.digest("/", { signal: AbortSignal.abort() }).catch(({ code }) => code),
    ];
    const left = (await vast.changes()).changes;
    const undone = await stack.undo();
    const back = text(await stack.read("big", 50 << 20, 6));
    ovl.close();

    // A defect of the engine's says what it is, and what to do.
    const broken = connect(new Worker("/defect.js", { type: "module" }));
    const trap = await (await broken.open()).digest("/").catch(({ name, code, message }) => ({ name, code, message }));
    broken.close();

    // The same module in the page itself, where a File cannot be read at once.
    const { Stack } = await import("/index.js");
    let here;
    try {
      new Stack().addZip("a.zip", zip);
    } catch ({ code }) {
      here = code;
    }
    return { needle, events: events.sort(), hidden: why.layers[1].fate, content, refused, ended, left, undone, back, trap, here };
  });
  assert.deepEqual(seen, {
    needle: "needle",
    events: ["copied_up", "copied_up", "modified", "removed", "restored", "whiteout"],
    hidden: "hidden",
    content: "lower and upper",
    refused: { name: "OvlError", code: "not-found", path: "/big" },
    ended: [["cancelled", true], ["cancelled", true], ["cancelled", true], "cancelled"],
    left: [],
    undone: ["/big"],
    back: "needle",
    trap: {
      name: "OvlError",
      code: "internal",
      message: "the engine has failed within (unreachable), a defect of its own; what it held is lost: reload the page, or open the layers in a new Worker",
    },
    here: "not-implemented",
  });
  console.log("a page with a Worker: ok");
} finally {
  await browser.close();
  server.close();
}
