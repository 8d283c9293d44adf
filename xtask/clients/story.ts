// Tells the first minute of ovl with a client whose types come from the server's own description.

import assert from "node:assert/strict";
import createClient from "openapi-fetch";
import type { paths } from "./api.js";

const EDITED = "click/core.py";
const ADDED = "click/örtlich & neu.txt";
const BYTES = { "Content-Type": "application/octet-stream" };

const api = createClient<paths>({ baseUrl: process.argv[2] ?? "" });
const at = (path: string) => ({ params: { path: { path } } });
const asIs = (body?: string) => body;

async function list(path: string): Promise<string[]> {
  const { data, error } = await api.GET("/v1/entries/{path}", { params: { path: { path }, query: { list: true } } });
  assert.ok(typeof data === "object" && "entries" in data, JSON.stringify(error));
  return data.entries.map((entry) => entry.name ?? "");
}

async function read(path: string): Promise<string> {
  const { data, error } = await api.GET("/v1/files/{path}", { ...at(path), parseAs: "text" });
  assert.ok(data !== undefined, JSON.stringify(error));
  return data;
}

async function write(path: string, body: string): Promise<Response> {
  const { response } = await api.PUT("/v1/files/{path}", { ...at(path), headers: BYTES, bodySerializer: asIs, body });
  return response;
}

async function shownBy(path: string): Promise<string | null | undefined> {
  const { data, error } = await api.GET("/v1/why/{path}", at(path));
  assert.ok(data, JSON.stringify(error));
  assert.equal(data.path, `/${path}`);
  return data.shown;
}

async function changes(): Promise<string[]> {
  const { data, error } = await api.GET("/v1/changes");
  assert.ok(typeof data === "object", JSON.stringify(error));
  return data.changes.map((change) => `${change.what} ${change.path}`);
}

async function exported(): Promise<Buffer> {
  const { data } = await api.GET("/v1/export", { params: { query: { format: "zip" } }, parseAs: "arrayBuffer" });
  assert.ok(data);
  return Buffer.from(data);
}

assert.ok((await list("")).includes("click"));
assert.ok((await list("click")).includes("core.py"));
const original = await read(EDITED);
assert.match(original, /class Context/);

const replaced = await write(EDITED, "edited\n");
assert.equal(replaced.status, 204);
assert.equal(await read(EDITED), "edited\n");
assert.equal(await shownBy(EDITED), "upper");

const created = await write(ADDED, "new\n");
assert.equal(created.status, 201);
assert.match(created.headers.get("ETag") ?? "", /^"\w+"$/);
assert.deepEqual(await changes(), [`modified /${EDITED}`, `added /${ADDED}`]);

const discarded = await api.DELETE("/v1/changes/{path}", at(EDITED));
assert.equal(discarded.response.status, 204);
assert.equal(await read(EDITED), original);
assert.equal(await shownBy(EDITED), "lower-1");
assert.deepEqual(await changes(), [`added /${ADDED}`]);

const archive = await exported();
assert.equal(archive.toString("latin1", 0, 4), "PK\x03\x04");
assert.ok(archive.includes(ADDED));

const missing = await api.GET("/v1/files/{path}", at("no/such"));
assert.equal(missing.response.status, 404);
assert.equal(missing.error?.type, "/problems/not-found");
console.log(`TypeScript: read, changed, explained, discarded and exported ${archive.length} bytes`);
