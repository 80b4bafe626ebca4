// What a host says of its devices when it joins, by what it knows of networks.
import assert from "node:assert/strict";
import { test } from "node:test";
import { Underlay } from "../../../src/agent/server/join.ts";
import { FakeKernel } from "../../../src/kernel/fake.ts";
import { claimOf } from "../../../src/main/claim.ts";
import { type Network, snapshotOf } from "../../../src/model/resource.ts";

const network = (name: string, underlayDevice: string): Network => ({
  kind: "network",
  name,
  uid: name,
  revision: 1,
  spec: { driver: "vxlan", ipam: "global", vrf: name, subnets: [], masquerade: false, enabled: true, underlayDevice },
});

test("before it knows today's networks, a host says that there may be more devices to tell of", async () => {
  const devices = ["eth1", "eth2"].map((name) => ({ name, mtu: 1500 }));
  const kernel = new FakeKernel({ addresses: new Map([["192.0.2.1", 1500]]), devices });
  const known = { networks: [network("red", "eth1")], isSynced: false };
  const mirror = {
    snapshot: () => snapshotOf("c", 1, known.networks),
    get isSynced() {
      return known.isSynced;
    },
  };
  const underlay = new Underlay({ kernel, address: "192.0.2.1" });
  const claim = claimOf({ kernel, host: "h1", underlay, mirror, servers: () => [] }, {});
  const told = async () => {
    const { devices: its, moreDevices } = await claim();
    return [its?.map(({ name }) => name), moreDevices];
  };
  assert.deepEqual(await told(), [["eth1"], true]);
  Object.assign(known, { networks: [network("red", "eth2"), network("blue", "eth3")], isSynced: true });
  assert.deepEqual(await told(), [["eth2"], undefined]);
  Object.assign(known, { networks: [] });
  assert.deepEqual(await told(), [undefined, undefined]);
});
