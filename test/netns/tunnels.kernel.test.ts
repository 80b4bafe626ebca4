// Who can put a frame into a network through the tunnel: packets that carry a whole frame of another tenant's network
// are sent in every possible way, from workloads and from a machine of the underlay that is not a member. A member's
// own packets show that they are well-formed; none of the others may arrive. The test prints how many it tried.
import assert from "node:assert/strict";
import { after, before, describe, type TestContext, test } from "node:test";
import { whyNoKernelTests } from "../runner/machine.ts";
import { BOTH_DATAPATHS, Cluster, must, OUTSIDE, until, type Workload } from "./lab/cluster.ts";
import * as frames from "./lab/frames.ts";
import { checksums, gathers, Interface, setChecksums } from "./lab/interface.ts";

type Station = Workload & { readonly wire: Interface };
/** Where a forged frame is to arrive: the tunnel that leads there, and the frame itself. */
type Target = { readonly what: string; readonly host: string; readonly vni: number; readonly inner: frames.Ends };
/** A way to send a datagram with something to carry from one end to another. */
type Way = readonly [what: string, make: (ends: frames.Ends, vni: number, inner: Buffer) => readonly Buffer[]];

const COPIES = 5;
/** A workload's broadcast goes to its own network on other hosts, in the tunnel of that, with what it carries. */
const IN_TWO_TUNNELS = 53 + 2 * 50;
const STRANGER = { fromMac: "02:00:00:00:00:99", from: "172.31.77.99" };
const TO_ALL = "172.31.77.255";
const NETWORKS = {
  ...BOTH_DATAPATHS,
  // No way out: its tunnel is the only one.
  closed: { ipam: "global", subnets: [{ cidr: "10.9.0.0/16" }], masquerade: false },
};

const plain: Way[1] = (ends, vni, inner) => [frames.vxlan(ends, vni, inner)];
const to = (address: string, mac?: string): Way[1] => {
  return (ends, vni, inner) => plain({ ...ends, to: address, toMac: mac ?? ends.toMac }, vni, inner);
};
const behind = (...tags: readonly (readonly [number, number])[]): Way[1] => {
  return (ends, vni, inner) => plain(ends, vni, inner).map((frame) => frames.tagged(frame, ...tags));
};
const under = (from: (ends: frames.Ends) => string, way: Way[1] = plain): Way[1] => {
  return (ends, vni, inner) => way({ ...ends, from: from(ends) }, vni, inner);
};
/** Hosts of this test are .11 and .12: from the other one's address, which is a member's. */
const member = ({ to: host }: frames.Ends) => (host.endsWith(".11") ? "172.31.77.12" : "172.31.77.11");

const TO_MANY: readonly Way[] = [
  ["broadcast of the subnet", to(TO_ALL, frames.BROADCAST)],
  ["broadcast of the subnet, to one MAC", to(TO_ALL)],
  ["limited broadcast", to("255.255.255.255", frames.BROADCAST)],
  ["limited broadcast, to one MAC", to("255.255.255.255")],
  ["multicast", to("224.0.0.1", "01:00:5e:00:00:01")],
  ["multicast, to one MAC", to("224.0.0.1")],
  ["one address, to all MACs", (ends, vni, inner) => plain({ ...ends, toMac: frames.BROADCAST }, vni, inner)],
];
const WAYS: readonly Way[] = [
  ["plain", plain],
  ["with an option", (ends, vni, inner) => plain(ends, vni, inner).map(frames.withOptions)],
  ["in small pieces", (ends, vni, inner) => plain(ends, vni, inner).flatMap((frame) => frames.inPieces(frame, 8))],
  ["last piece first", (ends, vni, inner) => plain(ends, vni, inner).flatMap((f) => frames.inPieces(f, 48).reverse())],
  ["tagged with priority only", behind([0x8100, 0])],
  ["tagged", behind([0x8100, 5])],
  ["tagged as a provider's", behind([0x88a8, 0])],
  ["tagged twice", behind([0x8100, 0], [0x8100, 0])],
  ["from the host's own address", under((ends) => ends.to)],
  ...TO_MANY,
];
const WAYS_INSIDE: readonly Way[] = [
  ...WAYS,
  // What answers it answers to the tunnel of its sender.
  ["from the tunnel's port", (ends, vni, inner) => [frames.vxlan(ends, vni, inner, { port: 7777, sourcePort: 4789 })]],
  ["from a member's address", under(member)],
  ["from a member's address, tagged", under(member, behind([0x8100, 0]))],
  ["from a member's address, to many", under(member, to(TO_ALL))],
  ["GRE", (ends, _, inner) => [frames.raw(ends, 47, inner.toString("latin1"))]],
];
const WAYS_UNDERLAY: readonly Way[] = [
  ...WAYS,
  ...TO_MANY.map(([what, way]): Way => [`${what}, from a member's address`, under(member, way)]),
];

describe("frames that are put into a tunnel", { skip: whyNoKernelTests() ?? false }, () => {
  const cluster = new Cluster(2);
  const stations = new Map<string, Station>();
  const wires: Interface[] = [];
  const hostMacs = new Map<string, string>();
  const of = (name: string) => stations.get(name) ?? assert.fail(`${name} is not attached`);
  const macOfHost = (host: string) => hostMacs.get(host) ?? assert.fail(host);
  let targets: readonly Target[] = [];
  let tags = 0;
  const newTag = () => `<tun${String(++tags).padStart(6, "0")}>`;
  /** By itself: a workload's broadcast takes what it carries through its own network, and it stays in there. */
  const hasArrived = (tag: string, { inner }: Target) => {
    const { length } = frames.udp(inner, 53, tag);
    return [...stations.values()].some(({ wire }) => wire.framesWith(tag).some((frame) => frame.length === length));
  };

  const put = async (path: string, spec: unknown) => {
    const { status, body } = await cluster.api("PUT", path, { spec });
    assert(status < 300, `${path}: ${JSON.stringify(body)}`);
  };
  const open = async (netns: string, dev: string) => {
    const wire = await Interface.in(netns, dev);
    wires.push(wire);
    return wire;
  };
  const gatewayOf = async (from: Station) => {
    await until("the way out", () => cluster.pings(from, OUTSIDE));
    const neighbours = await must("ip", "-n", from.netns, "-4", "neigh", "show");
    return /lladdr (\S+)/.exec(neighbours)?.[1] ?? assert.fail(neighbours);
  };
  const macOf = async (netns: string, dev: string) =>
    /link\/ether (\S+)/.exec(await must("ip", "-n", netns, "link", "show", dev))?.[1] ?? assert.fail(dev);
  const v4 = ({ addresses }: Workload) => addresses.find((text) => !text.includes(":")) ?? "";
  const targetOf = async (host: string, network: string): Promise<Target> => {
    const { mac, addresses } = of(`${network}-${host}`);
    const isRouted = network === "routed";
    const { vni } = (await cluster.api("GET", `/v1/${isRouted ? "vrfs" : "networks"}/${network}`)).body.spec;
    const toMac = isRouted ? await macOf(cluster.vrfNetns(host, network), `wx${vni}`) : mac;
    const ip = addresses[0] ?? "";
    const inner = { fromMac: STRANGER.fromMac, toMac, from: ip.replace(/\d+$/, "250"), to: ip };
    return { what: `${network} on ${host}`, host, vni, inner };
  };

  /** Tries every way to every target; gives those by which something arrived, and tells how many there were. */
  const trial = async (t: TestContext, wire: Interface, ways: readonly Way[], ends: (to: Target) => frames.Ends) => {
    const sent = targets.flatMap((target) => ways.map((way) => ({ target, way, tag: newTag() })));
    for (const { target, way, tag } of sent) {
      const list = way[1](ends(target), target.vni, frames.udp(target.inner, 53, tag));
      for (let copy = 0; copy < COPIES; copy++) for (const frame of list) wire.send(frame);
    }
    return () => {
      const arrived = sent.filter(({ tag, target }) => hasArrived(tag, target));
      t.diagnostic(`${sent.length * COPIES} frames tried, ${arrived.length} ways passed that must not`);
      return {
        tags: sent.map(({ tag }) => tag),
        arrived: arrived.map(({ way, target }) => `${way[0]}: ${target.what}`),
      };
    };
  };

  /** A member's own packet to each target: all that was sent before has been there. */
  const members = async () => {
    for (const target of targets) {
      const from = target.host === "h1" ? "h2" : "h1";
      const wire = await open(cluster.netnsOf(from), "eth0");
      const tag = newTag();
      const by = {
        fromMac: macOfHost(from),
        toMac: macOfHost(target.host),
        from: cluster.underlayOf(from),
        to: cluster.underlayOf(target.host),
      };
      await until(`what ${from} sends arrives in ${target.what}`, async () => {
        wire.send(frames.vxlan(by, target.vni, frames.udp(target.inner, 53, tag)));
        return hasArrived(tag, target);
      });
    }
  };

  before(async () => {
    await cluster.open();
    // With host access nothing else stands between workloads and hosts.
    for (const name of Object.keys(BOTH_DATAPATHS)) await put(`/v1/vrfs/${name}`, { hostAccess: true });
    for (const [name, spec] of Object.entries(NETWORKS)) await put(`/v1/networks/${name}`, spec);
    await cluster.converged();
    const places = cluster.hosts.flatMap((host) => Object.keys(NETWORKS).map((network) => [host, network] as const));
    for (const [host, network] of places) {
      const workload = await cluster.attach(host, network, `${network}-${host}`);
      stations.set(`${network}-${host}`, { ...workload, wire: await open(workload.netns, "eth0") });
    }
    await cluster.converged();
    for (const host of cluster.hosts) hostMacs.set(host, await macOf(cluster.netnsOf(host), "eth0"));
    targets = await Promise.all(places.map(([host, network]) => targetOf(host, network)));
  });
  after(async () => {
    for (const wire of wires) wire.close();
    await cluster.close();
  });

  test("a member's arrive", members);

  for (const network of ["switched", "routed"]) {
    test(`none from a workload of the ${network} network, here or elsewhere, and none leaves its host`, async (t) => {
      const from = of(`${network}-h1`);
      const toMac = await gatewayOf(from);
      const outside = await open(cluster.netnsOf("h1"), "eth0");
      const ends = (target: Target) => ({
        fromMac: from.mac,
        toMac,
        from: v4(from),
        to: cluster.underlayOf(target.host),
      });
      const told = await trial(t, from.wire, WAYS_INSIDE, ends);
      await until("what came later is outside", () => cluster.pings(from, OUTSIDE));
      await members();
      const { arrived, tags: sent } = told();
      assert.deepEqual(arrived, []);
      assert.deepEqual(
        sent.filter((tag) => outside.framesWith(tag).some(({ length }) => length < IN_TWO_TUNNELS)),
        [],
        "on the underlay",
      );
    });
  }

  /** Of what a workload sends to the other host, with the tunnel's port written last: where it arrives. */
  const arrivedBehindSums = async (from: Station): Promise<readonly string[]> => {
    const wire = await Interface.in(from.netns, "eth0", { isCutLater: true });
    wires.push(wire);
    const toMac = await gatewayOf(from);
    const sent = targets.filter(({ host }) => host === "h2").map((target) => ({ target, tag: newTag() }));
    for (const { target, tag } of sent) {
      const ends = { fromMac: from.mac, toMac, from: v4(from), to: cluster.underlayOf("h2") };
      const inner = frames.udp(target.inner, 53, tag);
      const frame = frames.vxlanBehindSum(ends, target.vni, inner);
      for (let copy = 0; copy < COPIES; copy++) wire.sendOpen(frame, 36);
    }
    await members();
    const there = [...stations.values()].filter(({ host }) => host === "h2");
    return sent.filter(({ tag }) => there.some((one) => one.wire.has(tag))).map(({ target }) => target.what);
  };

  test("none by a checksum that becomes the tunnel's port where it is written", async () => {
    const names = Object.keys(BOTH_DATAPATHS);
    const uplinks = names.map((name) => [cluster.vrfNetns("h1", name), "uplink"] as const);
    const tx = () => [...new Set(uplinks.map((uplink) => checksums(...uplink)))].join();
    const arrived = async () => {
      const lists = [];
      for (const name of names) lists.push(await arrivedBehindSums(of(`${name}-h1`)));
      return lists;
    };
    const gro = () => [...new Set(names.map((name) => gathers(cluster.netnsOf("h1"), `wu-${name}`)))].join();
    assert.deepEqual([tx(), gro()], ["off", "on"], "as they were made");
    // As a network card has it: the last that can write them.
    setChecksums(cluster.netnsOf("h1"), "eth0", "off");
    assert.deepEqual(await arrived(), [[], []]);
    // Without an agent somebody may undo it: what is sent is right, and would arrive.
    await cluster.kill("h1");
    for (const uplink of uplinks) setChecksums(...uplink, "on");
    const all = targets.filter(({ host }) => host === "h2").map(({ what }) => what);
    assert.deepEqual(await arrived(), [all, all]);
    await cluster.startAgent("h1");
    await until("it is set right", async () => tx() === "off");
    assert.deepEqual(await arrived(), [[], []]);
    for (const hostAccess of [false, true]) {
      for (const name of names) await put(`/v1/vrfs/${name}`, { hostAccess });
      await cluster.converged();
      assert.deepEqual([tx(), gro()], hostAccess ? ["off", "on"] : ["on", "off"]);
    }
    assert.deepEqual(await arrived(), [[], []]);
  });

  test("none from a machine of the underlay that is no member", async (t) => {
    const lan = await open(cluster.wire, "lan");
    const ends = ({ host }: Target) => ({ ...STRANGER, toMac: macOfHost(host), to: cluster.underlayOf(host) });
    const told = await trial(t, lan, WAYS_UNDERLAY, ends);
    await members();
    assert.deepEqual(told().arrived, []);
  });
});
