/** What a level is. Whether it is solved, and what is the right answer, the engine says. */
import type { Item, OvlDriver } from "../driver/driver";

export interface Ask {
  question: string;
  options: string[];
  /** When the engine can tell: before the task, or only after it. */
  when: "now" | "after";
  /** Asks the engine; what comes back is one of the options. */
  answer: (driver: OvlDriver) => Promise<string>;
}

export interface Level {
  number: number;
  title: string;
  /** The lowers from the top, each with its name. */
  lowers: [string, Item[]][];
  /** Brings the upper into its state before the learner begins. */
  before?: (driver: OvlDriver) => Promise<unknown>;
  story: string;
  /** Before the task. */
  predict: Ask;
  task: string;
  /** Commands that lead there. */
  tries: string[];
  /** The tree that has to come out: what shows, or what the upper holds. */
  goal: { of: "merged" | "upper"; tree: Item[] };
  reason: string;
  /** The rule in the words of the kernel's document. */
  rule: string;
  /** Whether the level can also be played where directories cannot be renamed. */
  redirects?: boolean;
}
