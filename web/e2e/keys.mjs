// The keyboard alone: what Tab reaches, and where the focus is after what was focused has gone.
import { deepEqual } from "node:assert/strict";
import { deflateRawSync } from "node:zlib";
import { type } from "./live.mjs";
import { clean } from "./looks.mjs";

/**
 * Marks what Tab has to reach, and begins to note what it does reach; of radio buttons one in each group.
 *
 * What stands behind a dialog is not asked for.
 */
function begin() {
  const within = document.querySelector("dialog:modal") ?? document.body;
  const all = [...within.querySelectorAll("a[href], button, input, select, textarea, [tabindex], [contenteditable=true]")];
  const seen = (one) => one.checkVisibility({ visibilityProperty: true }) && !one.closest("[inert]");
  const group = ({ type, name }) => (type === "radio" ? [...within.querySelectorAll(`[type=radio][name="${CSS.escape(name)}"]`)] : []);
  const chosen = (one) => one.type !== "radio" || one.checked || (group(one).every(({ checked }) => !checked) && group(one)[0] === one);
  globalThis.due = all.filter((one) => one.tabIndex >= 0 && !one.matches(":disabled") && seen(one) && chosen(one));
  globalThis.reached = new Set();
  globalThis.faults = new Set();
  const called = (one) => `${one.outerHTML.match(/^<[^>]*>/)[0].slice(0, 120)} ${one.innerText?.slice(0, 30) ?? ""}`;
  const ringed = (one) => [one, one.parentElement, one.parentElement.parentElement].some((box) => getComputedStyle(box).outlineStyle !== "none");
  const covered = (one) => {
    const { x, y, width, height } = one.getBoundingClientRect();
    const at = document.elementFromPoint(Math.min(innerWidth - 1, Math.max(0, x + width / 2)), Math.min(innerHeight - 1, Math.max(0, y + Math.min(height / 2, 20))));
    // What is told of a step lies over all, until Escape.
    return !(at && (one.contains(at) || at.contains(one) || at.closest(".caption")));
  };
  globalThis.noting = ({ target }) => {
    reached.add(target);
    if (!ringed(target)) faults.add(`no ring around ${called(target)}`);
    if (covered(target)) faults.add(`out of sight: ${called(target)}`);
  };
  document.addEventListener("focusin", noting);
  globalThis.missed = () => (document.removeEventListener("focusin", noting), [...faults, ...due.filter((one) => one.isConnected && !reached.has(one)).map((one) => `not reached: ${called(one)}`)]);
  return due.length;
}

/** Goes round by Tab: every control is reached, and is in sight with a ring around it. */
export async function round(page, name) {
  const due = await page.evaluate(begin);
  for (let presses = 0; presses < due + 4; presses++) await page.keyboard.press("Tab");
  deepEqual(await page.evaluate(() => missed()), [], `by Tab on ${name}`);
  return due;
}

const cell = (path, layer, state) => `[data-cell="${path}|${layer}"].${state}`;
const row = (path) => `[role=row][data-path="${path}"]`;
const button = (page, name) => page.getByRole("button", { name, exact: true });
const tree = (page) => page.getByRole("treegrid");

const items = [{ path: "file1", content: "1\n" }, { path: "file2", content: "2\n" }, { path: "notes/old.md", content: "# Old\n" }];
const link = `#/s/1.${deflateRawSync(JSON.stringify({ lowers: [["example", items]], ops: [] })).toString("base64url")}`;

/** A stack of its own, as a link carries it, where nothing flies. */
async function fresh(page, url) {
  await page.goto(`${url}#/`);
  await page.goto(`${url}${link}`);
  await page.waitForSelector(cell("/file2", "lower-1", "shows"));
  await page.getByLabel("Pace").selectOption("0");
}

/** Presses a key where a control is. */
async function press(page, control, key = "Enter") {
  await control.focus();
  await page.keyboard.press(key);
}

/** Waits until something has the focus, and fails with what has it instead. */
async function focused(page, what) {
  const has = () => page.evaluate(() => `${document.activeElement.outerHTML.slice(0, 160)}`);
  await what.waitFor({ timeout: 4000 });
  for (let tries = 0; tries < 40; tries++) {
    if (await what.evaluate((one) => one === document.activeElement)) return;
    await page.waitForTimeout(25);
  }
  throw new Error(`${what} has not the focus, but ${await has()}`);
}

const losses = {
  "a change is discarded": async (page) => {
    await type(page, "echo a > a; echo b > b; echo c > c");
    await press(page, button(page, /^Changes/));
    await press(page, button(page, "Discard the change of /b"));
    await focused(page, button(page, "Discard the change of /c"));
    await page.keyboard.press("Enter");
    await focused(page, button(page, "Discard the change of /a"));
    await page.keyboard.press("Enter");
    await focused(page, button(page, "Close"));
    await page.keyboard.press("Enter");
    await focused(page, button(page, /^Changes/));
  },
  "all changes are discarded": async (page) => {
    await type(page, "echo a > a; echo b > b");
    await press(page, button(page, /^Changes/));
    await press(page, button(page, "Discard all…"));
    await focused(page, button(page, "Keep them"));
    await page.keyboard.press("Enter");
    await focused(page, button(page, "Discard all…"));
    await page.keyboard.press("Enter");
    await focused(page, button(page, "Keep them"));
    await page.keyboard.press("Shift+Tab");
    await page.keyboard.press("Enter");
    await page.getByRole("dialog").waitFor({ state: "detached" });
    await focused(page, button(page, /^Changes/));
  },
  "a dialog is answered or left": async (page) => {
    await press(page, button(page, "New file"));
    await page.keyboard.type("new");
    await page.keyboard.press("Enter");
    await page.waitForSelector(row("/new"));
    await focused(page, button(page, "New file"));
    await tree(page).focus();
    await page.keyboard.press("F2");
    await page.keyboard.press("Escape");
    await focused(page, tree(page));
    await page.keyboard.press("/");
    await page.keyboard.type("old");
    await page.getByText("1 found").waitFor({ state: "attached" });
    await page.keyboard.press("Enter");
    await page.waitForSelector(row("/notes/old.md"));
    await focused(page, tree(page));
  },
  "an entry is deleted": async (page) => {
    await tree(page).focus();
    await page.keyboard.press("End");
    await page.keyboard.press("Delete");
    await page.waitForSelector(cell("/notes", "upper", "whiteout"));
    await focused(page, tree(page));
    await page.keyboard.press("Home");
    await press(page, button(page, "Delete"));
    await page.waitForSelector(cell("/file1", "upper", "whiteout"));
    await focused(page, button(page, "Delete"));
  },
  "a layer is moved, hidden, shown and removed": async (page, url) => {
    await page.goto(`${url}#/learn/6`);
    await press(page, button(page, "Move layer 2 up"));
    await page.waitForSelector(".stack li:nth-child(2)[data-card=lower-2]");
    await focused(page, button(page, "Move layer 2 up"));
    const card = page.locator("[data-card=lower-2]");
    await press(page, card.getByRole("button", { name: "Hide" }));
    await focused(page, card.getByRole("button", { name: "Show" }));
    await press(page, card.getByRole("button", { name: "Remove" }));
    await card.waitFor({ state: "detached" });
    await page.waitForFunction(() => document.activeElement.closest("[data-card]"));
  },
  "a screen is left for another, and a level solved": async (page, url) => {
    await page.goto(`${url}#/`);
    await page.getByRole("link", { name: "Learn it in five minutes" }).focus();
    await page.keyboard.press("Enter");
    await page.getByText("The two directories").waitFor();
    await focused(page, page.getByRole("main"));
    await page.locator('a[href="#/learn/2"]').focus();
    await page.keyboard.press("Enter");
    await page.getByText("Your turn").waitFor();
    await focused(page, page.getByRole("main"));
    await press(page, page.locator("input[name=guess]").first(), "Space");
    await page.getByText("Do it, and the engine will tell.").waitFor();
    await focused(page, page.locator("input[name=guess]").first());
    const tries = page.locator(".tries button");
    for (const at of [0, 1]) {
      await press(page, tries.nth(at));
      await page.waitForFunction(() => document.querySelector("form button:last-child")?.textContent === "Run");
      await focused(page, tries.nth(at));
    }
    await page.locator("fieldset b").waitFor(); // It is solved, and told what was right.
    await focused(page, tries.nth(1));
    await press(page, page.locator("input[name=guess]").first(), "ArrowDown");
    await page.waitForFunction(() => document.querySelectorAll("input[name=guess]")[0].checked);
    await press(page, page.getByRole("link", { name: /^Next/ }));
    await page.getByText("Your turn").waitFor();
    await focused(page, page.getByRole("main"));
  },
  "a step is taken": async (page) => {
    await page.getByLabel("Pace").selectOption("step");
    await page.focus("#command");
    await page.keyboard.type("rm file1");
    await page.keyboard.press("Enter");
    for (const told of ["A whiteout for /file1", "/file1 was removed"]) {
      await page.locator(".caption").getByText(told).waitFor();
      await focused(page, button(page, "Next"));
      await page.keyboard.press("Enter");
    }
    await focused(page, page.locator("#command"));
  },
  "a failure is dismissed": async (page) => {
    await tree(page).focus();
    await page.keyboard.press("F2");
    await page.keyboard.type("/file2");
    await page.keyboard.press("Enter");
    await press(page, button(page, "Dismiss"));
    await page.waitForFunction(() => document.activeElement !== document.body);
  },
  "a text is saved, and its bytes looked through": async (page) => {
    await page.click(row("/file2"));
    await page.getByRole("tab", { name: "Why" }).focus();
    await page.keyboard.press("ArrowRight");
    await page.locator(".cm-content").focus();
    await page.keyboard.type("x");
    await page.keyboard.press("Control+s");
    await page.waitForSelector(cell("/file2", "upper", "shows"));
    await page.locator(".foot [aria-disabled=true]").waitFor();
    await focused(page, page.locator(".cm-content"));
    await page.keyboard.type("y");
    await press(page, button(page, /^Save/));
    await page.locator(".foot [aria-disabled=true]").waitFor();
    await focused(page, button(page, /^Save/));
    await press(page, button(page, "Bytes"));
    await page.getByText("xy").waitFor();
    await focused(page, button(page, "Bytes"));
  },
  "the first layer is laid": async (page, url) => {
    await page.goto(`${url}#/open`);
    await press(page, button(page, "Begin with an example"));
    await page.waitForSelector(cell("/file2", "lower-1", "shows"));
    await focused(page, page.getByRole("main"));
  },
  "an entry of a server is deleted": async (page, url) => {
    await page.goto(`${url}#/live`);
    await page.waitForSelector(row("/file1"));
    await type(page, "echo > a");
    await page.waitForSelector(row("/a"));
    await tree(page).focus();
    await page.keyboard.press("Home");
    await page.keyboard.press("Delete");
    await page.keyboard.type("a");
    await page.keyboard.press("Enter");
    await page.waitForSelector(row("/a"), { state: "detached" });
    await focused(page, tree(page));
  },
  "an export is made or cancelled": async (page) => {
    await press(page, button(page, "Export").first());
    await press(page, button(page, "Download"));
    await page.getByText("SHA-256").waitFor();
    await focused(page, button(page, "Download"));
    await page.keyboard.press("Escape");
    await focused(page, button(page, "Export").first());
  },
};

/** What is seen only after something was done, and how to get it from what comes before. */
const states = {
  "a plain listing": (page) => button(page, "X-ray").click(),
  "a text": async (page) => {
    await type(page, "echo more >> file2; rm file1; rm -r notes; mkdir notes");
    await page.waitForSelector(row("/file1"), { state: "detached" });
    await page.click(row("/file2"));
    await page.getByRole("tab", { name: "Preview" }).click();
    await page.locator(".cm-content").waitFor();
  },
  bytes: async (page) => {
    await button(page, "Bytes").click();
    await page.getByText("00000000").waitFor();
  },
  "a comparison": async (page) => {
    await page.getByRole("tab", { name: "Diff" }).click();
    await page.locator(".cm-content").waitFor();
  },
  costs: (page) => page.getByRole("tab", { name: "Cost" }).click(),
  metadata: (page) => page.getByRole("tab", { name: "Metadata" }).click(),
  "why nothing shows": async (page) => {
    await button(page, "X-ray").click();
    await page.click(row("/file1"));
    await page.getByRole("tab", { name: "Why" }).click();
    await page.getByText("Nothing shows").waitFor();
  },
  events: (page) => page.getByRole("tab", { name: "Events" }).click(),
  "the kernel's part": (page) => page.getByRole("tab", { name: "Kernel says" }).click(),
  "a layer left out": async (page) => {
    await button(page, "Hide").click();
    await button(page, "Remove").waitFor();
  },
  "a failure": async (page) => {
    await button(page, "Show").click();
    await page.click(row("/file2"));
    await tree(page).focus();
    await page.keyboard.press("F2");
    await page.keyboard.type("/notes");
    await page.keyboard.press("Enter");
    await button(page, "Dismiss").waitFor();
  },
  "what changed": async (page) => {
    await button(page, /^Changes/).click();
    await button(page, "Discard all…").click();
  },
  "an export": async (page) => {
    await button(page, "Close").click();
    await button(page, "Export").first().click();
  },
  "a link": async (page) => {
    await button(page, "Close").click();
    await button(page, "Share").click();
    await page.waitForFunction(() => document.querySelector("dialog input")?.value.includes("#/s/1."));
  },
  "a search": async (page) => {
    await button(page, "Close").click();
    await button(page, "Find").click();
    await page.keyboard.type("o");
    await page.locator("dialog li").first().waitFor();
  },
  "a step": async (page) => {
    await button(page, "Close").click();
    await page.getByRole("tab", { name: "Shell" }).click();
    await page.getByLabel("Pace").selectOption("step");
    await page.focus("#command");
    await page.keyboard.type("rm file2");
    await page.keyboard.press("Enter");
    await button(page, "Next").waitFor();
  },
  "a solved level": async (page, url) => {
    await page.goto(`${url}#/learn/8`);
    await page.locator("input[name=guess]").first().check();
    await page.getByLabel("Pace").selectOption("0");
    await type(page, "mv photos pictures");
    await page.locator("fieldset b").waitFor();
  },
  "a damaged link": async (page, url) => {
    await page.goto(`${url}#/s/1.nothing`);
    await page.getByText("This did not open").waitFor();
  },
};

export const checks = {
  async "keys: the selection stays with its entry when others come or go above it, and is never on none"({ page, url }) {
    await fresh(page, url);
    await page.click(row("/file2"));
    await type(page, "echo new > a; rm file1");
    await page.waitForSelector(cell("/a", "upper", "shows"));
    await page.waitForSelector(`${row("/file2")}[aria-selected=true]`);
    await page.getByRole("heading", { name: "file2" }).waitFor();
    await button(page, "X-ray").click();
    await page.waitForSelector(row("/file1"), { state: "detached" });
    await page.waitForSelector(`${row("/file2")}[aria-selected=true]`);
    await tree(page).focus();
    await page.keyboard.press("End");
    await page.keyboard.press("Delete");
    await page.waitForSelector(row("/notes"), { state: "detached" });
    await page.waitForSelector(`${row("/file2")}[aria-selected=true]`);
  },

  async "keys: what is seen only after something was done, by Tab and with axe"({ page, url }) {
    await fresh(page, url);
    for (const [name, go] of Object.entries(states)) {
      await go(page, url);
      await clean(page, name);
      await round(page, name);
    }
  },

  async "keys: the focus is kept where what has it goes away"({ page, url }) {
    for (const [name, work] of Object.entries(losses)) {
      await fresh(page, url);
      await work(page, url).catch((error) => Promise.reject(new Error(`when ${name}: ${error.message}`)));
    }
  },
};
