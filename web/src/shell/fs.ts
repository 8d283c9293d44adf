/** The overlay as the shell's file system: each call is one call of the driver, and fails with the kernel's name. */
import type { CpOptions, FsStat, IFileSystem, MkdirOptions, RmOptions } from "just-bash/browser";
import { OvlError, type Entry, type OvlDriver } from "../driver/driver";
import { parent } from "../model/layers";

type Content = string | Uint8Array;
type Encoding = string | null | undefined | { encoding?: string | null };

const HOPS = 40;
const errnos: Record<string, string> = {
  "not-found": "ENOENT: no such file or directory",
  "already-exists": "EEXIST: file already exists",
  "not-a-directory": "ENOTDIR: not a directory",
  "is-a-directory": "EISDIR: illegal operation on a directory",
  "directory-not-empty": "ENOTEMPTY: directory not empty",
  "read-only": "EROFS: read-only file system",
  "no-upper": "EROFS: read-only file system",
  "cross-layer-rename": "EXDEV: cross-device link not permitted",
  forbidden: "EPERM: operation not permitted",
  "permission-denied": "EACCES: permission denied",
  "insufficient-storage": "ENOSPC: no space left on device",
  "name-too-long": "ENAMETOOLONG: name too long",
};

export class ShellFs implements IFileSystem {
  constructor(private readonly driver: OvlDriver) {}

  async readFile(path: string, options?: Encoding): Promise<string> {
    const content = await this.readFileBuffer(path);
    return new TextDecoder(coding(options)).decode(content);
  }

  async readFileBuffer(path: string): Promise<Uint8Array> {
    const at = await this.realpath(path);
    return this.call("open", path, () => this.driver.read(at));
  }

  async writeFile(path: string, content: Content, options?: Encoding): Promise<void> {
    const at = await this.destination(path);
    await this.call("open", path, () => this.driver.write(at, bytes(content, options)));
  }

  async appendFile(path: string, content: Content, options?: Encoding): Promise<void> {
    const at = await this.destination(path);
    const there = await this.exists(at);
    await this.call("open", path, () => this.driver[there ? "append" : "write"](at, bytes(content, options)));
  }

  exists(path: string): Promise<boolean> {
    return this.stat(path).then(
      () => true,
      () => false,
    );
  }

  async stat(path: string): Promise<FsStat> {
    return this.lstat(await this.realpath(path));
  }

  async lstat(path: string): Promise<FsStat> {
    return status(await this.call("lstat", path, () => this.driver.stat(path)));
  }

  async mkdir(path: string, options?: MkdirOptions): Promise<void> {
    if (options?.recursive) {
      if (await this.exists(path)) return;
      await this.mkdir(parent(path), options);
    }
    await this.call("mkdir", path, () => this.driver.mkdir(path));
  }

  async readdir(path: string): Promise<string[]> {
    return (await this.readdirWithFileTypes(path)).map(({ name }) => name);
  }

  async readdirWithFileTypes(path: string) {
    const at = await this.realpath(path);
    const entries: Entry[] = [];
    for (let cursor: string | undefined, more = true; more; more = cursor !== undefined) {
      const page = await this.call("scandir", path, () => this.driver.list(at, { cursor, limit: 10_000 }));
      entries.push(...page.entries);
      cursor = page.next_cursor ?? undefined;
    }
    return entries.map(({ name, kind }) => ({ name, isFile: kind === "file", isDirectory: kind === "dir", isSymbolicLink: kind === "symlink" }));
  }

  async rm(path: string, { recursive = false, force = false }: RmOptions = {}): Promise<void> {
    if (force && !(await this.driver.stat(path).catch(() => undefined))) return;
    await this.call("rm", path, () => this.driver.remove(path, recursive));
  }

  async cp(from: string, to: string, _options?: CpOptions): Promise<void> {
    await this.call("cp", from, () => this.driver.copy(from, to, true));
  }

  /** As `mv` does it: what cannot be renamed from one file system to another is copied, and removed where it was. */
  async mv(from: string, to: string): Promise<void> {
    await this.call("rename", from, async () => {
      try {
        await this.driver.move(from, to, true);
      } catch (error) {
        if (!(error instanceof OvlError && error.code === "cross-layer-rename")) throw error;
        await this.driver.copy(from, to, true);
        await this.driver.remove(from, true);
      }
    });
  }

  async chmod(path: string, mode: number): Promise<void> {
    const text = `0${(mode & 0o7777).toString(8).padStart(3, "0")}`;
    await this.call("chmod", path, () => this.driver.patch(path, { mode: text }));
  }

  async symlink(target: string, path: string): Promise<void> {
    await this.call("symlink", path, () => this.driver.symlink(path, target));
  }

  async link(existing: string, path: string): Promise<void> {
    await this.call("link", path, () => this.driver.link(existing, path));
  }

  async readlink(path: string): Promise<string> {
    const { target } = await this.call("readlink", path, () => this.driver.stat(path));
    if (target == null) throw new Error(`EINVAL: invalid argument, readlink '${path}'`);
    return target;
  }

  async utimes(path: string, _atime: Date, mtime: Date): Promise<void> {
    await this.call("utimes", path, () => this.driver.patch(path, { mtime: mtime.toISOString() }));
  }

  /** Follows the symbolic links of a path, the last one too. */
  async realpath(path: string): Promise<string> {
    let rest = path.split("/").filter(Boolean);
    let at = "";
    for (let hops = 0; rest.length > 0; ) {
      const [part, ...others] = rest as [string, ...string[]];
      rest = others;
      const { kind, target } = await this.call("stat", path, () => this.driver.stat(`${at}/${part}`));
      if (kind !== "symlink") at = `${at}/${part}`;
      else if (++hops > HOPS) throw new Error(`ELOOP: too many symbolic links, stat '${path}'`);
      else [at, rest] = target!.startsWith("/") ? ["", parts(target!, rest)] : ["", parts(`${at}/${target}`, rest)];
    }
    return at || "/";
  }

  resolvePath(base: string, path: string): string {
    return `/${parts(path.startsWith("/") ? path : `${base}/${path}`, []).join("/")}`;
  }

  /** The shell finds what a pattern means by listing. */
  getAllPaths(): string[] {
    return [];
  }

  /** Where a file is written that may not be there yet. */
  private async destination(path: string): Promise<string> {
    return this.realpath(path).catch(() => path);
  }

  private async call<T>(op: string, path: string, work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      if (!(error instanceof OvlError)) throw error;
      throw new Error(`${errnos[error.code] ?? `EIO: ${error.message}`}, ${op} '${path}'`);
    }
  }
}

function parts(path: string, behind: string[]): string[] {
  const out: string[] = [];
  for (const part of path.split("/")) {
    if (part === "..") out.pop();
    else if (part !== "" && part !== ".") out.push(part);
  }
  return [...out, ...behind];
}

function status({ kind, size, mode, mtime }: Entry): FsStat {
  return {
    isFile: kind === "file",
    isDirectory: kind === "dir",
    isSymbolicLink: kind === "symlink",
    mode: Number.parseInt(mode ?? "0", 8),
    size: size ?? 0,
    mtime: new Date(mtime ?? 0),
  };
}

function coding(options: Encoding): string {
  const encoding = typeof options === "string" ? options : (options?.encoding ?? "utf8");
  return encoding === "binary" || encoding === "latin1" ? "latin1" : "utf8";
}

function bytes(content: Content, options: Encoding): Uint8Array {
  if (typeof content !== "string") return content;
  if (coding(options) === "utf8") return new TextEncoder().encode(content);
  return Uint8Array.from(content, (char) => char.charCodeAt(0));
}
