// The package as a user has it: packed, installed in a folder of its own, used from Node.
//
//   node package.mjs PACKED.tgz FOLDER
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { readFileSync, rmSync, mkdirSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { test } from "node:test";
import { pathToFileURL } from "node:url";
import { brotliCompressSync, constants } from "node:zlib";

const [packed, folder] = [resolve(process.argv[2]), resolve(process.argv[3])];
rmSync(folder, { recursive: true, force: true });
mkdirSync(folder, { recursive: true });
writeFileSync(join(folder, "package.json"), '{ "private": true, "type": "module" }');
execFileSync("npm", ["install", "--silent", "--no-audit", "--no-fund", "--offline", packed], { cwd: folder });
const home = join(folder, "node_modules/ovl");
const { Stack } = await import(pathToFileURL(join(home, "node.js")));

const text = (bytes) => new TextDecoder().decode(bytes);
const names = (page) => page.entries.map((entry) => entry.name);
const lower = () => [
  { path: "/file1", content: "from lower" },
  { path: "file2", content: new TextEncoder().encode("two") },
  { path: "dir/a", content: "a", mode: "0600", mtime: "2020-01-02T03:04:05.000000006Z" },
  { path: "dir/b/c", content: "c" },
  { path: "link", target: "dir/a" },
];
function open(options) {
  const stack = new Stack(options);
  stack.addTree("base", lower());
  return stack;
}
function fails(call, code, more = {}) {
  assert.throws(call, (error) => {
    assert.ok(error instanceof Error);
    assert.equal(error.name, "OvlError");
    const { message } = error;
    assert.equal(error.code, code, message);
    for (const [key, value] of Object.entries(more)) assert.equal(error[key], value, message);
    return true;
  });
}

test("the module is valid and within its budget", () => {
  const module = readFileSync(join(home, "ovl_bg.wasm"));
  assert.ok(WebAssembly.validate(module));
  assert.ok(!module.includes(".cargo/registry"), "the module names a folder of the machine that built it");
  const { raw, brotli } = JSON.parse(readFileSync(join(import.meta.dirname, "budget.json")));
  const size = { raw: module.length, brotli: brotliCompressSync(module, { params: { [constants.BROTLI_PARAM_QUALITY]: 11 } }).length };
  console.log(`raw ${(size.raw / 1024).toFixed(0)} KiB of ${raw / 1024}, brotli ${(size.brotli / 1024).toFixed(0)} KiB of ${brotli / 1024}`);
  assert.ok(size.raw <= raw && size.brotli <= brotli, JSON.stringify(size));
});

test("the ten lines of the README work", () => {
  const zip = open().exportBytes();
  const stack = new Stack();
  stack.addZip("app.zip", zip);
  stack.write("/dir/motd", "hello");
  stack.remove("/file1");
  assert.deepEqual(stack.changes().changes.map(({ what, path }) => `${what} ${path}`), ["added /dir/motd", "deleted /file1"]);
  assert.equal(stack.why("/file1").layers[1].fate, "hidden");
});

test("a lower file comes up before it changes, and the lower stays as it is", () => {
  const stack = open();
  const done = stack.write("file1", "!", { append: true });
  assert.deepEqual([done.copied_up, done.created, done.entry.layer], [10, false, "upper"]);
  assert.equal(text(stack.read("/file1")), "from lower!");
  assert.equal(text(stack.readIn("lower-1", "/file1")), "from lower");
  assert.equal(text(stack.read("/file1", 5, 5)), "lower");
  assert.deepEqual(stack.events().events.map(({ kind, bytes }) => [kind, bytes]).sort(), [["copied_up", 10], ["modified", undefined]]);
});

test("what is removed leaves a whiteout, and comes back when it is discarded", () => {
  const stack = open();
  stack.remove("dir", { recursive: true });
  assert.deepEqual(names(stack.list("/")), ["file1", "file2", "link"]);
  assert.equal(stack.list("/", { whiteouts: true }).entries[0].kind, "whiteout");
  const [whiteout] = stack.events().events.filter(({ kind }) => kind === "whiteout");
  assert.equal(whiteout.kernel, "a character device 0/0");
  const why = stack.why("dir/a");
  assert.equal(why.shown, undefined);
  assert.deepEqual([why.layers[1].hidden_by, why.layers[1].hidden_at, why.layers[1].reason], ["upper", "/dir", "whiteout"]);
  stack.discard("dir");
  assert.equal(text(stack.read("dir/a")), "a");
});

test("a directory that is made anew is opaque", () => {
  const stack = open();
  stack.remove("dir", { recursive: true });
  stack.mkdir("dir");
  assert.deepEqual(names(stack.list("dir")), []);
  assert.ok(stack.events().events.some(({ kind, kernel }) => kind === "opaque" && kernel.includes("trusted.overlay.opaque=y")));
  assert.equal(stack.changeAt("dir").what, "opaque");
});

test("changes are taken back and made again, one by one", () => {
  const stack = open();
  const picture = () => stack.digest("/") + JSON.stringify(stack.changes().changes);
  const pictures = [picture()];
  for (const change of [
    () => stack.write("file1", "x"),
    () => stack.rename("dir", "moved"),
    () => stack.remove("file2"),
    () => stack.chmod("file1", "0700"),
    () => stack.write("deep/er/file", "y", { parents: true }),
    () => stack.discard("/"),
  ]) {
    change();
    pictures.push(picture());
  }
  assert.deepEqual([stack.canUndo(), stack.canRedo()], [6, 0]);
  for (const was of pictures.slice(0, -1).reverse()) {
    assert.ok(stack.undo().length > 0);
    assert.equal(picture(), was);
  }
  assert.equal(stack.undo(), undefined);
  for (const now of pictures.slice(1)) {
    assert.ok(stack.redo());
    assert.equal(picture(), now);
  }
  assert.equal(stack.redo(), undefined);
});

test("an exported upper becomes the upper that it was, from a zip and from a tar", () => {
  const stack = open();
  stack.rename("dir", "moved");
  stack.remove("file2");
  for (const options of [{ what: "upper" }, { what: "upper", format: "tar" }, { what: "upper", format: "tar", whiteouts: "kernel" }]) {
    const pieces = [];
    const report = stack.export((piece) => void pieces.push(piece), options);
    const bytes = Buffer.concat(pieces);
    assert.equal(report.bytes, bytes.length);
    assert.deepEqual(stack.exportBytes(options), new Uint8Array(bytes));
    const other = open();
    // OCI has no renames: that they are lost is told.
    const whole = options.format !== "tar" || options.whiteouts === "kernel";
    assert.deepEqual(report.lossy, whole ? {} : { marks: 1 });
    assert.equal(other.import({ size: bytes.length, read: (at, length) => new Uint8Array(bytes.subarray(at, at + length)) }).is_upper, true);
    assert.equal(other.digest("/") === stack.digest("/"), whole);
    assert.ok(other.undo());
    assert.deepEqual(other.changes().changes, []);
  }
});

test("layers are hidden, reordered, dropped and frozen while the upper stays", () => {
  const stack = new Stack();
  const [a, b] = [stack.addTree("a", [{ path: "f", content: "a" }]), stack.addTree("b", [{ path: "f", content: "b" }, { path: "g", content: "g" }])];
  assert.deepEqual([a, b], ["lower-1", "lower-2"]);
  stack.write("own", "1");
  assert.equal(text(stack.read("f")), "a");
  stack.arrange([b, a]);
  assert.equal(text(stack.read("f")), "b");
  stack.arrange([a]);
  fails(() => stack.read("g"), "not-found", { path: "/g", errno: "ENOENT" });
  assert.equal(stack.overlay().layers.find(({ id }) => id === b).index, undefined);
  stack.arrange([b]);
  assert.equal(text(stack.read("own")), "1");
  assert.equal(stack.freeze(), "lower-3");
  assert.deepEqual(stack.changes().changes, []);
  assert.deepEqual(stack.overlay().layers.map(({ id }) => id), ["upper", "lower-3", "lower-2", "lower-1"]);
  stack.dropLayer("lower-3");
  fails(() => stack.stat("own"), "not-found");
  fails(() => stack.arrange([a, a]), "invalid-body");
  fails(() => stack.arrange(["nothing"]), "not-found");
});

test("whiteouts and opaque directories may be handed over in a lower", () => {
  const stack = new Stack();
  stack.addTree("top", [{ path: "gone", kind: "whiteout" }, { path: "d", kind: "dir", opaque: true }]);
  stack.addTree("base", [{ path: "gone", content: "1" }, { path: "d/x", content: "1" }, { path: "kept", content: "1" }]);
  assert.deepEqual(names(stack.list("/")), ["d", "kept"]);
  assert.deepEqual(names(stack.list("d")), []);
  assert.deepEqual(stack.xray("/").rows.map(({ path }) => path), ["/d", "/gone", "/kept"]);
  assert.equal(stack.xray("d").rows[0].layers[2].reason, "opaque");
  for (const bad of [[{ path: "a", kind: "fifo" }], [{ path: "a" }, { path: "a" }], [{ path: "a" }, { path: "a/b" }], [{ path: "../a" }], [{}], "text", [{ path: "l", kind: "symlink" }]]) {
    assert.throws(() => stack.addTree("bad", bad), { name: "OvlError" });
  }
});

test("pages join, of a listing, of changes and of an x-ray", () => {
  const stack = new Stack();
  stack.addTree("many", Array.from({ length: 25 }, (_, i) => ({ path: `d/f${i}`, content: "" })));
  for (let i = 0; i < 25; i += 2) stack.remove(`d/f${i}`);
  const all = (page, key) => {
    const found = [];
    let cursor;
    do {
      const part = page(cursor);
      found.push(...part[key]);
      cursor = part.next_cursor;
    } while (cursor);
    return found;
  };
  const pages = (method, key, at = []) => {
    assert.deepEqual(all((cursor) => stack[method](...at, { limit: 4, ...(cursor && { cursor }) }), key), stack[method](...at)[key]);
  };
  pages("list", "entries", ["d"]);
  pages("xray", "rows", ["d"]);
  pages("changes", "changes");
  fails(() => stack.list("d", { limit: 0 }), "invalid-query");
  fails(() => stack.list("d", { cursor: "!" }), "invalid-query");
  fails(() => stack.list("d", { limt: 1 }), "invalid-query");
});

test("the drawn tree follows what changes, and a large directory opens at once", () => {
  const stack = open();
  assert.equal(stack.rows(0, 10).total, 4);
  assert.equal(stack.expand("dir"), 6);
  const { rows } = stack.rows(0, 10);
  assert.deepEqual(rows.map(({ level, position, siblings, open, entry }) => [entry.path, level, position, siblings, open]), [
    ["/dir", 1, 1, 4, true], ["/dir/a", 2, 1, 2, undefined], ["/dir/b", 2, 2, 2, false],
    ["/file1", 1, 2, 4, undefined], ["/file2", 1, 3, 4, undefined], ["/link", 1, 4, 4, undefined],
  ]);
  stack.write("dir/new", "");
  assert.equal(stack.rows(0, 10).total, 7);
  assert.equal(stack.rowOf("/dir/new"), 3);
  stack.undo();
  assert.equal(stack.rows(4, 10).rows[0].entry.path, "/file2");
  assert.equal(stack.collapse("dir"), 4);
  fails(() => stack.expand("file1"), "not-a-directory", { path: "/file1" });
});

test("an archive is read where its bytes lie", () => {
  const bytes = open().exportBytes();
  const stack = new Stack();
  stack.addZip("a.zip", bytes);
  assert.ok(stack.read("file1").length > 0);
  structuredClone(bytes.buffer, { transfer: [bytes.buffer] });
  fails(() => stack.read("file1"), "io-error", { path: "/file1", layer: "a.zip" });
});

test("errors say what, where and in which layer", () => {
  const stack = open();
  fails(() => stack.remove("dir"), "directory-not-empty", { path: "/dir", errno: "ENOTEMPTY" });
  fails(() => stack.read("dir"), "is-a-directory");
  fails(() => stack.list("file1"), "not-a-directory", { path: "/file1" });
  fails(() => stack.mkdir("a/b"), "not-found");
  fails(() => stack.rename("file1", "file2"), "already-exists");
  fails(() => stack.write("x", 7), "invalid-body");
  fails(() => stack.write("x", { size: 1 }), "invalid-body");
  fails(() => stack.write("x", "", { offset: -1 }), "invalid-body");
  fails(() => stack.chmod("file1", "8"), "invalid-body");
  fails(() => stack.stat("a/../b"), "invalid-path", { errno: "EINVAL" });
  fails(() => stack.stat(null), "invalid-path");
  fails(() => stack.addZip("no.zip", new Uint8Array(100)), "corrupt-layer", { layer: "no.zip" });
  fails(() => stack.import(new Uint8Array(100)), "not-implemented");
  fails(() => stack.readIn("lower-9", "x"), "not-found");
  fails(() => open({ upper: false }).write("x", ""), "no-upper", { errno: "EROFS" });
  fails(() => open({ upper: false }).freeze(), "no-upper");
  fails(() => new Stack({ uper: true }), "invalid-query");
  const damaged = open().exportBytes();
  // A bit of the member's data, which stands behind its name and extra field.
  const name = Buffer.from(damaged).indexOf("file1");
  damaged[name + 5 + damaged[name - 2] + 3] ^= 1;
  stack.addZip("bad.zip", damaged, { at: 0 });
  fails(() => stack.read("file1"), "corrupt-layer", { path: "/file1", layer: "bad.zip" });
});

test("names and targets are bytes", () => {
  const stack = new Stack();
  const name = new Uint8Array([0x63, 0xe9]);
  const { entry } = stack.write(name, "x");
  assert.deepEqual([entry.name_b64, entry.path_b64], [Buffer.from(name).toString("base64"), Buffer.from(name).toString("base64")]);
  assert.equal(text(stack.read(Buffer.from(stack.list("/").entries[0].path_b64, "base64"))), "x");
});

test("times and modes come back as they were given", () => {
  const stack = open();
  assert.deepEqual([stack.stat("dir/a").mtime, stack.stat("dir/a").mode], ["2020-01-02T03:04:05.000000006Z", "0600"]);
  stack.set("file1", { mtime: 1500, mode: 0o640, xattrs: { "user.note": "n" } });
  const { mtime, mode, xattrs } = stack.stat("file1");
  assert.deepEqual([mtime, mode, xattrs], ["1970-01-01T00:00:01.500000000Z", "0640", { "user.note": "n" }]);
  stack.set("file1", { xattrs: { "user.note": null } });
  assert.equal(stack.stat("file1").xattrs, undefined);
});

test("long work is heard of, and ends when it is asked to", () => {
  const big = new Uint8Array(3 << 20).fill(7);
  const stack = new Stack();
  stack.addTree("big", [{ path: "big", content: { size: big.length, read: (at, length) => big.subarray(at, at + length) } }]);
  const heard = [];
  stack.digest("/", {}, (done) => void heard.push(done));
  assert.equal(heard.at(-1), big.length);
  fails(() => stack.digest("/", {}, (done) => done > 1 << 20), "cancelled");
  fails(() => stack.export(() => true), "cancelled");
  const zip = stack.exportBytes({ format: "tar" });
  fails(() => stack.import(zip, { path: "copy" }, () => true), "cancelled");
  const many = Array.from({ length: 1200 }, (_, at) => ({ path: `d/${at}` }));
  const told = [];
  new Stack().addTree("many", many, {}, (...far) => void told.push(far));
  assert.deepEqual(told, [[0, 1200], [500, 1200], [1000, 1200]]);
  fails(() => stack.addTree("many", many, {}, (done) => done === 500), "cancelled");
  assert.deepEqual(stack.changes().changes, []);
  assert.throws(() => stack.digest("/", {}, () => { throw new RangeError("mine"); }), RangeError);
  const source = { size: 10, read() { throw new TypeError("gone"); } };
  assert.throws(() => stack.write("x", source), TypeError);
  fails(() => stack.write("x", { size: 10, read: () => "text" }), "io-error");
  fails(() => stack.write("x", { size: 10, read: () => new Uint8Array(0) }), "io-error");
  fails(() => stack.write("x", { size: 10, read: () => new Uint8Array(11) }), "io-error");
});

test("a signal ends long work, before it begins or between two of its pieces, and the stack works on", () => {
  const big = new Uint8Array(3 << 20).fill(7);
  const stack = new Stack();
  stack.addTree("big", [{ path: "big", content: big }]);
  const tar = stack.exportBytes({ format: "tar" });
  const gone = { signal: AbortSignal.abort() };
  fails(() => stack.digest("/", gone), "cancelled");
  fails(() => stack.exportBytes(gone), "cancelled");
  fails(() => stack.export(() => {}, gone), "cancelled");
  fails(() => stack.import(tar, { path: "copy", ...gone }), "cancelled");
  fails(() => stack.addZip("a.zip", stack.exportBytes(), gone), "cancelled");
  fails(() => stack.addTree("a", [{ path: "a" }], gone), "cancelled");
  const meanwhile = (work) => {
    const ending = new AbortController();
    fails(() => work({ signal: ending.signal }, () => ending.abort()), "cancelled");
  };
  meanwhile((options, heard) => stack.addTree("a", [{ path: "a" }], options, heard));
  meanwhile((options, heard) => stack.digest("/", options, heard));
  meanwhile((options, heard) => stack.export(heard, options));
  meanwhile((options, heard) => stack.import(tar, { path: "copy", ...options }, heard));
  let looks = 0;
  fails(() => stack.exportBytes({ format: "tar", signal: { get aborted() { return ++looks > 3; } } }), "cancelled");
  fails(() => stack.digest("/", { signal: "stop" }), "invalid-query");
  assert.deepEqual(stack.changes().changes, []);
  assert.equal(stack.overlay().layers.length, 2);
  assert.equal(stack.digest("/", { signal: new AbortController().signal }).length, 64);
});

test("a stack cannot be called from what it calls, and works on afterwards", () => {
  const stack = open();
  let code;
  stack.export(() => {
    try {
      stack.write("x", "");
    } catch (error) {
      code = error.code;
    }
  });
  assert.equal(code, "busy");
  stack.onEvent(({ path }) => path === "/first" && stack.write("second", ""));
  stack.write("first", "");
  assert.ok(stack.stat("second"));
});

test("a listener hears what happens, in order, and no more once it is taken away", () => {
  const stack = open();
  const heard = [];
  stack.onEvent((event) => heard.push(event));
  stack.remove("file1");
  assert.deepEqual(heard, stack.events().events);
  stack.onEvent();
  stack.remove("file2");
  assert.equal(heard.length, 2);
  assert.equal(stack.events(2).events.length, 2);
});

test("what comes out has the fields of the REST API, and the types say so", () => {
  const here = (path) => readFileSync(join(import.meta.dirname, path), "utf8");
  const { schemas } = JSON.parse(here("../../server/openapi.json")).components;
  const types = here("../src/types.d.ts");
  const same = { Entry: "Entry", Change: "Change", Changes: "ChangesPage", Why: "WhyBody", Verdict: "VerdictBody", OvlEvent: "EventBody", Imported: "Import", Omission: "Omission", Page: "Page" };
  for (const [type, schema] of Object.entries(same)) {
    const [, body] = types.match(new RegExp(`interface ${type} \\{\n(.*?)\n\\}`, "s"));
    const fields = [...body.matchAll(/^  (\w+)(\??):/gm)].map(([, name, optional]) => name + optional);
    const { properties, required = [] } = schemas[schema];
    assert.deepEqual(fields.sort(), Object.keys(properties).map((name) => (required.includes(name) ? name : `${name}?`)).sort(), type);
  }
});
