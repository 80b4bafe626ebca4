// Which endpoints should reach each other, by a direct reading of the resources, compared with where packets go. Runs
// when a simulated cluster has converged.
import assert from "node:assert/strict";
import { contains, cidrOf, ipOf } from "../../../src/model/address.ts";
import type { Rule } from "../../../src/model/group.ts";
import type { Endpoint, Network, Snapshot } from "../../../src/model/resource.ts";
import type { Packet } from "./frames.ts";
import type { Machine } from "./here.ts";
import { Wire } from "./packets.ts";

type Place = {
  readonly endpoint: Endpoint;
  readonly network: Network;
  /** Whose link it is on: its network, or the one that is reserved from. */
  readonly root: Network;
  readonly address: string;
};
type Netns = `/${string}`;

/** Pairs that are tried at most: each costs a walk through the tables of two hosts. */
const PAIRS = 120;

/** `isAlive`: whether the workload is still there. Only workloads with one interface are asked. */
export function assertReach(
  snapshot: Snapshot,
  machines: readonly Machine[],
  isAlive: (endpoint: Endpoint) => boolean,
  label: string,
): void {
  const wire = new Wire(machines);
  const places = placesIn(snapshot, isAlive);
  const pairs = places.flatMap((a) => places.filter((b) => b.endpoint !== a.endpoint).map((b) => [a, b] as const));
  const step = Math.max(1, Math.ceil(pairs.length / PAIRS));
  for (let i = 0; i < pairs.length; i += step) {
    const [a, b] = pairs[i] ?? assert.fail();
    if (ipOf(a.address)?.family !== ipOf(b.address)?.family) continue;
    for (const port of [portIn(snapshot, a, b), 40_000]) {
      const expected = mayReach(snapshot, a, b, port);
      const lost = exchange(wire, a, b, port);
      const what = `${label}: ${nameOf(a)} to ${nameOf(b)} port ${port}`;
      if (expected) assert.equal(lost, undefined, `${what} is lost`);
      else assert.notEqual(lost, undefined, `${what} arrives and must not`);
    }
  }
}

/** One that their rules speak of, if they do. */
function portIn(snapshot: Snapshot, a: Place, b: Place): number {
  const groups = [...groupsOf(a), ...groupsOf(b)];
  const rules = snapshot.securityGroups.filter(({ name }) => groups.includes(name)).flatMap(({ spec }) => spec.rules);
  return rules.flatMap(({ ports }) => ports ?? []).find((port) => typeof port === "number") ?? 22;
}

function nameOf({ endpoint, network, address }: Place): string {
  return `${endpoint.name} (${address}, ${network.name} of ${network.spec.vrf}, ${endpoint.spec.host})`;
}

function placesIn(snapshot: Snapshot, isAlive: (endpoint: Endpoint) => boolean): Place[] {
  const networks = new Map(snapshot.networks.map((network) => [network.name, network]));
  const perNetns = Map.groupBy(snapshot.endpoints, ({ spec }) => `${spec.host} ${spec.netns}`);
  return snapshot.endpoints.flatMap((endpoint) => {
    const { host, netns, detaching, addresses } = endpoint.spec;
    const network = networks.get(endpoint.spec.network);
    if (network === undefined || detaching === true || !isAlive(endpoint)) return [];
    if ((perNetns.get(`${host} ${netns}`)?.length ?? 0) > 1) return [];
    let root = network;
    while (root.spec.reservedFrom !== undefined) root = networks.get(root.spec.reservedFrom) ?? assert.fail(root.name);
    return addresses.map((address) => ({ endpoint, network, root, address }));
  });
}

/** The first packet and the answer to it. */
function exchange(wire: Wire, a: Place, b: Place, dport: number): string | undefined {
  wire.forget();
  const ask: Packet = { from: a.address, to: b.address, sport: 50_000, dport, isAnswer: false };
  const answer: Packet = { from: b.address, to: a.address, sport: dport, dport: 50_000, isAnswer: true };
  const [from, to] = [a, b].map(({ endpoint: { spec } }) => ({ host: spec.host, netns: spec.netns as Netns }));
  assert(from !== undefined && to !== undefined);
  const lost = wire.send(from, to, ask);
  if (lost !== undefined) return lost;
  const back = wire.send(to, from, answer);
  return back === undefined ? undefined : `the answer: ${back}`;
}

function mayReach(snapshot: Snapshot, a: Place, b: Place, port: number): boolean {
  if (a.network.spec.vrf !== b.network.spec.vrf || !hasWay(a, b)) return false;
  return mayPass(snapshot, [a, b], "out", port) && mayPass(snapshot, [b, a], "in", port);
}

/** On one link, or each behind a gateway. */
function hasWay(a: Place, b: Place): boolean {
  const [from, to] = [linkOf(a), linkOf(b)];
  return (from.cidr === to.cidr && a.root === b.root) || (from.hasGateway && to.hasGateway);
}

function linkOf({ root: { spec }, address }: Place): { readonly cidr: string; readonly hasGateway: boolean } {
  const links = [...spec.subnets, ...(spec.ranges ?? []).map(({ prefix, ...range }) => ({ cidr: prefix, ...range }))];
  const own = links.find(({ cidr }) => cidr !== undefined && isWithin(cidr, address));
  // A block's gateway is its own.
  const hasGateway = spec.ipam === "local" || (own?.gateway !== undefined && own.gateway !== "none");
  return { cidr: own?.cidr ?? "", hasGateway };
}

function isWithin(text: string, address: string): boolean {
  const [cidr, ip] = [cidrOf(text), ipOf(address)];
  return cidr !== undefined && ip !== undefined && cidr.family === ip.family && contains(cidr, ip);
}

function groupsOf({ endpoint, network }: Place): string[] {
  const range = (network.spec.ranges ?? []).find(({ name }) => name === endpoint.spec.range);
  return [
    ...(network.spec.securityGroups ?? []),
    ...(range?.securityGroups ?? []),
    ...(endpoint.spec.securityGroups ?? []),
  ];
}

function mayPass(
  snapshot: Snapshot,
  [own, peer]: readonly [Place, Place],
  direction: "in" | "out",
  port: number,
): boolean {
  const groups = groupsOf(own);
  if (groups.length === 0) return true;
  const isKnown = snapshot.securityGroups.some(({ name }) => name === "default");
  // It is always there, and allows everything until somebody changes it.
  if (groups.includes("default") && !isKnown) return true;
  const rules = snapshot.securityGroups
    .filter(({ name }) => groups.includes(name))
    .flatMap(({ spec }) => spec.rules)
    .filter((rule) => rule.direction === direction && isFor(rule, port) && isOf(snapshot, rule, peer));
  const first = Math.min(...rules.map((rule) => rule.priority ?? 500));
  const deciding = rules.filter((rule) => (rule.priority ?? 500) === first);
  return deciding.length > 0 && deciding.every(({ action }) => action === "allow");
}

/** The probe is TCP. */
function isFor({ protocol, ports }: Rule, port: number): boolean {
  if (protocol === "all") return true;
  if (protocol !== "tcp") return false;
  return ports === undefined || ports.some((one) => one === port);
}

function isOf(snapshot: Snapshot, { peer }: Rule, place: Place): boolean {
  if (peer === undefined) return true;
  if (peer.group !== undefined) return groupsOf(place).includes(peer.group);
  assert(peer.cidr === undefined && peer.first === undefined, "drawn by no simulation");
  const network = snapshot.networks.find(({ name }) => name === peer.network);
  const prefixes = [...(network?.spec.subnets ?? []).map(({ cidr }) => cidr), ...prefixesIn(network)];
  return prefixes.some((cidr) => isWithin(cidr, place.address));
}

function prefixesIn(network: Network | undefined): string[] {
  return (network?.spec.ranges ?? []).flatMap(({ prefix }) => (prefix === undefined ? [] : [prefix]));
}
