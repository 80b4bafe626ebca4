// Networks in the host's own namespace beside what others have there: a device with the name of a bridge, and filters
// that drop what is forwarded.
import assert from "node:assert/strict";
import { test } from "node:test";
import { HostNamespace } from "../../../../src/agent/reconcile/hostNamespace.ts";
import type { KernelObject } from "../../../../src/datapath/kinds.ts";
import { stateOf } from "../../../../src/datapath/state/state.ts";
import type { Clock } from "../../../../src/model/clock.ts";
import { type Snapshot, emptySnapshot } from "../../../../src/model/resource.ts";

const network = (name: string, spec: object = {}) => ({
  name,
  spec: { vrf: "host", subnets: [{ cidr: "10.7.0.0/16", gateway: "10.7.0.1" }], hosts: ["h1"], ...spec },
});
const snapshotWith = (...networks: readonly object[]) =>
  ({
    ...emptySnapshot("c"),
    vrfs: [{ name: "host", spec: { placement: "host" } }],
    networks,
    endpoints: [{ name: "a.eth0", spec: { host: "h1", network: "mgmt" } }],
  }) as unknown as Snapshot;
const bridge = { kind: "bridge", ns: "host", name: "br-mgmt", mtu: 1450, mac: "", alias: "" } as KernelObject;

function open(links: string[], drops: string[] = [], seesFrames = false) {
  const asked: string[] = [];
  const time = { now: 0 };
  const kernel = {
    linkNames: () => links,
    forwardFilters: (bridges: readonly string[]) => {
      asked.push(bridges.join());
      return { drops, seesFrames };
    },
  };
  const clock = { monotonicMs: () => time.now } as unknown as Clock;
  return { own: new HostNamespace({ host: "h1", kernel, clock }), asked, time };
}

test("a network whose bridge is another program's device is left out, and comes when that is gone", () => {
  const links = ["lo", "br-mgmt", "wb-lab"];
  const { own } = open(links);
  const snapshot = snapshotWith(
    network("mgmt", { bridge: "br-mgmt" }),
    network("far", { hosts: ["h2"], bridge: "lo" }),
  );
  const left = own.buildable(snapshot, new Map());
  assert.deepEqual(
    [left.networks.map(({ name }) => name), left.endpoints],
    [["far"], []],
    "one that this host does not have is no matter",
  );
  assert.match(
    own.conditions.join(),
    /network mgmt is not on this host: its bridge would be br-mgmt, .* another program/,
  );
  assert.equal(own.buildable(snapshot, stateOf([bridge])), snapshot, "it is ours");
  assert.deepEqual(own.conditions, []);
  links.splice(1, 1);
  assert.equal(own.buildable(snapshot, new Map()), snapshot);
  const elsewhere = { ...snapshot, vrfs: [] };
  assert.equal(own.buildable(elsewhere, new Map()), elsewhere);
});

test("filters that drop what networks forward are told, and on one segment only where they see it", () => {
  const chain = "chain F of table ip filter";
  const snapshot = snapshotWith(
    network("lab"),
    network("island", { subnets: [{ cidr: "10.8.0.0/16", gateway: "none" }] }),
  );
  const { own, asked, time } = open([], [chain]);
  own.buildable(snapshot, new Map());
  assert.match(own.conditions.join(), /^chain F of table ip filter drops .* none names wb-lab: workloads there do not/);
  own.buildable(snapshot, new Map());
  assert.equal(asked.length, 1);
  time.now = 30_000;
  own.buildable(snapshot, new Map());
  assert.deepEqual(asked, ["wb-island,wb-lab", "wb-island,wb-lab"]);
  const frames = open([], [chain], true).own;
  frames.buildable(snapshot, new Map());
  assert.match(frames.conditions.join(), /wb-island, wb-lab: .* nor each other, because net\.bridge\.bridge-nf-call/);
  const island = open([], [chain]).own;
  island.buildable(snapshotWith(network("island", { subnets: [] })), new Map());
  assert.deepEqual(island.conditions, []);
});
