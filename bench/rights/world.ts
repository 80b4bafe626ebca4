// A cluster of many networks for the bench of rights: whose they are, and users who may see some of them, each by
// another way. The values are put into a store in memory as they are, so that no limit of admission is in the way.
import { Control } from "../../src/control/control.ts";
import type { Viewer } from "../../src/control/write.ts";
import type { NetworkInput } from "../../src/model/input.ts";
import type { Resource } from "../../src/model/resource.ts";
import { openMemoryStore } from "../../src/store/memory.ts";
import * as certifier from "../../src/tls/certifier.ts";

export const NETWORKS = 10_000;
/** Of which a user with little sees this many. */
const FEW = 10;
const EVERY = NETWORKS / FEW;
/** Rules that nobody of these users is subject of, and users beside them. */
const OTHERS = 200;

export const clock = {
  nowMs: () => Date.now(),
  monotonicMs: () => performance.now(),
  sleep: () => new Promise<void>(() => {}),
};

/** Who asks, how many of the networks that is, and in pages of how many. */
export type Case = { readonly user: string; readonly what: string; readonly sees: number; readonly limit: number };
export const CASES: readonly Case[] = [
  { user: "owner", what: "10: its own", sees: FEW, limit: 1000 },
  { user: "named", what: "10: a rule for each", sees: FEW, limit: 1000 },
  { user: "grouped", what: "10: a rule for a group's", sees: FEW, limit: 1000 },
  { user: "clustered", what: "10: a rule for a cluster's", sees: FEW, limit: 1000 },
  { user: "member", what: "5,000: its group's, 100 a page", sees: NETWORKS / 2, limit: 100 },
];

const one = (kind: string, name: string, spec: object, more: object = {}) =>
  ({ kind, name, uid: `${kind}-${name}`, revision: 1, spec, ...more }) as unknown as Resource;

export function networkName(n: number): string {
  return `net-${n.toString().padStart(5, "0")}`;
}

/** What is put to make the n-th network. */
export function inputOf(n: number): NetworkInput {
  return {
    vrf: `vrf-${n % 100}`,
    subnets: [{ cidr: `10.${n >> 8}.${n & 255}.0/24` }],
    ...(n % EVERY === 4 ? { clusters: ["edge"] } : {}),
  };
}

function network(n: number): Resource {
  const few = n % EVERY;
  const group = few === 2 ? "lab" : n % 2 === 1 ? "half" : "rest";
  const access = { owner: few === 0 ? "owner" : `other${n % OTHERS}`, group, mode: "um-u-----" };
  const spec = {
    driver: "vxlan",
    ipam: "global",
    vni: 1000 + n,
    masquerade: true,
    enabled: true,
    ...inputOf(n),
    ...(few === 4 ? { clusterHosts: ["h1"] } : {}),
  };
  return one("network", networkName(n), spec, { access });
}

function rule(name: string, subject: object, resource: object): Resource {
  return one("aclrule", name, { subject, resource: { kinds: ["network"], ...resource }, rights: ["use"] });
}

function resources(): Resource[] {
  const numbers = Array.from({ length: NETWORKS }, (_, n) => n);
  const users = ["owner", "named", "grouped", "clustered"].map((name) =>
    one("user", name, { group: "own", enabled: true }),
  );
  return [
    ...Array.from({ length: 100 }, (_, n) =>
      one("vrf", `vrf-${n}`, { index: n + 1, vni: 900_000 + n, tunnelPort: 4789, vtepSubnets: [], hostAccess: true }),
    ),
    ...["own", "lab", "half", "rest"].map((name) => one("usergroup", name, {})),
    one("hostcluster", "edge", { hosts: ["h1"] }),
    one("host", "h1", { underlay: "192.168.0.1", underlayMtu: 1500, order: 0 }),
    ...users,
    one("user", "member", { group: "half", enabled: true }),
    ...Array.from({ length: OTHERS }, (_, n) => one("user", `other${n}`, { group: "rest", enabled: true })),
    ...numbers.map(network),
    ...numbers
      .filter((n) => n % EVERY === 6)
      .map((n) => rule(`named-${n}`, { user: "named" }, { name: networkName(n) })),
    rule("grouped", { user: "grouped" }, { usergroup: "lab" }),
    rule("clustered", { user: "clustered" }, { hostcluster: "edge" }),
    ...Array.from({ length: OTHERS }, (_, n) =>
      rule(`other-${n}`, { user: `other${n}` }, { name: networkName(n * 7) }),
    ),
  ];
}

/** A control plane of that world. */
export async function openWorld(): Promise<Control> {
  const store = openMemoryStore({ cluster: "bench" });
  const audit = { atMs: 0, who: "server", credential: "none", from: "bench", verb: "put", result: "done" };
  await store.commit([{ changes: resources().map((put) => ({ put })), preconditions: [], audit }]);
  return Control.open(store, { clock, certifier });
}

export const viewer = (user: string): Viewer => ({ role: "user", user });
