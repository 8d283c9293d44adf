/**
 * Which rows a scrolled list shows, however many there are.
 *
 * Browsers cap the height of an element (Firefox at about 17.9 million pixels), so a longer list is given a
 * shorter scroll range, and a pixel scrolled stands for several.
 */
export const CAP = 8_000_000;

export interface Scroll {
  total: number;
  row: number;
  height: number;
}

/** The height of what is scrolled. */
export function range({ total, row }: Scroll): number {
  return Math.min(total * row, CAP);
}

/** How many pixels of rows one pixel of scrolling stands for. */
function scale(list: Scroll): number {
  const scrolled = range(list) - list.height;
  return scrolled <= 0 ? 1 : Math.max(1, (list.total * list.row - list.height) / scrolled);
}

/** The first row in sight, and how far it stands above the edge. */
export function first(list: Scroll, top: number): { index: number; above: number } {
  const at = top * scale(list);
  const index = Math.max(0, Math.min(Math.floor(at / list.row), list.total - 1));
  return { index, above: at - index * list.row };
}

/** Where to scroll so that a row is in sight; undefined when it is. */
export function reveal(list: Scroll, top: number, index: number): number | undefined {
  const at = top * scale(list);
  const start = index * list.row;
  if (start < at) return start / scale(list);
  if (start + list.row > at + list.height) return (start + list.row - list.height) / scale(list);
  return undefined;
}
