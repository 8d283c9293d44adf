import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { decode, encode, type Shared } from "../src/model/share";
import { record, replay, type Op } from "../src/model/recorder";
import type { StackDriver } from "../src/driver/driver";

const golden = JSON.parse(readFileSync(new URL("golden-links.json", import.meta.url), "utf8")) as { name: string; code: string; shared: Shared }[];

describe("a link that was ever published", () => {
  test.each(golden)("still opens: $name", async ({ code, shared }) => {
    expect(await decode(code)).toEqual(shared);
  });
});

test("what is encoded is decoded", async () => {
  const shared: Shared = { lowers: [["a", [{ path: "ü", content: "π" }]]], ops: [["remove", "/ü", false], ["write", "/n", "b64:/w=="]] };
  const code = await encode(shared);
  expect(code).toMatch(/^1\.[A-Za-z0-9_-]+$/);
  expect(await decode(code)).toEqual(shared);
});

test("a link of a newer kind says so", async () => {
  await expect(decode("2.AAAA")).rejects.toThrow("newer kind");
});

test("a link that was cut off fails", async () => {
  const code = await encode({ level: 1, ops: [["write", "/file3", "some text"]] });
  await expect(decode(code.slice(0, -6))).rejects.toThrow();
});

/** Writes down what it is called with. */
function spy(): { driver: StackDriver; calls: unknown[][] } {
  const calls: unknown[][] = [];
  const driver = new Proxy({} as StackDriver, {
    get: (_, name) => (...args: unknown[]) => (calls.push([name, ...args]), Promise.resolve(true)),
  });
  return { driver, calls };
}

test("what is recorded is replayed, bytes that are no text too", async () => {
  const { driver, ops } = record(spy().driver);
  await driver.write("/t", new TextEncoder().encode("text"));
  await driver.write("/b", new Uint8Array([255, 0, 1]));
  await driver.write("/tricky", new TextEncoder().encode("b64:no"));
  await driver.move("/t", "/u", true);
  await driver.arrange(["lower-2", "lower-1"]);
  await driver.read("/u");
  const { driver: other, calls } = spy();
  await replay(other, JSON.parse(JSON.stringify(ops)) as Op[]);
  expect(calls).toEqual([
    ["write", "/t", new TextEncoder().encode("text")],
    ["write", "/b", new Uint8Array([255, 0, 1])],
    ["write", "/tricky", new TextEncoder().encode("b64:no")],
    ["move", "/t", "/u", true],
    ["arrange", ["lower-2", "lower-1"]],
  ]);
});

test("what is taken back is not in the link, until it is done again", async () => {
  const { driver, ops } = record(spy().driver);
  await driver.mkdir("/d");
  await driver.mkdir("/e");
  await driver.undo();
  expect(ops).toEqual([["mkdir", "/d"]]);
  await driver.redo();
  expect(ops).toEqual([["mkdir", "/d"], ["mkdir", "/e"]]);
});

test("a link cannot call what is no change", async () => {
  await expect(replay(spy().driver, [["close"]] as unknown as Op[])).rejects.toThrow("not known");
});

test("a link that lost a part says so", async () => {
  const whole = await encode({ level: 1, ops: [["mkdir", "/d"]] });
  await expect(decode(whole.slice(0, -4))).rejects.toThrow("damaged");
  await expect(decode("1.broken")).rejects.toThrow("damaged");
});
