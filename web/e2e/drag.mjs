// What is dragged: files and folders from the desktop, layers in the stack.
import { deepEqual } from "node:assert/strict";
import { copyFile, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { WHEEL } from "./server.mjs";

/** Drops files of this machine into the middle of the page, as the desktop would. */
async function dropFiles(page, files) {
  const desktop = await page.context().newCDPSession(page);
  const { width, height } = page.viewportSize();
  const event = { x: width / 2, y: height / 2, data: { items: [], files, dragOperationsMask: 1 } };
  for (const type of ["dragEnter", "dragOver", "drop"]) await desktop.send("Input.dispatchDragEvent", { type, ...event });
}

const order = (page) => page.locator("[data-card]").evaluateAll((cards) => cards.map((card) => card.dataset.card));

export const checks = {
  async "drag: a zip dropped on the home page opens, and a folder dropped on its stack lies on top"({ page, url }) {
    const home = await mkdtemp(join(tmpdir(), "ovl-drop-"));
    try {
      await mkdir(join(home, "papers/deep"), { recursive: true });
      await writeFile(join(home, "papers/deep/note"), "dropped\n");
      await page.goto(`${url}#/`);
      await page.getByText("See through your layers.").waitFor();
      await dropFiles(page, [WHEEL]);
      await page.waitForSelector('[role=row][data-path="/click"]');
      await dropFiles(page, [join(home, "papers")]);
      await page.waitForSelector('[role=row][data-path="/deep"]');
      deepEqual(await order(page), ["upper", "lower-2", "lower-1"]);
    } finally {
      await rm(home, { recursive: true, force: true });
    }
  },

  async "drag: looking through a folder without end is told, and cancelled; a picked folder keeps its zips as files"({ page, url }) {
    await page.goto(`${url}#/open`);
    await page.getByText("Pick a folder").waitFor();
    await page.evaluate(() => {
      const one = { isFile: true, name: "one", file: (done) => setTimeout(() => done(new File([], "one"))) };
      const endless = { isDirectory: true, name: "endless", createReader: () => ({ readEntries: (done) => done([one, one]) }) };
      const drop = new Event("drop", { bubbles: true, cancelable: true });
      const dataTransfer = { types: ["Files"], items: [{ webkitGetAsEntry: () => endless }] };
      document.querySelector(".drop").dispatchEvent(Object.defineProperty(drop, "dataTransfer", { value: dataTransfer }));
    });
    const work = "Looking through endless";
    await page.getByRole("progressbar", { name: work }).waitFor();
    await page.getByText(/^[\d,]+ files$/).waitFor();
    await page.getByRole("button", { name: "Cancel" }).click();
    await page.getByRole("progressbar").waitFor({ state: "detached" });
    await page.getByText(`${work} was cancelled; nothing was changed.`).waitFor({ state: "attached" });
    const home = await mkdtemp(join(tmpdir(), "ovl-pick-"));
    try {
      await mkdir(join(home, "papers"));
      await copyFile(WHEEL, join(home, "papers/inner.zip"));
      await page.setInputFiles('input[aria-label="A folder"]', join(home, "papers"));
      await page.waitForSelector('[role=row][data-path="/inner.zip"]');
      deepEqual(await order(page), ["upper", "lower-1"]);
    } finally {
      await rm(home, { recursive: true, force: true });
    }
  },

  async "drag: a layer dragged onto another takes its place, and the tree is resolved anew"({ page, url }) {
    await page.setViewportSize({ width: 1280, height: 1200 });
    await page.goto(`${url}#/learn/6`);
    await page.waitForSelector("[data-card=lower-3]");
    await page.locator(".card .bytes").first().waitFor({ state: "attached" }); // The cards grow no more.
    deepEqual(await order(page), ["upper", "lower-1", "lower-2", "lower-3"]);
    await page.dragAndDrop("[data-card=lower-3]", "[data-card=lower-1]");
    await page.waitForSelector("[data-card]:nth-child(2)[data-card=lower-3]");
    deepEqual(await order(page), ["upper", "lower-3", "lower-1", "lower-2"]);
  },
};
