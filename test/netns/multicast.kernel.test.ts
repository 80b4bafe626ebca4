// Networks whose broadcasts cross by a multicast group: on the underlay's device, and on a second one as in Rackspace's
// recipe, together with a machine that has no agent. A bridge is the switch of each underlay, and filters of that
// bridge play a switch that does not deliver.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { whyNoKernelTests } from "../runner/machine.ts";
import { Cluster, must, packetsAt, run, until, type Json, type Workload } from "./lab/cluster.ts";
import * as frames from "./lab/frames.ts";
import { Interface } from "./lab/interface.ts";
import { dial, Listener } from "./lab/tcp.ts";
import { addSecond } from "./lab/second.ts";

const LAN = "lan2";
const NETWORKS = {
  lan: { ipam: "global", peers: "multicast", subnets: [{ cidr: "10.7.0.0/16" }, { cidr: "fd07::/64" }] },
  mgmt: {
    ipam: "global",
    peers: "multicast",
    group: "239.0.0.236",
    vni: 236,
    ttl: 5,
    underlayDevice: "eth2",
    masquerade: false,
    subnets: [{ cidr: "172.29.236.0/22", gateway: "none" }],
  },
};
/** A machine on the second underlay that has no agent, with the recipe's devices. */
const OLD = { underlay: "172.31.78.99", address: "172.29.239.99" };

describe("networks with multicast peers", { skip: whyNoKernelTests() ?? false }, () => {
  const cluster = new Cluster(3);
  const old = `${cluster.id}-old`;
  const stations = new Map<string, Workload>();
  const listeners: Listener[] = [];
  const of = (name: string) => stations.get(name) ?? assert.fail(name);
  const v4 = ({ addresses }: Workload) => addresses.find((text) => !text.includes(":")) ?? "";
  const second = (host: string) => cluster.underlayOf(host).replace(".77.", ".78.");
  const put = async (name: keyof typeof NETWORKS, more: object = {}) => {
    const { status, body } = await cluster.api("PUT", `/v1/networks/${name}`, { spec: { ...NETWORKS[name], ...more } });
    assert(status < 300, JSON.stringify(body));
    return body;
  };
  const groups = async (): Promise<Json> => (await cluster.api("GET", "/v1/status")).body.groups ?? [];
  const delivered = (network: string, proven: number) =>
    until(`the group of ${network} is delivered between ${proven} of 3 pairs`, async () => {
      const seen = (await groups()).find((one: Json) => one.network === network);
      return seen?.pairs === 3 && seen.proven === proven && seen.unproven.length === 3 - proven ? seen : undefined;
    });
  const conditions = async (): Promise<Json[]> => (await cluster.api("GET", "/v1/status")).body.conditions;
  const wx = async (host: string, vrf: string, name: string): Promise<Json> => {
    const { stdout } = await run("ip", "-n", cluster.vrfNetns(host, vrf), "-d", "-j", "link", "show", name);
    return stdout === "" ? undefined : JSON.parse(stdout)[0];
  };
  const isIn = async (host: string, dev: string, group: string) =>
    (await run("ip", "-n", cluster.netnsOf(host), "maddr", "show", "dev", dev)).stdout.includes(` ${group}\n`);
  /** Its port on the second underlay, and the device. */
  const addSecondTo = (netns: string, port: string, address: string) =>
    addSecond(cluster.wire, { netns, port, lan: LAN }, address);
  const everyPair = async (network: string) => {
    for (const a of cluster.hosts)
      for (const b of cluster.hosts)
        if (a !== b) for (const to of of(`${network}-${b}`).addresses) await cluster.reaches(of(`${network}-${a}`), to);
  };

  before(async () => {
    await cluster.open();
    await must("ip", "-n", cluster.wire, "link", "add", LAN, "type", "bridge");
    await must("ip", "-n", cluster.wire, "link", "set", LAN, "up");
    for (const host of cluster.hosts) await addSecondTo(cluster.netnsOf(host), `s${host}`, second(host));
    await put("lan");
    await put("mgmt");
    await cluster.converged();
    const names = Object.keys(NETWORKS).flatMap((network) => cluster.hosts.map((host) => [network, host] as const));
    const attach = async ([network, host]: (typeof names)[number]) =>
      stations.set(`${network}-${host}`, await cluster.attach(host, network, `${network}-${host}`));
    await Promise.all(names.map(attach));
    await cluster.converged();
  });
  after(async () => {
    for (const listener of listeners) listener.close();
    await cluster.close();
  });

  test("workloads reach each other over all hosts, in both families, with full-size packets and TCP", async () => {
    for (const network of Object.keys(NETWORKS)) await everyPair(network);
    for (const network of Object.keys(NETWORKS)) {
      const [from, to] = [of(`${network}-h1`), of(`${network}-h2`)];
      const sized = await run("ip", "netns", "exec", from.netns, "ping", "-nqc1", "-W1", "-Mdo", "-s1422", v4(to));
      assert.equal(sized.code, 0, sized.stdout);
      const text = "x".repeat(100_000);
      listeners.push(await Listener.in(to.netns, 5000, text));
      for (const address of to.addresses) assert((await dial(from.netns, address, 5000)).startsWith(text), address);
    }
    assert.equal(await cluster.pings(of("lan-h1"), v4(of("mgmt-h2"))), false, "another network");
  });

  test("the devices are the recipe's, and the hosts are in the groups", async () => {
    const { info_data: data } = (await wx("h1", "mgmt", "wx236")).linkinfo;
    const { id, group, ttl, port, learning, limit, local } = data;
    assert.deepEqual(
      { id, group, ttl, port, learning, limit, local },
      { id: 236, group: "239.0.0.236", ttl: 5, port: 4789, learning: true, limit: 65_536, local: second("h1") },
    );
    const { spec } = (await cluster.api("GET", "/v1/networks/lan")).body;
    assert.equal(spec.group, `239.0.${spec.vni >> 8}.${spec.vni & 255}`);
    for (const host of cluster.hosts) {
      assert(await isIn(host, "eth2", "239.0.0.236"));
      assert(await isIn(host, "eth0", spec.group));
    }
  });

  test("a broadcast crosses as one packet, to the group", async () => {
    const { spec } = (await cluster.api("GET", "/v1/networks/lan")).body;
    const seen = await packetsAt(cluster.wire, "h1", "-Q in udp port 4789", async () => {
      await run("ip", "netns", "exec", of("lan-h1").netns, "ping", "-nqc1", "-W1", "10.7.99.99");
    });
    const lines = seen.split("\n").filter((line) => line.includes(`vni ${spec.vni}`));
    const to = new Set(seen.split("\n").flatMap((line) => / > (\S+)\.4789: /.exec(line)?.[1] ?? []));
    assert(lines.length > 0, seen);
    assert(to.has(spec.group), seen);
  });

  test("each host proves that each group is delivered", async () => {
    await delivered("lan", 3);
    await delivered("mgmt", 3);
    const shown = await cluster.weft("network", "show", "mgmt");
    assert.match(shown.stdout, /^Group: +239\.0\.0\.236, TTL 5, on eth2$/m);
    assert.match(shown.stdout, /^Delivered: +between 3 of 3 pairs of hosts$/m);
  });

  test("a machine without an agent is in the group once the network names it", async () => {
    await must("ip", "netns", "add", old);
    const ip = (...words: string[]) => must("ip", "-n", old, ...words);
    await addSecondTo(old, "sold", OLD.underlay);
    const recipe = ["id", "236", "group", "239.0.0.236", "dev", "eth2", "ttl", "5", "dstport", "4789"];
    await ip("link", "add", "encap-236", "type", "vxlan", ...recipe);
    await ip("link", "add", "br-mgmt", "type", "bridge");
    await ip("link", "set", "encap-236", "master", "br-mgmt", "up");
    await ip("addr", "add", `${OLD.address}/22`, "dev", "br-mgmt");
    await ip("link", "set", "br-mgmt", "up");
    assert.equal(await cluster.pings(old, v4(of("mgmt-h1"))), false);
    const edited = await cluster.weft("network", "edit", "mgmt", "--outsider", OLD.underlay);
    assert.equal(edited.code, 0, edited.stderr);
    await cluster.converged();
    for (const host of cluster.hosts) {
      await cluster.reaches(old, v4(of(`mgmt-${host}`)));
      await cluster.reaches(of(`mgmt-${host}`), OLD.address);
    }
    assert.equal(await cluster.pings(old, v4(of("lan-h1"))), false);
  });

  test("nobody else sends to the group or to a member's tunnel", async () => {
    const wire = await Interface.in(of("mgmt-h1").netns, "eth0");
    const lan = await Interface.in(cluster.wire, LAN);
    const mac = JSON.parse(await must("ip", "-n", cluster.netnsOf("h1"), "-j", "link", "show", "eth2"))[0].address;
    const target = { fromMac: "02:00:00:00:00:99", toMac: frames.BROADCAST, from: OLD.address, to: v4(of("mgmt-h1")) };
    const send = (from: string, to: string, toMac: string, tag: string) => {
      for (const frame of [
        frames.vxlan({ fromMac: "02:00:00:00:00:98", toMac, from, to }, 236, frames.udp(target, 53, tag)),
      ])
        for (let copy = 0; copy < 3; copy++) lan.send(frame);
    };
    const groupMac = "01:00:5e:00:00:ec";
    const ways: [string, string, string, string][] = [
      ["172.31.78.98", "239.0.0.236", groupMac, "<stranger to the group>"],
      ["172.31.78.98", second("h1"), mac, "<stranger to the host>"],
      [OLD.underlay, "239.0.0.99", groupMac, "<another group>"],
      [OLD.underlay, "239.0.0.236", mac, "<the group, to one MAC>"],
      [OLD.underlay, "172.31.78.255", frames.BROADCAST, "<broadcast>"],
    ];
    for (const way of ways) send(...way);
    await until("what may pass arrives", async () => {
      send(OLD.underlay, "239.0.0.236", groupMac, "<outsider>");
      return wire.has("<outsider>");
    });
    assert.deepEqual(
      ways.map(([, , , tag]) => tag).filter((tag) => wire.has(tag)),
      [],
    );
    wire.close();
    lan.close();
  });

  test("what others change about a device is set right, and traffic goes on", async () => {
    const index = JSON.parse(await must("ip", "-n", cluster.netnsOf("h1"), "-j", "link", "show", "eth0"))[0].ifindex;
    const change = (...words: string[]) =>
      must("ip", "-n", cluster.vrfNetns("h1", "mgmt"), "link", "set", "wx236", "type", "vxlan", ...words);
    for (const words of [
      ["ttl", "9"],
      ["nolearning"],
      ["group", "239.0.0.9", "dev", `if${index}`],
      ["dev", `if${index}`],
    ]) {
      await change(...words);
      await until(`${words.join(" ")} is undone`, async () => {
        const { info_data: data } = (await wx("h1", "mgmt", "wx236")).linkinfo;
        return (
          data.ttl === 5 && data.learning === true && data.group === "239.0.0.236" && isIn("h1", "eth2", data.group)
        );
      });
    }
    await everyPair("mgmt");
  });

  test("a device that is gone takes the tunnel along, and brings it back", async () => {
    await must("ip", "-n", cluster.netnsOf("h2"), "link", "delete", "eth2");
    const told = await until("a condition tells", async () =>
      (await conditions()).find(({ reason }) => reason === "device-missing"),
    );
    assert.equal(told.host, "h2");
    assert.match(told.message, /"mgmt" does not reach host "h2", which has no IPv4 address on a device eth2/);
    await cluster.converged();
    assert.equal(await wx("h2", "mgmt", "wx236"), undefined);
    await cluster.reaches(of("mgmt-h1"), v4(of("mgmt-h3")));
    await addSecondTo(cluster.netnsOf("h2"), "sh2", second("h2"));
    await cluster.reaches(of("mgmt-h1"), v4(of("mgmt-h2")));
    await until(
      "the condition ends",
      async () => !(await conditions()).some(({ reason }) => reason === "device-missing"),
    );
    await delivered("mgmt", 3);
  });

  test("a switch that does not deliver is noticed, and unicast peers are the way out", async () => {
    const nft = (script: string) => must("ip", "netns", "exec", cluster.wire, "nft", script);
    await nft(
      'table bridge no { chain f { type filter hook forward priority 0; oifname "h3" ip daddr 239.0.0.0/8 drop; }; }',
    );
    // What is proven is tried again in minutes; with another TTL it is another way.
    await cluster.weft("network", "edit", "lan", "--ttl", "2", "--wait");
    const seen = await until("the failure is told", async () => {
      const lan = (await groups()).find((one: Json) => one.network === "lan");
      return lan?.proven === 1 && lan.unproven.every((pair: Json) => pair.state === "failed") ? lan : undefined;
    });
    assert.deepEqual(seen.unproven.map(({ hosts, state }: Json) => `${hosts.join("-")} ${state}`).sort(), [
      "h1-h3 failed",
      "h2-h3 failed",
    ]);
    const status = await cluster.weft("status");
    assert.match(status.stdout, /^group of lan, h1 – h3: not delivered \(h1: what is sent to group 239/m);
    assert.match(status.stdout, /^group-undelivered: .*weft network edit lan --peers unicast/m);
    const tried = await cluster.weft("host", "preflight", "--network", "lan");
    assert.equal(tried.code, 1);
    assert.match(tried.stderr, /problem: h1 – h3: group of network lan: h1: what is sent to group/);
    const edited = await cluster.weft("network", "edit", "lan", "--peers", "unicast", "--wait");
    assert.equal(edited.code, 0, edited.stderr);
    await cluster.converged();
    await everyPair("lan");
    assert.equal((await wx("h1", "lan", `wx${await vniOf("lan")}`)).linkinfo.info_data.group, undefined);
    assert.deepEqual(
      (await groups()).map((one: Json) => one.network),
      ["mgmt"],
    );
    await nft("delete table bridge no");
  });
  const vniOf = async (network: string): Promise<number> =>
    (await cluster.api("GET", `/v1/networks/${network}`)).body.spec.vni;

  test("networks that are removed leave nothing, and the hosts leave their groups", async () => {
    for (const network of Object.keys(NETWORKS)) {
      const { code, stderr } = await cluster.weft("network", "delete", network, "--force", "--yes");
      assert.equal(code, 0, stderr);
    }
    await cluster.converged();
    for (const host of cluster.hosts) {
      await until("the namespaces are gone", async () => {
        const { stdout } = await run("ip", "netns", "list");
        return !stdout.includes(`${cluster.netnsOf(host)}-`);
      });
      assert.equal(await isIn(host, "eth2", "239.0.0.236"), false);
      const left = await must("ip", "-n", cluster.netnsOf(host), "-d", "link", "show", "type", "vxlan");
      assert.equal(left, "");
    }
  });
});
