// Serves web/dist as any file host would; what is not there goes to an ovl-server, when one is given.
import { createServer, request } from "node:http";
import { readFile } from "node:fs/promises";
import { extname, join, normalize } from "node:path";

const DIST = new URL("../dist/", import.meta.url).pathname;
const types = { ".html": "text/html; charset=utf-8", ".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml", ".wasm": "application/wasm", ".json": "application/json", ".webmanifest": "application/manifest+json" };

export async function site(server) {
  const answer = async (from, to) => {
    const path = normalize(new URL(from.url, "http://x").pathname);
    const file = path === "/" ? "index.html" : path.slice(1);
    const content = await readFile(join(DIST, file)).catch(() => undefined);
    if (content) to.writeHead(200, { "content-type": types[extname(file)] ?? "application/octet-stream" }).end(content);
    else if (server) pass(server, from, to);
    else to.writeHead(404).end();
  };
  const host = createServer((from, to) => void answer(from, to));
  await new Promise((done) => host.listen(0, "127.0.0.1", done));
  return {
    url: `http://127.0.0.1:${host.address().port}/`,
    end: () => (host.closeAllConnections(), new Promise((done) => host.close(done))),
  };
}

function pass(server, from, to) {
  const url = new URL(from.url, server);
  // As if the server itself served the page: it refuses changes from pages of other origins.
  const headers = { ...from.headers, host: url.host, ...(from.headers.origin && { origin: url.origin }) };
  const onward = request(url, { method: from.method, headers }, (answer) => {
    to.writeHead(answer.statusCode, answer.headers);
    answer.pipe(to);
  });
  onward.on("error", () => to.destroy());
  to.on("close", () => onward.destroy());
  from.pipe(onward);
}
