// An ovl-server with a folder, a real wheel and an upper in memory.
import { spawn } from "node:child_process";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

const HERE = import.meta.dirname;
/** The built site. */
export const DIST = join(HERE, "../dist/");
const BINARY = process.env.OVL_SERVER ?? join(HERE, "../../target/debug/ovl-server");
export const WHEEL = join(HERE, "../../examples/click-8.5.1-py3-none-any.whl");

/** With a token, every request must carry it. */
export async function serve(token) {
  const home = await mkdtemp(join(tmpdir(), "ovl-e2e-"));
  await mkdir(join(home, "site/notes"), { recursive: true });
  await writeFile(join(home, "site/file1"), "the lower's file1\n");
  await writeFile(join(home, "site/file2"), "the lower's file2\n");
  await writeFile(join(home, "site/notes/today.md"), "# Today\n");
  // A page that would say so if it were ever run.
  await writeFile(join(home, "site/evil.html"), "<script>document.title = 'ran'; window.ran = true</script>");
  const ready = join(home, "ready");
  const args = ["--lower", join(home, "site"), "--lower", WHEEL, "--upper", "mem:", "--listen", "127.0.0.1:0", "--ready-file", ready, "--quiet"];
  const env = { ...process.env, ...(token && { OVL_TOKEN: token }) };
  const server = spawn(BINARY, args, { env, stdio: ["ignore", "inherit", "inherit"] });
  let url = "";
  while (!url.includes("http")) {
    if (server.exitCode !== null) throw new Error(`${BINARY} ended with ${server.exitCode}`);
    await new Promise((done) => setTimeout(done, 10));
    url = await readFile(ready, "utf8").catch(() => "");
  }
  return {
    url: url.trim(),
    end: async () => {
      const gone = new Promise((done) => server.once("exit", done));
      server.kill();
      await gone;
      await rm(home, { recursive: true, force: true });
    },
  };
}
