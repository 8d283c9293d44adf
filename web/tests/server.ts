/** Starts an `ovl-server` for a test, with lowers in a temporary folder and an upper in memory. */
import { spawn, type ChildProcess } from "node:child_process";
import { mkdir, mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import type { Item } from "../src/driver/driver";

const BINARY = process.env["OVL_SERVER"] ?? join(import.meta.dirname, "../../target/debug/ovl-server");

export interface Server {
  url: string;
  end(): Promise<void>;
}

export async function serve(lowers: Item[][]): Promise<Server> {
  const home = await mkdtemp(join(tmpdir(), "ovl-web-"));
  const flags: string[] = [];
  for (const [index, items] of lowers.entries()) {
    const lower = join(home, `lower-${index + 1}`);
    await lay(lower, items);
    flags.push("--lower", lower);
  }
  if (lowers.length === 0) flags.push("--lower", "mem:");
  const ready = join(home, "ready");
  const args = [...flags, "--upper", "mem:", "--listen", "127.0.0.1:0", "--ready-file", ready, "--quiet"];
  const server = spawn(BINARY, args, { stdio: ["ignore", "ignore", "inherit"] });
  const url = await address(server, ready);
  return { url, end: () => end(server, home) };
}

async function lay(root: string, items: Item[]): Promise<void> {
  await mkdir(root, { recursive: true });
  for (const { path, kind, content, target } of items) {
    const at = join(root, path);
    await mkdir(kind === "dir" ? at : dirname(at), { recursive: true });
    if (target !== undefined) await symlink(target, at);
    else if (kind !== "dir") await writeFile(at, content as string);
  }
}

async function address(server: ChildProcess, ready: string): Promise<string> {
  for (;;) {
    const url = await readFile(ready, "utf8").catch(() => "");
    if (url.includes("\n") || url.startsWith("http")) return url.trim();
    if (server.exitCode !== null) throw new Error(`${BINARY} ended with ${server.exitCode}`);
    await new Promise((done) => setTimeout(done, 5));
  }
}

async function end(server: ChildProcess, home: string): Promise<void> {
  const gone = new Promise((done) => server.once("exit", done));
  server.kill("SIGKILL");
  await gone;
  await rm(home, { recursive: true, force: true });
}
