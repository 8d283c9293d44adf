/**
 * Keeps the focus in the page. Where what has it goes away, a browser begins at the top again: whoever works by keyboard
 * would have to come back from there.
 *
 * It goes to what stood behind that, else before it, in the innermost box that is left.
 */
const CONTROLS = "a[href], button, input, select, textarea, [tabindex='0'], [contenteditable=true]";

interface Place {
  one: Element;
  /** From its parent to the page. */
  around: Element[];
  controls: HTMLElement[];
}

let last: Place | undefined;

export function keepFocus(): void {
  document.addEventListener("focusin", ({ target }) => (last = place(target as Element)));
  // Who clicks beside everything wants the focus nowhere.
  document.addEventListener("focusout", () => setTimeout(() => last && isThere(last.one) && isLost() && (last = undefined)));
  new MutationObserver(changed).observe(document.body, { subtree: true, childList: true, attributeFilter: ["disabled", "hidden"] });
}

/** Remembers what has the focus; what is returned gives it back, if it is nowhere by then. */
export function borrowFocus(): () => void {
  const owner = document.activeElement as HTMLElement | null;
  return () => isLost() && owner?.focus();
}

function place(one: Element): Place {
  const around: Element[] = [];
  for (let box = one.parentElement; box; box = box.parentElement) around.push(box);
  return { one, around, controls: [...document.querySelectorAll<HTMLElement>(CONTROLS)] };
}

/** What was moved to another place of the page has lost the focus as well. */
function changed(): void {
  if (!last || !isLost()) return;
  if (isThere(last.one)) (last.one as HTMLElement).focus();
  else setTimeout(moveOn);
}

function moveOn(): void {
  if (!last || isThere(last.one) || !isLost()) return;
  const { one, around, controls } = last;
  const at = controls.findIndex((control) => control === one);
  const left = [...controls.slice(at + 1), ...controls.slice(0, Math.max(0, at)).reverse()].filter((control) => isThere(control) && control.tabIndex >= 0 && control.checkVisibility());
  for (const box of around.filter((box) => box.isConnected)) {
    const next = left.find((control) => box.contains(control)) ?? (box.hasAttribute("tabindex") ? (box as HTMLElement) : undefined);
    if (next) return next.focus();
  }
}

function isLost(): boolean {
  const now = document.activeElement;
  return !now || now === document.body || !isThere(now);
}

function isThere(one: Element): boolean {
  return one.isConnected && !one.matches(":disabled, [hidden] *");
}
