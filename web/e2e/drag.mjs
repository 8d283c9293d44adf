// What is dragged: files and folders from the desktop, layers in the stack.
import { deepEqual } from "node:assert/strict";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
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
