import { expect, test } from "vitest";
import type { Handed } from "../src/model/handed";
import { differs, looks } from "../src/model/looks";

const files = (files: Record<string, string>): Handed => ({ kind: "folder", name: "papers", loose: false, items: Object.entries(files).map(([path, content]) => ({ path, content })) });
const zip = (name: string, ...content: string[]): Handed => ({ kind: "zip", name, file: new File(content, name) });
const was = async (handed: Handed) => ({ ...(await looks(handed)), name: handed.name });

test("the same layer picked again is the same, in whatever order its files come, and by whatever name", async () => {
  expect(await differs([files({ b: "2", a: "1" })], await was(files({ a: "1", b: "2" })))).toBeUndefined();
  expect(await differs([zip("copy.zip", "PK")], await was(zip("app.zip", "PK")))).toBeUndefined();
});

test("another layer is told by its length, its names and a zip's list of members", async () => {
  const papers = await was(files({ a: "1", b: "22" }));
  expect(await differs([files({ a: "1" })], papers)).toBe("papers is another than papers was: it has 1 B, not 3 B.");
  for (const other of [files({ a: "1", c: "22" }), files({ a: "22", b: "1" })]) expect(await differs([other], papers)).toMatch(/as long, but other things are in it/);
  const long = "x".repeat(100_000);
  expect(await differs([zip("app.zip", long, "two")], await was(zip("app.zip", long, "one")))).toMatch(/as long, but other/);
  expect(await differs([zip("a\u202eb.zip", "PK"), zip("b.zip", "PK")], papers)).toBe("These are 2 layers; papers was one.");
});
