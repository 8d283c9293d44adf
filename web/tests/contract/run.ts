/** Runs every case against one kind of driver. */
import { describe, expect, test } from "vitest";
import type { Item, OvlDriver } from "../../src/driver/driver";
import { read } from "../../src/model/drawing";
import { Scene, type Case } from "./case";
import { changing } from "./changing";
import { reading } from "./reading";
import { telling } from "./telling";

export const cases: Case[] = [...reading, ...changing, ...telling];

/** Opens an overlay with an empty upper over these lowers. */
export type Open = (lowers: Item[][]) => Promise<{ driver: OvlDriver; end: () => Promise<void> }>;

export function contract(kind: string, open: Open): void {
  test("there are at least 80 cases, with names of their own", () => {
    expect(new Set(cases.map(({ name }) => name)).size).toBe(cases.length);
    expect(cases.length).toBeGreaterThanOrEqual(80);
  });
  describe(kind, () => {
    for (const { name, lowers, run } of cases) {
      test(name, async () => {
        const { driver, end } = await open(lowers.map((lower) => read(lower)));
        try {
          await run(new Scene(driver));
        } finally {
          driver.close();
          await end();
        }
      });
    }
  });
}
