import { expect, test } from "vitest";
import type { Why } from "../src/driver/driver";
import { plain } from "../src/model/layers";
import { answer } from "../src/model/words";

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
