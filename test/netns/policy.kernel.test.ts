// Security groups and spoofing filters on the real kernel, packet by packet: frames are written into one workload's
// interface and looked for at another's, on the same host and on the other, switched and routed, in both families. A
// refused frame is proven by a later one that came: nothing overtakes on a pair.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { whyNoKernelTests } from "../runner/machine.ts";
import { BOTH_DATAPATHS, call, Cluster, must, run, until, type Workload } from "./lab/cluster.ts";
import * as frames from "./lab/frames.ts";
import { Interface } from "./lab/interface.ts";

type Station = Workload & { readonly wire: Interface; readonly gateways: readonly string[] };
type Family = 4 | 6;
type Probe = {
  readonly what: string;
  readonly isAllowed: boolean;
  readonly frame: (ends: frames.Ends, tag: string) => Buffer;
  readonly family?: Family;
};

const FENCE_PORT = 4999;
const tcp = (port: number) => (ends: frames.Ends, tag: string) => frames.tcp(ends, port, tag);
const udp = (port: number) => (ends: frames.Ends, tag: string) => frames.udp(ends, port, tag);
const icmp = (v4: number, v6: number) => (ends: frames.Ends, tag: string) =>
  frames.icmp(ends, ends.to.includes(":") ? v6 : v4, tag);
const raw = (protocol: number) => (ends: frames.Ends, tag: string) => frames.raw(ends, protocol, tag);

/** What the groups below say, a line per kind of rule. */
const PROBES: readonly Probe[] = [
  { what: "tcp port", isAllowed: true, frame: tcp(22) },
  { what: "tcp beside the port", isAllowed: false, frame: tcp(23) },
  { what: "tcp range, first", isAllowed: true, frame: tcp(80) },
  { what: "tcp range, last", isAllowed: true, frame: tcp(90) },
  { what: "tcp behind the range", isAllowed: false, frame: tcp(91) },
  { what: "denied with a smaller priority", isAllowed: false, frame: tcp(85) },
  { what: "denied and allowed with one priority", isAllowed: false, frame: tcp(86) },
  { what: "icmp type", isAllowed: true, frame: icmp(8, 128) },
  { what: "another icmp type", isAllowed: false, frame: icmp(13, 139) },
  { what: "ipsec", isAllowed: true, frame: raw(50) },
  { what: "a protocol by number", isAllowed: true, frame: raw(47) },
  { what: "another protocol", isAllowed: false, frame: raw(51) },
  { what: "peer in a cidr", isAllowed: true, frame: udp(53) },
  { what: "peer outside a cidr", isAllowed: false, frame: udp(54) },
  { what: "peer in first and size", isAllowed: true, frame: udp(55) },
  { what: "peer behind first and size", isAllowed: false, frame: udp(56) },
  { what: "peer in a network", isAllowed: true, frame: udp(57) },
  { what: "peer in another network", isAllowed: false, frame: udp(58) },
  { what: "peer in a group", isAllowed: true, frame: udp(59) },
  { what: "peer in another group", isAllowed: false, frame: udp(60) },
  { what: "the sender's own group denies", isAllowed: false, frame: udp(61) },
  { what: "logged", isAllowed: true, frame: udp(62) },
  { what: "no rule", isAllowed: false, frame: udp(63) },
];

function allow(protocol: string | number, more: object = {}) {
  return { direction: "in", action: "allow", protocol, ...more };
}

/** The receivers' rules; only peers depend on where the sender is. */
function serverRules(sender: Workload, network: string) {
  const peers = (make: (address: string, family: Family) => object) =>
    sender.addresses.map((address) => make(address, address.includes(":") ? 6 : 4));
  const previous = (address: string) => address.replace(/[0-9a-f]+$/, (last) => (parseInt(last, 16) - 1).toString(16));
  return [
    allow("udp", { ports: [FENCE_PORT] }),
    allow("tcp", { ports: [22, "80-90"] }),
    { ...allow("tcp", { ports: [85], priority: 10 }), action: "deny" },
    { ...allow("tcp", { ports: [86] }), action: "deny" },
    allow("icmp", { icmpType: 8 }),
    allow("icmpv6", { icmpType: 128 }),
    allow("ipsec"),
    allow(47),
    ...peers((address, family) =>
      allow("udp", { ports: [53], peer: { cidr: `${address}/${family === 4 ? 32 : 128}` } }),
    ),
    allow("udp", { ports: [54], peer: { cidr: "192.0.2.0/24" } }),
    allow("udp", { ports: [54], peer: { cidr: "2001:db8::/32" } }),
    ...peers((address) => allow("udp", { ports: [55], peer: { first: previous(address), size: 2 } })),
    ...peers((address) => allow("udp", { ports: [56], peer: { first: previous(address), size: 1 } })),
    allow("udp", { ports: [57], peer: { network } }),
    allow("udp", { ports: [58], peer: { network: "other" } }),
    allow("udp", { ports: [59], peer: { group: "client" } }),
    allow("udp", { ports: [60], peer: { group: "nobody" } }),
    allow("udp", { ports: [61] }),
    allow("udp", { ports: [62], log: true }),
  ];
}

const CLIENT_RULES = [
  { direction: "out", action: "allow", protocol: "all" },
  { direction: "out", action: "deny", protocol: "udp", ports: [61] },
];
const NETWORKS = {
  ...BOTH_DATAPATHS,
  other: { ipam: "global", subnets: [{ cidr: "10.6.0.0/16" }, { cidr: "fd06::/64" }] },
} as const;

describe("security groups", { skip: whyNoKernelTests() ?? false }, () => {
  const cluster = new Cluster(2);
  const stations = new Map<string, Station>();
  const of = (name: string) => stations.get(name) ?? assert.fail(`${name} is not attached`);
  let tags = 0;
  const newTag = () => `<${String(++tags).padStart(6, "0")}>`;

  const put = async (path: string, body: unknown): Promise<void> => {
    const answer = await cluster.api("PUT", path, body);
    assert(answer.status < 300, `${path}: ${JSON.stringify(answer.body)}`);
  };
  const group = (name: string, rules: readonly unknown[], more: object = {}) =>
    put(`/v1/securitygroups/${name}`, { spec: { rules, ...more } });
  const station = async (host: string, network: string, name: string, more: Readonly<Record<string, unknown>>) => {
    const workload = await cluster.attach(host, network, name, more);
    const { body } = await call(cluster.agentSocket(host), "GET", "/v1/attachments");
    const gateways = (body.items as { endpoint: string; gateways: string[] }[]).find(
      (one) => one.endpoint === workload.endpoint,
    )?.gateways;
    const wire = await Interface.in(workload.netns, "eth0");
    stations.set(name, { ...workload, wire, gateways: gateways ?? [] });
  };
  /** From one station to another: its MAC, or the gateway's where it has to be routed. */
  const ends = async (from: Station, to: Station, family: Family, isRouted: boolean): Promise<frames.Ends> => {
    const pick = (list: readonly string[]) => list.find((text) => text.includes(":") === (family === 6)) ?? "";
    const toMac = isRouted ? await macOf(from, pick(from.gateways)) : to.mac;
    return { fromMac: from.mac, toMac, from: pick(from.addresses), to: pick(to.addresses) };
  };
  const macOf = async (from: Station, gateway: string): Promise<string> => {
    // Several, because the first may meet a kernel that is still bringing the address up.
    await until(`${gateway} answers`, () => cluster.pings(from, gateway));
    const { stdout } = await run("ip", "-n", from.netns, "neigh", "show", gateway);
    return /lladdr (\S+)/.exec(stdout)?.[1] ?? assert.fail(`${gateway}: ${stdout}`);
  };
  /** Sends all, then a fence that is allowed; what has not come when the fence has, does not come. */
  const passed = async (
    [from, to]: readonly [Station, Station],
    by: frames.Ends,
    list: readonly Buffer[],
    tagsOf: readonly string[],
  ) => {
    const fence = newTag();
    for (const frame of list) from.wire.send(frame);
    await until(
      "the fence arrives",
      async () => {
        from.wire.send(frames.udp(by, FENCE_PORT, fence));
        return to.wire.has(fence);
      },
      5000,
    );
    return tagsOf.map((tag) => to.wire.has(tag));
  };

  before(async () => {
    await cluster.open();
    for (const [name, spec] of Object.entries(NETWORKS)) await put(`/v1/networks/${name}`, { spec });
    await group("client", CLIENT_RULES);
    await group("server", []);
    await group("nobody", []);
    await cluster.converged();
    for (const network of ["switched", "routed"]) {
      await station("h1", network, `${network}-a`, { securityGroups: ["client"] });
      await station("h1", network, `${network}-b`, { securityGroups: ["server"] });
      await station("h2", network, `${network}-c`, { securityGroups: ["server"] });
    }
    await cluster.converged();
  });
  after(async () => {
    for (const { wire } of stations.values()) wire.close();
    await cluster.close();
  });

  for (const network of ["switched", "routed"] as const) {
    test(`${network}: every kind of rule, allowed and refused, here and across hosts, in both families`, async () => {
      const [a, b, c] = [of(`${network}-a`), of(`${network}-b`), of(`${network}-c`)];
      await group("server", serverRules(a, network));
      await cluster.converged();
      for (const to of [b, c]) {
        for (const family of [4, 6] as const) {
          const by = await ends(a, to, family, network === "routed" && to === c);
          const tagged = PROBES.map((probe) => ({ probe, tag: newTag() }));
          const list = tagged.map(({ probe, tag }) => probe.frame(by, tag));
          const got = await passed(
            [a, to],
            by,
            list,
            tagged.map(({ tag }) => tag),
          );
          const told = tagged.map(({ probe }, i) => `${probe.what}: ${got[i] === true ? "passes" : "refused"}`);
          const wanted = PROBES.map(({ what, isAllowed }) => `${what}: ${isAllowed ? "passes" : "refused"}`);
          assert.deepEqual(told, wanted, `${network}, IPv${family}, to ${to.host}`);
        }
      }
    });
  }

  test("answers pass, others do not; a revoked rule ends its flows, unless they are to be kept", async () => {
    const [a, b] = [of("switched-a"), of("switched-b")];
    const by = await ends(a, b, 4, false);
    const back = { fromMac: b.mac, toMac: a.mac, from: by.to, to: by.from };
    const rules = serverRules(a, "switched");
    await group("server", rules);
    await cluster.converged();
    const isThere = async (port: number) => {
      const tag = newTag();
      b.wire.send(frames.udp(back, port, tag, 53));
      // Behind it, an answer to the fence's own flow.
      const fence = newTag();
      a.wire.send(frames.udp(by, FENCE_PORT, fence, 41_000));
      await until("the fence is there", async () => b.wire.has(fence));
      b.wire.send(frames.udp(back, 41_000, fence, FENCE_PORT));
      await until("the fence is back", async () => a.wire.has(fence));
      return a.wire.has(tag);
    };
    await passed([a, b], by, [frames.udp(by, 53, newTag())], []);
    assert.equal(await isThere(40_000), true, "the answer");
    assert.equal(await isThere(40_001), false, "not an answer");
    const without = rules.filter((rule) => !("ports" in rule && String(rule.ports) === "53"));
    await group("server", without, { keepFlows: true });
    await cluster.converged();
    assert.equal(await isThere(40_000), true, "the rule is gone, the flow is kept");
    await group("server", without);
    await cluster.converged();
    assert.equal(await isThere(40_000), false, "the flow is cut");
    const tag = newTag();
    assert.deepEqual(await passed([a, b], by, [frames.udp(by, 53, tag)], [tag]), [false], "and does not begin again");
  });

  test("a workload speaks under its own addresses only", async () => {
    const [a, b] = [of("switched-a"), of("switched-b")];
    await group("server", [allow("all")]);
    await cluster.converged();
    const [by, by6] = [await ends(a, b, 4, false), await ends(a, b, 6, false)];
    const vip = "10.7.99.99";
    const other = "02:00:00:00:00:99";
    const all = { ...by, toMac: frames.BROADCAST };
    const all6 = { ...by6, toMac: "33:33:00:00:00:01", to: "ff02::1" };
    const t = Array.from({ length: 8 }, newTag);
    const tag = (i: number) => t[i] ?? "";
    const forged: readonly (readonly [string, Buffer, string])[] = [
      ["its own", frames.udp(by, 53, tag(0)), tag(0)],
      ["another MAC", frames.udp({ ...by, fromMac: other }, 53, tag(1)), tag(1)],
      ["another IPv4 address", frames.udp({ ...by, from: "10.7.0.77" }, 53, tag(2)), tag(2)],
      ["another IPv6 address", frames.udp({ ...by6, from: "fd07::77" }, 53, tag(3)), tag(3)],
      ["another in ARP", frames.arp({ ...all, from: "10.7.0.77" }, 2, tag(4)), tag(4)],
      ["another MAC in ARP", frames.arp(all, 2, tag(5), other), tag(5)],
      ["its own in ARP", frames.arp(all, 2, tag(6)), tag(6)],
      ["a DHCP server's answer", frames.udp(all, 68, tag(7), 67), tag(7)],
      ["another's advertisement", frames.advertisement(all6, "fd07::77", a.mac), addressText("fd07::77")],
      ["its own to another MAC", frames.advertisement(all6, by6.from, other), macText(other)],
      ["a router's advertisement", frames.routerAdvertisement(all6), "\x86\x00"],
    ];
    b.wire.forget();
    const got = await passed(
      [a, b],
      by,
      forged.map(([, frame]) => frame),
      forged.map(([, , mark]) => mark),
    );
    assert.deepEqual(
      forged.filter((_, i) => got[i] === true).map(([what]) => what),
      ["its own", "its own in ARP"],
    );
    const { body } = await call(cluster.agentSocket("h1"), "GET", "/v1/counters");
    const drops = (body.items as { endpoint: string; drops: Record<string, number> }[]).find(
      (one) => one.endpoint === a.endpoint,
    )?.drops;
    const reasons = [
      "source-mac",
      "source-address",
      "arp",
      "dhcp-server",
      "neighbour-discovery",
      "router-advertisement",
    ];
    for (const reason of reasons) assert((drops?.[reason] ?? 0) > 0, `${reason} in ${JSON.stringify(drops)}`);

    const late = newTag();
    assert.deepEqual(await passed([a, b], by, [frames.udp({ ...by, from: vip }, 53, late)], [late]), [false]);
    const patched = await cluster.api("PATCH", `/v1/endpoints/${a.endpoint}`, { allowedAddresses: [{ address: vip }] });
    assert.equal(patched.status, 200, JSON.stringify(patched.body));
    await cluster.converged();
    const now = newTag();
    assert.deepEqual(
      await passed([a, b], by, [frames.udp({ ...by, from: vip }, 53, now)], [now]),
      [true],
      "a virtual IP",
    );
  });

  test("a network where anything goes has no filters but those of learning, until it is told otherwise", async () => {
    const spec = { ipam: "global", subnets: [{ cidr: "10.5.0.0/16" }] };
    const spoofing = {
      mac: true,
      ip: true,
      dhcpServer: true,
      routerAdvertisements: true,
      broadcasts: true,
      tags: true,
    };
    await put("/v1/networks/open", { spec: { ...spec, spoofing } });
    await cluster.converged();
    await station("h1", "open", "open-a", { securityGroups: [] });
    await station("h2", "open", "open-b", { securityGroups: [] });
    await cluster.converged();
    const [a, b] = [of("open-a"), of("open-b")];
    const by = await ends(a, b, 4, false);
    const forged = { ...by, fromMac: "02:00:00:00:00:99", from: "10.5.0.77" };
    const hooks = async () => {
      const table = ["ip", "netns", "exec", cluster.vrfNetns("h1", "open"), "nft", "list", "table", "bridge", "weft"];
      return (await must(...table)).match(/hook \w+/g);
    };
    const [before, after, own] = [newTag(), newTag(), newTag()];
    assert.deepEqual(await passed([a, b], by, [frames.udp(forged, 53, before)], [before]), [true]);
    assert.deepEqual((await hooks())?.toSorted(), ["hook forward", "hook output", "hook prerouting"]);
    await put("/v1/networks/open", { spec });
    await cluster.converged();
    const got = await passed([a, b], by, [frames.udp(forged, 53, after), frames.udp(by, 53, own)], [after, own]);
    assert.deepEqual(got, [false, true]);
    assert.deepEqual(await hooks(), ["hook prerouting"]);
  });

  test("a port may storm no more than a busy workload does", async () => {
    const [a, b] = [of("switched-a"), of("switched-b")];
    const by = await ends(a, b, 4, false);
    const tag = newTag();
    const since = performance.now();
    // What a full bucket holds, and what comes into it meanwhile.
    const most = () => 2000 + 2 * (performance.now() - since);
    let sent = 0;
    for (; sent < 10_000 || sent * 0.8 < most(); sent++)
      a.wire.send(frames.arp({ ...by, toMac: frames.BROADCAST }, 1, tag));
    await passed([a, b], by, [], []);
    const came = b.wire.count(tag);
    assert(came > 1000 && came <= most(), `${came} of ${sent}, ${most()} may`);
  });

  test("no forbidden packet passes while rules change, a port comes up, the agent is dead", async () => {
    const [a, b] = [of("switched-a"), of("switched-b")];
    const by = await ends(a, b, 4, false);
    const forbidden = newTag();
    const newcomer = "10.7.50.50";
    const flood = () => {
      for (let i = 0; i < 20; i++) {
        a.wire.send(frames.udp(by, 63, forbidden));
        a.wire.send(frames.udp({ ...by, to: newcomer, toMac: "02:00:0a:07:32:32" }, 63, forbidden));
      }
    };
    const rules = serverRules(a, "switched");
    await group("server", rules);
    await cluster.converged();
    // Connections that the open group of another test allowed are not this one's.
    b.wire.forget();
    for (let round = 0; round < 25; round++) {
      const change = group("server", [...rules, allow("tcp", { ports: [10_000 + round] })]);
      flood();
      await change;
      flood();
    }
    await cluster.converged();
    flood();
    await passed([a, b], by, [], []);
    assert.equal(b.wire.count(forbidden), 0, "during 25 changes");

    const netns = await cluster.addWorkloadNetns("newcomer");
    const wire = await Interface.in(netns);
    try {
      const path = `/run/netns/${netns}`;
      const request = {
        network: "switched",
        netns: path,
        owner: "newcomer",
        addresses: [newcomer],
        securityGroups: ["server"],
      };
      const attached = call(cluster.agentSocket("h1"), "POST", "/v1/attachments", request);
      let isAttached = false;
      void attached.then(() => (isAttached = true));
      while (!isAttached) {
        flood();
        await new Promise((resolve) => setImmediate(resolve));
      }
      const { status, body } = await attached;
      assert.equal(status, 201, JSON.stringify(body));
      flood();
      const fence = newTag();
      const to = { ...by, to: newcomer, toMac: body.spec.mac };
      await until("the fence arrives", async () => {
        a.wire.send(frames.udp(to, FENCE_PORT, fence));
        return wire.has(fence);
      });
      assert.equal(wire.count(forbidden), 0, "while a port comes up");
    } finally {
      wire.close();
    }

    await cluster.kill("h1");
    flood();
    await passed([a, b], by, [], []);
    assert.equal(b.wire.count(forbidden), 0, "without an agent");
    await cluster.startAgent("h1");
    await cluster.converged();
    flood();
    await passed([a, b], by, [], []);
    assert.equal(b.wire.count(forbidden), 0, "after its start");
  });

  test("status, effective rules and refusals are told", async () => {
    const effective = await cluster.weft("sg", "effective", "switched-b");
    assert.equal(effective.code, 0, effective.stderr);
    assert.match(effective.stdout, /deny in:tcp:85 +server\[2\] +endpoint\/switched-b\.eth0/);
    const status = await cluster.weft("sg", "status", "server");
    assert.match(status.stdout, /h1 +3 +0 +0\nh2 +2 +0 +0/, status.stdout + status.stderr);
    const committed = await cluster.weft("sg", "commit", "server", "--wait");
    assert.equal(committed.code, 0, committed.stderr);
    const nft = await must(
      "ip",
      "netns",
      "exec",
      cluster.vrfNetns("h1", "switched"),
      "nft",
      "list",
      "table",
      "bridge",
      "weft",
    );
    assert.match(nft, /comment "server 1"/);
    const removed = await cluster.weft("sg", "delete", "server");
    assert.equal(removed.code, 4);
    assert.match(removed.stderr, /endpoint\/switched-b\.eth0/);
    const shown = await cluster.weft("endpoint", "show", "switched-a", "-o", "json");
    assert.deepEqual(JSON.parse(shown.stdout).spec.securityGroups, ["client"]);
  });
});

/** Bytes as the interface shows them: one character each. */
function addressText(ip: string): string {
  const frame = frames.advertisement(
    { fromMac: frames.BROADCAST, toMac: frames.BROADCAST, from: "::1", to: "::1" },
    ip,
    frames.BROADCAST,
  );
  return frame.toString("latin1", 62, 78);
}

/** Behind the head of an option: type 2, one unit of eight bytes. */
function macText(mac: string): string {
  return `\x02\x01${Buffer.from(mac.replaceAll(":", ""), "hex").toString("latin1")}`;
}
