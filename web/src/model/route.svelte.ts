/** The screen that the address's fragment names. */
export type Route =
  | { screen: "home" }
  | { screen: "open" }
  | { screen: "learn"; level: number | undefined }
  | { screen: "live" }
  | { screen: "shared"; code: string };

export function parse(fragment: string): Route {
  const [, screen = "", rest] = /^#\/?([^/]*)(?:\/(.*))?$/.exec(fragment) ?? [];
  if (screen === "open") return { screen };
  if (screen === "live") return { screen };
  if (screen === "learn") return { screen, level: rest ? Number(rest) || undefined : undefined };
  if (screen === "s" && rest) return { screen: "shared", code: rest };
  return { screen: "home" };
}

export const route = $state<{ now: Route }>({ now: parse(globalThis.location?.hash ?? "") });

globalThis.addEventListener?.("hashchange", () => (route.now = parse(location.hash)));

export function go(to: string): void {
  location.hash = to;
}
