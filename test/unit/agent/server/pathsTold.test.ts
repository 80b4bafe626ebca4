// When ways to peers are tried, what counts as an answer, and what is told of them. Time is virtual, the wire a script.
import assert from "node:assert/strict";
import { test } from "node:test";
import { VirtualClock } from "../../../sim/lab/clock.ts";
import type { EchoSeen } from "../../../../src/kernel/kernel.ts";
import { type Snapshot, snapshotOf } from "../../../../src/model/resource.ts";
import { PathProbes } from "../../../../src/agent/server/pathProbes.ts";
import { make } from "../samples.ts";

/** `h1` and its peers, all in one VRF per tunnel port. */
function snapshotWith(
  peers: readonly number[],
  ports: readonly number[] = [4789],
  underlayOf = (order: number) => `10.0.${order >> 8}.${order & 255}`,
): Snapshot {
  const orders = [1, ...peers];
  return snapshotOf("c", 1, [
    ...orders.map((order) => make("host", `h${order}`, { underlay: underlayOf(order), underlayMtu: 1500, order })),
    ...ports.flatMap((tunnelPort, i) => [
      make("vrf", `v${i}`, {
        index: i,
        vni: 4096 + i,
        tunnelPort,
        vtepSubnets: ["44.128.0.0/16"],
        vtepMacOui: "70:b3:d5",
        hostAccess: false,
      }),
      make("network", `n${i}`, {
        driver: "vxlan",
        ipam: "local",
        vrf: `v${i}`,
        subnets: [{ cidr: `${9 + i}.0.0.0/8`, hostPrefix: 24 }],
        masquerade: false,
        enabled: true,
      }),
      make("block", `n${i}.h1.4`, { network: `n${i}`, host: "h1", cidr: `${9 + i}.0.0.0/24` }),
      ...orders.map((order) =>
        make("vtep", `v${i}.h${order}`, {
          vrf: `v${i}`,
          host: `h${order}`,
          ip: `44.128.${order >> 8}.${order & 255}`,
          mac: "70:b3:d5:80:00:01",
        }),
      ),
    ]),
  ]);
}
const range = (n: number) => Array.from({ length: n }, (_, i) => i + 2);
/** The peer's number in an address of the namespace. */
const peerIn = (to: string) => Number.parseInt(to.split(":").at(-1) ?? "", 16);

type Sent = {
  readonly to: string;
  readonly peer: number;
  readonly size: number;
  readonly atMs: number;
  readonly payload: Buffer;
};

const ALL = (): boolean => true;
const NONE = (): boolean => false;

function started(snapshot: Snapshot | undefined, passes: (sent: Sent) => boolean = ALL, random = 0.5) {
  const clock = new VirtualClock();
  const startMs = clock.nowMs();
  const stop = new AbortController();
  const wire = { isThere: true, passes, looks: 0 };
  const sent: Sent[] = [];
  const arrived: EchoSeen[] = [];
  const news: number[] = [];
  const walls: { readonly atMs: number; readonly ports: readonly string[] }[] = [];
  const echo = {
    send(to: string, bytes: Uint8Array) {
      const payload = Buffer.from(bytes);
      const one = { to, peer: peerIn(to), size: payload.length + 48, atMs: clock.nowMs() - startMs, payload };
      sent.push(one);
      if (wire.passes(one)) arrived.push({ kind: "answer", from: to, payload });
      return true;
    },
    sendDatagram: () => false,
    receive: () => {
      wire.looks++;
      return arrived.shift();
    },
  };
  const kernel = {
    echo: () => (wire.isThere ? echo : undefined),
    blockingFilters: (ports: readonly string[]) => {
      walls.push({ atMs: clock.nowMs() - startMs, ports });
      return ["a wall", "another"];
    },
  };
  const paths = new PathProbes({ host: "h1", kernel, clock, random: () => random });
  const provenAt: number[] = [];
  paths.onNews = () => {
    news.push(clock.nowMs() - startMs);
    provenAt.push(paths.report.proven);
  };
  if (snapshot !== undefined) paths.follow(snapshot);
  const ended = paths.run(stop.signal);
  const end = async () => {
    stop.abort();
    await clock.advance(1);
    await ended;
  };
  const states = () => Object.fromEntries(paths.report.named.map(({ host, state }) => [host, state]));
  return { clock, wire, sent, arrived, news, provenAt, walls, paths, end, states };
}

test("a way that is proven is tried again after five seconds, a quarter more or less, as chance has it", async () => {
  const gaps: Readonly<Record<number, number>> = { 0: 3_750, 0.5: 5_000, 0.999: 6_247.5 };
  for (const [random, againMs] of Object.entries(gaps)) {
    const { clock, sent, end } = started(snapshotWith([2]), ALL, Number(random));
    await clock.advance(20_000);
    // The first answer is taken after 20 ms, later ones after 100.
    const [first, second, third] = sent.map(({ atMs }) => atMs);
    assert.equal(first, 0);
    assert.equal(second, Math.ceil(20 + againMs));
    assert.equal(third, Math.ceil((second ?? 0) + 100 + againMs));
    await end();
  }
});

test("a host with more than a hundred peers tries each as much later", async () => {
  for (const [peers, againMs] of [
    [20, 5_000],
    [200, 10_000],
    [400, 20_000],
  ] as const) {
    const { clock, sent, end } = started(snapshotWith(range(peers)));
    await clock.advance(60_000);
    const before = sent.length;
    await clock.advance(4 * againMs);
    const each = (sent.length - before) / peers;
    assert(each > 3.5 && each <= 4.05, `${peers} peers: ${each} times`);
    await end();
  }
});

test("ten packets go out at once, and fifty in a second; whoever waited longest goes first", async () => {
  const { clock, sent, end } = started(snapshotWith(range(300)), NONE);
  await clock.advance(0);
  assert.equal(sent.length, 10);
  await clock.advance(1_000);
  // One more than the budget may go out: small packets go with the large ones.
  assert(sent.length >= 58 && sent.length <= 61, String(sent.length));
  await clock.advance(60_000);
  const turns = Map.groupBy(
    sent.filter(({ size }) => size > 200),
    ({ peer }) => peer,
  );
  const counts = [...turns.values()].map((all) => all.length);
  assert.equal(turns.size, 300);
  assert(Math.max(...counts) - Math.min(...counts) <= 1, `${Math.min(...counts)} to ${Math.max(...counts)}`);
  assert(sent.length <= 10 + 61 * 50 + 2, String(sent.length));
  assert(sent.length >= 61 * 50 - 60, String(sent.length));
  await end();
  // A host that was silent for long has no more than ten to send at once.
  const idle = started(snapshotWith([2]));
  await idle.clock.advance(100_000);
  const before = idle.sent.length;
  idle.paths.follow(snapshotWith(range(300)));
  await idle.clock.advance(0);
  assert(idle.sent.length - before <= 11, String(idle.sent.length - before));
  await idle.end();
});

test("only an answer to what this process sent is one, and once", async () => {
  const { clock, sent, arrived, end, states } = started(snapshotWith([2]), NONE);
  await clock.advance(8_000);
  assert.deepEqual(states(), { h2: "failed" });
  const { payload, to } = sent.findLast(({ size }) => size > 200) ?? assert.fail();
  const flipped = (at: number) => {
    const copy = Buffer.from(payload);
    copy[at] = (copy[at] ?? 0) ^ 1;
    return copy;
  };
  const unknown = Buffer.from(payload);
  unknown.writeUInt32BE(4_000_000_000, 8);
  for (const other of [flipped(0), flipped(7), unknown, payload.subarray(0, 11), Buffer.alloc(0)])
    arrived.push({ kind: "answer", from: to, payload: other });
  await clock.advance(150);
  assert.deepEqual(states(), { h2: "failed" });
  // What is no answer is what the peer asked itself, whatever it carries.
  arrived.push({ kind: "request", from: to, payload });
  await clock.advance(150);
  assert.deepEqual(states(), { h2: "failed" });
  arrived.push({ kind: "answer", from: to, payload: payload.subarray(0, 12) });
  await clock.advance(150);
  assert.deepEqual(states(), { h2: "proven" });
  await clock.advance(20_000);
  assert.deepEqual(states(), { h2: "failed" });
  arrived.push({ kind: "answer", from: to, payload });
  await clock.advance(150);
  assert.deepEqual(states(), { h2: "failed" });
  await end();
});

test("an answer counts for the way that it was asked on, and however late, within the last packets", async () => {
  const { clock, sent, arrived, end, states } = started(snapshotWith([2, 3]), NONE);
  await clock.advance(70_000);
  const late = (n: number, peer: number) => {
    const { payload, to } = sent.filter((one) => one.peer === peer && one.size > 200).at(-n) ?? assert.fail();
    arrived.push({ kind: "answer", from: to, payload });
  };
  // Two packets each time, to two peers; 48 are kept for two.
  late(11, 3);
  await clock.advance(100);
  assert.deepEqual(states(), { h2: "failed", h3: "proven" });
  late(13, 2);
  await clock.advance(100);
  assert.deepEqual(states(), { h2: "failed", h3: "proven" });
  await end();
});

test("it is told at once that the last way is known, and else once a second at most", async () => {
  const { clock, news, provenAt, end } = started(snapshotWith([2, 3]), ({ peer, atMs }) => peer === 2 || atMs > 50);
  await clock.advance(900);
  const [first = 0, known = 0, ...rest] = news;
  assert.deepEqual([first, rest], [0, []]);
  assert(known > 0 && known < 400, String(known));
  assert.deepEqual(provenAt, [0, 2]);
  await clock.advance(30_000);
  const gaps = news.slice(2).map((atMs, i) => atMs - (news[i + 1] ?? 0));
  assert(
    gaps.every((gap) => gap >= 1_000 && gap < 2_100),
    gaps.join(),
  );
  await end();
});

test("filters of others are asked for while something does not pass, and every half minute", async () => {
  const { clock, wire, walls, paths, end } = started(snapshotWith([2, 3], [4789, 4790]));
  await clock.advance(10_000);
  assert.equal(walls.length, 0);
  wire.passes = ({ to }) => !to.includes(":12b5:");
  await clock.advance(70_000);
  assert.deepEqual([...new Set(walls.flatMap(({ ports }) => ports))], ["4789"]);
  assert.equal(walls[0]?.ports.length, 1, "each port once");
  const gaps = walls.slice(1).map(({ atMs }, i) => atMs - (walls[i]?.atMs ?? 0));
  assert(gaps.length >= 1 && gaps.every((gap) => gap >= 30_000 && gap < 33_000), gaps.join());
  assert.match(paths.report.named[0]?.obstacle ?? "", /; a wall; another$/);
  wire.passes = ALL;
  await clock.advance(10_000);
  assert.equal(paths.report.proven, 2);
  const before = walls.length;
  wire.passes = NONE;
  await clock.advance(12_000);
  assert.equal(walls.length, before + 1, "at once, for it was well in between");
  await clock.advance(31_000);
  assert.deepEqual(new Set(walls.at(-1)?.ports), new Set(["4789", "4790"]));
  await end();
});

test("a peer over several ports is told once, as it stands with the worst, and the worst peers first", async () => {
  const { clock, wire, paths, end } = started(snapshotWith([2, 3, 4, 5, 6], [4789, 4790]));
  await clock.advance(2_000);
  assert.deepEqual([paths.report.peers, paths.report.proven], [5, 5]);
  wire.passes = ({ peer, to, size }) => {
    if (peer === 3) return to.includes(":12b5:");
    if (peer === 4) return !to.includes(":12b5:") || size <= 200;
    return peer !== 6;
  };
  await clock.advance(8_000);
  wire.passes = ({ peer, to, size }) => (peer === 4 ? !to.includes(":12b5:") || size <= 200 : peer === 2 || peer === 5);
  await clock.advance(10_000);
  const { named, peers, proven } = paths.report;
  assert.deepEqual([peers, proven], [5, 2]);
  assert.deepEqual(
    named.slice(0, 3).map(({ state }) => state),
    ["failed", "failed", "small"],
  );
  assert.deepEqual(
    named.slice(2, 3).map(({ host }) => host),
    ["h4"],
  );
  assert.match(named.find(({ host }) => host === "h4")?.obstacle ?? "", /UDP 4789, those of 200 bytes/);
  assert.deepEqual(
    new Set(named.slice(3).map(({ host, state, obstacle }) => `${host} ${state} ${obstacle}`)),
    new Set(["h2 proven undefined", "h5 proven undefined"]),
  );
  for (const [i, one] of named.entries()) {
    const next = named[i + 1];
    if (next?.state === one.state) assert(one.sinceMs >= next.sinceMs, "the last to turn comes first");
  }
  await end();
});

test("what has turned last is told first", async () => {
  const { clock, wire, paths, end } = started(snapshotWith([2, 3, 4]));
  await clock.advance(1_000);
  const lost = new Set<number>();
  wire.passes = ({ peer }) => !lost.has(peer);
  for (const peer of [3, 2, 4]) {
    lost.add(peer);
    await clock.advance(12_000);
  }
  assert.deepEqual(
    paths.report.named.map(({ host }) => host),
    ["h4", "h2", "h3"],
  );
  lost.delete(3);
  await clock.advance(4_000);
  assert.deepEqual(
    paths.report.named.map(({ host }) => host),
    ["h4", "h2", "h3"],
  );
  lost.clear();
  await clock.advance(4_000);
  lost.add(2);
  await clock.advance(12_000);
  assert.deepEqual(
    paths.report.named.map(({ host, state }) => `${host} ${state}`),
    ["h2 failed", "h4 proven", "h3 proven"],
  );
  await end();
});

test("while the namespace is not there nothing is sent; a round that makes it is followed by a try", async () => {
  const late = started(undefined);
  late.wire.isThere = false;
  await late.clock.advance(15_000);
  assert.deepEqual([late.sent, late.paths.report], [[], { peers: 0, proven: 0, named: [] }]);
  late.paths.follow(snapshotWith([2]));
  await late.clock.advance(5_000);
  assert.deepEqual([late.sent.length, late.states()], [0, { h2: "unknown" }]);
  late.wire.isThere = true;
  await late.clock.advance(10_001);
  assert.deepEqual(late.states(), { h2: "proven" });
  late.paths.follow(snapshotWith([2, 3]));
  await late.clock.advance(30);
  assert.deepEqual(late.states(), { h2: "proven", h3: "proven" });
  late.paths.follow(snapshotWith([3]));
  const before = late.sent.length;
  await late.clock.advance(20_000);
  assert(late.sent.slice(before).every(({ peer }) => peer === 3));
  assert.deepEqual(late.paths.report.peers, 1);
  late.paths.follow({ ...snapshotWith([3]), hosts: [] });
  const none = late.sent.length;
  await late.clock.advance(20_000);
  assert.deepEqual([late.sent.length, late.paths.report], [none, { peers: 0, proven: 0, named: [] }]);
  await late.end();
});

test("a snapshot that says the same of the ways changes nothing of what is known of them", async () => {
  const { clock, sent, states, paths, end } = started(snapshotWith([2, 3]));
  await clock.advance(1_000);
  const { sinceMs } = paths.report.named[0] ?? assert.fail();
  const before = sent.length;
  for (let n = 0; n < 20; n++) {
    paths.follow(snapshotWith([2, 3]));
    await clock.advance(100);
  }
  assert.deepEqual(
    [sent.length - before, states(), paths.report.named[0]?.sinceMs],
    [0, { h2: "proven", h3: "proven" }, sinceMs],
  );
  await end();
});

test("a way that is new is tried at once, also in the place of another", async () => {
  const { clock, states, paths, end } = started(snapshotWith([2, 3]));
  await clock.advance(2_000);
  paths.follow(snapshotWith([2, 4]));
  await clock.advance(30);
  assert.deepEqual(states(), { h2: "proven", h4: "proven" });
  await end();
});

test("a way that cannot be is not tried, and keeps nobody awake", async () => {
  const mixed = snapshotWith([2, 3], [4789], (order) => (order === 3 ? "2001:db8::3" : `10.0.0.${order}`));
  const { clock, sent, wire, states, end } = started(mixed);
  await clock.advance(5_000);
  const before = wire.looks;
  await clock.advance(60_000);
  assert(wire.looks - before <= 150, `${wire.looks - before} looks in a minute`);
  assert.deepEqual([new Set(sent.map(({ peer }) => peer)), states()], [new Set([2]), { h3: "failed", h2: "proven" }]);
  await end();
  const alone = started(snapshotWith([3], [4789], (order) => (order === 3 ? "2001:db8::3" : `10.0.0.${order}`)));
  await alone.clock.advance(60_000);
  assert(alone.wire.looks <= 10, `${alone.wire.looks} looks in a minute`);
  await alone.end();
});

test("what is not known yet comes after what is broken, and before what is proven", async () => {
  const { clock, wire, paths, end } = started(snapshotWith([2, 3, 4]));
  await clock.advance(1_000);
  wire.passes = ({ peer, size }) => peer === 2 || (peer === 3 && size <= 200);
  await clock.advance(20_000);
  paths.follow(snapshotWith([2, 3, 4, 5]));
  assert.deepEqual(
    paths.report.named.map(({ host, state }) => `${host} ${state}`),
    ["h4 failed", "h3 small", "h5 unknown", "h2 proven"],
  );
  await end();
});

test("it is told which direction is broken, of the peer whose own tries arrive, and of no other", async () => {
  const { clock, wire, arrived, paths, end } = started(snapshotWith([2, 3]));
  await clock.advance(1_000);
  wire.passes = NONE;
  await clock.advance(12_000);
  arrived.push({ kind: "request", from: "fd00:7765:7061:12b5::3", payload: Buffer.alloc(12) });
  await clock.advance(1_000);
  const obstacle = (host: string) => paths.report.named.find((one) => one.host === host)?.obstacle ?? "";
  assert.match(obstacle("h3"), /^packets from h3 to UDP 4789 arrive here/);
  assert.match(obstacle("h2"), /^h2 does not answer on UDP 4789, and nothing from it arrives/);
  await end();
});
