/** One sentence for what happened, and one for why a path looks as it does. */
import type { OvlEvent, Verdict, Why } from "../driver/driver";
import { plain, size, spoken } from "./layers";

/** Says what an event did, to a person who looks at the stack. `next` is what followed from the same change. */
export function told(event: OvlEvent, from?: string, next?: OvlEvent): string {
  return plain(happened(event, from, next));
}

function happened(event: OvlEvent, from?: string, next?: OvlEvent): string {
  const { kind, path, bytes } = event;
  switch (kind) {
    case "created":
      return `${path} was made, in the upper alone.`;
    case "modified":
      return `${path} was written in the upper.`;
    case "metadata":
      return `The metadata of ${path} changed in the upper.`;
    case "removed":
      return `${path} was removed.`;
    case "copied_up":
      if (next?.kind === kind && next.path.startsWith(`${path}/`)) return `${path} comes first: the directory alone, so that what is copied up into it has a place in the upper.`;
      return `${path} was copied up${bytes ? `, ${size(bytes)},` : ""} from ${from ? spoken(from) : "below"} to the upper. The original is as it was.`;
    case "whiteout":
      return `A whiteout for ${path} now lies in the upper. It hides what lies below; nothing below is deleted.`;
    case "opaque":
      return `${path} is opaque: it hides everything that the layers below have in it.`;
    case "moved":
      return `${event.from ?? "An entry"} was moved to ${path}.`;
    case "discarded":
      return `The change of ${path} was discarded: the layers below show again.`;
    case "restored":
      return `${path} is as it was before the last change.`;
    default:
      return "Some events were missed; everything was read anew.";
  }
}

/** The answer in one sentence. */
export function answer(why: Why): string {
  const shown = why.layers.filter(({ fate }) => fate === "shows" || fate === "merges");
  if (shown.length > 1) return `A merged directory: ${list(shown.map(({ layer }) => spoken(layer)))} each add to it.`;
  const hidden = why.layers.filter(({ fate }) => fate === "hidden");
  const below = hidden.length === 0 ? "" : ` It hides ${why.hidden_bytes > 0 ? size(why.hidden_bytes) : "what lies"} in ${list(hidden.map(({ layer }) => spoken(layer)))}.`;
  if (why.shown) return `${capital(spoken(why.shown))} shows it.${below}`;
  const hider = hidden[0];
  if (!hider) return "No layer has anything by this name.";
  return `Nothing shows: ${because(hider)}. ${why.hidden_bytes > 0 ? `${size(why.hidden_bytes)} still lie` : "What it hides still lies"} below.`;
}

/** What one layer says. */
export function says(verdict: Verdict): string {
  const { found, fate } = verdict;
  const what = found === "whiteout" ? "a whiteout" : `a ${found === "dir" ? `directory${verdict.opaque ? ", opaque" : ""}` : found}`;
  if (!found) return "has nothing here";
  if (fate === "shows") return `has ${what}: it shows`;
  if (fate === "merges") return `has ${what}: its entries show too`;
  if (fate === "gives_content") return `has ${what}: its content shows, with the metadata from above`;
  if (fate === "hides") return `has ${what}: it hides what lies below, and the search ends`;
  return `has ${what}, which does not show: ${because(verdict)}`;
}

function because({ reason, hidden_by, hidden_at }: Verdict): string {
  const [where, at] = [`in ${spoken(hidden_by)}`, plain(hidden_at ?? "")];
  if (reason === "whiteout") return `a whiteout ${where} at ${at} hides it`;
  if (reason === "opaque") return `the opaque directory ${at} ${where} hides it`;
  return `what stands ${where} at ${at} covers it`;
}

function list(parts: string[]): string {
  return parts.length < 2 ? parts.join("") : `${parts.slice(0, -1).join(", ")} and ${parts.at(-1)}`;
}

export function capital(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
