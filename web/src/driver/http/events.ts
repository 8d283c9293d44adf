/** Server-sent events by `fetch`, which can carry a token; a lost connection is taken up where it broke off. */
import type { OvlEvent } from "../driver";
import type { Requests } from "./request";

const PAUSE_MS = 1000;

type Heard = (event: OvlEvent) => void;
type Connected = (up: boolean) => void;

export function follow(requests: Requests, heard: Heard, connected: Connected): () => void {
  const stop = new AbortController();
  void listen(requests, heard, connected, stop.signal);
  return () => stop.abort();
}

async function listen(requests: Requests, heard: Heard, connected: Connected, signal: AbortSignal): Promise<void> {
  let last: string | undefined;
  while (!signal.aborted) {
    try {
      const headers: Record<string, string> = last === undefined ? {} : { "last-event-id": last };
      const response = await requests.send("GET", "/v1/events", { headers, signal });
      connected(true);
      for await (const message of messages(response)) {
        last = message.id ?? last;
        if (message.data !== undefined) heard(JSON.parse(message.data) as OvlEvent);
      }
    } catch {
      // Another start of the server does not know the old number: what was missed is read anew by the listener.
      if (last !== undefined && !signal.aborted) heard({ kind: "overflow", path: "/", generation: 0 });
      last = undefined;
    }
    if (!signal.aborted) connected(false);
    await new Promise((done) => setTimeout(done, signal.aborted ? 0 : PAUSE_MS));
  }
}

interface Message {
  id?: string;
  data?: string;
}

async function* messages(response: Response): AsyncGenerator<Message> {
  const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    rest += value;
    const blocks = rest.split("\n\n");
    rest = blocks.pop() ?? "";
    for (const block of blocks) yield parse(block);
  }
}

function parse(block: string): Message {
  const message: Message = {};
  for (const line of block.split("\n")) {
    const [, field, value] = /^(id|data): ?(.*)$/.exec(line) ?? [];
    if (field === "id") message.id = value!;
    if (field === "data") message.data = message.data === undefined ? value! : `${message.data}\n${value}`;
  }
  return message;
}
