// Every screen: what axe finds, and a picture.
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { round } from "./keys.mjs";

const axe = await readFile(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

/** Fails with what axe finds. */
export async function clean(page, name) {
  if (!(await page.evaluate(() => "axe" in globalThis))) await page.evaluate(axe);
  const { violations } = await page.evaluate(() => globalThis.axe.run(document, { resultTypes: ["violations"] }));
  if (violations.length === 0) return;
  const told = violations.map(({ id, help, nodes }) => `${id}: ${help}\n    ${nodes.slice(0, 4).map(({ html, failureSummary }) => `${html.slice(0, 160)} ${failureSummary?.split("\n")[1] ?? ""}`).join("\n    ")}`);
  throw new Error(`axe on ${name}:\n  ${told.join("\n  ")}`);
}

/** The screens, and how to get each. */
const screens = {
  home: async (page, url) => {
    await page.goto(`${url}#/`);
    await page.getByRole("heading", { level: 1 }).waitFor();
  },
  live: async (page, url) => {
    await page.goto(`${url}#/live`);
    await page.waitForSelector('[data-cell="/file1|lower-1"]');
    await page.locator(".card .bytes").first().waitFor({ state: "attached" });
  },
  learn: async (page, url) => {
    await page.goto(`${url}#/learn`);
    await page.getByText("The two directories").waitFor();
  },
  level: async (page, url) => {
    await page.goto(`${url}#/learn/1`);
    await page.waitForSelector('[data-cell="/file1|upper"]', { state: "attached" });
  },
  begin: async (page, url) => {
    await page.goto(`${url}#/open`);
    await page.getByText("Drop a zip or a folder").waitFor();
  },
  open: async (page) => {
    await page.getByText("Begin with an example").click();
    await page.waitForSelector('[data-cell="/file1|lower-1"]', { state: "attached" });
  },
  names: async (page) => {
    const file = (name) => ({ name, mimeType: "text/plain", buffer: Buffer.from(name) });
    await page.setInputFiles('input[aria-label="Zips or files"]', ["long ".repeat(50), "l".repeat(200), "ملف التقرير السنوي.txt", "👩‍👩‍👧 party", "in\u202Etxt.exe"].map(file));
    await page.locator("[role=row]", { hasText: "in\\u{202e}txt.exe" }).waitFor({ state: "attached" });
    await page.locator(`[role=row][data-path="/${"l".repeat(200)}"]`).evaluate((row) => row.click());
  },
  rename: async (page) => {
    await page.locator(".parts").getByRole("tab", { name: "Tree" }).click();
    await page.focus("[role=treegrid]");
    await page.keyboard.press("F2");
    await page.getByRole("dialog").waitFor();
  },
  changes: async (page) => {
    if (await page.getByRole("dialog").count()) await page.keyboard.press("Escape");
    await page.getByRole("button", { name: /^Changes/ }).click();
    await page.getByRole("dialog").waitFor();
  },
  export: async (page) => {
    await page.getByRole("button", { name: "Close" }).click();
    await page.getByRole("button", { name: "Export", exact: true }).first().click();
    await page.getByRole("dialog").waitFor();
  },
};

/** The parts that a narrow screen shows one at a time. */
async function parts(page) {
  const bar = page.locator(".parts [role=tab]");
  return (await bar.first().isVisible().catch(() => false)) ? bar.allInnerTexts() : [undefined];
}

/** Screens that only a narrow one can spoil. */
const NARROW = new Set(["names", "rename"]);

/** By how many pixels something is wider than its place, where that would not be seen or not be reached. */
function tooWide() {
  const boxes = [...document.querySelectorAll("dialog[open], main")].map((box) => box.scrollWidth - box.clientWidth);
  const edges = [...document.querySelectorAll(".bench")].map((box) => Math.ceil(box.getBoundingClientRect().right) - innerWidth);
  return Math.max(document.documentElement.scrollWidth - innerWidth, ...boxes, ...edges);
}

export async function every({ page, url, shots }, theme, width) {
  for (const [name, go] of Object.entries(screens)) {
    if (NARROW.has(name) && width > 400) continue;
    await go(page, url);
    const dialog = await page.getByRole("dialog").count();
    for (const part of dialog ? [undefined] : await parts(page)) {
      if (part) await page.locator(".parts").getByRole("tab", { name: part }).click();
      await page.evaluate(() => Promise.allSettled(document.getAnimations().map(({ finished }) => finished)));
      const wide = await page.evaluate(tooWide);
      if (wide > 0) throw new Error(`${name} is ${wide} pixels too wide at ${width}`);
      if (shots) await page.screenshot({ path: `${shots}/${name}${part ? `-${part}` : ""}-${theme}-${width}.png` });
      await clean(page, `${name} ${part ?? ""}`);
      if (theme === "light" && width !== 900) await round(page, `${name} ${part ?? ""}`);
    }
  }
}
