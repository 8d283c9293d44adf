// The live view of a server.
import { equal, ok } from "node:assert/strict";

const row = (path) => `[role=row][data-path="${path}"]`;

/** Types a line into the shell of the page and waits until it ran. */
export async function type(page, line) {
  await page.focus("#command");
  await page.keyboard.type(line);
  await page.keyboard.press("Enter");
  await page.waitForFunction(() => document.querySelector("form button:last-child")?.textContent === "Run");
}

export const checks = {
  async "live: a change made with curl shows within a second, with its reason"({ page, url, server }) {
    await page.goto(`${url}#/live`);
    await page.waitForSelector(row("/file1"));
    await page.getByText("live", { exact: true }).waitFor();
    const start = Date.now();
    await fetch(`${server.url}/v1/files/from-curl`, { method: "PUT", body: "hello" });
    await page.waitForSelector(row("/from-curl"), { timeout: 5000 });
    console.log(`     shown after ${Date.now() - start} ms`);
    await page.getByRole("tab", { name: "Events" }).click();
    await page.getByText("/from-curl was made, in the upper alone.").first().waitFor();
  },

  async "live: edit, why, discard, by keyboard alone"({ page, url, server }) {
    await page.goto(`${url}#/live`);
    await page.waitForSelector(row("/file2"));
    await type(page, "echo more >> file2");
    await page.waitForSelector('[data-cell="/file2|upper"].shows');
    equal(await (await fetch(`${server.url}/v1/files/file2`)).text(), "the lower's file2\nmore\n");
    await page.focus("[role=treegrid]");
    while ((await page.locator("[role=row][aria-selected=true]").getAttribute("data-path")) !== "/file2") await page.keyboard.press("ArrowDown");
    await page.getByText(/The upper shows it\. It hides 18 B in layer 1/).waitFor();
    await page.getByRole("button", { name: /^Changes/ }).focus();
    await page.keyboard.press("Enter");
    await page.getByRole("button", { name: "Discard the change of /file2" }).focus();
    await page.keyboard.press("Enter");
    await page.waitForSelector('[data-cell="/file2|upper"].nothing');
    equal(await (await fetch(`${server.url}/v1/files/file2`)).text(), "the lower's file2\n");
  },

  async "live: a page in a lower is shown as text and never run"({ page, url, server }) {
    await page.goto(`${url}#/live`);
    await page.click(row("/evil.html"));
    await page.getByRole("tab", { name: "Preview" }).click();
    await page.locator(".cm-content").getByText("window.ran").waitFor();
    ok(!(await page.evaluate(() => "ran" in window)));
    await page.goto(`${server.url}/v1/files/evil.html`).catch(() => {});
    ok(!(await page.evaluate(() => "ran" in window)));
  },
};
