/** What is told of a change, why afterwards, and what goes out and comes in. */
import { expect } from "vitest";
import { bytes, type Case } from "./case";

export const telling: Case[] = [
  {
    name: "appending tells the bytes that it copied up",
    lowers: ["a=12345"],
    async run(at) {
      expect(await at.append("/a", "6")).toEqual({ created: false, copied_up: 5 });
      expect(await at.append("/a", "7")).toEqual({ created: false, copied_up: 0 });
    },
  },
  {
    name: "writing tells whether the file is new",
    lowers: ["a=1"],
    async run(at) {
      expect((await at.write("/n", "1")).created).toBe(true);
      expect((await at.write("/a", "1")).created).toBe(false);
    },
  },
  {
    name: "why: a whiteout hides what lies below",
    lowers: ["a=1"],
    async run(at) {
      await at.driver.remove("/a");
      expect(await at.fates("/a")).toBe("whiteout:hides file:hidden");
      expect((await at.driver.why("/a")).layers[1]).toMatchObject({ hidden_by: "upper", hidden_at: "/a", reason: "whiteout" });
    },
  },
  {
    name: "why: an opaque directory hides what lies beneath",
    lowers: ["d/ d/old=1"],
    async run(at) {
      await at.driver.remove("/d", true);
      await at.driver.mkdir("/d");
      expect((await at.driver.why("/d")).layers[0]).toMatchObject({ found: "dir", opaque: true });
      expect((await at.driver.why("/d/old")).layers[1]).toMatchObject({ reason: "opaque", hidden_at: "/d" });
    },
  },
  {
    name: "why: a deleted directory hides what was in it",
    lowers: ["d/ d/old=1"],
    async run(at) {
      await at.driver.remove("/d", true);
      expect((await at.driver.why("/d/old")).layers[1]).toMatchObject({ reason: "whiteout", hidden_at: "/d" });
    },
  },
  {
    name: "why: a moved directory is asked for under its old name",
    lowers: ["d/ d/a=1"],
    async run(at) {
      await at.driver.move("/d", "/e");
      expect((await at.driver.why("/e")).layers[0]).toMatchObject({ redirect: "d" });
      expect(await at.text("/e/a")).toBe("1");
    },
  },
  {
    name: "a new mode shows, the lower keeps its own",
    lowers: ["a=1"],
    async run({ driver }) {
      await driver.patch("/a", { mode: "0600" });
      expect((await driver.stat("/a")).mode).toBe("0600");
      expect((await driver.stat("/a", "lower-1")).mode).toBe("0644");
    },
  },
  {
    name: "a new time shows",
    lowers: ["a=1"],
    async run({ driver }) {
      await driver.patch("/a", { mtime: "2001-02-03T04:05:06Z" });
      expect((await driver.stat("/a")).mtime).toMatch(/^2001-02-03T04:05:06/);
    },
  },
  {
    name: "events tell a copy-up with its bytes",
    lowers: ["a=12345"],
    async run(at) {
      const events = await at.told(() => at.append("/a", "6"));
      expect(events.find(({ kind }) => kind === "copied_up")).toMatchObject({ path: "/a", bytes: 5 });
    },
  },
  {
    name: "events tell a whiteout",
    lowers: ["a=1"],
    async run(at) {
      const events = await at.told(() => at.driver.remove("/a"));
      expect(events.map(({ kind, path }) => `${kind} ${path}`)).toContain("whiteout /a");
    },
  },
  {
    name: "events tell a deletion that leaves nothing",
    lowers: [""],
    async run(at) {
      await at.write("/n", "1");
      const events = await at.told(() => at.driver.remove("/n"));
      expect(events.map(({ kind }) => kind)).not.toContain("whiteout");
    },
  },
  {
    name: "events tell a move with its source",
    lowers: [""],
    async run(at) {
      await at.write("/a", "1");
      const events = await at.told(() => at.driver.move("/a", "/b"));
      expect(events.find(({ kind }) => kind === "moved")).toMatchObject({ path: "/b", from: "/a" });
    },
  },
  {
    name: "the generation grows with each change",
    lowers: ["a=1"],
    async run(at) {
      const before = (await at.driver.overlay()).generation;
      await at.write("/a", "2");
      expect((await at.driver.overlay()).generation).toBeGreaterThan(before);
    },
  },
  {
    name: "the merged tree goes out as a zip",
    lowers: ["a=1"],
    async run({ driver }) {
      const zip = new Uint8Array(await (await driver.export({ what: "merged", format: "zip" })).arrayBuffer());
      expect([...zip.slice(0, 4)]).toEqual([0x50, 0x4b, 3, 4]);
    },
  },
  {
    name: "the upper goes out as a tar, with its whiteouts",
    lowers: ["a=1"],
    async run({ driver }) {
      await driver.remove("/a");
      const tar = new TextDecoder("latin1").decode(await (await driver.export({ what: "upper", format: "tar" })).arrayBuffer());
      expect(tar).toContain(".wh.a");
    },
  },
  {
    name: "the same tree gives the same zip",
    lowers: ["a=1 d/ d/b=2"],
    async run({ driver }) {
      const once = async () => Buffer.from(await (await driver.export({ what: "merged", format: "zip" })).arrayBuffer()).toString("hex");
      expect(await once()).toBe(await once());
    },
  },
  {
    name: "an exported upper comes back with its deletions",
    lowers: ["a=1 b=2"],
    async run(at) {
      await at.driver.remove("/a");
      await at.write("/b", "x");
      const upper = await at.driver.export({ what: "upper", format: "tar" });
      await at.driver.discardAll();
      expect(await at.merged()).toBe("a=1 b=2");
      expect(await at.driver.import(upper)).toMatchObject({ is_upper: true });
      expect(await at.merged()).toBe("b=x");
    },
  },
  {
    name: "an export says how far it is, and its bytes come to what it said",
    lowers: ["a=1 b=2"],
    async run({ driver }) {
      let told = 0;
      const zip = await driver.export({ what: "merged", format: "zip" }, { heard: (done) => (told = done), signal: new AbortController().signal });
      expect(told).toBe(zip.size);
    },
  },
  {
    name: "an export is cancelled on its way",
    lowers: ["a=1 b=2"],
    async run(at) {
      const ending = new AbortController();
      const heard = (): void => ending.abort();
      await at.fails("cancelled", at.driver.export({ what: "merged", format: "zip" }, { heard, signal: ending.signal }));
      expect(await at.merged()).toBe("a=1 b=2");
    },
  },
  {
    name: "a cancelled import changes nothing",
    lowers: ["a=1"],
    async run(at) {
      await at.driver.write("/b", bytes("2"));
      const upper = await at.driver.export({ what: "upper", format: "tar" });
      await at.driver.discardAll();
      await at.fails("cancelled", at.driver.import(upper, { signal: AbortSignal.abort() }));
      expect(await at.merged()).toBe("a=1");
      await at.driver.import(upper, { signal: new AbortController().signal });
      expect(await at.merged()).toBe("a=1 b=2");
    },
  },
  {
    name: "what is no archive is not imported",
    lowers: ["a=1"],
    async run(at) {
      await expect(at.driver.import(new Blob([bytes("no archive at all") as BlobPart]))).rejects.toThrow();
      expect(await at.layer("upper")).toBe("");
    },
  },
];
