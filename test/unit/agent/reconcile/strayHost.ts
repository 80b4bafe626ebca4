// A host whose kernel has ports that its journal does not have, for tests of what becomes of them.
import assert from "node:assert/strict";
import { compile } from "../../../../src/datapath/compile.ts";
import { diff } from "../../../../src/datapath/state/diff.ts";
import { portName } from "../../../../src/datapath/state/names.ts";
import type { Veth } from "../../../../src/datapath/kinds/links.ts";
import { type KernelState, keyOf } from "../../../../src/datapath/state/state.ts";
import { FakeKernel } from "../../../../src/kernel/fake.ts";
import type { PortSeen } from "../../../../src/kernel/kernel.ts";
import {
  type Endpoint,
  type EndpointSpec,
  type Resource,
  type Snapshot,
  snapshotOf,
} from "../../../../src/model/resource.ts";
import { Adopter } from "../../../../src/agent/reconcile/adopt.ts";
import { memoryJournal } from "../../../../src/agent/journal/journal.ts";
import { hostNumber, make, vrf } from "../samples.ts";

export const REVISION = 9;
const common = { driver: "vxlan", masquerade: false, enabled: true } as const;
const near = (name: string, subnets: readonly object[], more: object = {}) =>
  make("network", name, { ...common, ipam: "local", vrf: "v", subnets, ...more });
export const RESOURCES: readonly Resource[] = [
  hostNumber(1),
  hostNumber(2),
  vrf("u", 1),
  vrf("v", 2),
  // With a way out: a pair that is no endpoint's.
  near("near", [{ cidr: "10.2.0.0/16", hostPrefix: 24 }], { masquerade: true }),
  near("both", [
    { cidr: "10.3.0.0/16", hostPrefix: 24 },
    { cidr: "fd03::/48", hostPrefix: 64 },
  ]),
  near("parts", [{ cidr: "10.4.0.0/16", hostPrefix: 24 }], {
    slices: [
      { name: "a", bridge: "a-" },
      { name: "b", bridge: "b-" },
    ],
  }),
  near("closed", [{ cidr: "10.5.0.0/16", hostPrefix: 24 }], { securityGroups: ["g"] }),
  make("network", "wide", {
    ...common,
    ipam: "global",
    vrf: "v",
    vni: 77,
    subnets: [{ cidr: "10.6.0.0/24", gateway: "10.6.0.1" }],
  }),
  ...["near 10.2", "both 10.3", "parts 10.4", "closed 10.5"].flatMap((text) => {
    const [network, net] = text.split(" ");
    return ["h2", "h1"].map((host, i) =>
      make("block", `${network}.${host}.4`, { network, host, cidr: `${net}.${2 - i}.0/24` }),
    );
  }),
  make("block", "both.h1.6", { network: "both", host: "h1", cidr: "fd03:0:0:1::/64" }),
  make("securitygroup", "g", {
    rules: [{ direction: "in", action: "allow", protocol: "tcp", ports: [80], priority: 500 }],
  }),
  make("securitygroup", "h", {
    rules: [{ direction: "out", action: "allow", protocol: "tcp", ports: [80], priority: 500 }],
  }),
];

export function endpoint(network: string, addresses: readonly string[], more: Partial<EndpointSpec> = {}): Endpoint {
  const spec = {
    network,
    host: "h1",
    owner: "web",
    ifname: "eth0",
    netns: "/run/netns/web",
    mac: "02:00:0a:00:00:02",
    addresses,
    ...more,
  };
  const name = `${spec.owner}.${spec.ifname}`;
  return { kind: "endpoint", name, uid: `uid-${name}`, revision: 1, spec };
}

export const WEB = endpoint("near", ["10.2.1.2"]);

/**
 * A host whose kernel has what these endpoints need, and whose journal is lost. `server`: what the server knows of
 * endpoints.
 */
export async function host(built: readonly Endpoint[], server: readonly Endpoint[] = [], ground = RESOURCES) {
  const kernel = new FakeKernel({ facts: { prefixes: [], bootId: "this boot" } });
  const paths = [...new Set(built.map(({ spec }) => spec.netns as `/${string}`))];
  for (const path of paths) kernel.addWorkload(path);
  const desired = compile(snapshotOf("c", REVISION, [...ground, ...built]), "h1");
  for (const { op, refusal } of await kernel.apply(diff(await kernel.observe([]), desired)))
    assert.equal(refusal, undefined, `${keyOf(op.object)}: ${refusal?.message}`);
  const snapshot = snapshotOf("c", REVISION, [...ground, ...server]);
  const journal = memoryJournal();
  const logged: string[] = [];
  const says = {
    ports: (): Promise<readonly PortSeen[]> => kernel.ports(),
    observe: (paths: Parameters<FakeKernel["observe"]>[0]) => kernel.observe(paths),
    netnsId: (path: string) => kernel.netnsId(path),
  };
  const adopter = new Adopter({
    host: "h1",
    journal,
    kernel: {
      ports: () => says.ports(),
      observe: (workloads) => says.observe(workloads),
      netnsId: (path) => says.netnsId(path),
      facts: () => kernel.facts(),
    },
    log: (message, fields) => void logged.push(`${message} ${JSON.stringify(fields)}`),
  });
  /** One judgement; ports that a round may remove after it, and those that it must keep. */
  const adopt = async (isCurrent: boolean, seen: Snapshot = snapshot) => {
    const actual = await kernel.observe([]);
    const strays = adopter.strays(actual, new Set());
    await adopter.adopt(actual, strays, seen, isCurrent);
    const left = await kernel.observe([]);
    const names = (state: KernelState) =>
      [...state.values()].flatMap((one) => (one.kind === "veth" && one.alias.includes(":endpoint:") ? [one.name] : []));
    const now = adopter.strays(left, new Set());
    const kept = names(adopter.withStrays(new Map(), left, now));
    const open = names(adopter.withoutUnexplained(left)).filter((name) => now.some((port) => port.name === name));
    assert.deepEqual(open, kept, "what is not to be removed stays, whether the server is there or not");
    return { taken: [...journal.entries.keys()], kept };
  };
  const port = async (name = "web.eth0"): Promise<Veth> => {
    const seen = [...(await kernel.observe(paths)).values()].find(
      (one) => one.kind === "veth" && one.name === portName(name),
    );
    return seen?.kind === "veth" ? seen : assert.fail(name);
  };
  return { kernel, journal, adopter, adopt, snapshot, says, logged, port };
}

/** The workload has these addresses instead of its own. */
export async function readdress(kernel: FakeKernel, cidrs: readonly string[]): Promise<void> {
  const place = { kind: "address", ns: "/run/netns/web", dev: "eth0" } as const;
  for (const one of (await kernel.observe([place.ns])).values())
    if (one.kind === "address" && one.ns === place.ns) kernel.disturb(one);
  for (const { refusal } of await kernel.apply(cidrs.map((cidr) => ({ op: "add", object: { ...place, cidr } }))))
    assert.equal(refusal, undefined);
}

export const ADOPTED = { taken: ["web.eth0"], kept: [] };
export const REMOVED = { taken: [], kept: [] };
export const STAYING = { taken: [], kept: [portName("web.eth0")] };
