// Looks at the built site as a person does: by keyboard, with axe, from the server that carries it.
//
//   node e2e/run.mjs              all checks
//   node e2e/run.mjs --only TEXT  those whose names have the text
//   node e2e/run.mjs --shots DIR  also takes pictures of every screen, in both themes and at three widths, and the README's
import { launch } from "./browser.mjs";
import * as drag from "./drag.mjs";
import * as heard from "./heard.mjs";
import * as keys from "./keys.mjs";
import * as live from "./live.mjs";
import * as looks from "./looks.mjs";
import * as pictures from "./pictures.mjs";
import * as served from "./served.mjs";
import * as tab from "./tab.mjs";
import { serve } from "./server.mjs";
import { site } from "./site.mjs";

const shots = process.argv.includes("--shots") ? process.argv[process.argv.indexOf("--shots") + 1] : undefined;
const only = process.argv.includes("--only") ? process.argv[process.argv.indexOf("--only") + 1] : "";
const server = await serve();
const host = await site();
const browser = await launch();
let failed = 0;

/** Runs one check in a fresh profile; an error in the page, or something that its policy forbids, fails it too. */
async function check(name, work, { url = `${server.url}/`, ...options } = {}) {
  if (!name.includes(only)) return;
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 }, ...options });
  const page = await context.newPage();
  page.setDefaultTimeout(20_000);
  const errors = [];
  page.on("pageerror", (error) => errors.push(error.message));
  page.on("console", (said) => /content security policy|wasm streaming/i.test(said.text()) && errors.push(said.text()));
  const start = Date.now();
  try {
    await work({ page, context, url, server, shots });
    if (errors.length > 0) throw new Error(`in the page: ${errors.join("; ")}`);
    console.log(`ok   ${name} (${((Date.now() - start) / 1000).toFixed(1)} s)`);
  } catch (error) {
    failed++;
    console.log(`FAIL ${name}: ${error.stack}`);
    if (shots) await page.screenshot({ path: `${shots}/failed.png` }).catch(() => {});
  }
  await context.close();
}

try {
  for (const [name, work] of Object.entries({ ...served.checks, ...live.checks, ...tab.checks, ...drag.checks, ...heard.checks, ...keys.checks })) await check(name, work);
  for (const [name, work] of Object.entries(served.onFiles)) await check(name, work, { url: host.url });
  if (shots) for (const [name, { work, ...options }] of Object.entries(pictures.checks)) await check(name, work, options);
  for (const theme of ["light", "dark"]) {
    for (const width of [360, 900, 1440]) {
      await check(`every screen, ${theme}, ${width} wide`, (at) => looks.every(at, theme, width), { colorScheme: theme, reducedMotion: "reduce", viewport: { width, height: 860 } });
    }
  }
} finally {
  await browser.close();
  await host.end();
  await server.end();
}
console.log(failed === 0 ? "all checks passed" : `${failed} failed`);
process.exit(failed === 0 ? 0 : 1);
