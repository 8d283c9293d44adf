// The stacks of a page, in a Worker of their own. `client.js` speaks to it.
// It listens at once: what comes before the module is there would be lost otherwise.
const ready = import("./index.js");

const stacks = new Map();
let last = 0;

/** A function of the page's: it hears, but its answer comes too late to matter. */
const remote = (number) => (...args) => void postMessage({ call: number, args });
const local = (value) => (value?.ovlFunction === undefined ? value : remote(value.ovlFunction));

function answer(Stack, { stack, method, args }) {
  if (method === "open") {
    stacks.set(++last, new Stack(...args));
    return last;
  }
  const it = stacks.get(stack);
  if (method === "free") stacks.delete(stack);
  return typeof it[method] === "function" ? it[method](...args.map(local)) : it[method];
}

function reason({ name, message, code, path, layer, errno }) {
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
