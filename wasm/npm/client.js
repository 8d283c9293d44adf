// The page's side of `worker.js`: the same methods, each returning a promise.

/** An address that leads nowhere once the signal is aborted: a Worker at work hears no message, but it can look there. */
function token(signal, ends) {
  const ovlSignal = URL.createObjectURL(new Blob());
  const end = () => URL.revokeObjectURL(ovlSignal);
  signal.addEventListener("abort", end);
  ends.push(end, () => signal.removeEventListener("abort", end));
  return { ovlSignal };
}

const cancelled = () => Object.assign(new Error("cancelled; nothing was changed"), { name: "OvlError", code: "cancelled" });

/** Takes a Worker that runs `ovl/worker`. */
export function connect(worker) {
  const waiting = new Map();
  const functions = new Map();
  let last = 0;

  worker.addEventListener("message", ({ data }) => {
    if (data.call !== undefined) return functions.get(data.call)?.(...data.args);
    const { resolve, reject, ends } = waiting.get(data.id) ?? {};
    waiting.delete(data.id);
    ends?.forEach((end) => end());
    if (data.error) reject?.(Object.assign(new Error(data.error.message), data.error));
    else resolve?.(data.value);
  });
  worker.addEventListener("error", (event) => {
    const error = new Error(event.message || "the Worker does not start");
    waiting.forEach(({ reject }) => reject(error));
    waiting.clear();
  });

  function call(stack, method, args) {
    if (args.some((value) => value?.signal?.aborted)) return Promise.reject(cancelled());
    const ends = [];
    const given = args.map((value) => {
      if (value?.signal instanceof AbortSignal) return { ...value, signal: token(value.signal, ends) };
      if (typeof value !== "function") return value;
      const number = ++last;
      functions.set(number, value);
      // A listener of events stays; any other is heard until its work is done.
      if (method !== "onEvent") ends.push(() => functions.delete(number));
      return { ovlFunction: number };
    });
    return new Promise((resolve, reject) => {
      const id = ++last;
      waiting.set(id, { resolve, reject, ends });
      worker.postMessage({ id, stack, method, args: given });
    });
  }

  const stackOf = (number) =>
    new Proxy({}, { get: (_, method) => (method === "then" ? undefined : (...args) => call(number, method, args)) });

  return { open: async (...options) => stackOf(await call(undefined, "open", options)), close: () => worker.terminate() };
}
