// A workload is root in its namespace and hostile: every kind of frame that it must not get through is written into its
// interface, on each datapath, with and without a way out, with and without groups, towards its own host and the other,
// and looked for at every workload of the network. A frame that is allowed, sent afterwards, shows that they would have
// come. It says how many frames were tried and how many passed that must not.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { whyNoKernelTests } from "../runner/machine.ts";
import { BOTH_DATAPATHS, Cluster, must, until, type Workload } from "./lab/cluster.ts";
import * as frames from "./lab/frames.ts";
import { KINDS, type Scene } from "./lab/hostileFrames.ts";
import { Interface } from "./lab/interface.ts";

type Station = Workload & { readonly wire: Interface };

const COPIES = 3;
const ALL = ["in", "out"].map((direction) => ({ direction, action: "allow", protocol: "all" }));
const PLACES = [
  { network: "switched", isRouted: false, masquerade: true },
  { network: "switched-closed", isRouted: false, masquerade: false },
  { network: "routed", isRouted: true, masquerade: true },
  { network: "routed-closed", isRouted: true, masquerade: false },
] as const;

describe("a hostile workload", { skip: whyNoKernelTests() ?? false }, () => {
  const cluster = new Cluster(2);
  const stations = new Map<string, Station>();
  const of = (name: string) => stations.get(name) ?? assert.fail(`${name} is not attached`);
  let tags = 0;
  const newTag = () => `<bad${String(++tags).padStart(6, "0")}>`;
  let tried = 0;
  let passed = 0;

  const put = async (path: string, spec: unknown) => {
    const { status, body } = await cluster.api("PUT", path, { spec });
    assert(status < 300, `${path}: ${JSON.stringify(body)}`);
  };
  const station = async (host: string, network: string, name: string, more: object = {}) => {
    const workload = await cluster.attach(host, network, name, { ...more });
    const one = { ...workload, wire: await Interface.in(workload.netns, "eth0") };
    stations.set(name, one);
    return one;
  };
  const addressOf = ({ addresses }: Workload, family: 4 | 6) =>
    addresses.find((text) => text.includes(":") === (family === 6)) ?? "";
  const gatewayOf = async ({ netns }: Workload) => {
    const ip = /default via (\S+)/.exec(await must("ip", "-n", netns, "-4", "route"))?.[1] ?? assert.fail(netns);
    await until(`${ip} answers`, () => cluster.pings(netns, ip));
    const seen = await must("ip", "-n", netns, "neigh", "show", ip);
    return { ip, mac: /lladdr (\S+)/.exec(seen)?.[1] ?? assert.fail(seen) };
  };
  const ends = (from: Station, to: Station, family: 4 | 6, toMac = to.mac): frames.Ends => {
    return { fromMac: from.mac, toMac, from: addressOf(from, family), to: addressOf(to, family) };
  };
  const allowed = async (from: Station, to: Station, toMac: string) => {
    const fence = newTag();
    await until("what is allowed arrives", async () => {
      from.wire.send(frames.udp(ends(from, to, 4, toMac), 4999, fence));
      return to.wire.has(fence);
    });
  };

  before(async () => {
    await cluster.open();
    await put("/v1/securitygroups/all", { rules: ALL });
    for (const { network, isRouted, masquerade } of PLACES)
      await put(`/v1/networks/${network}`, { ...BOTH_DATAPATHS[isRouted ? "routed" : "switched"], masquerade });
    await put("/v1/networks/nested", { ipam: "global", subnets: [{ cidr: "10.5.0.0/16" }], spoofing: { mac: true } });
    await put("/v1/networks/trunk", { ipam: "global", subnets: [{ cidr: "10.4.0.0/16" }], spoofing: { tags: true } });
    await cluster.converged();
    for (const { network } of PLACES) {
      for (const [name, host] of [
        ["a", "h1"],
        ["b", "h1"],
        ["c", "h2"],
      ] as const) {
        await station(host, network, `${network}-${name}`);
        await station(host, network, `${network}-${name}g`, { securityGroups: ["all"] });
      }
    }
    for (const network of ["nested", "trunk"])
      for (const [name, host] of [
        ["a", "h1"],
        ["b", "h1"],
        ["c", "h2"],
      ] as const)
        await station(host, network, `${network}-${name}`);
    await cluster.converged();
  });
  after(async () => {
    for (const { wire } of stations.values()) wire.close();
    await cluster.close();
  });

  for (const { network, isRouted } of PLACES) {
    for (const groups of ["", "g"]) {
      test(`${network}, ${groups === "" ? "without" : "with"} groups: nothing forged passes`, async (t) => {
        const from = of(`${network}-a${groups}`);
        const gateway = await gatewayOf(from);
        const others = [...stations].filter(([name, one]) => name.startsWith(`${network}-`) && one !== from);
        const arrived: string[] = [];
        for (const to of [of(`${network}-b${groups}`), of(`${network}-c${groups}`)]) {
          const toMac = isRouted && to.host !== from.host ? gateway.mac : to.mac;
          const neighbour = of(`${network}-b`);
          const scene: Scene = {
            own: ends(from, to, 4, toMac),
            own6: ends(from, to, 6, toMac),
            other: addressOf(neighbour, 4),
            other6: addressOf(neighbour, 6),
            gateway: gateway.ip,
          };
          const sent = KINDS.map(([what, make]) => ({ what: `${what} to ${to.host}`, tag: newTag(), make }));
          for (const { make, tag } of sent)
            for (let copy = 0; copy < COPIES; copy++)
              for (const frame of make(scene, tag)) {
                from.wire.send(frame);
                tried++;
              }
          await allowed(from, to, toMac);
          for (const { what, tag } of sent) if (others.some(([, { wire }]) => wire.has(tag))) arrived.push(what);
        }
        passed += arrived.length;
        t.diagnostic(`${tried} frames tried so far, ${passed} kinds passed that must not`);
        assert.deepEqual(arrived, []);
      });
    }
  }

  const fdb = async (host: string, network: string) => {
    const lines = await must("bridge", "-n", cluster.vrfNetns(host, network), "fdb", "show", "br", `wb-${network}`);
    return lines.split("\n").sort().join("\n");
  };

  test("a bridge learns nothing from workloads, and gives nobody what is another's", async () => {
    const [a, b, c] = [of("switched-a"), of("switched-b"), await station("h1", "switched", "silent")];
    const before = await fdb("h1", "switched");
    for (let n = 0; n < 2000; n++) {
      const fromMac =
        n % 2 === 0
          ? c.mac
          : `02:99:00:00:${(n >> 8).toString(16).padStart(2, "0")}:${(n & 255).toString(16).padStart(2, "0")}`;
      for (const toMac of ["01:80:c2:00:00:0e", "01:80:c2:00:00:03", "01:80:c2:00:00:00", b.mac])
        a.wire.send(frames.udp({ ...ends(a, b, 4), fromMac, toMac }, 53, "forged"));
    }
    const [known, unknown] = [newTag(), newTag()];
    for (let n = 0; n < 50; n++) b.wire.send(frames.udp(ends(b, c, 4), 53, known));
    for (let n = 0; n < 3000; n++)
      b.wire.send(frames.udp({ ...ends(b, c, 4), toMac: "02:99:99:99:99:99" }, 53, unknown));
    await allowed(b, c, c.mac);
    await allowed(b, of("switched-c"), of("switched-c").mac);
    // Not the errors with which it answers.
    const { length } = frames.udp(ends(b, c, 4), 53, known);
    assert.equal(c.wire.framesWith(known).filter((frame) => frame.length === length).length, 50);
    for (const [name, { wire }] of stations) {
      assert.equal(wire.count(unknown), 0, `${name} gets what is for nobody`);
      if (name !== "silent" && name !== "switched-b")
        assert.equal(wire.count(known), 0, `${name} gets what is for another`);
    }
    assert.equal(await fdb("h1", "switched"), before);
  });

  test("where any MAC may be, frames say where, but for those that are endpoints'", async () => {
    const [a, b, c] = [of("nested-a"), of("nested-b"), of("nested-c")];
    const guest = "02:99:00:00:00:01";
    for (const [from, to] of [
      [b, a],
      [c, a],
      [a, c],
    ] as const) {
      const said = newTag();
      to.wire.send(frames.udp({ ...ends(to, from, 4), fromMac: guest }, 53, said));
      await until("the guest is heard", async () => from.wire.has(said));
      const tag = newTag();
      from.wire.send(frames.udp({ ...ends(from, to, 4), toMac: guest }, 53, tag));
      await until("the guest hears", async () => to.wire.has(tag));
      const third = [a, b, c].find((one) => one !== from && one !== to && one.host === from.host);
      assert.notEqual(third?.wire.has(tag), true, "and nobody else");
    }
    a.wire.send(frames.udp({ ...ends(a, c, 4), fromMac: b.mac }, 53, newTag()));
    await allowed(a, c, c.mac);
    const tag = newTag();
    c.wire.send(frames.udp(ends(c, b, 4), 53, tag));
    await until("it comes to whom it is for", async () => b.wire.has(tag));
    assert.equal(a.wire.has(tag), false);
  });

  test("a network that wants tags gets them, and filters what is behind", async () => {
    const [a, b, c] = [of("trunk-a"), of("trunk-b"), of("trunk-c")];
    for (const to of [b, c]) {
      const own = ends(a, to, 4);
      const t = [newTag(), newTag(), newTag(), newTag(), newTag()] as const;
      const list: readonly Buffer[] = [
        frames.tagged(frames.udp(own, 53, t[0]), [0x8100, 5]),
        frames.tagged(frames.arp({ ...own, toMac: frames.BROADCAST }, 1, t[1]), [0x8100, 5]),
        frames.tagged(frames.udp({ ...own, from: "10.4.0.77" }, 53, t[2]), [0x8100, 5]),
        frames.tagged(frames.udp({ ...own, fromMac: b.mac }, 53, t[3]), [0x88a8, 5]),
        frames.tagged(frames.udp(own, 53, t[4]), [0x8100, 5], [0x8100, 6]),
      ];
      for (const frame of list) a.wire.send(frame);
      await allowed(a, to, to.mac);
      assert.deepEqual(
        t.map((tag) => to.wire.has(tag)),
        // ARP for an endpoint of another host is answered on its own.
        [true, to === b, false, false, false],
        to.host,
      );
    }
  });
});
