/**
 * Links that carry a scenario and what was done to it: version, dot, deflated JSON in base64url.
 *
 * What version 1 wrote is read for ever; a new shape gets a new number beside it.
 */
import type { Item } from "../driver/driver";
import type { Op } from "./recorder";

export interface Shared {
  /** A level, or lowers of its own from the top. */
  level?: number;
  lowers?: [string, Item[]][];
  ops: Op[];
}

const VERSION = "1";

export async function encode(shared: Shared): Promise<string> {
  const json = new TextEncoder().encode(JSON.stringify(shared));
  return `${VERSION}.${base64url(await through(json, new CompressionStream("deflate-raw")))}`;
}

export async function decode(code: string): Promise<Shared> {
  const [version, payload] = code.split(".");
  if (version !== VERSION || !payload) throw new Error(`this link is of a newer kind (${version}); reload the page`);
  try {
    const json = await through(bytes(payload), new DecompressionStream("deflate-raw"));
    return JSON.parse(new TextDecoder().decode(json)) as Shared;
  } catch {
    throw new Error("this link is damaged: a part of it may be missing, as where a mail breaks its line");
  }
}

async function through(content: Uint8Array, stream: CompressionStream | DecompressionStream): Promise<Uint8Array> {
  const out = new Blob([content as BlobPart]).stream().pipeThrough(stream as ReadableWritablePair<Uint8Array, Uint8Array>);
  return new Uint8Array(await new Response(out as BodyInit).arrayBuffer());
}

export function base64(content: Uint8Array): string {
  return btoa(Array.from(content, (byte) => String.fromCharCode(byte)).join(""));
}

function base64url(content: Uint8Array): string {
  return base64(content).replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "");
}

/** Reads base64, of either alphabet. */
export function bytes(text: string): Uint8Array {
  return Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (char) => char.charCodeAt(0));
}
