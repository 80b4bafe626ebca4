// Networks in the host's own namespace beside what others have there: a device with the name of a bridge, and filters
// that drop what is forwarded.
import assert from "node:assert/strict";
import { test } from "node:test";
import { HostNamespace } from "../../../../src/agent/reconcile/hostNamespace.ts";
import type { KernelObject } from "../../../../src/datapath/kinds.ts";
import { type KernelState, stateOf } from "../../../../src/datapath/state/state.ts";
import type { Clock } from "../../../../src/model/clock.ts";
import type { DeviceFacts } from "../../../../src/model/physical.ts";
import { type Snapshot, emptySnapshot } from "../../../../src/model/resource.ts";

const network = (name: string, spec: object = {}) => ({
  name,
  spec: { vrf: "host", subnets: [{ cidr: "10.7.0.0/16", gateway: "10.7.0.1" }], hosts: ["h1"], ...spec },
});
const snapshotWith = (...networks: readonly object[]) =>
  ({
    ...emptySnapshot("c"),
    vrfs: [{ name: "host", spec: { index: 0, vni: 4096, tunnelPort: 4789, vtepSubnets: [], placement: "host" } }],
    networks,
    hosts: ["h1", "h2"].map((name, i) => ({
      name,
      spec: {
        underlay: `192.0.2.${i + 1}`,
        underlayMtu: 1500,
        order: i + 1,
        devices: [{ name: "eth2", mtu: 1500, addresses: [`172.31.0.${i + 1}`] }],
      },
    })),
    endpoints: [
      {
        name: "a.eth0",
        spec: {
          host: "h1",
          network: "mgmt",
          owner: "a",
          ifname: "eth0",
          netns: "/run/netns/a",
          mac: "02:00:00:00:00:05",
          addresses: [],
        },
      },
    ],
  }) as unknown as Snapshot;
const bridge = { kind: "bridge", ns: "host", name: "br-mgmt", mtu: 1450, mac: "", alias: "" } as KernelObject;

const bridges: DeviceFacts[] = [];

type Answer = { readonly taken: readonly string[]; readonly differs: readonly string[] };

function open(links: string[], drops: string[] = [], seesFrames = false, answer: Answer = { taken: [], differs: [] }) {
  const wanted: string[][] = [];
  const asked: string[] = [];
  const time = { now: 0 };
  const counted = { lists: 0 };
  const heeded: string[][] = [];
  const kernel = {
    linkNames: () => {
      counted.lists++;
      return links;
    },
    otherVxlans: () => [],
    inherit: (objects: readonly KernelObject[]) => {
      wanted.push(objects.flatMap((object) => ("name" in object ? [object.name] : [])));
      return answer;
    },
    heed: (names: readonly string[]) => void heeded.push([...names]),
    devices: (names: readonly string[]) => bridges.filter(({ name }) => names.includes(name)),
    forwardFilters: (names: readonly string[]) => {
      asked.push(names.join());
      return { drops, seesFrames };
    },
  };
  const clock = { monotonicMs: () => time.now } as unknown as Clock;
  return { own: new HostNamespace({ host: "h1", kernel, clock }), asked, time, counted, heeded, wanted };
}

test("a network whose bridge is another program's device is left out, and comes when that is gone", () => {
  const links = ["lo", "br-mgmt", "wb-lab"];
  const { own, heeded } = open(links);
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
    /network mgmt is not on this host: its device would be br-mgmt, .* another program/,
  );
  assert.equal(own.buildable(snapshot, stateOf([bridge])), snapshot, "it is ours");
  assert.deepEqual(own.conditions, []);
  assert.deepEqual(heeded.at(-1), ["br-mgmt"], "it is noticed when the device goes");
  links.splice(1, 1);
  assert.equal(own.buildable(snapshot, new Map()), snapshot);
  const elsewhere = { ...snapshot, vrfs: [] };
  assert.equal(own.buildable(elsewhere, new Map()), elsewhere);
});

test("what a network may take over is asked of the kernel, and why it is not is told", () => {
  const links = ["lo", "br-mgmt", "encap-mgmt"];
  const answer = { taken: [] as string[], differs: ["encap-mgmt has VNI 5, not 7"] };
  const { own, wanted } = open(links, [], false, answer);
  const spec = { driver: "vxlan", ipam: "global", vni: 7, bridge: "br-mgmt", device: "encap-mgmt", subnets: [] };
  const snapshot = snapshotWith(
    network("mgmt", { ...spec, takeOver: true }),
    network("other", { ...spec, vni: 8, bridge: "lo", device: "encap8" }),
  );
  assert.equal(own.inherit(snapshot, new Map()), false);
  own.buildable(snapshot, new Map());
  assert.deepEqual(wanted.at(-1), ["br-mgmt", "encap-mgmt"]);
  assert.deepEqual(own.buildable(snapshot, new Map()).networks, []);
  assert.match(
    own.conditions.join(),
    /mgmt is not on this host: br-mgmt is another program's and not taken over: encap-mgmt has VNI 5, not 7/,
  );
  answer.taken = ["br-mgmt", "encap-mgmt"];
  assert.equal(own.inherit(snapshot, new Map()), true);
  const actual = stateOf([bridge]);
  const [kept] = own
    .withFormerMacs(
      stateOf([{ ...bridge, mac: "02:00:00:00:00:01", alias: "weft:network:mgmt" } as KernelObject]),
      stateOf([{ ...bridge, mac: "02:00:00:00:00:02" } as KernelObject]),
      snapshot,
    )
    .values();
  assert.equal(kept?.kind === "bridge" && kept.mac, "02:00:00:00:00:02", "others know the bridge by its MAC");
  assert.equal(own.inherit(snapshotWith(network("mgmt", spec)), actual), false, "without permission nothing is asked");
});

test("a round lists the host's links once, and again after something was taken over", () => {
  const answer = { taken: [] as string[], differs: ["br-mgmt filters VLANs"] };
  const { own, counted } = open(["lo", "br-mgmt"], [], false, answer);
  const spec = { driver: "vxlan", ipam: "global", vni: 7, bridge: "br-mgmt", subnets: [], takeOver: true };
  const snapshot = snapshotWith(network("mgmt", spec));
  const listsOfRound = (actual: KernelState) => {
    counted.lists = 0;
    const isDone = own.inherit(snapshot, actual);
    own.buildable(snapshot, actual);
    return [isDone, counted.lists];
  };
  assert.deepEqual(listsOfRound(new Map()), [false, 1], "another program's");
  assert.deepEqual(listsOfRound(stateOf([bridge])), [false, 1], "ours");
  answer.taken = ["br-mgmt"];
  assert.deepEqual(listsOfRound(new Map()), [true, 2], "the kernel was observed between");
  counted.lists = 0;
  own.buildable(snapshot, new Map());
  assert.equal(counted.lists, 1, "what an earlier round saw does not count");
});

test("nothing is taken over while filters would drop what other hosts send, but not for ever", () => {
  const answer = { taken: ["br-mgmt"], differs: [] };
  const { own, time, wanted } = open(["br-mgmt"], [], false, answer);
  const spec = { driver: "vxlan", ipam: "global", vni: 7, group: "239.0.0.7", underlayDevice: "eth2" };
  const snapshot = snapshotWith(
    network("mgmt", { ...spec, bridge: "br-mgmt", subnets: [], hosts: ["h1", "h2"], takeOver: true }),
  );
  const [h1, h2] = snapshot.hosts as [Snapshot["hosts"][number], Snapshot["hosts"][number]];
  const silent = { ...snapshot, hosts: [h1, { ...h2, spec: { ...h2.spec, devices: [] } }] };
  assert.equal(own.inherit(silent, new Map()), false);
  own.buildable(silent, new Map());
  assert.match(own.conditions.join(), /filters would drop what h2 sends, whose address towards a group is not known/);
  assert.equal(wanted.length, 0);
  time.now = 10_000;
  assert.equal(own.inherit(silent, new Map()), true);
  assert.equal(open(["br-mgmt"], [], false, answer).own.inherit(snapshot, new Map()), true);
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

test("a bridge of others is as this host has it now, whatever the server knows of it", () => {
  const { own } = open(["lo", "docker0"]);
  const facts: DeviceFacts = { name: "docker0", mtu: 1500, bridge: { forwardDelay: 15 } };
  const snapshot = {
    ...snapshotWith(network("plain", { driver: "bridge", bridge: "docker0" })),
    hosts: [{ name: "h1", spec: { devices: [{ name: "eth1", mtu: 9000 }, facts] } }],
  } as unknown as Snapshot;
  const devices = () => own.buildable(snapshot, new Map()).hosts[0]?.spec.devices?.map(({ name }) => name);
  assert.deepEqual(devices(), ["eth1"], "it is away");
  bridges.push(facts);
  assert.deepEqual(devices(), ["eth1", "docker0"]);
  assert.deepEqual(own.conditions, [], "no device of another program is in the way");
  // One of Weft's, for islands, is not another's.
  const island = snapshotWith(network("island", { driver: "bridge", parent: "lan", isolated: true }));
  const taken = open(["wbi-lan"]).own;
  assert.deepEqual(taken.buildable(island, new Map()).networks, []);
  assert.match(taken.conditions.join(), /its device would be wbi-lan/);
});
