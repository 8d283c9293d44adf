// The page's side of `worker.js`: the same methods, each returning a promise.

/** Takes a Worker that runs `ovl/worker`. */
export function connect(worker) {
  const waiting = new Map();
  const functions = new Map();
  let last = 0;

  worker.addEventListener("message", ({ data }) => {
    if (data.call !== undefined) return functions.get(data.call)?.(...data.args);
    const { resolve, reject, held } = waiting.get(data.id) ?? {};
    waiting.delete(data.id);
    held?.forEach((number) => functions.delete(number));
    if (data.error) reject?.(Object.assign(new Error(data.error.message), data.error));
    else resolve?.(data.value);
  });
  worker.addEventListener("error", (event) => {
    const error = new Error(event.message || "the Worker does not start");
    waiting.forEach(({ reject }) => reject(error));
    waiting.clear();
  });

  function call(stack, method, args) {
    const held = [];
    const given = args.map((value) => {
      if (typeof value !== "function") return value;
      functions.set(++last, value);
      // A listener of events stays; any other is heard until its work is done.
      if (method !== "onEvent") held.push(last);
      return { ovlFunction: last };
    });
    return new Promise((resolve, reject) => {
      const id = ++last;
      waiting.set(id, { resolve, reject, held });
      worker.postMessage({ id, stack, method, args: given });
    });
  }

  const stackOf = (number) =>
    new Proxy({}, { get: (_, method) => (method === "then" ? undefined : (...args) => call(number, method, args)) });

  return { open: async (...options) => stackOf(await call(undefined, "open", options)), close: () => worker.terminate() };
}
