import { HttpDriver } from "../src/driver/http/driver";
import { contract } from "./contract/run";
import { serve } from "./server";

contract("http", async (lowers) => {
  const server = await serve(lowers);
  return { driver: new HttpDriver(server.url), end: server.end };
});
