// What a host finds out about checksums inside its tunnels: from which datagrams are refused, and how often they are
// sent.
import assert from "node:assert/strict";
import { test } from "node:test";
import { OffloadProbes } from "../../../../src/agent/server/offloadProbes.ts";
import type { TunnelDevice } from "../../../../src/datapath/network/offload.ts";
import type { Path } from "../../../../src/datapath/network/paths.ts";
import { type KernelState, stateOf } from "../../../../src/datapath/state/state.ts";
import type { ChecksumBy } from "../../../../src/kernel/kernel.ts";
import { VirtualClock } from "../../../sim/lab/clock.ts";

const LOCAL = "172.31.77.11";
const remote = (n: number) => `172.31.77.${10 + n}`;
const NOTHING: KernelState = new Map();

function path(n: number, driver: "vxlan" | "gre" = "vxlan"): Path {
  const port = driver === "gre" ? 0 : 4789;
  return { host: `h${n}`, driver, port, ends: `${LOCAL} ${remote(n)}`, to: `fd00::${n}`, size: 1450 };
}

const common = { ns: "vrf:blue", mtu: 1450, mac: "02:00:00:00:00:01", alias: "weft:network:blue" } as const;
const vxlan = (more: Partial<Extract<TunnelDevice, { kind: "vxlan" }>> = {}): TunnelDevice => {
  return { kind: "vxlan", ...common, name: "wx7", vni: 7, local: LOCAL, port: 4789, ...more };
};
const gretap = (n: number): TunnelDevice => {
  return { kind: "gretap", ...common, name: `gt7-${n}`, key: 7, local: LOCAL, remote: remote(n) };
};

type Sent = { readonly to: string; readonly by: ChecksumBy; readonly size: number; readonly atMs: number };

/** Paths that are proven, on a wire on which `passes` decides what arrives. */
function started(list: readonly Path[], passes: (sent: Sent) => boolean) {
  const clock = new VirtualClock();
  const startMs = clock.nowMs();
  const stop = new AbortController();
  const sent: Sent[] = [];
  const wire = { passes, device: "eth0", verdicts: 0 };
  const paths = list.map((one) => ({ path: one, state: "proven" as "proven" | "failed", sinceMs: 0 }));
  const echo = {
    send: () => false,
    receive: () => undefined,
    sendDatagram(to: string, bytes: Uint8Array, by: ChecksumBy) {
      const one = { to, by, size: bytes.length + 48, atMs: clock.nowMs() - startMs };
      sent.push(one);
      if (wire.passes(one)) probes.take({ kind: "refusal", from: to, payload: Buffer.from(bytes).subarray(0, 1200) });
      return true;
    },
  };
  const probes: OffloadProbes = new OffloadProbes({
    kernel: { echo: () => echo, underlayDevice: () => wire.device },
    clock,
    paths: () => paths,
    onVerdict: () => wire.verdicts++,
    log: () => undefined,
  });
  const ended = probes.run(stop.signal);
  probes.meet();
  const end = async () => {
    stop.abort();
    await ended;
  };
  return { clock, sent, wire, paths, probes, end };
}

const FAULTY = ({ by }: Sent) => by === "kernel";
const isFaulty = ({ probes }: { probes: OffloadProbes }, tunnel = vxlan()) => probes.faultyIn(NOTHING)(tunnel);

test("a sound way is known from the first answer, and nothing more is sent", async () => {
  const lab = started([path(2)], () => true);
  await lab.clock.advance(100_000);
  assert.deepEqual(
    lab.sent.map(({ by, size }) => `${by} ${size}`),
    ["device 1450", "kernel 1450"],
  );
  assert.deepEqual([isFaulty(lab), lab.probes.conditions(NOTHING)], [false, []]);
  await lab.end();
});

test("three tries in which only what the kernel wrote arrives make it faulty, for good", async () => {
  const lab = started([path(2)], FAULTY);
  await lab.clock.advance(1_000);
  assert.equal(isFaulty(lab), false);
  await lab.clock.advance(100_000);
  assert.equal(lab.sent.length, 6);
  assert.equal(isFaulty(lab), true);
  assert.equal(isFaulty(lab, vxlan({ port: 8472 })), false);
  assert.equal(isFaulty(lab, vxlan({ local: "172.31.78.11" })), false);
  const off = stateOf([vxlan(), { kind: "checksums", ns: "vrf:blue", dev: "wx7" }, vxlan({ ns: "host", name: "wx9" })]);
  assert.match(
    lab.probes.conditions(off).join("\n"),
    /^eth0 gets .* UDP 4789 wrong: .* h2, .* off on wx7, and on at wx9/,
  );
  await lab.end();
});

test("silence of both kinds says nothing, and is tried again after a minute", async () => {
  const lab = started([path(2)], () => false);
  await lab.clock.advance(30_000);
  assert.equal(lab.sent.length, 6);
  assert.equal(isFaulty(lab), false);
  lab.wire.passes = FAULTY;
  await lab.clock.advance(60_000);
  assert.equal(lab.sent.length, 12);
  assert.equal(isFaulty(lab), true);
  await lab.end();
});

test("a peer that answers only one datagram a try does not make a sound way faulty", async () => {
  const seen = new Map<number, number>();
  const lab = started([path(2)], ({ atMs }) => {
    seen.set(atMs, (seen.get(atMs) ?? 0) + 1);
    return seen.get(atMs) === 1;
  });
  await lab.clock.advance(10_000);
  assert.equal(isFaulty(lab), false);
  await lab.end();
});

test("one peer is enough for a tunnel to all; of a tunnel to each, it is that peer's alone", async () => {
  const toThird = ({ to, by }: Sent) => to !== "fd00::3" || by === "kernel";
  const all = started([path(2), path(3)], toThird);
  await all.clock.advance(10_000);
  assert.equal(isFaulty(all), true);
  await all.end();
  const each = started([path(2, "gre"), path(3, "gre")], toThird);
  await each.clock.advance(10_000);
  assert.deepEqual([isFaulty(each, gretap(2)), isFaulty(each, gretap(3))], [false, true]);
  await each.end();
});

test("it is tried again when the path comes back, or by another device; until then it stays", async () => {
  const lab = started([path(2)], FAULTY);
  await lab.clock.advance(10_000);
  assert.equal(isFaulty(lab), true);
  const [only] = lab.paths;
  assert.ok(only !== undefined);
  lab.wire.passes = () => true;
  only.state = "failed";
  lab.probes.meet();
  await lab.clock.advance(10_000);
  assert.deepEqual([isFaulty(lab), lab.sent.length], [true, 6]);
  Object.assign(only, { state: "proven", sinceMs: 1 });
  lab.probes.meet();
  await lab.clock.advance(10_000);
  assert.deepEqual([isFaulty(lab), lab.wire.verdicts], [false, 2]);
  lab.wire.passes = FAULTY;
  lab.probes.addressesChanged();
  await lab.clock.advance(10_000);
  assert.equal(isFaulty(lab), false);
  lab.wire.device = "eth1";
  lab.probes.addressesChanged();
  await lab.clock.advance(10_000);
  assert.equal(isFaulty(lab), true);
  await lab.end();
});

test("what is not known yet stays as the kernel has it; what is never tried is on", async () => {
  const lab = started([path(2)], () => false);
  const off = (tunnel: TunnelDevice) => {
    const state = stateOf([tunnel, { kind: "checksums", ns: tunnel.ns, dev: tunnel.name }]);
    return lab.probes.faultyIn(state)(tunnel);
  };
  assert.deepEqual([off(vxlan()), isFaulty(lab)], [true, false]);
  assert.equal(off(vxlan({ local: "172.31.78.11" })), false);
  lab.wire.passes = () => true;
  await lab.clock.advance(100_000);
  assert.equal(off(vxlan()), false);
  await lab.end();
});

test("answers of others, or to an earlier agent, count for nothing", async () => {
  const lab = started([path(2)], FAULTY);
  for (const kind of ["answer", "request", "refusal"] as const)
    lab.probes.take({ kind, from: "fd00::2", payload: Buffer.alloc(1200) });
  await lab.clock.advance(10_000);
  assert.equal(isFaulty(lab), true);
  await lab.end();
});

test("of many new paths, ten begin at once", async () => {
  const lab = started(
    Array.from({ length: 100 }, (_, i) => path(i + 2)),
    () => true,
  );
  await lab.clock.advance(3_000);
  assert.equal(lab.sent.length, 200);
  for (let atMs = 0; atMs < 3_000; atMs += 100)
    assert.ok(lab.sent.filter((one) => one.atMs >= atMs && one.atMs < atMs + 100).length <= 20, `at ${atMs}`);
  await lab.end();
});
