// The engine in the tab: levels, files, links, sessions.
import { deepEqual, equal, ok } from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { flat } from "./big.mjs";
import { type } from "./live.mjs";
import { WHEEL } from "./server.mjs";

const cell = (path, layer, state) => `[data-cell="${path}|${layer}"].${state}`;

export async function openWheel(page, url) {
  await page.goto(`${url}#/open`);
  await page.getByText("Pick zips or files").waitFor();
  await page.setInputFiles('input[aria-label="Zips or files"]', WHEEL);
  await page.waitForSelector('[role=row][data-path="/click"]');
}

/** Presses Tab until the element that matches has the focus. */
async function tabTo(page, selector) {
  for (let presses = 0; presses < 80; presses++) {
    if (await page.evaluate((selector) => document.activeElement?.matches(selector), selector)) return;
    await page.keyboard.press("Tab");
  }
  throw new Error(`${selector} is not reached by Tab`);
}

/** Waits until a file that the browser keeps of the stack holds these words: it is written behind the change. */
async function keeps(page, file, ...words) {
  const holds = async ([file, words]) => {
    const dir = await (await navigator.storage.getDirectory()).getDirectoryHandle("session");
    const kept = await dir.getFileHandle(file).then((handle) => handle.getFile()).then((kept) => kept.text()).catch(() => "");
    return words.every((word) => kept.includes(word));
  };
  for (let tries = 0; !(await page.evaluate(holds, [file, words])); tries++) {
    ok(tries < 400, `${file} holds ${words.join(" and ")}`);
    await page.waitForTimeout(50);
  }
}

/** Picks 4 GiB that take no room: one piece of the page's memory, many times. */
async function pickVast(page) {
  await page.evaluate(() => {
    const piece = new Blob([new Uint8Array(32 << 20).fill(97)]);
    const files = new DataTransfer();
    files.items.add(new File(Array.from({ length: 128 }, () => piece), "vast"));
    const input = document.querySelector('input[aria-label="Zips or files"]');
    input.files = files.files;
    input.dispatchEvent(new Event("change", { bubbles: true }));
  });
}

export const checks = {
  async "tab: the founding demo by keyboard alone"({ page, url }) {
    await page.goto(`${url}#/`);
    await tabTo(page, 'a[href="#/learn"].main');
    await page.keyboard.press("Enter");
    await page.getByText("The two directories").waitFor();
    await tabTo(page, 'a[href="#/learn/1"]');
    await page.keyboard.press("Enter");
    await page.waitForSelector(cell("/file1", "upper", "shows"));
    await page.waitForSelector(cell("/file1", "lower-1", "hidden"));
    await tabTo(page, "input[name=guess]");
    await page.keyboard.press("Space");
    await page.getByText("as you said").waitFor();
    await tabTo(page, "#command");
    await page.keyboard.type("cat file1");
    await page.keyboard.press("Enter");
    await page.locator(".log pre.out").getByText("the upper's file1").waitFor();
    await type(page, "touch file3");
    await page.waitForSelector(cell("/file3", "upper", "shows"));
    await page.waitForSelector(cell("/file3", "lower-1", "nothing"));
    await page.getByRole("heading", { name: "Done" }).waitFor();
  },

  async "tab: every level is solved by the commands that it offers"({ page, url }) {
    for (let level = 1; level <= 9; level++) {
      await page.goto(`${url}#/learn/${level}`);
      await page.getByText("Your turn").waitFor();
      await page.locator(".pace select").selectOption("0");
      await page.locator(`input[name=guess]`).first().check();
      if (level === 6) {
        await page.getByRole("button", { name: "Move layer 3 up" }).click();
        await page.getByRole("button", { name: "Move layer 3 up" }).click();
        await page.waitForSelector(".stack li:nth-child(2)[data-card=lower-3]");
        await page.getByRole("button", { name: "Move layer 1 down" }).click();
      } else {
        const tries = page.locator(".tries button");
        for (let at = 0; at < (await tries.count()); at++) {
          await tries.nth(at).click();
          await page.waitForFunction(() => document.querySelector("form button:last-child")?.textContent === "Run");
        }
      }
      await page.getByRole("heading", { name: "Done" }).waitFor({ timeout: 8000 }).catch((error) => Promise.reject(new Error(`level ${level}: ${error.message}`)));
      await page.locator("fieldset b").waitFor(); // The engine said what was right.
      equal(await page.locator("[role=alert]").count(), 0, `level ${level}`);
    }
  },

  async "tab: without redirects a directory of a lower is copied, and the level is solved all the same"({ page, url }) {
    await page.goto(`${url}#/learn/8`);
    await page.getByText("Your turn").waitFor();
    await page.locator(".pace select").selectOption("0");
    await type(page, "mv photos pictures");
    await page.waitForSelector(cell("/pictures", "upper", "shows"));
    await page.click('[role=row][data-path="/pictures"]');
    await page.getByText("Below, photos is asked for instead").waitFor();
    await page.getByLabel("without redirects").check();
    await page.waitForSelector(cell("/photos", "lower-1", "shows"));
    await type(page, "mv photos pictures");
    await page.getByRole("heading", { name: "Done" }).waitFor();
    await page.focus("[role=treegrid]");
    await page.click('[role=row][data-path="/pictures"]');
    await page.keyboard.press("ArrowRight");
    await page.waitForSelector(cell("/pictures/sea.txt", "upper", "shows"));
    await page.waitForSelector(cell("/photos", "upper", "whiteout"));
    equal(await page.getByText("is asked for instead").count(), 0);
  },

  async "tab: a real wheel is opened, edited, asked why, discarded and exported"({ page, url }) {
    await openWheel(page, url);
    await type(page, "echo '# more' >> click/__init__.py; rm click/_winconsole.py");
    await page.focus("[role=treegrid]");
    await page.keyboard.press("Home");
    await page.keyboard.press("ArrowRight");
    await page.waitForSelector(cell("/click/_winconsole.py", "upper", "whiteout"));
    await page.waitForSelector(cell("/click/__init__.py", "upper", "shows"));
    await page.click('[role=row][data-path="/click/_winconsole.py"]');
    await page.getByText(/a whiteout in the upper at \/click\/_winconsole.py hides it/).first().waitFor();
    await page.getByRole("button", { name: "Export", exact: true }).first().click();
    const [download] = await Promise.all([page.waitForEvent("download"), page.getByRole("button", { name: "Download" }).click()]);
    const zip = await download.path();
    const names = (path) => execFileSync("unzip", ["-Z1", path], { encoding: "utf8" }).split("\n").filter((name) => name && !name.endsWith("/")).sort();
    deepEqual(names(zip), names(WHEEL).filter((name) => name !== "click/_winconsole.py"));
    const content = (path) => execFileSync("unzip", ["-p", path, "click/__init__.py"], { encoding: "utf8" });
    equal(content(zip), `${content(WHEEL)}# more\n`);
    await page.getByRole("button", { name: "Close" }).click();
    await page.getByRole("button", { name: /^Changes/ }).click();
    await page.getByRole("button", { name: "Discard the change of /click/_winconsole.py" }).click();
    await page.getByRole("button", { name: "Close" }).click();
    await page.waitForSelector(cell("/click/_winconsole.py", "lower-1", "shows"));
    ok((await page.locator(".sent").innerText()).startsWith("0 B"));
  },

  async "tab: a copy-up is stepped through, and the kernel's part is told"({ page, url }) {
    await page.goto(`${url}#/open`);
    await page.getByText("Begin with an example").click();
    await page.waitForSelector(cell("/file2", "lower-1", "shows"));
    await page.getByLabel("Pace").selectOption("step");
    await type(page, "echo more >> file2; rm file1");
    await page.locator(".caption").getByText("/file2 was copied up, 18 B, from layer 1 to the upper.").waitFor();
    await page.waitForSelector(cell("/file2", "upper", "nothing")); // The old state is seen until the step is over.
    await page.getByRole("button", { name: /^Next/ }).click();
    await page.locator(".caption").getByText("A whiteout for /file1").waitFor();
    await page.getByRole("button", { name: "Skip" }).click();
    await page.waitForSelector(cell("/file2", "upper", "shows"));
    await page.waitForSelector(cell("/file1", "upper", "whiteout"));
    await page.getByRole("tab", { name: "Kernel says" }).click();
    await page.locator(".events li code").first().waitFor();
    console.log(`     ${(await page.locator(".events li code").allInnerTexts()).join(" | ")}`);
  },

  async "tab: a directory comes up by a step of its own before what lies in it"({ page, url }) {
    await page.goto(`${url}#/open`);
    await page.getByText("Begin with an example").click();
    await page.waitForSelector(cell("/notes", "upper", "nothing"));
    await page.getByLabel("Pace").selectOption("step");
    await type(page, "echo more >> notes/today.md");
    await page.locator(".caption").getByText("/notes comes first").waitFor();
    await page.getByRole("button", { name: /^Next/ }).click();
    await page.locator(".caption").getByText("/notes/today.md was copied up, 31 B, from layer 1").waitFor();
    await page.getByRole("button", { name: "Skip" }).click();
    await page.waitForSelector(cell("/notes", "upper", "shows"));
  },

  async "tab: names that an opaque directory hides stand in it, struck through, with the layer they are in"({ page, url }) {
    await page.goto(`${url}#/open`);
    await page.getByText("Begin with an example").click();
    await page.waitForSelector(cell("/notes", "lower-1", "shows"));
    await type(page, "rm -r notes; mkdir notes; echo new > notes/today.md");
    await page.click('[role=row][data-path="/notes"]');
    await page.keyboard.press("ArrowRight");
    await page.waitForSelector(cell("/notes/today.md", "upper", "shows"));
    await page.waitForSelector(cell("/notes/old.md", "lower-1", "hidden"));
    const row = page.locator('[role=row][data-path="/notes/old.md"]');
    equal(await row.locator(".text").evaluate((text) => getComputedStyle(text).textDecorationLine), "line-through");
    await row.getByText(", hidden").waitFor({ state: "attached" });
    await row.click();
    equal(await page.getByRole("button", { name: "Delete" }).isDisabled(), true);
  },

  async "tab: undo and redo"({ page, url }) {
    await openWheel(page, url);
    await type(page, "rm -r click");
    await page.waitForSelector(cell("/click", "upper", "whiteout"));
    await page.getByRole("button", { name: "Undo" }).click();
    await page.waitForSelector(cell("/click", "lower-1", "shows"));
    await page.getByRole("button", { name: "Redo" }).click();
    await page.waitForSelector(cell("/click", "upper", "whiteout"));
  },

  async "tab: a reload finds the stack again, offline too"({ page, context, url }) {
    await openWheel(page, url);
    await type(page, "echo kept > note; rm -r click");
    await page.waitForSelector(cell("/click", "upper", "whiteout"));
    await page.evaluate(() => navigator.serviceWorker.ready);
    await keeps(page, "stack.json", ".zip");
    await keeps(page, "upper.tar", "note", "click");
    await context.setOffline(true);
    await page.reload();
    await page.waitForSelector(cell("/note", "upper", "shows"));
    await page.waitForSelector(cell("/click", "upper", "whiteout"));
    await type(page, "cat note");
    await page.locator(".log pre.out").getByText("kept").waitFor();
  },

  async "tab: a link carries the stack and what was done to it"({ page, context, url }) {
    await page.goto(`${url}#/open`);
    await page.getByText("Begin with an example").click();
    await page.waitForSelector(cell("/file2", "lower-1", "shows"));
    await type(page, "echo more >> file1; rm file2; mv notes papers");
    await page.waitForSelector(cell("/papers", "upper", "shows"));
    await page.getByRole("button", { name: "Share" }).click();
    const box = page.getByRole("textbox", { name: "Link" });
    await page.waitForFunction(() => document.querySelector("dialog input")?.value.includes("#/s/1."));
    const link = await box.inputValue();
    const other = await context.newPage();
    await other.goto(link);
    await other.waitForSelector(cell("/file2", "upper", "whiteout"));
    await other.waitForSelector(cell("/papers", "upper", "shows"));
    await type(other, "cat file1");
    await other.locator(".log pre.out").getByText("more").waitFor();
  },

  async "tab: a layer too large to be kept says so, and is asked for at the next visit, in its place"({ page, url }) {
    await page.goto(`${url}#/open`);
    await page.getByText("Pick zips or files").waitFor();
    await pickVast(page);
    await page.waitForSelector('[role=row][data-path="/vast"]');
    await page.setInputFiles('input[aria-label="Zips or files"]', WHEEL);
    await page.locator("[data-card=lower-1]").getByText("Not kept for the next visit: it is larger than 1 GiB").waitFor();
    await page.getByText("files is not kept for the next visit").waitFor({ state: "attached" });
    await keeps(page, "stack.json", "files", "click", ".zip");
    for (let visit = 0; visit < 2; visit++) {
      await page.reload();
      await page.getByText("files is missing: it was not kept at your last visit.").waitFor();
      await page.waitForSelector('[role=row][data-path="/click"]');
    }
    const [chooser] = await Promise.all([page.waitForEvent("filechooser"), page.getByRole("button", { name: "Pick it again" }).click()]);
    await chooser.setFiles({ name: "vast", mimeType: "text/plain", buffer: Buffer.from("small now") });
    await page.getByText("files is another than files was: it has 9 B, not 4.0 GiB.").waitFor();
    equal(await page.locator('[role=row][data-path="/vast"]').count(), 0);
    const [another] = await Promise.all([page.waitForEvent("filechooser"), page.getByRole("button", { name: "Pick another" }).click()]);
    await another.setFiles({ name: "vast", mimeType: "text/plain", buffer: Buffer.from("larger by now") });
    await page.getByText("it has 13 B, not 4.0 GiB.").waitFor();
    await page.getByRole("button", { name: "Lay it all the same" }).click();
    await page.waitForSelector(cell("/vast", "lower-2", "shows"));
    deepEqual(await page.locator("[data-card]").evaluateAll((cards) => cards.map((card) => card.dataset.card)), ["upper", "lower-1", "lower-2"]);
    equal(await page.getByText("is missing").count(), 0);
  },

  async "tab: long work says how far it is, and is cancelled from the page while the engine is busy"({ page, url }) {
    await page.goto(`${url}#/open`);
    await page.getByText("Pick zips or files").waitFor();
    await pickVast(page);
    await page.waitForSelector('[role=row][data-path="/vast"]');
    await page.getByRole("button", { name: "Export", exact: true }).first().click();
    await page.getByRole("button", { name: "Download" }).click();
    await page.getByRole("progressbar", { name: "Exporting merged.zip" }).waitFor();
    await page.getByRole("dialog").getByText(/^[\d.]+ [KMG]iB$/).waitFor();
    await page.getByRole("button", { name: "Cancel" }).click();
    await page.getByRole("progressbar").waitFor({ state: "detached" });
    await page.getByRole("dialog").getByText("Exporting merged.zip was cancelled; nothing was changed.").waitFor({ state: "attached" });
    equal(await page.locator("[role=alert]").count(), 0);
    await page.getByRole("button", { name: "Close" }).click();
    await type(page, "echo on > note");
    await page.waitForSelector(cell("/note", "upper", "shows"));
  },

  async "tab: an archive is imported into the upper, and taken back as one change"({ page, url }) {
    await page.goto(`${url}#/open`);
    await page.getByText("Begin with an example").click();
    await page.waitForSelector(cell("/file1", "lower-1", "shows"));
    await page.setInputFiles('input[aria-label="An archive to import"]', WHEEL);
    await page.waitForSelector(cell("/click", "upper", "shows"));
    await page.getByRole("button", { name: "Share" }).click();
    await page.getByText("a link cannot carry them").waitFor();
    await page.getByRole("button", { name: "Close" }).click();
    await page.getByRole("button", { name: "Undo" }).click();
    await page.waitForSelector('[role=row][data-path="/click"]', { state: "detached" });
    await page.waitForSelector(cell("/file1", "lower-1", "shows"));
  },

  async "tab: a directory of a hundred thousand opens, and its end is reached"({ page, url }) {
    await page.goto(`${url}#/open`);
    await page.getByText("Begin with an example").waitFor();
    await page.setInputFiles('input[aria-label="Zips or files"]', { name: "many.zip", mimeType: "application/zip", buffer: flat(100_000) });
    await page.waitForSelector('[role=row][data-path="/many"]', { timeout: 60_000 });
    await page.focus("[role=treegrid]");
    await page.keyboard.press("Home");
    const start = Date.now();
    await page.keyboard.press("ArrowRight");
    await page.waitForSelector('[role=row][data-path^="/many/"]');
    console.log(`     100,000 children shown after ${Date.now() - start} ms`);
    await page.keyboard.press("End");
    await page.waitForSelector('[role=row][data-path="/many/f099999.txt"]');
  },
};
