// What a workload forges about others' packets and addresses: ICMP errors that quote flows it has no part in, and
// probes for addresses that others are about to use. Each is sent from its own addresses, so spoofing filters alone do
// not stop it. The test looks at others' packets and at what kernels remember.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { whyNoKernelTests } from "../runner/machine.ts";
import { BOTH_DATAPATHS, Cluster, must, OUTSIDE, run, until, type Workload } from "./lab/cluster.ts";
import * as frames from "./lab/frames.ts";
import { Interface } from "./lab/interface.ts";

type Station = Workload & { readonly wire: Interface };

const COPIES = 5;
/** Ends one flow and begins no other. */
const GROUPS = {
  speaks: [{ direction: "out", action: "allow", protocol: "tcp", ports: [443] }],
  listens: [{ direction: "in", action: "allow", protocol: "tcp", ports: [443] }],
  nothing: [],
};

describe("what workloads make up", { skip: whyNoKernelTests() ?? false }, () => {
  const cluster = new Cluster(2);
  const stations = new Map<string, Station>();
  const of = (name: string) => stations.get(name) ?? assert.fail(`${name} is not attached`);
  const v4 = ({ addresses }: Workload) => addresses.find((text) => !text.includes(":")) ?? "";
  const v6 = ({ addresses }: Workload) => addresses.find((text) => text.includes(":")) ?? "";
  const put = async (path: string, spec: unknown) => {
    const { status, body } = await cluster.api("PUT", path, { spec });
    assert(status < 300, `${path}: ${JSON.stringify(body)}`);
  };
  const gatewayOf = async ({ netns }: Workload) => {
    const ip = /default via (\S+)/.exec(await must("ip", "-n", netns, "-4", "route"))?.[1] ?? assert.fail(netns);
    await cluster.reaches(netns, ip);
    const seen = await must("ip", "-n", netns, "neigh", "show", ip);
    return { ip, mac: /lladdr (\S+)/.exec(seen)?.[1] ?? assert.fail(seen) };
  };
  const between = (from: Station, to: Station, family: 4 | 6 = 4): frames.Ends => {
    const of6 = family === 6;
    return {
      fromMac: from.mac,
      toMac: to.mac,
      from: of6 ? v6(from) : v4(from),
      to: of6 ? v6(to) : v4(to),
    };
  };

  before(async () => {
    await cluster.open();
    for (const [name, rules] of Object.entries(GROUPS)) await put(`/v1/securitygroups/${name}`, { rules });
    for (const [name, spec] of Object.entries(BOTH_DATAPATHS)) await put(`/v1/networks/${name}`, spec);
    await put("/v1/networks/alone", {
      vrf: "switched",
      ipam: "global",
      subnets: [
        { cidr: "10.6.0.0/16", gateway: "none" },
        { cidr: "fd06::/64", gateway: "none" },
      ],
    });
    await cluster.converged();
    for (const [name, host, network, groups] of [
      ["a", "h1", "routed", []],
      ["b", "h1", "routed", []],
      ["c", "h2", "routed", []],
      ["s", "h1", "switched", []],
      ["t", "h1", "switched", []],
      ["speaker", "h1", "switched", ["speaks"]],
      ["listener", "h1", "switched", ["listens"]],
      ["deaf", "h1", "switched", ["nothing"]],
      ["far", "h2", "switched", []],
      ["alone", "h1", "alone", []],
    ] as const) {
      const more = groups.length === 0 ? {} : { securityGroups: groups };
      const workload = await cluster.attach(host, network, name, more);
      stations.set(name, { ...workload, wire: await Interface.in(workload.netns, "eth0") });
    }
    await cluster.converged();
  });
  after(async () => {
    for (const { wire } of stations.values()) wire.close();
    await cluster.close();
  });

  const large = async (from: string, to: string) =>
    (await run("ip", "netns", "exec", of(from).netns, "ping", "-c1", "-W1", "-Mdo", "-s1200", to)).code === 0;

  test("nobody's packets get smaller because a workload says that they are too big", async () => {
    const [a, c] = [of("a"), of("c")];
    const gateway = await gatewayOf(a);
    for (const to of [v4(c), OUTSIDE]) await until(`b reaches ${to}`, () => large("b", to));
    const toGateway = { fromMac: a.mac, toMac: gateway.mac, from: v4(a), to: gateway.ip };
    for (const to of [v4(c), OUTSIDE]) {
      const about = frames.icmp({ ...toGateway, from: gateway.ip, to }, 0, "an answer");
      for (let copy = 0; copy < COPIES; copy++) a.wire.send(frames.tooBig(toGateway, about, 68));
    }
    // Behind them, on the same way.
    await cluster.reaches(a, gateway.ip);
    for (const to of [v4(c), OUTSIDE]) {
      const way = await must("ip", "-n", cluster.vrfNetns("h1", "routed"), "route", "get", to);
      assert.doesNotMatch(way, /mtu/);
      assert(await large("b", to), `b reaches ${to} as before`);
    }
  });

  test("nor does a host believe it of the way to its workloads", async () => {
    const a = of("a");
    const gateway = await gatewayOf(a);
    const uplink = await must(
      "ip",
      "-n",
      cluster.vrfNetns("h1", "routed"),
      "-4",
      "-o",
      "addr",
      "show",
      "dev",
      "uplink",
    );
    const inner = /inet ([\d.]+)/.exec(uplink)?.[1] ?? assert.fail(uplink);
    const host = inner.replace(/\d+$/, (last) => String(Number(last) - 1));
    const toHost = { fromMac: a.mac, toMac: gateway.mac, from: v4(a), to: host };
    // It is asked, so that there is a flow to tell of.
    a.wire.send(frames.icmp(toHost, 8, "a question"));
    const about = frames.icmp({ ...toHost, from: host, to: v4(a) }, 0, "an answer");
    for (let copy = 0; copy < COPIES; copy++) a.wire.send(frames.tooBig(toHost, about, 68));
    await cluster.reaches(a, host);
    assert.doesNotMatch(await must("ip", "-n", cluster.netnsOf("h1"), "route", "get", inner), /mtu/);
  });

  test("nor does a workload choose which ports of its host are its own", async () => {
    const a = of("a");
    const gateway = await gatewayOf(a);
    const outside = { fromMac: a.mac, toMac: gateway.mac, from: v4(a), to: OUTSIDE };
    const wire = await Interface.in(cluster.wire);
    try {
      const ports = Array.from({ length: 20 }, (_, n) => 51_820 + n);
      for (const port of ports) {
        a.wire.send(frames.udp(outside, port, `<udp ${port}>`, port));
        a.wire.send(frames.tcp(outside, port, `<tcp ${port}>`, { sourcePort: port }));
      }
      const portOf = (tag: string) =>
        wire
          .framesWith(tag)
          .map((frame) => Buffer.from(frame, "latin1"))
          .find((frame) => frame.subarray(30, 34).equals(frames.address(OUTSIDE)))
          ?.readUInt16BE(34);
      for (const protocol of ["udp", "tcp"]) {
        const tags = ports.map((port) => `<${protocol} ${port}>`);
        await until("all are out", async () => tags.every((tag) => portOf(tag) !== undefined));
        const kept = ports.filter((port, i) => portOf(tags[i] ?? "") === port);
        // One in sixty thousand is by chance.
        assert(kept.length < 2, `${protocol}: ${kept.join(", ")}`);
      }
    } finally {
      wire.close();
    }
  });

  for (const family of [4, 6] as const)
    test(`an error of IPv${family} passes groups to the end of its flow, and to no other`, async () => {
      const [speaker, listener] = [of("speaker"), of("listener")];
      const port = 50_000 + family;
      const asked = frames.tcp(between(speaker, listener, family), 443, "", { sourcePort: port });
      const begun = `begun ${family}`;
      await until("the flow begins", async () => {
        speaker.wire.send(frames.tcp(between(speaker, listener, family), 443, begun, { sourcePort: port }));
        return listener.wire.has(begun);
      });
      const answer = frames.tcp(between(listener, speaker, family), port, "", { sourcePort: 443 });
      const sent = ["listener", "t", "deaf", "far"].map((name) => ({ name, tag: `<made up ${family} for ${name}>` }));
      for (const { name, tag } of sent)
        for (const about of [answer, asked])
          for (let copy = 0; copy < COPIES; copy++)
            speaker.wire.send(
              frames.unreachable(between(speaker, of(name), family), Buffer.concat([about, Buffer.from(tag)])),
            );
      await until("it comes to whom it is for", async () => listener.wire.has(sent[0]?.tag ?? ""));
      // The way to the other host takes longer.
      const fence = `<fence ${family}>`;
      await until("what is sent behind arrives", async () => {
        of("s").wire.send(frames.udp(between(of("s"), of("far"), family), 53, fence));
        return of("far").wire.has(fence);
      });
      const arrived = sent.filter(({ name, tag }) => of(name).wire.has(tag)).map(({ name }) => name);
      assert.deepEqual(arrived, ["listener"]);
    });

  test("probes for another's address come to nobody, and its own to all", async () => {
    const [s, t] = [of("s"), of("t")];
    const probe4 = (target: string, tag: string) =>
      frames.arp({ fromMac: s.mac, toMac: frames.BROADCAST, from: "0.0.0.0", to: target }, 1, tag);
    const sent = [
      { frame: probe4(v4(t), "<arp of t>"), tag: "<arp of t>", isOwn: false },
      { frame: probe4(v4(s), "<arp of s>"), tag: "<arp of s>", isOwn: true },
      { frame: frames.solicitation(s.mac, v6(t)), tag: target(v6(t)), isOwn: false },
      { frame: frames.solicitation(s.mac, v6(s)), tag: target(v6(s)), isOwn: true },
    ];
    t.wire.forget();
    for (const { frame } of sent) for (let copy = 0; copy < COPIES; copy++) s.wire.send(frame);
    const isProbe = (seen: string) =>
      seen.slice(6, 12) === Buffer.from(s.mac.replaceAll(":", ""), "hex").toString("latin1");
    const has = (tag: string) => t.wire.framesWith(tag).some(isProbe);
    await until("its own arrive", async () => sent.every(({ tag, isOwn }) => !isOwn || has(tag)));
    assert.deepEqual(
      sent.map(({ tag }) => has(tag)),
      sent.map(({ isOwn }) => isOwn),
    );
  });

  test("nothing is routed out of a network that has no gateway", async () => {
    const [i, t] = [of("alone"), of("t")];
    const { vni } = (await cluster.api("GET", "/v1/networks/alone")).body.spec;
    const port = /^\d+: eth0@if(\d+)/m.exec(await must("ip", "-n", i.netns, "link", "show", "eth0"))?.[1];
    const links = await must("ip", "-n", cluster.vrfNetns("h1", "switched"), "-o", "link", "show");
    const near = new RegExp(`^${port}: .*link/ether (\\S+)`, "m").exec(links)?.[1] ?? assert.fail(links);
    const bridge = `0a:57:00:${(vni.toString(16).padStart(6, "0").match(/../g) ?? []).join(":")}`;
    assert.match(links, new RegExp(bridge));
    const tags = [bridge, near].flatMap((toMac) =>
      ([4, 6] as const).map((family) => {
        const tag = `<routed to ${toMac} as ${family}>`;
        for (let copy = 0; copy < COPIES; copy++) i.wire.send(frames.udp({ ...between(i, t, family), toMac }, 53, tag));
        return tag;
      }),
    );
    const fence = "<behind them>";
    await until("what is sent behind arrives", async () => {
      of("s").wire.send(frames.udp(between(of("s"), t), 53, fence));
      return t.wire.has(fence);
    });
    assert.deepEqual(
      tags.filter((tag) => t.wire.has(tag)),
      [],
    );
  });

  test("what is sent as one packet and cut into many later is a storm as well", async () => {
    const s = of("s");
    const wire = await Interface.in(s.netns, "eth0", { isCutLater: true });
    const ends = { ...between(s, of("t")), toMac: "01:00:5e:00:00:fb", to: "224.0.0.251" };
    const frame = frames.udp(ends, 5353, "storm".padEnd(40_000));
    of("t").wire.forget();
    const begunMs = performance.now();
    let sent = 0;
    let arrived = 0;
    // A bucket that is full holds a second of the rate beside the burst.
    const most = () => 8 * 2 ** 20 + (4 * 2 ** 20 * (performance.now() - begunMs)) / 1_000;
    for (let n = 0; n < 1_000 || sent < 2 * most(); n++) {
      if (wire.sendCut(frame, 400)) sent += frame.length;
      if (n % 50 > 0) continue;
      arrived += of("t").wire.framesWith("storm").length * frame.length;
      of("t").wire.forget();
    }
    wire.close();
    await cluster.reaches(s, v4(of("t")));
    arrived += of("t").wire.framesWith("storm").length * frame.length;
    assert(arrived > 0 && arrived <= most(), `${arrived} of ${sent} bytes arrived, ${most()} may`);
  });
});

function target(ip: string): string {
  return frames.address(ip).toString("latin1");
}
