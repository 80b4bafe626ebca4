// A bridge that hosts have already, with packets: networks are plugged into it, and it stays as its owner set it. It
// comes and goes; while it is away, or set otherwise than the network needs, endpoints of a host have each other.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { Cluster, type Json, must, run, until, type Workload } from "./lab/cluster.ts";
import * as frames from "./lab/frames.ts";
import { Interface } from "./lab/interface.ts";
import { Segment } from "./lab/segment.ts";
import { cliOf } from "./lab/weft.ts";

const cluster = new Cluster(2);
const { weft, refused } = cliOf(cluster);
const segment = new Segment(`${cluster.id}-switch`);
const MACHINE = `${cluster.id}-machine`;
const OUT = "10.20.0.200";
const GATEWAY = "10.20.0.1";
/** Of h2's bridge its owner set no MAC: it has its port's, which is higher than what Weft gives its own bridges. */
const MACS = { h1: "02:11:22:33:44:01", h2: "52:11:22:33:44:02" };
const CREATE = ["network", "create", "office", "--driver", "bridge", "--subnet", "10.20.0.0/24", "--gateway", GATEWAY];
let a: Workload;
let b: Workload;
let c: Workload;

const inHost = (host: string, ...words: readonly string[]) => must("ip", "-n", cluster.netnsOf(host), ...words);

/** As its owner makes it. */
async function makeBridge(host: string, ...more: readonly string[]): Promise<void> {
  const own = host === "h1" ? [["address", "add", `${GATEWAY}/24`, "dev", "br0"]] : [];
  const mac = MACS[host as keyof typeof MACS];
  const set = host === "h1" ? ["address", mac] : [];
  for (const words of [
    ["link", "add", "br0", ...set, "type", "bridge", "ageing_time", "20000", "mcast_snooping", "1", ...more],
    ["link", "set", "lan0", "address", host === "h1" ? "52:11:22:33:44:01" : mac],
    ["link", "set", "lan0", "master", "br0"],
    ["link", "set", "br0", "up"],
    ...own,
  ])
    await inHost(host, ...words);
}

/** Its settings, without what the kernel counts and times by itself, and its ports. */
async function settings(host: string): Promise<Json> {
  const [link] = JSON.parse(await inHost(host, "-d", "-j", "link", "show", "br0")) as Json;
  const { mtu, address, linkinfo, ifalias } = link;
  const data = Object.entries(linkinfo.info_data as object).filter(([key]) => !/timer|root|topology/.test(key));
  return { mtu, address, ifalias, data: Object.fromEntries(data) };
}

before(async () => {
  await cluster.open();
  await segment.open();
  await segment.machine(MACHINE, `${OUT}/24`);
  for (const host of cluster.hosts) {
    await segment.plug(cluster.netnsOf(host), "lan0", host);
    await makeBridge(host);
  }
});
after(() => cluster.close());

test("endpoints reach each other, machines outside and the host itself, and the bridge stays as it is", async () => {
  const asMade = await Promise.all(cluster.hosts.map(settings));
  const macs = asMade.map(({ address }) => address);
  assert.deepEqual(macs, Object.values(MACS));
  await weft(...CREATE, "--bridge", "br0");
  a = await cluster.attach("h1", "office", "a");
  b = await cluster.attach("h1", "office", "b");
  c = await cluster.attach("h2", "office", "c");
  for (const to of [GATEWAY, OUT, ...b.addresses, ...c.addresses]) await cluster.reaches(a, to);
  await cluster.reaches(c, OUT);
  const sized = ["ping", "-M", "do", "-c", "1", "-W", "1", "-s", String(1500 - 28), OUT];
  assert.equal((await run("ip", "netns", "exec", a.netns, ...sized)).code, 0, "a packet of full size");
  assert.deepEqual(await Promise.all(cluster.hosts.map(settings)), asMade);
  assert.match(await weft("network", "show", "office"), /Bridge: +br0, which hosts have already/);
  await until("the server has heard of it", async () => !(await weft("status")).includes("no way out"));
});

test("what its settings contradict is refused, and so is a second network on it", async () => {
  await refused(/does not run the spanning tree/, "network", "edit", "office", "--stp");
  await refused(/forward delay of 15 seconds.* asks for 4/, "network", "edit", "office", "--forward-delay", "4");
  await refused(/does not fit through the bridge br0/, "network", "edit", "office", "--mtu", "9000");
  const other = CREATE.map((word) => word.replace("office", "other").replace("10.20", "10.21"));
  await refused(/bridge br0 has network "office"/, ...other, "--bridge", "br0");
  await weft("physical", "create", "lan");
  await weft("host", "set", "h1", "--physical", "lan=lan0");
  await until("the agent tells of lan0", async () => (await weft("physical", "show", "lan")).includes("a port of br0"));
  await refused(/lan0 of host "h1" is a port of br0/, ...other, "--parent", "lan");
  await weft("host", "set", "h1", "--physical", "lan=br0");
  await until("the agent tells of br0", async () => (await weft("physical", "show", "lan")).includes("MTU 1500"));
  await refused(/br0 of host "h1" is a bridge: driver bridge takes it with --bridge br0/, ...other, "--parent", "lan");
  await weft("host", "set", "h1", "--physical", "none");
});

test("a workload sends no tunnel's packets to the host, which may hide it behind its own address", async () => {
  // With br_netfilter the host's own table would see them on the way.
  await run("ip", "netns", "exec", cluster.netnsOf("h1"), "sysctl", "-w", "net.bridge.bridge-nf-call-iptables=0");
  const [at, from] = [await Interface.in(cluster.netnsOf("h1"), "br0"), await Interface.in(a.netns, "eth0")];
  try {
    const ends = { fromMac: a.mac, toMac: MACS.h1, from: a.addresses[0] ?? "", to: GATEWAY };
    from.send(frames.packet(ends, 47, Buffer.from("\0\0\b\0<tunnel>")));
    from.send(frames.udp(ends, 4000, "<fence>"));
    await until("the fence is there", async () => at.has("<fence>"));
    assert.equal(at.count("<tunnel>"), 0);
  } finally {
    at.close();
    from.close();
  }
});

test("set otherwise than the network needs it is left, told of, and taken again", async () => {
  await weft("network", "edit", "office", "--forward-delay", "15");
  await inHost("h1", "link", "delete", "br0");
  await makeBridge("h1", "forward_delay", "400");
  await until("it is told", async () => /br0 of host "h1" has a forward delay of 4 seconds/.test(await weft("status")));
  assert.doesNotMatch(await inHost("h1", "link"), /wk-office/);
  await cluster.reaches(a, b.addresses[0] ?? "");
  assert.equal(await cluster.pings(a, OUT), false);
  await assert.rejects(cluster.attach("h1", "office", "d"), /has a forward delay of 4 seconds/);
});

test("while it is away endpoints of the host have each other, and nothing else", async () => {
  await inHost("h1", "link", "delete", "br0");
  await until("it is told", async () => /no way out of host "h1": there is no bridge br0/.test(await weft("status")));
  await cluster.reaches(a, b.addresses[0] ?? "");
  await must("ip", "-n", a.netns, "route", "add", "172.31.77.11/32", "dev", "eth0");
  assert.equal(await cluster.pings(a, "172.31.77.11"), false);
  await makeBridge("h1");
  await cluster.reaches(a, OUT);
  await cluster.reaches(a, c.addresses[0] ?? "");
  await inHost("h1", "link", "set", "wk-office", "nomaster");
  await cluster.reaches(a, OUT);
});

test("when the network goes, the bridge and all that others have on it stay", async () => {
  const asMade = await Promise.all(cluster.hosts.map(settings));
  await weft("network", "delete", "office", "--force", "--yes", "--wait");
  assert.deepEqual(await Promise.all(cluster.hosts.map(settings)), asMade);
  for (const host of cluster.hosts) {
    const links = await inHost(host, "-d", "link");
    assert.doesNotMatch(links, /w[bjkl]-|weft:/);
    assert.match(links, /lan0@.* master br0 /);
  }
});
