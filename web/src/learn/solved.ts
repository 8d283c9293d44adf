/** Whether a level is solved: the engine's digest of what came out is that of the goal. */
import type { OvlDriver, StackDriver } from "../driver/driver";
import type { Level } from "./level";

/** The digest that solves a level, from a stack that holds its goal alone. */
export async function wanted(goal: StackDriver, level: Level): Promise<string> {
  const id = await goal.addTree("goal", level.goal.tree);
  return goal.digest("/", level.goal.of === "upper" ? id : undefined);
}

export async function solved(driver: OvlDriver, level: Level, digest: string): Promise<boolean> {
  return (await driver.digest("/", level.goal.of === "upper" ? "upper" : undefined)) === digest;
}

const KEY = "ovl-solved";

export function remembered(): Set<number> {
  return new Set(JSON.parse(localStorage.getItem(KEY) ?? "[]") as number[]);
}

export function remember(number: number): void {
  localStorage.setItem(KEY, JSON.stringify([...remembered().add(number)]));
}
