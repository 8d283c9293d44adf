/** What a case is, and what it is given. */
import { expect } from "vitest";
import { OvlError, type OvlDriver, type OvlEvent } from "../../src/driver/driver";
import { draw } from "./drawing";

export interface Case {
  name: string;
  /** Lowers from the top, drawn. */
  lowers: string[];
  run(at: Scene): Promise<void>;
}

/** One overlay with what a case asks of it. */
export class Scene {
  constructor(readonly driver: OvlDriver) {}

  merged(): Promise<string> {
    return draw(this.driver);
  }

  layer(id: string): Promise<string> {
    return draw(this.driver, id);
  }

  async text(path: string, layer?: string): Promise<string> {
    return new TextDecoder().decode(await this.driver.read(path, { layer }));
  }

  write(path: string, text: string) {
    return this.driver.write(path, bytes(text));
  }

  append(path: string, text: string) {
    return this.driver.append(path, bytes(text));
  }

  async what(): Promise<string> {
    return (await this.driver.changes()).map(({ what, path }) => `${what} ${path}`).join(", ");
  }

  /** One word a layer: what it has there, and what becomes of it. */
  async fates(path: string): Promise<string> {
    const why = await this.driver.why(path);
    return why.layers.map(({ found, fate }) => (found ? `${found}:${fate}` : fate)).join(" ");
  }

  async fails(code: string, work: Promise<unknown>): Promise<OvlError> {
    const error = await work.then(
      () => undefined,
      (error: unknown) => error,
    );
    expect(error, `fails with ${code}`).toBeInstanceOf(OvlError);
    expect((error as OvlError).code).toBe(code);
    return error as OvlError;
  }

  /** Does the work and returns what was told of it: everything before a last change of another file. */
  async told(work: () => Promise<unknown>): Promise<OvlEvent[]> {
    const events: OvlEvent[] = [];
    let hear = (): void => {};
    const heard = new Promise<void>((done) => (hear = done));
    let stop = (): void => {};
    await new Promise<void>((connected) => {
      const tell = (event: OvlEvent): void => {
        events.push(event);
        if (event.path === "/last") hear();
      };
      stop = this.driver.follow(tell, () => connected());
    });
    await work();
    await this.write("/last", "");
    await heard;
    stop();
    return events.filter(({ path }) => path !== "/last");
  }

  async names(hidden = false, start = 0, count = 1000): Promise<string> {
    const { rows } = await this.driver.rows(start, count, hidden);
    return rows.map((row) => `${row.level}${row.open ? "v" : ""}${row.entry.path}${row.entry.hidden ? "?" : ""}`).join(" ");
  }
}

export function bytes(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}
