// The live view of a server.
import { equal, ok } from "node:assert/strict";
import { serve } from "./server.mjs";

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

  async "live: where no events come through, the view is read anew"({ page, url, server }) {
    await page.route("**/v1/events", (route) => route.abort());
    await page.goto(`${url}#/live`);
    await page.waitForSelector(row("/file1"));
    await page.getByText("not connected").waitFor({ state: "attached" });
    await fetch(`${server.url}/v1/files/unheard`, { method: "PUT", body: "hello" });
    await page.waitForSelector(row("/unheard"));
    await page.unroute("**/v1/events");
    await page.getByText("live", { exact: true }).waitFor();
    await fetch(`${server.url}/v1/files/unheard`, { method: "DELETE" });
    await page.waitForSelector(row("/unheard"), { state: "detached" });
  },

  async "live: a server's token is asked for, a wrong one refused, the right one kept for the tab"({ page }) {
    const own = await serve("a-token-of-this-test-alone");
    try {
      await page.goto(`${own.url}/#/live`);
      await page.getByRole("heading", { name: "This server asks for a token" }).waitFor();
      const answer = async (token) => {
        await page.getByLabel("Token").fill(token);
        await page.keyboard.press("Enter");
      };
      await answer("wrong");
      await page.getByRole("alert").getByText("not the token").waitFor();
      await answer("a-token-of-this-test-alone");
      await page.waitForSelector(row("/file1"));
      await page.getByText("live", { exact: true }).waitFor(); // The events carry it, too.
      await type(page, "echo kept > with-token");
      await page.waitForSelector(row("/with-token"));
      await page.reload();
      await page.waitForSelector(row("/with-token"));
    } finally {
      await own.end();
    }
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
