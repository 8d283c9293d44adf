import { expect, test } from "vitest";
import { CAP, first, range, reveal } from "../src/model/window";

const ROW = 30;
const short = { total: 100, row: ROW, height: 300 };
const million = { total: 1_000_000, row: ROW, height: 600 };

test("a short list scrolls pixel by pixel", () => {
  expect(range(short)).toBe(3000);
  expect(first(short, 0)).toEqual({ index: 0, above: 0 });
  expect(first(short, 45)).toEqual({ index: 1, above: 15 });
});

test("a million rows stay below what browsers allow, and both ends are reached", () => {
  expect(range(million)).toBe(CAP);
  const end = first(million, CAP - million.height);
  expect(end.index).toBe(1_000_000 - million.height / ROW);
  expect(first(million, 0).index).toBe(0);
});

test("every row of a million can be brought into sight", () => {
  for (const index of [0, 1, 499_999, 999_998, 999_999]) {
    const top = reveal(million, index < 500_000 ? CAP : 0, index) ?? 0;
    const seen = first(million, top);
    expect(index).toBeGreaterThanOrEqual(seen.index);
    expect((index - seen.index) * ROW - seen.above).toBeLessThanOrEqual(million.height - ROW + 1);
  }
});

test("what is in sight is not scrolled to", () => {
  expect(reveal(short, 0, 5)).toBeUndefined();
  expect(reveal(short, 0, 50)).toBe(51 * ROW - 300);
});
