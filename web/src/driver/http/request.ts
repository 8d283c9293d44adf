/** One request to the server: addresses, the token, and problems as errors. */
import { OvlError } from "../driver";
import type { components } from "./api";

type Problem = components["schemas"]["Problem"];

/**
 * Writes a path into an address: each part escaped, the slashes kept.
 *
 * `.` and `..` cannot be sent: `fetch` would resolve them, escaped or not, and ask for another path.
 */
export function address(route: string, path: string): string {
  const parts = path.split("/").filter((part) => part !== "");
  if (parts.some((part) => part === "." || part === "..")) {
    throw new OvlError("invalid-path", `a path has no parts "." or "..": ${path}`, path);
  }
  return [route, ...parts.map(encodeURIComponent)].join("/");
}

/** Waits for work that a signal may have ended. */
export async function ended<T>(signal: AbortSignal | null | undefined, work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (cause) {
    throw signal?.aborted ? new OvlError("cancelled", "cancelled; nothing was changed") : cause;
  }
}

export class Requests {
  /** Bytes of content that were sent; questions are none. */
  sent = 0;

  constructor(
    readonly base: string,
    private readonly token: string | undefined,
  ) {}

  async send(method: string, to: string, init: RequestInit & { body?: BodyInit | null } = {}): Promise<Response> {
    const headers = this.headers(init.headers);
    this.sent += bodySize(init.body);
    let response: Response;
    try {
      response = await ended(init.signal, fetch(this.base + to, { ...init, method, headers }));
    } catch (cause) {
      if (cause instanceof OvlError) throw cause;
      throw new OvlError("backend-unavailable", `${this.base || "the server"} does not answer; is ovl-server running?`);
    }
    if (response.ok || response.status === 304) return response;
    throw await problem(response);
  }

  /** Adds the token. */
  headers(headers?: HeadersInit): Headers {
    const all = new Headers(headers);
    if (this.token !== undefined) all.set("authorization", `Bearer ${this.token}`);
    return all;
  }

  async get<T>(to: string): Promise<T> {
    return (await this.send("GET", to)).json() as Promise<T>;
  }

  async json(method: string, to: string, body: unknown, type = "application/json"): Promise<Response> {
    return this.send(method, to, { body: JSON.stringify(body), headers: { "content-type": type } });
  }
}

function bodySize(body: BodyInit | null | undefined): number {
  if (body instanceof Blob) return body.size;
  return body instanceof Uint8Array ? body.byteLength : 0;
}

async function problem(response: Response): Promise<Error> {
  const text = await response.text();
  try {
    const told = JSON.parse(text) as Problem;
    const code = told.type.split("/").pop() ?? "internal";
    return new OvlError(code, told.detail, told.path ?? undefined, told.layer ?? undefined);
  } catch {
    return new OvlError("internal", `the server answered ${response.status}: ${text.slice(0, 200)}`);
  }
}
