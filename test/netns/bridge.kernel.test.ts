// A plain bridge with a device of the host's as its port, with packets: two hosts and a machine without an agent are
// plugged into one switch. Endpoints reach each other and the machine; what it may reach of them their groups say, and
// it is nobody of this host. The device is the host's again when the network goes.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { Cluster, must, run, until, type Workload } from "./lab/cluster.ts";
import * as frames from "./lab/frames.ts";
import { Interface } from "./lab/interface.ts";
import { Segment } from "./lab/segment.ts";
import { dial, Listener } from "./lab/tcp.ts";
import { cliOf } from "./lab/weft.ts";

const cluster = new Cluster(2);
const { weft, refused } = cliOf(cluster);
const segment = new Segment(`${cluster.id}-switch`);
const MACHINE = `${cluster.id}-machine`;
const SUBNETS = ["--subnet", "10.20.0.0/24", "--subnet", "fd20::/64"];
const LEFT = "10.20.0.200";
const listeners: Listener[] = [];
let a: Workload;
let b: Workload;
let c: Workload;

const inHost = (host: string, ...words: readonly string[]) => must("ip", "-n", cluster.netnsOf(host), ...words);

before(async () => {
  await cluster.open();
  await segment.open();
  await segment.machine(MACHINE, `${LEFT}/24`, "fd20::200/64");
  await segment.plug(cluster.netnsOf("h1"), "lan0", "h1");
  await weft("physical", "create", "lan");
  await weft("host", "set", "h1", "--physical", "lan=lan0");
  await weft("host", "set", "h2", "--physical", "lan=lan7");
});
after(async () => {
  for (const listener of listeners) listener.close();
  await cluster.close();
});

test("a device that the host uses itself is refused with what it would lose", async () => {
  await weft("host", "set", "h2", "--physical", "lan=eth0");
  await until("the agent tells of eth0", async () =>
    (await weft("physical", "show", "lan")).includes("the host's own: 172.31.77.12"),
  );
  const create = ["network", "create", "office", "--driver", "bridge", "--parent", "lan", ...SUBNETS];
  await refused(/as a port of a bridge eth0 would lose 172\.31\.77\.12, the default route/, ...create);
  await weft("host", "set", "h2", "--physical", "lan=lan7");
  await until("the agent has lan7 instead", async () => (await weft("physical", "show", "lan")).includes("missing"));
  await weft(...create);
  await refused(/belong to network\/office/, ...create.map((word) => (word === "office" ? "other" : word)));
});

test("endpoints of two hosts reach each other and the machine; a device that comes later is taken then", async () => {
  a = await cluster.attach("h1", "office", "a");
  b = await cluster.attach("h1", "office", "b");
  await cluster.reaches(a, LEFT, 3);
  c = await cluster.attach("h2", "office", "c");
  assert.match(await weft("status"), /network "office" has no way out of host "h2": there is no device lan7/);
  assert.equal(await cluster.pings(c, LEFT), false);
  await segment.plug(cluster.netnsOf("h2"), "lan7", "h2");
  for (const to of [LEFT, "fd20::200", ...a.addresses, ...b.addresses]) await cluster.reaches(c, to, 3);
  await until("the way out is told", async () => !(await weft("status")).includes("no way out"));
  listeners.push(await Listener.in(c.netns, 80, "served"));
  await until("TCP across", async () => (await dial(a.netns, c.addresses[0] ?? "", 80)) !== "");
  const sized = (to: string) =>
    run("ip", "netns", "exec", a.netns, "ping", "-M", "do", "-c", "1", "-W", "1", "-s", String(1500 - 28), to);
  assert.equal((await sized(LEFT)).code, 0, "a packet of full size");
});

test("a machine outside reaches of an endpoint with a group what a rule allows", async () => {
  listeners.push(await Listener.in(a.netns, 80, "served"), await Listener.in(a.netns, 81, "served"));
  const answers = async (port: number) => (await dial(MACHINE, a.addresses[0] ?? "", port)) !== "";
  assert.ok(await answers(81));
  await weft("sg", "create", "web", "--allow", `in:tcp:80:from=${LEFT}`);
  await weft("endpoint", "set", "a.eth0", "--sg", "web", "--wait");
  assert.ok(await answers(80));
  assert.equal(await answers(81), false);
  assert.equal(await cluster.pings(MACHINE, a.addresses[0] ?? ""), false);
});

test("nothing comes from outside with an address or a MAC of an endpoint of the host", async () => {
  const taken = b.addresses[0] ?? "";
  const machine = (...words: readonly string[]) => must("ip", "-n", MACHINE, ...words);
  const seen = async () =>
    must("ip", "netns", "exec", cluster.netnsOf("h1"), "nft", "list", "set", "bridge", "weft", "drops");
  assert.doesNotMatch(await seen(), /"lan0" \. 0x00000010/);
  await machine("address", "add", `${taken}/32`, "dev", "eth0");
  await run(
    "ip",
    "netns",
    "exec",
    MACHINE,
    "ping",
    "-c",
    "2",
    "-i",
    "0.1",
    "-W",
    "1",
    "-I",
    taken,
    a.addresses[0] ?? "",
  );
  assert.match(await seen(), /"lan0" \. 0x00000010/);
  await machine("address", "del", `${taken}/32`, "dev", "eth0");
  const mac = (await must("ip", "-n", MACHINE, "-br", "link", "show", "eth0")).split(/\s+/)[2] ?? "";
  await machine("link", "set", "eth0", "address", b.mac);
  assert.equal(await cluster.pings(MACHINE, c.addresses[0] ?? "", 1), true, "on another host it is anybody's");
  assert.equal(await cluster.pings(MACHINE, b.addresses[0] ?? "", 1), false);
  await cluster.reaches(b, c.addresses[0] ?? "", 1);
  await machine("link", "set", "eth0", "address", mac);
  await must("ip", "-n", MACHINE, "neigh", "flush", "all");
  await cluster.reaches(b, LEFT, 2);
});

test("a workload sends nothing out that is not its own", async () => {
  await must("ip", "-n", b.netns, "address", "add", "10.20.0.77/32", "dev", "eth0");
  await must("ip", "-n", MACHINE, "route", "add", "10.20.0.77/32", "dev", "eth0");
  const forged = await run("ip", "netns", "exec", b.netns, "ping", "-c", "1", "-W", "1", "-I", "10.20.0.77", LEFT);
  assert.notEqual(forged.code, 0);
});

test("frames of other VLANs of the physical network do not come in, unless the network has tags", async () => {
  const [outside, inside] = [await Interface.in(MACHINE, "eth0"), await Interface.in(b.netns, "eth0")];
  const kinds = { service: [0x88a8, 100], vlan: [0x8100, 100], priority: [0x8100, 0x6000] } as const;
  const comingTo = async (toMac: string) => {
    inside.forget();
    const ends = { fromMac: "02:00:00:00:00:99", toMac, from: LEFT, to: b.addresses[0] ?? "" };
    for (const [name, tag] of Object.entries(kinds)) outside.send(frames.tagged(frames.udp(ends, 9, `${name};`), tag));
    outside.send(frames.udp(ends, 9, "plain;"));
    await until("the last frame comes", async () => inside.has("plain;"));
    return Object.keys(kinds).filter((name) => inside.has(`${name};`));
  };
  try {
    for (const to of [b.mac, frames.BROADCAST]) assert.deepEqual(await comingTo(to), ["priority"], to);
    await weft("network", "edit", "office", "--spoofing", "tags", "--wait");
    assert.deepEqual(await comingTo(b.mac), Object.keys(kinds));
    await weft("network", "edit", "office", "--spoofing", "none", "--wait");
  } finally {
    outside.close();
    inside.close();
  }
});

test("a device that somebody takes out of the bridge is put back; its owner's other settings stay", async () => {
  await inHost("h1", "link", "set", "lan0", "nomaster");
  await cluster.reaches(b, LEFT, 2);
  await inHost("h1", "link", "set", "lan0", "type", "bridge_slave", "flood", "off");
  await until("flooding is on again", async () => / flood on /.test(await inHost("h1", "-d", "link", "show", "lan0")));
});

test("when the network goes, the device is the host's again and nothing is left", async () => {
  await weft("network", "delete", "office", "--force", "--yes", "--wait");
  for (const host of ["h1", "h2"]) {
    const links = await inHost(host, "-d", "link");
    assert.doesNotMatch(links, /wb-office|bridge_slave|weft:/);
    assert.match(links, host === "h1" ? /lan0@/ : /lan7@/);
  }
});

test("without filters a workload has any MAC and address, and answers DHCP: HyperCX's plain bridge", async () => {
  const allowed = ["mac", "dhcp-server", "router-advertisements", "broadcasts", "tags"];
  const words = ["--driver", "bridge", "--parent", "lan", "--subnet", "10.20.0.0/24"];
  await weft("network", "create", "raw", ...words, ...allowed.flatMap((word) => ["--spoofing", word]));
  const raw = await cluster.attach("h1", "raw", "raw");
  await cluster.reaches(raw, LEFT);
  const inside = (...args: readonly string[]) => must("ip", "-n", raw.netns, ...args);
  await inside("link", "set", "eth0", "address", "02:00:00:00:00:99");
  await inside("address", "add", "10.20.0.99/24", "dev", "eth0");
  await until("another MAC and address", () => cluster.pings(MACHINE, "10.20.0.99", 1), 10_000);
  const [from, at] = [await Interface.in(raw.netns, "eth0"), await Interface.in(MACHINE, "eth0")];
  try {
    const ends = { fromMac: "02:00:00:00:00:99", toMac: frames.BROADCAST, from: "10.20.0.99", to: "255.255.255.255" };
    from.send(frames.udp(ends, 68, "<offer>", 67));
    await until("an answer of DHCP", async () => at.has("<offer>"));
  } finally {
    from.close();
    at.close();
  }
  await weft("network", "delete", "raw", "--force", "--yes", "--wait");
  assert.doesNotMatch(await inHost("h1", "-d", "link"), /wb-raw|bridge_slave|weft:/);
  await weft("physical", "delete", "lan");
});
