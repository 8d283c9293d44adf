// What a screen reader is told: the live regions of Chromium's accessibility tree.
import { deepEqual, equal, ok } from "node:assert/strict";
import { deflateRawSync } from "node:zlib";
import { type } from "./live.mjs";

const LIVE = new Set(["log", "status", "alert"]);

/** The texts that stand in live regions now; what lies behind a dialog is not among them. */
async function heard(page) {
  const desktop = await page.context().newCDPSession(page);
  const { nodes } = await desktop.send("Accessibility.getFullAXTree");
  await desktop.detach();
  const known = new Map(nodes.map((node) => [node.nodeId, node]));
  const texts = (node) => (node.role?.value === "StaticText" ? [node.name.value] : (node.childIds ?? []).flatMap((id) => texts(known.get(id) ?? {})));
  const lines = (node) => (node.childIds ?? []).map((id) => texts(known.get(id) ?? {}).join(""));
  return nodes.filter((node) => !node.ignored && LIVE.has(node.role?.value)).flatMap((node) => lines(node));
}

/** Waits until a text is told, and fails unless it is told so many times. */
async function told(page, text, times) {
  let found = [];
  for (let tries = 0; tries < 100 && found.length < times; tries++) {
    if (tries > 0) await page.waitForTimeout(50);
    found = (await heard(page)).filter((line) => line.includes(text));
  }
  equal(found.length, times, `${text}: ${(await heard(page)).join(" | ")}`);
}

const once = (page, text) => told(page, text, 1);

async function example(page, url) {
  await page.goto(`${url}#/open`);
  await page.getByText("Begin with an example").click();
  await page.waitForSelector('[data-cell="/file2|lower-1"]');
}

export const checks = {
  async "heard: each step of a change once, also when all are played at once"({ page, url }) {
    await example(page, url);
    await page.getByLabel("Pace").selectOption("0");
    await type(page, "echo more >> notes/today.md; rm file1");
    await once(page, "/notes comes first");
    await once(page, "/notes/today.md was copied up, 31 B, from layer 1");
    await once(page, "A whiteout for /file1 now lies in the upper.");
    await type(page, "echo more >> notes/today.md");
    await told(page, "/notes/today.md was written", 2);
  },

  async "heard: results of the shell, what a filter finds, and what cannot be taken back"({ page, url }) {
    await example(page, url);
    await type(page, "cat file1");
    await once(page, "the lower's file1");
    await type(page, "cat nowhere");
    await once(page, "nowhere: No such file");
    await page.getByRole("button", { name: "Find" }).click();
    await page.getByLabel("Part of the path").fill("old");
    await once(page, "1 found");
    await page.keyboard.press("Escape");
    await page.getByRole("button", { name: "Undo" }).click();
    await once(page, "There is nothing to take back.");
  },

  async "heard: names that mislead are written out, wherever they stand: told, shown, in hints and in what is drawn"({ page, url }) {
    const odd = "in\u202Etxt\u0007.exe";
    const out = "in\\u{202e}txt\\u{7}.exe";
    const items = [
      { path: `${odd}/${odd}`, content: "1" },
      { path: odd.replace("in", "to"), target: odd },
      { path: odd.replace("in", "by"), content: odd },
    ];
    const code = deflateRawSync(JSON.stringify({ lowers: [[odd, items]], ops: [] })).toString("base64url");
    await page.goto(`${url}#/s/1.${code}`);
    const row = (path) => page.locator(`[role=row][data-path="${path}"]`);
    const written = async (where) => {
      const told = (await heard(page)).join();
      const raw = await page.evaluate(() => {
        const hints = [...document.querySelectorAll("body *")].flatMap((one) => ["title", "aria-label", "alt", "placeholder"].map((name) => one.getAttribute(name) ?? ""));
        return [document.body.innerText, ...hints].filter((text) => /[\u0007\u202e]/.test(text)).map((text) => text.split("\n").find((line) => /[\u0007\u202e]/.test(line)));
      });
      deepEqual([...raw, ...(/[\u0007\u202e]/.test(told) ? [told] : [])], [], where);
    };
    await row(`/${odd}`).waitFor();
    await page.getByLabel("Pace").selectOption("step");
    await page.focus("[role=treegrid]");
    for (const key of ["Home", "ArrowDown", "ArrowRight"]) await page.keyboard.press(key);
    await row(`/${odd}/${odd}`).waitFor();
    for (const key of ["ArrowDown", "Delete"]) await page.keyboard.press(key);
    await page.locator(".caption").getByText("was copied up").waitFor();
    await written("a step");
    await page.keyboard.press("Escape");
    await page.locator(`[data-cell="/${odd}/${odd}|upper"].whiteout`).waitFor();
    await page.keyboard.press("Escape");
    await told(page, `A whiteout for /${out}/${out}`, 1);
    await row(`/${odd}/${odd}`).click();
    await page.getByText("hides it").first().waitFor();
    await written("why");
    for (const [path, tab] of [[`/${odd.replace("in", "to")}`, "Preview"], [`/${odd.replace("in", "to")}`, "Metadata"], [`/${odd.replace("in", "by")}`, "Preview"]]) {
      await row(path).click();
      await page.getByRole("tab", { name: tab }).click();
      await page.locator("#about-panel > *, #about-panel .cm-line").first().waitFor();
      await page.getByRole("heading", { name: out.replace("in", path.slice(1, 3)) }).waitFor();
      await written(`${path} ${tab}`);
    }
    await page.locator(".cm-specialChar").first().waitFor();
    for (const tab of ["Events", "Kernel says"]) {
      await page.getByRole("tab", { name: tab }).click();
      await written(tab);
    }
    await page.getByRole("button", { name: /^Changes/ }).click();
    await page.getByRole("button", { name: `Discard the change of /${out}/${out}` }).waitFor();
    await written("changes");
    await page.getByRole("button", { name: "Close" }).click();
    await row(`/${odd}`).click();
    await page.focus("[role=treegrid]");
    await page.keyboard.press("F2");
    await page.getByLabel("New path").fill(`/${odd.replace("in", "by")}`);
    await page.keyboard.press("Enter");
    await once(page, "already");
    await written("a failure");
    await page.getByRole("button", { name: "Find" }).click();
    await page.keyboard.type("txt");
    await page.locator("dialog li").first().waitFor();
    await written("a search");
  },

  async "heard: a failure once, over a dialog as well"({ page, url }) {
    await example(page, url);
    await page.click('[role=row][data-path="/file1"]');
    await page.keyboard.press("F2");
    await page.getByLabel("New path").fill("/file2");
    await page.keyboard.press("Enter");
    await once(page, "already");
    await page.getByRole("button", { name: "Dismiss" }).click();
    await type(page, "rm file1");
    await page.getByRole("button", { name: /^Changes/ }).click();
    await page.getByRole("button", { name: "Discard the change of /file1" }).click();
    await once(page, "The change of /file1 was discarded");
    await page.getByRole("button", { name: "Close" }).click();
    await page.getByRole("button", { name: "Export", exact: true }).first().click();
    await page.getByRole("button", { name: "Download" }).click();
    await once(page, "SHA-256");
    ok((await heard(page)).every((line) => !line.includes("discarded")), "what was told before is not told again");
  },
};
