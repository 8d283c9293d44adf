// The stacks of a page, in a Worker of their own. `client.js` speaks to it.
// It listens at once: what comes before the module is there would be lost otherwise.
const ready = import("./index.js");

const stacks = new Map();
let last = 0;

/** A function of the page's: it hears, but its answer comes too late to matter. */
const remote = (number) => (...args) => {
  const pieces = args.filter((value) => value instanceof Uint8Array);
  postMessage({ call: number, args }, pieces.map(({ buffer }) => buffer));
};

/** So often at most a signal is looked at, in milliseconds. */
const LOOK = 50;
/** Whether an address of this machine's memory still leads anywhere. It is asked for at once, since work does not wait. */
function stands(url) {
  try {
    const asked = new XMLHttpRequest();
    asked.open("GET", url, false);
    asked.send();
    return true;
  } catch {
    return false;
  }
}
/** Whether such addresses can be asked at all: the page's policy may forbid it (`connect-src blob:` allows it). */
let answers;
function canAsk() {
  const url = URL.createObjectURL(new Blob());
  answers ??= stands(url);
  URL.revokeObjectURL(url);
  return answers;
}

/** The page's signal: no message is heard while the engine works, so the page takes an address away instead. */
function signal(url) {
  let aborted = false;
  let next = 0;
  return {
    get aborted() {
      if (!aborted && performance.now() >= next) {
        aborted = !stands(url) && canAsk();
        next = performance.now() + LOOK;
      }
      return aborted;
    },
  };
}

function local(value) {
  if (value?.ovlFunction !== undefined) return remote(value.ovlFunction);
  return value?.signal?.ovlSignal === undefined ? value : { ...value, signal: signal(value.signal.ovlSignal) };
}

function answer(Stack, { stack, method, args }) {
  if (method === "open") {
    stacks.set(++last, new Stack(...args));
    return last;
  }
  const it = stacks.get(stack);
  if (method === "free") stacks.delete(stack);
  return typeof it[method] === "function" ? it[method](...args.map(local)) : it[method];
}

/** A trap tells nothing of its cause, and what the engine holds may be half changed. */
const trapped = ({ message }) =>
  `the engine has failed within (${message}), a defect of its own; what it held is lost: reload the page, or open the layers in a new Worker`;

function reason(error) {
  const { name, message, code, path, layer, errno } = error;
  if (error instanceof WebAssembly.RuntimeError) return { name: "OvlError", message: trapped(error), code: "internal" };
  return { name, message, code: code ?? "internal", path, layer, errno };
}

onmessage = async ({ data }) => {
  try {
    const { Stack } = await ready;
    const value = answer(Stack, data);
    postMessage({ id: data.id, value }, value instanceof Uint8Array ? [value.buffer] : []);
  } catch (error) {
    postMessage({ id: data.id, error: reason(error) });
  }
};
