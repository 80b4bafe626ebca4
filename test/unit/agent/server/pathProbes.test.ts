// Which peers a host probes through its tunnel ports, and what it reports of the answers.
import assert from "node:assert/strict";
import { test } from "node:test";
import { VirtualClock } from "../../../sim/lab/clock.ts";
import type { EchoSeen } from "../../../../src/kernel/kernel.ts";
import type { Host, Snapshot } from "../../../../src/model/resource.ts";
import { snapshotOf } from "../../../../src/model/resource.ts";
import { PathProbes } from "../../../../src/agent/server/pathProbes.ts";

const envelope = (kind: string, name: string, spec: object) => ({ kind, name, uid: name, revision: 1, spec });

/** `h1` and its peers in one VRF of a routed network, underlay MTU 1500. */
function snapshotWith(
  peers: number,
  underlayOf: (order: number) => string = (order) => `10.0.${order >> 8}.${order & 255}`,
): Snapshot {
  const orders = Array.from({ length: peers + 1 }, (_, i) => i + 1);
  const vrf = {
    index: 0,
    vni: 4096,
    tunnelPort: 4789,
    vtepSubnets: ["44.128.0.0/16"],
    vtepMacOui: "70:b3:d5",
    hostAccess: false,
  };
  const network = {
    driver: "vxlan",
    ipam: "local",
    vrf: "blue",
    subnets: [{ cidr: "9.0.0.0/8", hostPrefix: 24 }],
    masquerade: false,
    enabled: true,
  };
  return snapshotOf("test", 1, [
    envelope("vrf", "blue", vrf),
    envelope("network", "blue", network),
    envelope("block", "blue.h1.4", { network: "blue", host: "h1", cidr: "9.0.0.0/24" }),
    ...orders.flatMap((order) => [
      envelope("host", `h${order}`, { underlay: underlayOf(order), underlayMtu: 1500, order }),
      envelope("vtep", `blue.h${order}`, {
        vrf: "blue",
        host: `h${order}`,
        ip: `44.128.${order >> 8}.${order & 255}`,
        mac: "70:b3:d5:80:00:01",
      }),
    ]),
  ] as unknown as readonly Host[]);
}

/** A wire on which `passes` decides what is answered; everything sent is noted with its time and size on the wire. */
function started(snapshot: Snapshot, passes: (to: string, size: number) => boolean) {
  const clock = new VirtualClock();
  const stop = new AbortController();
  const sent: { readonly to: string; readonly size: number; readonly atMs: number }[] = [];
  const arrived: EchoSeen[] = [];
  const echo = {
    send(to: string, payload: Uint8Array) {
      const size = payload.length + 48;
      sent.push({ to, size, atMs: clock.nowMs() });
      if (passes(to, size)) arrived.push({ kind: "answer", from: to, payload: Buffer.from(payload) });
      return true;
    },
    sendDatagram: () => false,
    receive: () => arrived.shift(),
  };
  const kernel = { echo: () => echo, blockingFilters: () => ["a wall"] };
  const paths = new PathProbes({ host: "h1", kernel, clock, random: () => 0.5 });
  paths.follow(snapshot);
  const ended = paths.run(stop.signal);
  const end = async () => {
    stop.abort();
    await clock.advance(1);
    await ended;
  };
  return { clock, paths, sent, arrived, end };
}

test("a way that answers is proven with packets of full size, and tried again every few seconds", async () => {
  const { clock, paths, sent, end } = started(snapshotWith(2), () => true);
  await clock.advance(100);
  assert.deepEqual(
    new Set(paths.report.named.map(({ host, state }) => `${host} ${state}`)),
    new Set(["h2 proven", "h3 proven"]),
  );
  assert.deepEqual(new Set(sent.map(({ size }) => size)), new Set([1450]));
  const before = sent.length;
  await clock.advance(60_000);
  assert(sent.length - before >= 2 * 10 && sent.length - before <= 2 * 15, String(sent.length - before));
  await end();
});

test("a way that fails is told within ten seconds, with what stands in it, and heals in four", async () => {
  let isOpen = true;
  const { clock, paths, arrived, end } = started(snapshotWith(1), () => isOpen);
  await clock.advance(1_000);
  const sinceMs = paths.report.named[0]?.sinceMs;
  isOpen = false;
  await clock.advance(10_000);
  const [failed] = paths.report.named;
  assert.equal(failed?.state, "failed");
  assert.notEqual(failed.sinceMs, sinceMs);
  assert.equal(failed.obstacle, "h2 does not answer on UDP 4789, and nothing from it arrives here; a wall");
  assert.deepEqual([paths.report.peers, paths.report.proven], [1, 0]);
  arrived.push({ kind: "request", from: "fd00:7765:7061:12b5::2", payload: Buffer.alloc(12) });
  await clock.advance(1_000);
  assert.match(
    paths.report.named[0]?.obstacle ?? "",
    /^packets from h2 to UDP 4789 arrive here, but h2 does not answer those from here/,
  );
  isOpen = true;
  await clock.advance(4_000);
  assert.equal(paths.report.proven, 1);
  await end();
});

test("only small packets: said as such, and one lost packet is no failure", async () => {
  let largest = 1500;
  const { clock, paths, end } = started(snapshotWith(1), (_to, size) => size <= largest);
  await clock.advance(1_000);
  largest = 1400;
  await clock.advance(10_000);
  assert.equal(paths.report.named[0]?.state, "small");
  assert.match(paths.report.named[0].obstacle ?? "", /those of 200 bytes pass and those of 1450 do not/);
  largest = 1500;
  await clock.advance(4_000);
  assert.equal(paths.report.proven, 1);
  let lost = 0;
  const once = started(snapshotWith(1), () => lost++ !== 1);
  for (let second = 0; second < 30; second++) {
    await once.clock.advance(1_000);
    assert.equal(once.paths.report.proven, 1, `after ${second} s`);
  }
  await once.end();
  await end();
});

test("200 peers are proven in five seconds, a thousand that are all silent cost no more than the budget", async () => {
  const many = started(snapshotWith(200), () => true);
  await many.clock.advance(5_000);
  assert.equal(many.paths.report.proven, 200);
  assert.equal(many.paths.report.named.length, 100);
  await many.end();
  const silent = started(snapshotWith(1000), () => false);
  await silent.clock.advance(60_000);
  for (let second = 0; second < 60; second++) {
    const from = (silent.sent[0]?.atMs ?? 0) + second * 1000;
    const inIt = silent.sent.filter(({ atMs }) => atMs >= from && atMs < from + 1000).length;
    assert(inIt <= 62, `${inIt} packets in second ${second}`);
  }
  assert.equal(new Set(silent.sent.map(({ to }) => to)).size, 1000, "every peer had its turn");
  await silent.end();
});

test("an IPv6 underlay beside an IPv4 one is no way, and another underlay address is another way", async () => {
  const both = started(
    snapshotWith(1, (order) => (order === 2 ? "2001:db8::2" : "10.0.0.1")),
    () => true,
  );
  await both.clock.advance(1_000);
  const [none] = both.paths.report.named;
  assert.equal(none?.state, "failed");
  assert.equal(none.obstacle, "no tunnel between addresses of two families: 10.0.0.1 and 2001:db8::2");
  assert.deepEqual(both.sent, []);
  both.paths.follow(snapshotWith(1));
  assert.equal(both.paths.report.named[0]?.state, "unknown");
  await both.clock.advance(1_000);
  assert.equal(both.paths.report.named[0]?.state, "proven");
  await both.end();
});
