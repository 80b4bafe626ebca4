// Islands, with packets: networks that share a segment outside, by a bridge of Weft's on one host and the same on the
// other. Each reaches its own endpoints on both hosts, and nothing else on the segment.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { Cluster, must, run, until, type Workload } from "./lab/cluster.ts";
import * as frames from "./lab/frames.ts";
import { Interface } from "./lab/interface.ts";
import { Segment } from "./lab/segment.ts";
import { cliOf } from "./lab/weft.ts";

const cluster = new Cluster(2);
const { weft, refused } = cliOf(cluster);
const segment = new Segment(`${cluster.id}-switch`);
const MACHINE = `${cluster.id}-machine`;
const red: Workload[] = [];
const blue: Workload[] = [];
const wires: Interface[] = [];

const create = (name: string, subnet: string, ...words: readonly string[]) =>
  weft("network", "create", name, "--driver", "bridge", "--isolated", "--subnet", subnet, ...words);
const inHost = (host: string, ...words: readonly string[]) => must("ip", "-n", cluster.netnsOf(host), ...words);
const wire = async (netns: string, dev = "eth0") => {
  const opened = await Interface.in(netns, dev);
  wires.push(opened);
  return opened;
};
const first = ({ addresses }: Workload) => addresses[0] ?? "";

before(async () => {
  await cluster.open();
  await segment.open();
  await segment.machine(MACHINE, "10.20.0.200/24", "10.21.0.200/24");
  await weft("physical", "create", "lan");
  for (const host of cluster.hosts) {
    await segment.plug(cluster.netnsOf(host), "lan0", host);
    await weft("host", "set", host, "--physical", "lan=lan0");
  }
  await create("red", "10.20.0.0/24", "--subnet", "fd20::/64", "--parent", "lan");
  await create("blue", "10.21.0.0/24", "--subnet", "fd21::/64", "--parent", "lan");
  for (const [name, list] of [
    ["red", red],
    ["blue", blue],
  ] as const)
    for (const [i, host] of ["h1", "h1", "h2"].entries()) list.push(await cluster.attach(host, name, `${name}${i}`));
});
after(async () => {
  for (const one of wires) one.close();
  await cluster.close();
});

test("an island reaches its own endpoints on both hosts, in both families and at full size", async () => {
  for (const list of [red, blue]) {
    const [from, ...others] = list;
    assert.ok(from !== undefined);
    for (const { addresses } of others) for (const to of addresses) await cluster.reaches(from, to);
    const sized = ["ping", "-M", "do", "-c", "1", "-W", "1", "-s", String(1500 - 28), first(list[2] ?? from)];
    assert.equal((await run("ip", "netns", "exec", from.netns, ...sized)).code, 0, "a packet of full size");
  }
});

test("a broadcast reaches its own island once, and no other, on either host", async () => {
  const [from] = red;
  assert.ok(from !== undefined);
  const sent = await wire(from.netns);
  const own = await Promise.all(red.slice(1).map(({ netns }) => wire(netns)));
  const others = await Promise.all(blue.map(({ netns }) => wire(netns)));
  const ends = { fromMac: from.mac, toMac: frames.BROADCAST, from: first(from), to: "10.20.0.255" };
  sent.send(frames.udp(ends, 4000, "<many>"));
  await until("it is everywhere", async () => own.every((one) => one.has("<many>")));
  await cluster.reaches(from, first(red[2] ?? from));
  assert.deepEqual(
    own.map((one) => one.count("<many>")),
    [1, 1],
  );
  assert.deepEqual(
    others.map((one) => one.count("<many>")),
    [0, 0, 0],
  );
});

test("nothing comes in from the segment by a MAC that is not one of the island's own", async () => {
  const machine = await wire(MACHINE);
  const [target, , far] = red;
  const [stranger] = blue;
  assert.ok(target !== undefined && far !== undefined && stranger !== undefined);
  const at = await wire(target.netns);
  const mac = (await must("ip", "-n", MACHINE, "-br", "link", "show", "eth0")).split(/\s+/)[2] ?? "";
  const send = (from: Interface, fromMac: string, toMac: string, text: string) =>
    from.send(frames.udp({ fromMac, toMac, from: "10.20.0.200", to: first(target) }, 4000, text));
  for (const toMac of [target.mac, frames.BROADCAST]) {
    send(machine, mac, toMac, "<machine>");
    send(machine, "02:00:00:00:00:77", toMac, "<unknown>");
    send(machine, stranger.mac, toMac, "<stranger>");
  }
  // By the MAC of an endpoint on another host a frame is that endpoint's.
  send(machine, far.mac, target.mac, "<fence>");
  await until("the fence is there", async () => at.has("<fence>"));
  for (const text of ["<machine>", "<unknown>", "<stranger>"]) assert.equal(at.count(text), 0, text);
  assert.equal(await cluster.pings(target, "10.20.0.200"), false);
  for (const { addresses } of blue)
    for (const to of addresses) assert.equal(await cluster.pings(target, to, 1), false, to);
  await cluster.reaches(target, first(far));
});

test("no island reaches the host, nor does the segment by the bridge that islands share", async () => {
  const [from, , far] = red;
  assert.ok(from !== undefined && far !== undefined);
  await must("ip", "-n", from.netns, "route", "add", "172.31.77.11/32", "dev", "eth0");
  await must("ip", "-n", MACHINE, "route", "add", "172.31.77.0/24", "dev", "eth0");
  assert.equal(await cluster.pings(from, "172.31.77.11"), false);
  assert.equal(await cluster.pings(MACHINE, "172.31.77.11"), false);
  assert.doesNotMatch(await must("ip", "-n", MACHINE, "neigh", "show", "172.31.77.11"), /lladdr/);
  // Nor by frames to the shared bridge itself, or to all.
  const [at, sent, machine] = [
    await wire(cluster.netnsOf("h1"), "wbi-lan"),
    await wire(from.netns),
    await wire(MACHINE),
  ];
  const near = await wire(red[1]?.netns ?? "");
  const bridge = (await inHost("h1", "-br", "link", "show", "wbi-lan")).split(/\s+/)[2] ?? "";
  const ends = { fromMac: from.mac, toMac: frames.BROADCAST, from: first(from), to: "172.31.77.11" };
  sent.send(frames.udp(ends, 4000, "<all>"));
  for (const toMac of [bridge, frames.BROADCAST])
    machine.send(frames.udp({ ...ends, fromMac: far.mac, from: first(far), toMac }, 4000, "<outside>"));
  await until("both have passed", async () => near.has("<all>") && near.has("<outside>"));
  assert.deepEqual([at.count("<all>"), at.count("<outside>")], [0, 0]);
});

test("drift is repaired: the plug, the port of the segment, and the shared bridge", async () => {
  const [from, , far] = red;
  assert.ok(from !== undefined && far !== undefined);
  const harms = [
    ["link", "set", "wl-red", "nomaster"],
    ["link", "delete", "wj-red"],
    ["link", "set", "lan0", "nomaster"],
    ["link", "delete", "wbi-lan"],
  ];
  for (const harm of harms) {
    await inHost("h1", ...harm);
    await until(harm.join(" "), () => cluster.pings(from, first(far), 1));
  }
});

test("a MAC is of one island, and no plain network comes beside islands", async () => {
  const [, , far] = blue;
  await assert.rejects(
    cluster.attach("h1", "red", "twin", { mac: far?.mac }),
    /blue2\.eth0.* of network .*blue.* beside it has it/,
  );
  const plain = ["network", "create", "plain", "--driver", "bridge", "--parent", "lan", "--subnet", "10.22.0.0/24"];
  await refused(/belong to network\/(red|blue)/, ...plain);
  await refused(/either a parent or a bridge/, ...plain.slice(0, 5), "--isolated", "--subnet", "10.22.0.0/24");
  await refused(/cannot have gateway/, ...plain, "--isolated", "--gateway", "10.22.0.1");
});

test("one island goes and leaves the other; with the last the device is the host's own again", async () => {
  await weft("network", "delete", "red", "--force", "--yes", "--wait");
  const [from, , far] = blue;
  assert.ok(from !== undefined && far !== undefined);
  await cluster.reaches(from, first(far));
  await weft("network", "delete", "blue", "--force", "--yes", "--wait");
  for (const host of cluster.hosts) {
    const links = await inHost(host, "-d", "link");
    assert.doesNotMatch(links, /w[bjl]|bridge_slave|weft:/);
    assert.match(links, /lan0@/);
  }
});
