// The address book: order, blocks and VRFs of leases.
import assert from "node:assert/strict";
import { test } from "node:test";
import { snapshotOf, type Resource } from "../../../../src/model/resource.ts";
import { leasesOf } from "../../../../src/cli/address/lease.ts";

const META = { uid: "u", revision: 1 } as const;

function network(name: string, vrf: string): Resource {
  return {
    kind: "network",
    name,
    ...META,
    spec: { driver: "vxlan", ipam: "local", vrf, subnets: [{ cidr: "10.0.0.0/8" }], masquerade: true, enabled: true },
  };
}
function endpoint(owner: string, net: string, host: string, addresses: readonly string[]): Resource {
  const spec = {
    network: net,
    host,
    owner,
    ifname: "eth0",
    netns: `/run/netns/${owner}`,
    mac: "02:00:0a:00:00:01",
    addresses,
  };
  return { kind: "endpoint", name: `${owner}.eth0`, ...META, spec };
}
function block(net: string, host: string, cidr: string): Resource {
  return { kind: "block", name: `${net}.${host}.4`, ...META, spec: { network: net, host, cidr } };
}

test("addresses come in order of their numbers, each with the block it is from", () => {
  const snapshot = snapshotOf("c", 9, [
    endpoint("web2", "blue", "h1", ["10.1.0.10", "fd00::1"]),
    endpoint("web1", "blue", "h1", ["10.1.0.9"]),
    endpoint("lone", "amber", "h2", ["10.2.0.1"]),
    network("blue", "red"),
    network("amber", "amber"),
    block("blue", "h1", "10.1.0.0/24"),
    block("blue", "h2", "10.1.1.0/24"),
  ]);
  assert.deepEqual(
    leasesOf(snapshot).map(({ address, owner, vrf, block: from }) => [address, owner, vrf, from]),
    [
      ["10.2.0.1", "lone", "amber", undefined],
      ["10.1.0.9", "web1", "red", "10.1.0.0/24"],
      ["10.1.0.10", "web2", "red", "10.1.0.0/24"],
      ["fd00::1", "web2", "red", undefined],
    ],
  );
});
