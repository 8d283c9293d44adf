import base from "./vite.config";
export default { ...base, resolve: { alias: { "ovl/client": "/tmp/w-web/stub/client.js", "ovl/worker": "/tmp/w-web/stub/worker.js" } } };
