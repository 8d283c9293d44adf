import { afterEach, expect, test, vi } from "vitest";
import type { StackDriver } from "../src/driver/driver";
import { sha256 } from "../src/model/digest";
import { Session } from "../src/model/session";

afterEach(() => vi.unstubAllGlobals());

test("a page that came by plain HTTP opens layers all the same: it says that they are not kept", async () => {
  // A browser has neither there: the room nor the digests.
  vi.stubGlobal("navigator", {});
  vi.stubGlobal("crypto", {});
  const session = await Session.open();
  const handed = { kind: "zip", name: "app.zip", file: new File(["PK"], "app.zip") } as const;
  expect(await session.keep({} as StackDriver, "1", handed)).toBe("this browser gives no room");
});

test("where a browser has no digests, an export goes without", async () => {
  expect(await sha256(new Blob(["abc"]))).toMatch(/^ba7816bf/);
  vi.stubGlobal("crypto", {});
  expect(await sha256(new Blob(["abc"]))).toBeUndefined();
});
