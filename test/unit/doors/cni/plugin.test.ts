// The compiled plugin and the agent's socket: what the plugin sends is answered by the fast parser, and by node:http if
// it does not fit into one packet.
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { fastServer, listenOnSocket } from "../../../../src/agent/socket/listen.ts";
import type { LocalApi } from "../../../../src/agent/socket/localApi.ts";
import { partsOf } from "../../../../src/doors/cni/request.ts";
import { plugin } from "../../../netns/lab/plugin.ts";

const folder = mkdtempSync(join(tmpdir(), "weft-plugin-"));
after(() => rmSync(folder, { recursive: true }));
const CALL = { command: "ADD", container: "c1", netns: "/run/netns/web", ifname: "eth0" } as const;

/** Says what it was asked: the command, and how long the configuration is. */
const api: LocalApi = async ({ method, url, body }) => {
  const { environment, input } = partsOf(body);
  const asked = { method, url, command: environment.get("CNI_COMMAND"), length: input.length };
  return { status: 200, type: "application/json", body: JSON.stringify(asked) };
};

test("a request of the plugin is answered without node:http", async (t) => {
  const http = createServer().on("connection", () => assert.fail("it got to node:http"));
  const { server, end } = fastServer(api, http);
  const socket = join(folder, "fast.sock");
  await new Promise<void>((resolve) => server.listen(socket, resolve));
  t.after(() => {
    server.close();
    end();
  });
  for (const command of ["ADD", "DEL", "CHECK", "STATUS", "GC", "VERSION"]) {
    const told = await plugin(socket, { ...CALL, command, config: { name: "lan" } });
    assert.deepEqual(told.answer, { method: "POST", url: "/v1/cni", command, length: '{"name":"lan"}'.length });
    assert.equal(told.code, 0);
  }
});

test("a configuration of several packets is answered, too, and the plugin does not wait for more", async (t) => {
  const socket = join(folder, "large.sock");
  const server = await listenOnSocket(socket, api);
  t.after(() => server.close());
  const config = JSON.stringify({ name: "lan", text: "x".repeat(500_000) });
  const startedAtMs = performance.now();
  const told = await plugin(socket, { ...CALL, config });
  assert.deepEqual([told.code, told.answer?.length], [0, config.length]);
  // node:http ends a kept connection after five seconds.
  assert(performance.now() - startedAtMs < 4_000);
});
