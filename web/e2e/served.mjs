// The page as an ovl-server carries it.
import { deepEqual, equal, match } from "node:assert/strict";
import { readdir, readFile } from "node:fs/promises";
import { request } from "node:http";
import { join } from "node:path";
import { brotliDecompressSync } from "node:zlib";
import { type } from "./live.mjs";
import { DIST, serve } from "./server.mjs";

const FOR_EVER = "public, max-age=31536000, immutable";
const types = { html: "text/html; charset=utf-8", js: "text/javascript; charset=utf-8", css: "text/css; charset=utf-8", svg: "image/svg+xml", wasm: "application/wasm" };

/** Asks as a client that decodes nothing. */
async function ask(url, method, headers) {
  return new Promise((done, failed) => {
    const asked = request(url, { method, headers }, async (answer) => {
      const parts = await answer.toArray();
      done({ status: answer.statusCode, headers: answer.headers, body: Buffer.concat(parts) });
    });
    asked.on("error", failed).end();
  });
}

export const checks = {
  async "served: each built file comes plain and as brotli, whole and by its head"({ server }) {
    const entries = await readdir(DIST, { recursive: true, withFileTypes: true });
    const files = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name).slice(DIST.length));
    for (const file of files.filter((file) => !file.endsWith(".br") && !file.startsWith("."))) {
      const url = `${server.url}/${file === "index.html" ? "" : file}`;
      const content = await readFile(join(DIST, file));
      for (const [coding, decode] of [["identity", (body) => body], ["br", brotliDecompressSync]]) {
        const get = await ask(url, "GET", { "accept-encoding": coding });
        equal(get.status, 200, file);
        equal(get.headers["content-encoding"], coding === "br" ? "br" : undefined, file);
        deepEqual(decode(get.body), content, `${file}: build the site into the server first (cargo xtask web)`);
        equal(get.headers["content-type"], types[file.split(".").pop()], file);
        equal(get.headers["cache-control"], file.startsWith("assets/") ? FOR_EVER : "no-cache", file);
        match(get.headers["content-security-policy"], /^default-src 'none'; script-src 'self' 'wasm-unsafe-eval';/);
        const head = await ask(url, "HEAD", { "accept-encoding": coding });
        const told = ({ date, ...headers }) => headers;
        deepEqual([head.status, head.body.length, told(head.headers)], [200, 0, told(get.headers)], file);
        const again = await ask(url, "GET", { "accept-encoding": coding, "if-none-match": get.headers.etag });
        deepEqual([again.status, again.body.length], [304, 0], file);
      }
    }
  },

  async "served: a newcomer lands in the live overlay, with ways to learn and to open"({ page, server }) {
    await page.goto(server.url);
    await page.waitForSelector('[role=row][data-path="/click"]');
    equal(new URL(page.url()).hash, "#/live");
    for (const screen of ["Learn", "Open"]) {
      await page.getByRole("link", { name: screen, exact: true }).click();
      await page.getByRole("heading", { level: 1 }).first().waitFor();
      equal(new URL(page.url()).hash, `#/${screen.toLowerCase()}`);
      await page.goBack();
      await page.waitForSelector('[role=row][data-path="/click"]');
    }
  },

  async "served: what was visited once goes on when the server has ended"({ page }) {
    const own = await serve();
    try {
      await page.goto(own.url);
      await page.waitForSelector('[role=row][data-path="/click"]');
      await page.evaluate(() => navigator.serviceWorker.ready);
    } finally {
      await own.end();
    }
    await page.goto(own.url);
    await page.getByRole("heading", { name: "See through your layers." }).waitFor();
    await page.goto(`${own.url}/#/learn/1`);
    await page.waitForSelector('[data-cell="/file1|upper"].shows');
    await type(page, "cat file1");
    await page.locator(".log pre.out").getByText("the upper's file1").waitFor();
  },
};

/** What a host of files owes: the same page, which finds no server there. */
export const onFiles = {
  async "static: the home page comes first, and the engine runs"({ page, url }) {
    await page.goto(url);
    await page.getByRole("heading", { name: "See through your layers." }).waitFor();
    await page.goto(`${url}#/live`);
    await page.getByRole("heading", { name: "No server here" }).waitFor();
    await page.goto(`${url}#/learn/1`);
    await page.waitForSelector('[data-cell="/file1|upper"].shows');
  },
};
