// Serves web/dist as any host of files would.
import { createServer } from "node:http";
import { readFile } from "node:fs/promises";
import { extname, join, normalize } from "node:path";
import { DIST } from "./server.mjs";

const types = { ".html": "text/html; charset=utf-8", ".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml", ".wasm": "application/wasm" };

export async function site() {
  const answer = async (from, to) => {
    const path = normalize(new URL(from.url, "http://x").pathname);
    const file = path === "/" ? "index.html" : path.slice(1);
    const content = await readFile(join(DIST, file)).catch(() => undefined);
    if (content) to.writeHead(200, { "content-type": types[extname(file)] ?? "application/octet-stream" }).end(content);
    else to.writeHead(404).end();
  };
  const host = createServer((from, to) => void answer(from, to));
  await new Promise((done) => host.listen(0, "127.0.0.1", done));
  return {
    url: `http://127.0.0.1:${host.address().port}/`,
    end: () => (host.closeAllConnections(), new Promise((done) => host.close(done))),
  };
}
