// When groups of networks are tried, what counts as delivered, and what is told. Time is virtual, the wire a script.
import assert from "node:assert/strict";
import { test } from "node:test";
import { VirtualClock } from "../../../sim/lab/clock.ts";
import type { GroupWay } from "../../../../src/kernel/kernel.ts";
import { type Resource, snapshotOf } from "../../../../src/model/resource.ts";
import { GroupProbes } from "../../../../src/agent/server/groupProbes.ts";

const make = (kind: string, name: string, spec: object) => ({ kind, name, uid: name, revision: 1, spec }) as Resource;

/** Network `lan` on hosts h1 to h<count>, and `more` of its spec. */
function snapshotWith(count: number, more: object = {}) {
  const orders = Array.from({ length: count }, (_, i) => i + 1);
  const vrf = { index: 0, vni: 4096, tunnelPort: 4789, vtepSubnets: [], vtepMacOui: "70:b3:d5", hostAccess: false };
  const network = {
    driver: "vxlan",
    ipam: "global",
    vrf: "lan",
    vni: 7,
    peers: "multicast",
    group: "239.0.0.7",
    subnets: [{ cidr: "10.7.0.0/16" }],
    masquerade: false,
    enabled: true,
    ...more,
  };
  const endpoint = (n: number) => ({
    network: "lan",
    host: `h${n}`,
    owner: `e${n}`,
    ifname: "eth0",
    netns: `/run/netns/e${n}`,
    mac: `02:00:00:00:00:0${n}`,
    addresses: [`10.7.0.${n}`],
  });
  return snapshotOf("c", 1, [
    make("vrf", "lan", vrf),
    make("network", "lan", network),
    ...orders.map((n) =>
      make("host", `h${n}`, { underlay: `192.0.2.${n}`, underlayMtu: 1500, underlayDevice: `eth${n}`, order: n }),
    ),
    ...orders.map((n) => make("endpoint", `e${n}.eth0`, endpoint(n))),
  ]);
}

/** Of h1, on a wire where `hears` says which members get a packet of that size. */
function started(count: number, hears: (member: number, size: number) => boolean) {
  const clock = new VirtualClock();
  const stop = new AbortController();
  const sent: { readonly atMs: number; readonly way: GroupWay; readonly packet: Buffer }[] = [];
  const state = { count, isProven: (_host: string) => true };
  const kernel = {
    sendToGroup(way: GroupWay, datagram: Uint8Array) {
      const packet = Buffer.from(datagram);
      sent.push({ atMs: clock.monotonicMs(), way, packet });
      const size = packet.length - 8 - 14;
      const payload = packet.subarray(8 + 14 + 48);
      for (let n = 2; n <= state.count; n++)
        if (hears(n, size)) groups.take({ kind: "answer", from: `fd00:7765:7061:12b5::${n}`, payload });
      return true;
    },
  };
  const groups = new GroupProbes({ host: "h1", kernel, clock, isProven: (host) => state.isProven(host) });
  let news = 0;
  groups.onNews = () => void news++;
  groups.follow(snapshotWith(count));
  const ended = groups.run(stop.signal);
  const end = async () => {
    stop.abort();
    await clock.advance(1);
    await ended;
  };
  const states = () => groups.report.flatMap(({ named }) => named.map((one) => `${one.host} ${one.state}`));
  return { clock, groups, sent, state, states, news: () => news, end };
}

test("a group that all members get is proven by packets of full size, and again after five minutes", async () => {
  const { clock, groups, sent, states, end, news } = started(3, () => true);
  await clock.advance(100);
  assert.deepEqual(states(), ["h2 proven", "h3 proven"]);
  assert.deepEqual(
    groups.report.map(({ network, peers, proven }) => [network, peers, proven]),
    [["lan", 2, 2]],
  );
  assert(news() > 0);
  assert.deepEqual(new Set(sent.map(({ packet }) => packet.length - 22)), new Set([1450, 200]));
  const { port, device, local, ttl, group } = sent[0]?.way ?? assert.fail();
  assert.deepEqual(
    { port, device, local, ttl, group },
    { port: 4789, device: "eth1", local: "192.0.2.1", ttl: 1, group: "239.0.0.7" },
  );
  const before = sent.length;
  await clock.advance(290_000);
  assert.equal(sent.length, before);
  await clock.advance(20_000);
  assert.equal(sent.length, before + 2);
  await end();
});

test("a member that gets nothing is told after some rounds, is tried every ten seconds, and heals", async () => {
  let isOpen = false;
  const { clock, groups, sent, states, end } = started(3, (n) => n === 2 || isOpen);
  await clock.advance(3_000);
  assert.deepEqual(states(), ["h3 unknown", "h2 proven"], "not after a round or two");
  await clock.advance(7_000);
  assert.deepEqual(states(), ["h3 failed", "h2 proven"]);
  assert.equal(
    groups.report[0]?.named[0]?.obstacle,
    "what is sent to group 239.0.0.7 by eth1 with TTL 1 does not arrive at h3",
  );
  const before = sent.length;
  await clock.advance(60_000);
  assert(sent.length - before >= 8 && sent.length - before <= 16, String(sent.length - before));
  isOpen = true;
  await clock.advance(11_000);
  assert.deepEqual(states(), ["h2 proven", "h3 proven"]);
  await end();
});

test("a switch that stops after some minutes is noticed", async () => {
  let isOpen = true;
  const { clock, states, end } = started(2, () => isOpen);
  await clock.advance(1_000);
  isOpen = false;
  await clock.advance(280_000);
  assert.deepEqual(states(), ["h2 proven"]);
  await clock.advance(30_000);
  assert.deepEqual(states(), ["h2 failed"]);
  await end();
});

test("only small packets: said as such", async () => {
  const { clock, groups, states, end } = started(2, (_, size) => size <= 1400);
  await clock.advance(10_000);
  assert.deepEqual(states(), ["h2 small"]);
  assert.match(
    groups.report[0]?.named[0]?.obstacle ?? "",
    /packets of 200 bytes arrive at h2 and those of 1450 do not/,
  );
  await end();
});

test("without a path to a host nothing is said of its group, until the path is there", async () => {
  const { clock, groups, state, sent, states, end } = started(2, () => false);
  state.isProven = () => false;
  await clock.advance(60_000);
  assert.deepEqual(states(), ["h2 unknown"]);
  const before = sent.length;
  state.isProven = () => true;
  groups.poke();
  await clock.advance(1);
  assert(sent.length > before, "at once");
  await clock.advance(10_000);
  assert.deepEqual(states(), ["h2 failed"]);
  await end();
});

test("another TTL is another way, a network without its group is told of no more, strangers do not count", async () => {
  const { clock, groups, state, states, end } = started(3, (n) => n === 2);
  await clock.advance(10_000);
  groups.take({ kind: "answer", from: "fd00:7765:7061:12b5::3", payload: Buffer.alloc(1402) });
  assert.deepEqual(states(), ["h3 failed", "h2 proven"]);
  groups.follow(snapshotWith(3, { ttl: 5 }));
  assert.deepEqual(states(), ["h2 unknown", "h3 unknown"]);
  await clock.advance(100);
  assert.deepEqual(states(), ["h3 unknown", "h2 proven"]);
  state.count = 2;
  groups.follow(snapshotWith(2, { ttl: 5 }));
  assert.deepEqual(states(), ["h2 proven"]);
  groups.follow(snapshotWith(2, { peers: undefined, group: undefined }));
  assert.deepEqual(groups.report, []);
  await end();
});
