/** The screen that the address's fragment names. */
export type Route =
  /** Nothing is named: whoever serves the page decides. */
  | { screen: "start" }
  | { screen: "home" }
  | { screen: "open" }
  | { screen: "learn"; level: number | undefined }
  | { screen: "live" }
  | { screen: "shared"; code: string };

export function parse(fragment: string): Route {
  if (fragment === "") return { screen: "start" };
  const [, screen = "", rest] = /^#\/?([^/]*)(?:\/(.*))?$/.exec(fragment) ?? [];
  if (screen === "open") return { screen };
  if (screen === "live") return { screen };
  if (screen === "learn") return { screen, level: rest ? Number(rest) || undefined : undefined };
  if (screen === "s" && rest) return { screen: "shared", code: rest };
  return { screen: "home" };
}

export const route = $state<{ now: Route }>({ now: parse(globalThis.location?.hash ?? "") });

globalThis.addEventListener?.("hashchange", () => (route.now = parse(location.hash)));

/** Goes to the live console where an `ovl-server` serves the page, and to the home page elsewhere. */
export async function start(): Promise<void> {
  const served = await isServed();
  if (location.hash === "") location.replace(served ? "#/live" : "#/");
}

/** An `ovl-server` answers in JSON, also to those whom it asks for a token; a host of files has nothing there, or a page. */
async function isServed(): Promise<boolean> {
  try {
    const { headers } = await fetch("v1");
    return /^application\/(problem\+)?json/.test(headers.get("content-type") ?? "");
  } catch {
    return false;
  }
}

export function go(to: string): void {
  location.hash = to;
}
