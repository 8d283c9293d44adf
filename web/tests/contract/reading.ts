/** What shows, and why. */
import { expect } from "vitest";
import { unseen } from "../../src/model/hidden";
import { bytes, type Case } from "./case";

const TWO = ["file1=upper", "file1=lower file2=two"];
const DEEP = ["d/ d/new=1", "d/ d/old=22 d/sub/ d/sub/x=333 top=4444"];

/** Lowers, and the one tree that they show. */
const shown: [string, string[], string][] = [
  ["one layer shows itself", ["a=1 d/ d/b=2"], "a=1 d/ d/b=2"],
  ["the first lower is on top", ["a=2", "a=1"], "a=2"],
  ["directories merge", ["d/ d/a=1", "d/ d/b=2"], "d/ d/a=1 d/b=2"],
  ["a file hides a directory", ["d=f", "d/ d/b=2"], "d=f"],
  ["a directory over a file is not merged", ["d/ d/a=1", "d=f"], "d/ d/a=1"],
  ["three layers, the middle one in between", ["a=3", "a=2 b=2", "a=1 b=1 c=1"], "a=3 b=2 c=1"],
  ["an empty layer hides nothing", ["", "a=1"], "a=1"],
  ["a symbolic link shows as a link", ["l->a", "a=1"], "a=1 l->a"],
  ["a file between two directories ends the merge", ["d/ d/a=1", "d=f", "d/ d/z=0"], "d/ d/a=1"],
  ["names sort by their bytes", ["B=1 a=1 ä=1 .h=1"], ".h=1 B=1 a=1 ä=1"],
  ["a name with a space's escape and a percent is a name", ["100%=1 a%20b=2 q?#&=3"], "100%=1 a%20b=2 q?#&=3"],
  ["a whiteout's prefix of other tools is a plain name here", ["", ".wh.a=1 a=2"], ".wh.a=1 a=2"],
];

export const reading: Case[] = [
  ...shown.map(([name, lowers, drawn]): Case => ({
    name,
    lowers,
    run: async (at) => expect(await at.merged()).toBe([...drawn.split(" ")].sort().join(" ")),
  })),
  {
    name: "an entry names its layer, size and kind",
    lowers: TWO,
    async run({ driver }) {
      expect(await driver.stat("/file1")).toMatchObject({ path: "/file1", name: "file1", kind: "file", size: 5, layer: "lower-1" });
      expect(await driver.stat("/file2")).toMatchObject({ layer: "lower-2", size: 3 });
    },
  },
  {
    name: "an entry of one layer is that layer's",
    lowers: TWO,
    run: async ({ driver }) => expect(await driver.stat("/file1", "lower-2")).toMatchObject({ size: 5, layer: "lower-2" }),
  },
  {
    name: "a path without a leading slash is the same path",
    lowers: TWO,
    run: async ({ driver }) => expect((await driver.stat("file1")).path).toBe("/file1"),
  },
  {
    name: "the root is a directory",
    lowers: TWO,
    run: async ({ driver }) => expect(await driver.stat("/")).toMatchObject({ path: "/", name: "", kind: "dir" }),
  },
  {
    name: "what is missing is not found, and the error names the path",
    lowers: TWO,
    run: async (at) => expect((await at.fails("not-found", at.driver.stat("/nope"))).path).toBe("/nope"),
  },
  { name: "a path with .. is refused", lowers: TWO, run: async (at) => void (await at.fails("invalid-path", at.driver.write("/a/../b", bytes("x")))) },
  {
    name: "a name of 256 bytes is too long",
    lowers: TWO,
    run: async (at) => void (await at.fails("name-too-long", at.write(`/${"n".repeat(256)}`, "x"))),
  },
  { name: "an unknown layer is not found", lowers: TWO, run: async (at) => void (await at.fails("not-found", at.driver.stat("/file1", "lower-9"))) },
  {
    name: "a listing has its entries in order, with their layers",
    lowers: TWO,
    async run({ driver }) {
      const { entries } = await driver.list("/");
      expect(entries.map(({ name, layer }) => `${name}:${layer}`)).toEqual(["file1:lower-1", "file2:lower-2"]);
    },
  },
  {
    name: "a listing tells what is shadowed",
    lowers: TWO,
    async run({ driver }) {
      const { entries } = await driver.list("/", { hidden: true });
      expect(entries.map(({ shadowed }) => shadowed ?? [])).toEqual([["lower-2"], []]);
    },
  },
  {
    name: "pages of a listing follow each other",
    lowers: ["a=1 b=1 c=1 d=1 e=1"],
    async run({ driver }) {
      const first = await driver.list("/", { limit: 2 });
      const second = await driver.list("/", { limit: 2, cursor: first.next_cursor ?? undefined });
      const third = await driver.list("/", { limit: 2, cursor: second.next_cursor ?? undefined });
      expect([first, second, third].map((page) => page.entries.map((entry) => entry.name).join(""))).toEqual(["ab", "cd", "e"]);
      expect(third.next_cursor ?? undefined).toBeUndefined();
    },
  },
  { name: "a file is not listed", lowers: TWO, run: async (at) => void (await at.fails("not-a-directory", at.driver.list("/file1"))) },
  {
    name: "one layer is listed as it is",
    lowers: TWO,
    run: async ({ driver }) => expect((await driver.list("/", { layer: "lower-2" })).entries.map((entry) => entry.name)).toEqual(["file1", "file2"]),
  },
  { name: "a file is read whole", lowers: TWO, run: async (at) => expect(await at.text("/file1")).toBe("upper") },
  { name: "a file is read as one layer holds it", lowers: TWO, run: async (at) => expect(await at.text("/file1", "lower-2")).toBe("lower") },
  {
    name: "a part of a file is read",
    lowers: ["a=0123456789"],
    async run({ driver }) {
      const part = async (offset: number, length?: number) => new TextDecoder().decode(await driver.read("/a", { offset, length }));
      expect([await part(2, 3), await part(8, 10), await part(5), await part(0, 0)]).toEqual(["234", "89", "56789", ""]);
    },
  },
  {
    name: "behind the end of a file there is nothing",
    lowers: ["a=0123456789"],
    run: async ({ driver }) => expect((await driver.read("/a", { offset: 100, length: 5 })).length).toBe(0),
  },
  { name: "a directory has no content", lowers: DEEP, run: async (at) => void (await at.fails("is-a-directory", at.driver.read("/d"))) },
  {
    name: "why: the topmost shows, the one below is covered",
    lowers: TWO,
    async run(at) {
      expect(await at.fates("/file1")).toBe("absent file:shows file:hidden");
      expect((await at.driver.why("/file1")).layers[2]).toMatchObject({ hidden_by: "lower-1", reason: "covered" });
    },
  },
  { name: "why: directories merge", lowers: DEEP, run: async (at) => expect(await at.fates("/d")).toBe("absent dir:shows dir:merges") },
  {
    name: "why: nothing shows where nothing is",
    lowers: TWO,
    async run(at) {
      expect(await at.fates("/nope")).toBe("absent absent absent");
      expect((await at.driver.why("/nope")).shown ?? undefined).toBeUndefined();
    },
  },
  {
    name: "why counts the bytes that do not show",
    lowers: ["a=1", "a=22", "a=333"],
    run: async ({ driver }) => expect((await driver.why("/a")).hidden_bytes).toBe(5),
  },
  {
    name: "x-ray answers for each path in order",
    lowers: TWO,
    async run({ driver }) {
      const whys = await driver.xray(["/file2", "/nope", "/file1"]);
      expect(whys.map(({ path, shown }) => `${path}:${shown ?? "-"}`)).toEqual(["/file2:lower-2", "/nope:-", "/file1:lower-1"]);
    },
  },
  {
    name: "x-ray of nothing asks nothing",
    lowers: TWO,
    run: async ({ driver }) => expect(await driver.xray([])).toEqual([]),
  },
  {
    name: "what an opaque directory or a whiteout hides is told by name, layer by layer",
    lowers: ["d/ d/new=1", "d/ d/a=1 d/sub/ d/sub/x=2"],
    async run({ driver }) {
      await driver.remove("/d", true);
      const told = async () => (await unseen(driver, await driver.why("/d"))).map(({ layer, names }) => `${layer}: ${names.join(" ")}`);
      expect(await told()).toEqual(["lower-1: new", "lower-2: a sub/"]);
      await driver.mkdir("/d");
      expect(await told()).toEqual(["lower-1: new", "lower-2: a sub/"]);
      await driver.discardAll();
      expect(await told()).toEqual([]);
    },
  },
  {
    name: "the overlay lists its layers from the top",
    lowers: TWO,
    async run({ driver }) {
      const { layers, read_only } = await driver.overlay();
      expect(read_only).toBe(false);
      expect(layers.map(({ id, role, index }) => `${index}:${role}:${id}`)).toEqual(["0:upper:upper", "1:lower:lower-1", "2:lower:lower-2"]);
    },
  },
  { name: "the version is told", lowers: [], run: async ({ driver }) => expect(await driver.version()).toMatch(/^\d+\.\d+\.\d+/) },
  {
    name: "the digest of a file is that of its content",
    lowers: ["a=same b=same c=other"],
    async run({ driver }) {
      const [a, b, c] = await Promise.all(["/a", "/b", "/c"].map((path) => driver.digest(path)));
      expect(a).toMatch(/^[0-9a-f]{64}$/);
      expect(a).toBe(b);
      expect(a).not.toBe(c);
    },
  },
  {
    name: "the digest of a tree changes with it, and comes back with it",
    lowers: ["d/ d/a=1 d/b=2"],
    async run(at) {
      const before = await at.driver.digest("/");
      await at.driver.remove("/d/b");
      expect(await at.driver.digest("/")).not.toBe(before);
      await at.driver.discardAll();
      expect(await at.driver.digest("/")).toBe(before);
    },
  },
  {
    name: "rows: closed, the tree is its root's entries",
    lowers: DEEP,
    run: async (at) => expect(await at.names()).toBe("1/d 1/top"),
  },
  {
    name: "rows: an open directory's entries follow it",
    lowers: DEEP,
    async run(at) {
      await at.driver.expand("/d");
      await at.driver.expand("/d/sub");
      expect(await at.names()).toBe("1v/d 2/d/new 2/d/old 2v/d/sub 3/d/sub/x 1/top");
      await at.driver.collapse("/d");
      expect(await at.names()).toBe("1/d 1/top");
    },
  },
  {
    name: "rows: any window of them",
    lowers: DEEP,
    async run(at) {
      await at.driver.expand("/d");
      await at.driver.expand("/d/sub");
      const all = (await at.names()).split(" ");
      for (let start = 0; start < 7; start++) {
        expect(await at.names(false, start, 2)).toBe(all.slice(start, start + 2).join(" "));
      }
      expect((await at.driver.rows(0, 1, false)).total).toBe(6);
    },
  },
  {
    name: "rows: a path is found among them, while it is in an open directory",
    lowers: DEEP,
    async run({ driver }) {
      await driver.expand("/d");
      expect([await driver.rowOf("/d/sub"), await driver.rowOf("/top"), await driver.rowOf("/d/sub/x")]).toEqual([3, 4, undefined]);
    },
  },
  {
    name: "rows tell their place among their siblings",
    lowers: DEEP,
    async run({ driver }) {
      await driver.expand("/d");
      const { rows } = await driver.rows(0, 10, false);
      expect(rows.map(({ position, siblings }) => `${position}/${siblings}`)).toEqual(["1/2", "1/3", "2/3", "3/3", "2/2"]);
    },
  },
  {
    name: "rows follow a change",
    lowers: DEEP,
    async run(at) {
      await at.driver.expand("/d");
      await at.names();
      await at.driver.remove("/d/old");
      await at.write("/d/aaa", "1");
      expect(await at.names()).toBe("1v/d 2/d/aaa 2/d/new 2/d/sub 1/top");
    },
  },
  {
    name: "rows show what an opaque directory hides when it is asked for, each name with the layer that has it",
    lowers: ["d/ d/a=1 d/b=2 d/in/ d/in/x=3", "d/ d/b=4 d/z=5"],
    async run(at) {
      await at.driver.remove("/d", true);
      await at.driver.mkdir("/d");
      await at.write("/d/b", "new");
      await at.driver.expand("/d");
      expect(await at.names(true)).toBe("1v/d 2/d/a? 2/d/b 2/d/in? 2/d/z?");
      const { rows } = await at.driver.rows(1, 4, true);
      expect(rows.map(({ entry }) => entry.layer)).toEqual(["lower-1", "upper", "lower-1", "lower-2"]);
      expect(rows[2]!.open).toBeUndefined();
      expect(await at.names()).toBe("1v/d 2/d/b");
      await at.write("/d/a", "new");
      expect(await at.names(true)).toBe("1v/d 2/d/a 2/d/b 2/d/in? 2/d/z?");
    },
  },
  {
    name: "rows show whiteouts when they are asked for",
    lowers: ["a=1 b=2"],
    async run(at) {
      await at.driver.remove("/a");
      expect(await at.names(true)).toBe("1/a 1/b");
      expect((await at.driver.rows(0, 1, true)).rows[0]!.entry.kind).toBe("whiteout");
      expect(await at.names(false)).toBe("1/b");
    },
  },
  {
    name: "a walk can be ended",
    lowers: DEEP,
    async run({ driver }) {
      let pages = 0;
      await driver.walk(undefined, () => (pages++, false));
      expect(pages).toBe(1);
    },
  },
];
