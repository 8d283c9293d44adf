/** How a layer is told from the others: its number, colour and pattern. They stay with it wherever it is moved. */
const HUES = 6;

/** `U` for the upper, `1`, `2`, … for the lowers. */
export function label(id: string): string {
  return id === "upper" ? "U" : id.replace(/^lower-/, "");
}

/** The class that carries colour and pattern. */
export function hue(id: string): string {
  const number = Number(label(id));
  return id === "upper" ? "hue-0" : `hue-${Number.isFinite(number) ? ((number - 1) % (HUES - 1)) + 1 : 1}`;
}

/** In a sentence. */
export function spoken(id: string | null | undefined): string {
  return id == null ? "no layer" : id === "upper" ? "the upper" : `layer ${label(id)}`;
}

export function size(bytes: number | null | undefined): string {
  if (bytes == null) return "";
  if (bytes < 1024) return `${bytes} B`;
  const units = ["KiB", "MiB", "GiB", "TiB"];
  let value = bytes / 1024;
  let unit = 0;
  for (; value >= 1024 && unit < units.length - 1; unit++) value /= 1024;
  return `${value < 10 ? value.toFixed(1) : Math.round(value)} ${units[unit]}`;
}

export function parent(path: string): string {
  return path.slice(0, path.lastIndexOf("/")) || "/";
}

export function name(path: string): string {
  return path.slice(path.lastIndexOf("/") + 1) || "/";
}

/** What is not seen in a name, or lets it be read otherwise than it is: controls, and marks of writing direction. */
const UNSEEN = /[\u0000-\u001f\u007f-\u009f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060\u2066-\u2069\ufeff]/g;

/** A name as it can be read: what would not be seen in it is written out. */
export function plain(name: string): string {
  return name.replace(UNSEEN, (char) => `\\u{${char.charCodeAt(0).toString(16)}}`);
}

export function join(dir: string, child: string): string {
  return dir === "/" ? `/${child}` : `${dir}/${child}`;
}
