/** What changes do, to what shows and to the layers. */
import { expect } from "vitest";
import type { Case, Scene } from "./case";

type Act = (at: Scene) => Promise<unknown>;

/** Lowers; what is done; the tree that shows; what the upper then holds. Lowers are never touched: each case checks it. */
const changes: [string, string[], Act, string, string][] = [
  ["touch file3 lands in the upper alone", ["file1=l file2=l"], (at) => at.write("/file3", ""), "file1=l file2=l file3=", "file3="],
  ["writing a lower's file replaces it above", ["a=1"], (at) => at.write("/a", "2"), "a=2", "a=2"],
  ["appending copies up first", ["a=1"], (at) => at.append("/a", "2"), "a=12", "a=12"],
  ["a change brings the directories above along", ["d/ d/e/ d/e/f=1"], (at) => at.write("/d/e/f", "2"), "d/ d/e/ d/e/f=2", "d/ d/e/ d/e/f=2"],
  ["deleting a lower's file leaves a whiteout", ["a=1 b=2"], (at) => at.driver.remove("/a"), "b=2", "-a"],
  [
    "deleting a file of the upper alone leaves nothing",
    ["a=1"],
    async (at) => (await at.write("/n", "1"), await at.driver.remove("/n")),
    "a=1",
    "",
  ],
  [
    "a deleted file that comes back replaces its whiteout",
    ["a=1"],
    async (at) => (await at.driver.remove("/a"), await at.write("/a", "2")),
    "a=2",
    "a=2",
  ],
  [
    "a deleted directory that comes back is opaque",
    ["d/ d/old=1"],
    async (at) => (await at.driver.remove("/d", true), await at.driver.mkdir("/d")),
    "d/",
    "d/!",
  ],
  ["a directory is made", ["a=1"], (at) => at.driver.mkdir("/d"), "a=1 d/", "d/!"],
  ["a whole directory is deleted by one whiteout", ["d/ d/a=1 d/b=2"], (at) => at.driver.remove("/d", true), "", "-d"],
  ["a symbolic link is made", ["a=1"], (at) => at.driver.symlink("/l", "a"), "a=1 l->a", "l->a"],
  ["a second name is one more file", ["a=1"], (at) => at.driver.link("/a", "/b"), "a=1 b=1", "a=1 b=1"],
  ["a file of a lower is renamed", ["a=1"], (at) => at.driver.move("/a", "/b"), "b=1", "-a b=1"],
  ["a file is renamed over another", ["a=1 b=2"], (at) => at.driver.move("/a", "/b", true), "b=1", "-a b=1"],
  ["a file of the upper is renamed without a trace", [""], async (at) => (await at.write("/a", "1"), await at.driver.move("/a", "/b")), "b=1", "b=1"],
  ["a file is copied", ["a=1"], (at) => at.driver.copy("/a", "/b"), "a=1 b=1", "b=1"],
  ["a tree is copied", ["d/ d/a=1"], (at) => at.driver.copy("/d", "/e"), "d/ d/a=1 e/ e/a=1", "e/! e/a=1"],
  ["a change of mode copies the file up", ["a=1"], (at) => at.driver.patch("/a", { mode: "0600" }), "a=1", "a=1"],
  ["one change is discarded", ["a=1 b=2"], async (at) => (await at.write("/a", "x"), await at.write("/b", "y"), await at.driver.discard("/a")), "a=1 b=y", "b=y"],
  ["a deletion is discarded", ["a=1"], async (at) => (await at.driver.remove("/a"), await at.driver.discard("/a")), "a=1", ""],
  ["all changes are discarded", ["a=1"], async (at) => (await at.driver.remove("/a"), await at.write("/n", "1"), await at.driver.discardAll()), "a=1", ""],
  ["a file where a directory was", ["d/ d/x=1"], async (at) => (await at.driver.remove("/d", true), await at.write("/d", "f")), "d=f", "d=f"],
  ["a directory where a file was", ["f=1"], async (at) => (await at.driver.remove("/f"), await at.driver.mkdir("/f")), "f/", "f/!"],
  ["a name that is odd in an address is written", [""], (at) => at.write("/a b%2F?#ü", "1"), "a b%2F?#ü=1", "a b%2F?#ü=1"],
  ["a big file goes through", [""], (at) => at.write("/big", "0123456789".repeat(30_000)), `big=${"0123456789".repeat(30_000)}`, `big=${"0123456789".repeat(30_000)}`],
];

/** What is refused, and with which word. */
const refusals: [string, string[], string, Act][] = [
  ["a directory that shows entries is not deleted by itself", ["d/ d/a=1"], "directory-not-empty", (at) => at.driver.remove("/d")],
  ["what is missing is not deleted", ["a=1"], "not-found", (at) => at.driver.remove("/b")],
  ["a file in a missing directory is not written", ["a=1"], "not-found", (at) => at.write("/no/a", "1")],
  ["a directory is not written as a file", ["d/"], "is-a-directory", (at) => at.write("/d", "1")],
  ["nothing stands beneath a file", ["a=1"], "not-a-directory", (at) => at.write("/a/b", "1")],
  ["a directory is not made twice", ["d/"], "already-exists", (at) => at.driver.mkdir("/d")],
  ["a rename does not overwrite unasked", ["a=1 b=2"], "already-exists", (at) => at.driver.move("/a", "/b")],
  ["what is missing is not renamed", ["a=1"], "not-found", (at) => at.driver.move("/x", "/y")],
  ["what is missing is not copied", ["a=1"], "not-found", (at) => at.driver.copy("/x", "/y")],
  ["what is missing gets no mode", ["a=1"], "not-found", (at) => at.driver.patch("/x", { mode: "0600" })],
  ["a symbolic link is not made over a file", ["a=1"], "already-exists", (at) => at.driver.symlink("/a", "b")],
  ["what was not changed is not discarded", ["a=1"], "not-found", (at) => at.driver.discard("/a")],
];

/** What is done, and the list of changes that comes of it. */
const lists: [string, string[], Act, string][] = [
  ["nothing changed, nothing listed", ["a=1"], async () => {}, ""],
  ["a new file is added", ["a=1"], (at) => at.write("/b", "1"), "added /b"],
  ["a rewritten file is modified", ["a=1"], (at) => at.write("/a", "2"), "modified /a"],
  ["a deleted file is deleted", ["a=1"], (at) => at.driver.remove("/a"), "deleted /a"],
  ["a new mode alone is metadata", ["a=1"], (at) => at.driver.patch("/a", { mode: "0600" }), "metadata /a"],
  ["a moved directory is renamed", ["d/ d/a=1"], (at) => at.driver.move("/d", "/e"), "renamed /e"],
  ["a file where a directory was changed its type", ["d/ d/a=1"], async (at) => (await at.driver.remove("/d", true), await at.write("/d", "f")), "type_changed /d"],
];

async function lowersOf(at: Scene, count: number): Promise<string[]> {
  return Promise.all(Array.from({ length: count }, (_, index) => at.layer(`lower-${index + 1}`)));
}

export const changing: Case[] = [
  ...changes.map(([name, lowers, act, shown, upper]): Case => ({
    name,
    lowers,
    async run(at) {
      const before = await lowersOf(at, lowers.length);
      await act(at);
      expect(await at.merged()).toBe(shown);
      expect(await at.layer("upper")).toBe(upper);
      expect(await lowersOf(at, lowers.length)).toEqual(before);
    },
  })),
  ...refusals.map(([name, lowers, code, act]): Case => ({
    name,
    lowers,
    async run(at) {
      const before = await at.merged();
      await at.fails(code, act(at));
      expect(await at.merged()).toBe(before);
      expect(await at.layer("upper")).toBe("");
    },
  })),
  ...lists.map(([name, lowers, act, list]): Case => ({
    name: `changes: ${name}`,
    lowers,
    async run(at) {
      await act(at);
      expect(await at.what()).toBe(list);
    },
  })),
];
