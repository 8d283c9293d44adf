import { expect, test } from "vitest";
import type { Why } from "../src/driver/driver";
import { plain } from "../src/model/layers";
import { answer, says, told } from "../src/model/words";

const why = (above: object, bytes: number, shown?: string): Why =>
  ({ path: "/d", hidden_bytes: bytes, ...(shown && { shown }), layers: [{ layer: "upper", opaque: false, ...above }, { layer: "lower-1", found: "dir", fate: "hidden", hidden_by: "upper", hidden_at: "/d", reason: "opaque", opaque: false }] }) as Why;

test("hidden bytes are counted where there are any, and a directory hides without them", () => {
  const dir = { found: "dir", fate: "shows", opaque: true };
  expect(answer(why(dir, 0, "upper"))).toBe("The upper shows it. It hides what lies in layer 1.");
  expect(answer(why(dir, 18, "upper"))).toBe("The upper shows it. It hides 18 B in layer 1.");
  expect(answer(why({ found: "whiteout", fate: "hides" }, 0))).toMatch(/What it hides still lies below\.$/);
});

test("what cannot be seen in a name is written out, and nothing else is", () => {
  expect(plain("abc\u202Etxt.exe")).toBe("abc\\u{202e}txt.exe");
  expect(plain("two\nlines")).toBe("two\\u{a}lines");
  for (const name of ["ملف.txt", "👩‍👩‍👧 party", "a b", "naïve"]) expect(plain(name)).toBe(name);
});

test("what is told of an odd name has it written out", () => {
  const path = "/in\u202etxt\u0000";
  expect(told({ kind: "moved", path, from: "/\u200fa", generation: 1 })).toBe("/\\u{200f}a was moved to /in\\u{202e}txt\\u{0}.");
  expect(says({ layer: "lower-1", found: "file", fate: "hidden", reason: "opaque", hidden_by: "upper", hidden_at: path, opaque: false })).toContain("/in\\u{202e}txt\\u{0} in the upper");
});
