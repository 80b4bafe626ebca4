// What does it cost to compile a whole host and compare? Compiles the desired state of one host and compares it with
// the actual one, for about 10,000 kernel objects: a switched network with an endpoint on every host (an FDB entry on
// the tunnel, one on the bridge and a neighbour for each remote endpoint), and a routed VRF (a route, a neighbour and
// an FDB entry for each peer). See docs/decisions/0001: the budget is 100 ms for compile and diff together.
import { strict as assert } from "node:assert";
import { compile } from "../src/datapath/compile.ts";
import { diff } from "../src/datapath/state/diff.ts";
import { type KernelState, stateOf } from "../src/datapath/state/state.ts";
import {
  type Block,
  type Endpoint,
  type Host,
  type Network,
  type Snapshot,
  type Vrf,
  type Vtep,
  emptySnapshot,
} from "../src/model/resource.ts";
import { cellsOf, quantilesOf, show } from "./lab/report.ts";

const SELF = "h0";
const HOSTS = 300;
const ENDPOINTS_PER_HOST = 10;
const ROUNDS = 40;

function ip(base: string, n: number): string {
  return `${base}.${n >> 8}.${n & 255}`;
}

function mac(n: number): string {
  return `02:00:00:00:${(n >> 8).toString(16).padStart(2, "0")}:${(n & 255).toString(16).padStart(2, "0")}`;
}

function vrf(name: string, index: number): Vrf {
  const spec = { index, vni: 4096 + index, tunnelPort: 4789, vtepSubnets: ["44.128.0.0/16"], hostAccess: true };
  return { kind: "vrf", name, uid: `v${index}`, revision: 1, spec: { ...spec, vtepMacOui: "70:b3:d5:00:00:00" } };
}

function network(name: string, spec: Pick<Network["spec"], "ipam" | "subnets"> & { vni?: number }): Network {
  const common = { driver: "vxlan", vrf: name, masquerade: true, enabled: true } as const;
  return { kind: "network", name, uid: name, revision: 1, spec: { ...common, ...spec } };
}

function bigSnapshot(): Snapshot {
  const indices = Array.from({ length: HOSTS }, (_, i) => i);
  const hosts = indices.map((i): Host => {
    const spec = { underlay: ip("172.16", i + 1), underlayMtu: 1500, order: i };
    return { kind: "host", name: `h${i}`, uid: `h${i}`, revision: 1, spec };
  });
  const vteps = indices.map((i): Vtep => {
    const spec = { vrf: "routed", host: `h${i}`, ip: ip("44.128", i + 1), mac: `70:b3:d5:80:${mac(i + 1).slice(-5)}` };
    return { kind: "vtep", name: `routed.h${i}`, uid: `t${i}`, revision: 1, spec };
  });
  const blocks = indices.map((i): Block => {
    const spec = { network: "routed", host: `h${i}`, cidr: `${ip("9", i).replace(/$/, ".0")}/24` };
    return { kind: "block", name: `routed.h${i}.4`, uid: `b${i}`, revision: 1, spec };
  });
  const endpoints = Array.from({ length: HOSTS * ENDPOINTS_PER_HOST }, (_, i): Endpoint => {
    const place = { host: `h${i % HOSTS}`, owner: `e${i}`, ifname: "eth0", netns: `/run/netns/e${i}` };
    const spec = { network: "flat", ...place, mac: mac(i + 2), addresses: [ip("10.7", i + 2)] };
    return { kind: "endpoint", name: `e${i}.eth0`, uid: `e${i}`, revision: 1, spec };
  });
  const networks = [
    network("flat", { ipam: "global", vni: 7, subnets: [{ cidr: "10.7.0.0/16" }] }),
    network("routed", { ipam: "local", subnets: [{ cidr: "9.0.0.0/8", hostPrefix: 24 }] }),
  ];
  return {
    ...emptySnapshot("c"),
    revision: 1,
    vrfs: [vrf("flat", 1), vrf("routed", 2)],
    networks,
    hosts,
    blocks,
    vteps,
    endpoints,
    holds: [],
    freed: [],
    cursors: [],
    securityGroups: [],
  };
}

/** The same objects as new values, in another order: what observing a kernel returns. */
function observed(state: KernelState): KernelState {
  return stateOf([...state.values()].toReversed().map((object) => structuredClone(object)));
}

function timed<T>(samples: number[], work: () => T): T {
  const startedMs = performance.now();
  const result = work();
  samples.push(performance.now() - startedMs);
  return result;
}

function main(): void {
  const snapshot = bigSnapshot();
  const times = { compile: [] as number[], diffSame: [] as number[], diffAll: [] as number[], round: [] as number[] };
  let objects = 0;
  const actual = observed(compile(snapshot, SELF));
  for (let round = 0; round < ROUNDS; round++) {
    const desired = timed(times.compile, () => compile(snapshot, SELF));
    objects = desired.size;
    assert.deepEqual(
      timed(times.diffSame, () => diff(actual, desired)),
      [],
    );
    assert.equal(timed(times.diffAll, () => diff(new Map(), desired)).length, objects);
    times.round.push((times.compile[round] ?? 0) + Math.max(times.diffSame[round] ?? 0, times.diffAll[round] ?? 0));
  }
  const {
    compile: compiled,
    diffSame,
    diffAll,
    round,
  } = {
    compile: quantilesOf(times.compile),
    diffSame: quantilesOf(times.diffSame),
    diffAll: quantilesOf(times.diffAll),
    round: quantilesOf(times.round),
  };
  const budgetMs = 100;
  show(
    {
      bench: "compile",
      values: {
        objects,
        compile: compiled,
        diffSame,
        diffAll,
        round,
        ratio: { roundP50ToBudget: round.p50 / budgetMs },
      },
      columns: [`${objects} objects, ms`, "p50", "p90", "p99"],
      rows: [
        ["compile", ...cellsOf(compiled)],
        ["diff, nothing to do", ...cellsOf(diffSame)],
        ["diff, everything to add", ...cellsOf(diffAll)],
        ["compile and the dearer diff", ...cellsOf(round)],
      ],
      notes: [`Budget: compile and diff of 10,000 objects in ${budgetMs} ms (docs/decisions/0001).`],
    },
    process.argv,
  );
}

main();
