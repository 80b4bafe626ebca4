// What must hold in a simulated cluster: after every step, and once everything has healed.
import assert from "node:assert/strict";
import type { Control } from "../../../src/control/control.ts";
import { compile } from "../../../src/datapath/compile.ts";
import { diff } from "../../../src/datapath/state/diff.ts";
import { segmentOwnersOf } from "../../../src/datapath/world/reservations.ts";
import { printOps } from "../../../src/datapath/state/print.ts";
import type { Ns } from "../../../src/datapath/kinds/kind.ts";
import { formatIp, ipOf } from "../../../src/model/address.ts";
import { nameOnHost } from "../../../src/model/endpointName.ts";
import type { Endpoint, Snapshot } from "../../../src/model/resource.ts";
import type { Host } from "./host.ts";
import type { Machine } from "./here.ts";
import { assertReach } from "./reach.ts";

type Hosts = ReadonlyMap<string, Host>;
type Cluster = { readonly control: Control | undefined; readonly hosts: Hosts };

/** Laws 1, 2, 7 and 10: every kernel is what the server's snapshot asks for, every journal what the server knows. */
export async function assertConverged({ control, hosts }: Cluster, label: string): Promise<void> {
  assert(control !== undefined);
  const snapshot = await control.snapshot({ role: "admin" });
  const status = await control.status();
  for (const host of hosts.values()) {
    const at = `${label} ${host.name}`;
    const actual = await host.kernel.observe([...host.workloads] as Ns[]);
    const ops = diff(actual, compile(alive(snapshot, host), host.name));
    assert.deepEqual(printOps(ops), [], `${at}: ${JSON.stringify(host.running?.agent.report)}`);
    const known = snapshot.endpoints
      .filter((e) => e.spec.host === host.name)
      .map((e) => `${nameOnHost(e.spec)} ${e.spec.addresses.join()}`);
    const held = [...host.entries.values()].map((e) => `${e.endpoint.name} ${e.endpoint.spec.addresses.join()}`);
    assert.deepEqual(held.sort(), known.sort(), `${at}: journal and server`);
    const reached = status.hosts.find((h) => h.host === host.name)?.status?.revision;
    const { agent, mirror } = host.running ?? assert.fail();
    const seen = `${mirror.isSynced} ${mirror.snapshot()?.revision} ${mirror.problem?.message}`;
    const told = `${seen} ${JSON.stringify(agent.report)}`;
    assert.equal(reached, snapshot.revision, `${at}: reported revision; ${told}`);
  }
  assertUnique(snapshot, label);
  await assertReachIn(hosts, snapshot, label);
}

/** What the kernels do with packets is what the resources say. */
async function assertReachIn(hosts: Hosts, snapshot: Snapshot, label: string): Promise<void> {
  const machines: Machine[] = [];
  for (const { name, kernel, workloads } of hosts.values()) {
    const state = await kernel.observe([...workloads]);
    machines.push({ name, state, text: (ns) => kernel.tableText(ns) });
  }
  const isAlive = ({ spec }: Endpoint) => hosts.get(spec.host)?.workloads.has(spec.netns as `/${string}`) === true;
  assertReach(snapshot, machines, isAlive, label);
}

/**
 * The server's word as a kernel has it: endpoints whose workload has gone stay leased, but are in no kernel; and on its
 * host an endpoint has the name that the host gave.
 */
function alive(snapshot: Snapshot, host: Host): Snapshot {
  const isHere = ({ spec }: Endpoint) => spec.host !== host.name || host.workloads.has(spec.netns as `/${string}`);
  const endpoints = snapshot.endpoints.filter(isHere);
  return { ...snapshot, endpoints: endpoints.map((one) => ({ ...one, name: nameOnHost(one.spec) })) };
}

/** Law 7: an address has one lease per VRF, a VNI one owner. */
export function assertUnique(snapshot: Snapshot, label: string): void {
  const vrfOf = new Map(snapshot.networks.map((network) => [network.name, network.spec.vrf]));
  const seen = new Map<string, string>();
  for (const endpoint of snapshot.endpoints) {
    for (const address of endpoint.spec.addresses) {
      const key = `${vrfOf.get(endpoint.spec.network)} ${address}`;
      assert.equal(
        seen.get(key),
        undefined,
        `${label}: ${address} has two leases: ${seen.get(key)} and ${endpoint.name}`,
      );
      seen.set(key, endpoint.name);
    }
  }
  assertOneOwner(snapshot, label);
  const vnis = [...snapshot.vrfs.map((v) => v.spec.vni), ...snapshot.networks.flatMap((n) => n.spec.vni ?? [])];
  assert.equal(new Set(vnis).size, vnis.length, `${label}: a VNI has two owners`);
}

/**
 * In a global network and all that is reserved from it, an address or MAC has one endpoint, or is in quarantine once,
 * or is held: never two of them.
 */
function assertOneOwner(snapshot: Snapshot, label: string): void {
  const owners = segmentOwnersOf(snapshot.networks);
  const global = new Set(snapshot.networks.filter(({ spec }) => spec.ipam === "global").map(({ name }) => name));
  const seen = new Map<string, string>();
  const take = (name: string, text: string, who: string) => {
    const network = owners.get(name) ?? name;
    const key = `${network} ${text}`;
    assert.equal(seen.get(key), undefined, `${label}: ${text} of ${network} is of ${seen.get(key)} and of ${who}`);
    seen.set(key, who);
  };
  for (const { name, spec } of snapshot.endpoints)
    if (global.has(spec.network)) for (const text of [...spec.addresses, spec.mac]) take(spec.network, text, name);
  for (const { name, spec } of snapshot.freed)
    if (spec.untilMs !== undefined) for (const text of spec.addresses) take(spec.network, text, name);
  for (const { name, spec } of snapshot.holds) {
    const [first, last] = [ipOf(spec.first), ipOf(spec.last)];
    if (first === undefined || last === undefined) continue;
    for (let value = first.value; value <= last.value; value++)
      take(spec.network, formatIp({ family: first.family, value }), name);
  }
}
