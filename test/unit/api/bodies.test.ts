// Requests over a real connection whose bodies do not come, or are too large.
import assert from "node:assert/strict";
import { once } from "node:events";
import { type AddressInfo, connect } from "node:net";
import { after, test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import type { FastifyInstance } from "fastify";
import { createApi } from "../../../src/api/api.ts";
import { Control } from "../../../src/control/control.ts";
import { openMemoryStore } from "../../../src/store/memory.ts";
import { ADMIN } from "./lab.ts";

const apps: FastifyInstance[] = [];
after(() => Promise.all(apps.map((app) => app.close())));

const clock = {
  nowMs: () => Date.now(),
  monotonicMs: () => performance.now(),
  sleep: (ms: number, signal?: AbortSignal) =>
    delay(ms, undefined, signal === undefined ? {} : { signal }).catch(() => {}),
};

async function open(bodyMs: number) {
  const control = await Control.open(openMemoryStore(), { clock });
  await control.setToken("admin", ADMIN);
  const app = createApi(control, { clock, version: "0", bodyMs });
  apps.push(app);
  await app.listen({ port: 0, host: "127.0.0.1" });
  return { app, port: (app.server.address() as AddressInfo).port };
}

function begin(port: number, path: string, rest: string) {
  const socket = connect(port, "127.0.0.1");
  socket.write(`POST ${path} HTTP/1.1\r\nhost: a\r\nauthorization: Bearer ${ADMIN}\r\n${rest}`);
  return socket;
}

test("a request whose body does not come ends; a claims request stays, and so does what has its body", async () => {
  const { port } = await open(200);
  const claims = begin(port, "/v1/claims", "transfer-encoding: chunked\r\n\r\n");
  await once(claims, "data");
  const slow = begin(port, "/v1/apply", "content-length: 100\r\n\r\n{");
  slow.resume();
  await once(slow, "close");
  assert.equal(claims.destroyed, false);
  const whole = begin(port, "/v1/apply", 'content-length: 16\r\n\r\n{"resources":[]}');
  assert.match(String((await once(whole, "data"))[0]), /200 OK/);
  whole.destroy();
  claims.destroy();
});

test("most requests have a megabyte at most; one resource four, an apply sixteen", async () => {
  const { app } = await open(60_000);
  const headers = { authorization: `Bearer ${ADMIN}`, "content-type": "application/json" };
  const sizes = async (method: "POST" | "PUT", url: string, megabytes: number) => {
    const statuses: number[] = [];
    for (const more of [-1000, 1000]) {
      const payload = " ".repeat(megabytes * 1024 * 1024 + more);
      statuses.push((await app.inject({ method, url, headers, payload })).statusCode);
    }
    return statuses;
  };
  assert.deepEqual(await sizes("POST", "/v1/holds", 1), [400, 413]);
  assert.deepEqual(await sizes("PUT", "/v1/securitygroups/a", 4), [400, 413]);
  assert.deepEqual(await sizes("POST", "/v1/apply", 16), [400, 413]);
});
