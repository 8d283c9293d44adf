// The pictures in the README.
import { ok } from "node:assert/strict";
import { join } from "node:path";
import { type } from "./live.mjs";
import { serve } from "./server.mjs";
import { openWheel } from "./tab.mjs";

const DOCS = join(import.meta.dirname, "../../docs");
const MOST = 150_000;
const size = { width: 1280, height: 600 };

async function take(page, name) {
  await page.evaluate(() => document.activeElement?.blur());
  await page.mouse.move(0, 0);
  await page.waitForTimeout(400); // Transitions are over.
  const picture = await page.screenshot({ path: join(DOCS, `${name}.png`) });
  ok(picture.length < MOST, `${name}.png has ${picture.length} bytes`);
}

export const checks = {
  "picture: a wheel in the playground": {
    viewport: size,
    colorScheme: "light",
    async work({ page, url }) {
      await openWheel(page, url);
      await page.getByLabel("Pace").selectOption("0");
      await type(page, "echo '# more' >> click/__init__.py; rm click/_winconsole.py");
      await type(page, "ls click | head -n 3");
      await page.focus("[role=treegrid]");
      await page.keyboard.press("Home");
      await page.keyboard.press("ArrowRight");
      await page.click('[role=row][data-path="/click/_winconsole.py"]');
      await page.getByText(/a whiteout in the upper at \/click\/_winconsole.py hides it/).first().waitFor();
      await take(page, "playground");
    },
  },

  "picture: the live console of a server": {
    viewport: size,
    colorScheme: "dark",
    async work({ page }) {
      const own = await serve();
      try {
        await page.goto(own.url);
        await page.waitForSelector('[role=row][data-path="/file1"]');
        await page.getByText("live", { exact: true }).waitFor();
        await page.getByRole("tab", { name: "Events" }).click();
        for (const name of ["hello.txt", "file1"]) await fetch(`${own.url}/v1/files/${name}`, { method: "PUT", body: "from curl\n" });
        await fetch(`${own.url}/v1/files/file2`, { method: "DELETE" });
        await page.waitForSelector('[data-cell="/file2|upper"].whiteout');
        await page.click('[role=row][data-path="/file1"]');
        await page.locator(".events").getByText("A whiteout for /file2").first().waitFor();
        await page.locator(".caption").waitFor({ state: "detached" });
        await take(page, "console");
      } finally {
        await own.end();
      }
    },
  },
};
