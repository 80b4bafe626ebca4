// Where a network is on this host, and how long that is remembered.
import assert from "node:assert/strict";
import { test } from "node:test";
import { type Snapshot, snapshotOf } from "../../../../src/model/resource.ts";
import { NetworkContexts } from "../../../../src/agent/endpoint/compile.ts";
import { hostNumber, make, vrf } from "../samples.ts";

const network = (name: string, more: object = {}) =>
  make("network", name, {
    driver: "vxlan",
    ipam: "local",
    vrf: "v",
    subnets: [{ cidr: "10.2.0.0/16", hostPrefix: 24 }],
    masquerade: false,
    enabled: true,
    ...more,
  });
const block = (of: string, host: string, cidr: string) => make("block", `${of}.${host}.4`, { network: of, host, cidr });
const HOST = hostNumber(1);
const VRF = vrf("v", 1);
const GROUND = [HOST, VRF, network("near"), block("near", "h2", "10.2.2.0/24"), block("near", "h1", "10.2.1.0/24")];
const snapshot = snapshotOf("c", 1, GROUND);

function placesOf(first: Snapshot | undefined) {
  const now = { snapshot: first };
  const places = new NetworkContexts({ current: () => now.snapshot }, "h1");
  return { now, places };
}

test("is what of its network and VRF is on this host: its own blocks, and no other's", () => {
  const { places } = placesOf(snapshot);
  const place = places.of("near");
  assert.deepEqual(
    [place.network.name, place.segmentOwner.name, place.vrf.name, place.world.self.name],
    ["near", "near", "v", "h1"],
  );
  assert.deepEqual(
    place.segments.map(({ bridge, gateways }) => [bridge, gateways]),
    [["wb-near", ["10.2.1.1/24"]]],
  );
  assert.equal(place.mtu, 1450);
});

test("a reservation is in the segment of what it is from", () => {
  const whole = network("wide", { ipam: "global", vni: 77, subnets: [{ cidr: "10.6.0.0/24", gateway: "10.6.0.1" }] });
  const part = network("part", { ipam: "global", reservedFrom: "wide", subnets: [{ cidr: "10.6.0.0/28" }] });
  const seen = snapshotOf("c", 1, [...GROUND, whole, part]);
  const { places } = placesOf(seen);
  const [of, segmentOwner] = ["part", "wide"].map((name) => places.of(name));
  assert.equal(of?.network.name, "part");
  assert.equal(of.segmentOwner.name, "wide");
  assert.deepEqual(of.segments, segmentOwner?.segments);
});

test("it is made once, while nothing but this host's endpoints changes, and anew when anything else does", () => {
  const { now, places } = placesOf(snapshot);
  const first = places.of("near");
  assert.equal(places.of("near"), first);
  const own = make("endpoint", "a.eth0", {
    network: "near",
    host: "h1",
    owner: "a",
    ifname: "eth0",
    netns: "/a",
    mac: "",
    addresses: [],
  });
  now.snapshot = { ...snapshot, revision: 2, endpoints: [own as Snapshot["endpoints"][number]] };
  assert.equal(places.of("near"), first);
  assert.equal(places.of("near"), first);
  now.snapshot = { ...now.snapshot, blocks: snapshotOf("c", 1, [block("near", "h1", "10.2.9.0/24")]).blocks };
  assert.deepEqual(places.of("near").segments[0]?.gateways, ["10.2.9.1/24"]);
  // One that is given counts, whatever the agent's is.
  assert.deepEqual(places.of("near", snapshot).segments[0]?.gateways, ["10.2.1.1/24"]);
  now.snapshot = undefined;
  assert.deepEqual(places.of("near", snapshot).segments[0]?.gateways, ["10.2.1.1/24"]);
});

test("refusals: no snapshot, a host that is none, a network that is none, or shares its device", () => {
  assert.throws(() => placesOf(undefined).places.of("near"), { reason: "not-synced" });
  assert.throws(() => placesOf({ ...snapshot, hosts: [] }).places.of("near"), { reason: "host-unknown" });
  assert.throws(() => placesOf(snapshot).places.of("other"), { reason: "network-unknown" });
  assert.throws(() => placesOf({ ...snapshot, vrfs: [] }).places.of("near"), /unknown VRF v/);
  // Two pairs of a slice's bridge and a network's name that make one device.
  const sliced = (name: string, bridge: string) => network(name, { slices: [{ name: "s", bridge }] });
  const both = snapshotOf("c", 1, [HOST, VRF, sliced("b-c", "a"), sliced("c", "a-b")]);
  const { places } = placesOf(both);
  const refused = both.networks.filter(({ name }) => {
    try {
      places.of(name);
      return false;
    } catch (error) {
      assert.equal((error as { reason?: string }).reason, "name-taken");
      return true;
    }
  });
  assert.deepEqual(
    refused.map(({ name }) => name),
    ["c"],
    "the other has it",
  );
});
