// The address space over HTTP: its map, and in the metrics the time when it is full.
import assert from "node:assert/strict";
import { test } from "node:test";
import { Control } from "../../../src/control/control.ts";
import type { SpaceMap } from "../../../src/model/map.ts";
import { openMemoryStore } from "../../../src/store/memory.ts";
import { createApi } from "../../../src/api/api.ts";

const ADMIN = "a".repeat(40);

test("the map of a network, and a forecast once its growth is known", async () => {
  let nowMs = 1_000_000;
  const clock = { nowMs: () => nowMs, monotonicMs: () => nowMs, sleep: () => Promise.resolve() };
  const control = await Control.open(openMemoryStore(), { clock });
  await control.setToken("admin", ADMIN);
  await control.setToken("join", "j".repeat(40));
  const app = createApi(control, { clock, version: "1" });
  const get = async (url: string, token = ADMIN) => {
    const { statusCode, body } = await app.inject({ url, headers: { authorization: `Bearer ${token}` } });
    return { status: statusCode, body };
  };
  try {
    const { token } = await control.join(
      { host: "h1", underlay: "192.0.2.1", underlayMtu: 1500, hostPrefixes: [] },
      "j".repeat(40),
    );
    const spec = { ipam: "global", subnets: [{ cidr: "10.7.0.0/24" }] } as const;
    await control.write({ verb: "put", kind: "network", name: "blue", spec });
    const gauge = 'weft_addresses_full_in_seconds{network="blue",family="ipv4"}';
    for (let n = 0; n < 5; n++) {
      assert.equal((await get("/metrics")).body.includes(gauge), false, `minute ${n}`);
      nowMs += 60_000;
      const claim = { network: "blue", host: "h1", owner: `web${n}`, ifname: "eth0", netns: `/run/netns/web${n}` };
      await control.write({ verb: "attach", claim, by: { role: "admin" } });
    }
    const line = (await get("/metrics")).body.split("\n").find((one) => one.startsWith(gauge));
    // 253 addresses, 5 used, one more a minute.
    assert.equal(Math.round(Number(line?.split(" ").at(-1))), (253 - 5) * 60);
    const { status, body } = await get("/v1/networks/blue/map");
    assert.equal(status, 200);
    const [subnet] = (JSON.parse(body) as SpaceMap).subnets;
    assert.deepEqual(subnet?.intervals[2], { first: "10.7.0.2", last: "10.7.0.6", state: "used" });
    assert.equal((await get("/v1/networks/red/map")).status, 404);
    assert.equal((await get("/v1/networks/blue/map", token)).status, 403);
  } finally {
    await app.close();
    await control.close();
  }
});
