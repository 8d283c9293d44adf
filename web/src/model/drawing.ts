/**
 * Trees as text, as the engine's own tests draw them: `a=1 d/ d/b=2 l->a -gone e/!`.
 *
 * `a=1` is a file with its text, `d/` a directory, `e/!` an opaque one, `l->a` a symbolic link, `-gone` a whiteout.
 * With several lines, each is one word, so that texts can have spaces; `\\n` in a text is a new line.
 */
import type { Item } from "../driver/driver";

export function read(drawing: string): Item[] {
  const words = drawing.split(drawing.includes("\n") ? "\n" : " ").map((word) => word.trim());
  return words.filter((word) => word !== "").map(item);
}

function item(word: string): Item {
  const [, link, target] = /^([^=]*?)->(.*)$/.exec(word) ?? [];
  const [, file, text] = /^([^=]*)=(.*)$/s.exec(word) ?? [];
  if (link !== undefined) return { path: link, target: target! };
  if (file !== undefined) return { path: file, content: text!.replaceAll("\\n", "\n") };
  if (word.startsWith("-")) return { path: word.slice(1), kind: "whiteout" };
  if (word.endsWith("/!")) return { path: word.slice(0, -2), kind: "dir", opaque: true };
  return { path: word.replace(/\/$/, ""), kind: "dir" };
}
