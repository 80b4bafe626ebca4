// A network's address space as intervals, from the indexes of a view. Pure. Everything on the map is paint on a span;
// where two overlap, the later one counts.
import {
  type Cidr,
  type Family,
  cidrAround,
  firstOf,
  formatCidr,
  formatIp,
  ipOf,
  lastOf,
  parseCidr,
} from "../../model/address.ts";
import type { BlockUse, SpaceInterval, SpaceMap } from "../../model/map.ts";
import type { Network, Subnet } from "../../model/resource.ts";
import { capacity, defaultGateway, sliceAt, usableBounds } from "../../ipam/allocate.ts";
import { type Interval, type Intervals, intervalsOf } from "../../ipam/intervals.ts";
import { excludedOf } from "../admit/address/lease.ts";
import { type NetworkIndex, piecesOf } from "./networkIndex.ts";
import { type View, get, getKey } from "./view.ts";

type Paint = Interval & { readonly state: string; readonly host?: string };
/** A piece from which addresses are given, with its own gateway: a subnet, a block, or a slice of one. */
type Part = { readonly cidr: Cidr; readonly gateway: bigint | undefined; readonly host?: string };

/** Undefined if there is no such network. */
export function spaceMapNamed(view: View, name: string): SpaceMap | undefined {
  const network = get(view, "network", name);
  return network === undefined ? undefined : spaceMapOf(view, network);
}

export function spaceMapOf(view: View, network: Network): SpaceMap {
  const { name, spec } = network;
  const subnets = spec.reservedFrom === undefined ? spec.subnets : surroundings(spec);
  return {
    network: name,
    ipam: spec.ipam,
    revision: view.revision,
    subnets: subnets.map((subnet) => subnetMap(view, network, subnet)),
  };
}

function subnetMap(view: View, network: Network, subnet: Subnet): SpaceMap["subnets"][number] {
  const index = view.networks.get(network.name);
  const cidr = parseCidr(subnet.cidr, network.name);
  const used = [...(index?.assigned[cidr.family] ?? [])];
  const whole: Interval = { first: cidr.base, last: lastOf(cidr).value };
  const parts = partsOf(network, subnet, cidr, index);
  const base = network.spec.ipam === "local" ? "uncarved" : "free";
  const paints: Paint[] = [{ ...whole, state: base }, ...parts.flatMap(partPaints)];
  if (network.spec.ranges !== undefined) paints.push({ ...whole, state: "excluded" }, ...rangePaints(network, cidr));
  for (const { first, last } of index?.held[cidr.family] ?? []) paints.push({ first, last, state: "held" });
  for (const { first, last } of index?.reserved[cidr.family] ?? []) paints.push({ first, last, state: "reserved" });
  for (const interval of quarantinedIn(view, index, cidr.family)) paints.push({ ...interval, state: "quarantined" });
  for (const interval of used) paints.push({ ...interval, state: "used" });
  return {
    cidr: subnet.cidr,
    intervals: painted(whole, paints).map((paint) => shown(paint, cidr.family, parts)),
    blocks: blocksOf(parts, network, used),
  };
}

/** For a reservation, the smallest subnets that contain its pieces; for IPv6, one per /64. */
function surroundings(spec: Network["spec"]): Subnet[] {
  const spans = piecesOf(spec).flatMap(({ space, first, last }) =>
    space === "mac" ? [] : [{ family: space, first, last }],
  );
  const groups = Map.groupBy(spans, ({ family, first }) => (family === 4 ? "4" : String(first >> 64n)));
  return [...groups.values()].map((group) => {
    const { family, first } = group.reduce((a, b) => (b.first < a.first ? b : a));
    const { last } = group.reduce((a, b) => (b.last > a.last ? b : a));
    const differing = first === last ? 0 : (first ^ last).toString(2).length;
    return { cidr: formatCidr(cidrAround({ family, value: first }, (family === 4 ? 32 : 128) - differing)) };
  });
}

/** In order of their addresses. */
function partsOf({ spec }: Network, subnet: Subnet, cidr: Cidr, index: NetworkIndex | undefined): Part[] {
  if (spec.ipam === "global") {
    const gateway = subnet.gateway === undefined ? undefined : ipOf(subnet.gateway)?.value;
    return [{ cidr, gateway }];
  }
  const count = spec.slices?.length ?? 1;
  const parts = [...(index?.blocks ?? [])].flatMap(([host, { [cidr.family]: block }]) => {
    if (block === undefined) return [];
    const own = parseCidr(block.spec.cidr, block.name);
    return Array.from({ length: count }, (_, n): Part => {
      const part = sliceAt(own, n, count);
      return { cidr: part, gateway: defaultGateway(part).value, host };
    });
  });
  return parts.toSorted((a, b) => (a.cidr.base < b.cidr.base ? -1 : 1));
}

function partPaints({ cidr, gateway, host }: Part): Paint[] {
  const whole: Interval = { first: cidr.base, last: lastOf(cidr).value };
  const { first, last } = usableBounds(cidr);
  const owner = host === undefined ? {} : { host };
  return [
    { ...whole, state: "excluded", ...owner },
    ...(last < first ? [] : [{ first, last, state: "free", ...owner }]),
    ...(gateway === undefined ? [] : [{ first: gateway, last: gateway, state: "gateway", ...owner }]),
  ];
}

/** The addresses that ranges give, and those in them that no endpoint gets. */
function rangePaints(network: Network, { family, base, length }: Cidr): Paint[] {
  const last = lastOf({ family, base, length }).value;
  const spans = piecesOf(network.spec).filter(({ space }) => space === family);
  const kept = excludedOf(network)[family];
  return [
    ...spans.map(({ first, last: end }): Paint => ({ first, last: end, state: "free" })),
    ...kept.map((value): Paint => {
      const isEnd = value === base || (family === 4 && value === last);
      return { first: value, last: value, state: isEnd ? "excluded" : "gateway" };
    }),
  ];
}

function quarantinedIn(view: View, index: NetworkIndex | undefined, family: Family): Intervals {
  const values: bigint[] = [];
  for (const { key } of [...(index?.quarantined.values() ?? [])].flatMap((queue) => [...queue])) {
    const freed = getKey(view, key);
    if (freed?.kind !== "freed") continue;
    for (const ip of freed.spec.addresses.map(ipOf)) if (ip?.family === family) values.push(ip.value);
  }
  return intervalsOf(values);
}

/**
 * Disjoint intervals that cover `whole`, each with the last paint on it; equal adjacent intervals are merged. Costs
 * paints × log(paints).
 */
export function painted(whole: Interval, paints: readonly Paint[]): Paint[] {
  const edges = new Map<bigint, { readonly begins: number[]; readonly ends: number[] }>();
  const at = (value: bigint) => {
    const edge = edges.get(value) ?? { begins: [], ends: [] };
    edges.set(value, edge);
    return edge;
  };
  for (const [i, { first, last }] of paints.entries()) {
    if (last < whole.first || first > whole.last) continue;
    at(first < whole.first ? whole.first : first).begins.push(i);
    at((last > whole.last ? whole.last : last) + 1n).ends.push(i);
  }
  const values = [...edges.keys()].sort((a, b) => (a < b ? -1 : 1));
  const live = new Set<number>();
  const result: Paint[] = [];
  for (const [n, first] of values.entries()) {
    const edge = at(first);
    for (const i of edge.ends) live.delete(i);
    for (const i of edge.begins) live.add(i);
    const next = values[n + 1];
    const top = paints[Math.max(...live)];
    if (next !== undefined && top !== undefined) join(result, { ...top, first, last: next - 1n });
  }
  return result;
}

function join(result: Paint[], paint: Paint): void {
  const before = result.at(-1);
  const isAlike = before?.state === paint.state && before.host === paint.host && before.last + 1n === paint.first;
  if (isAlike) result.splice(-1, 1, { ...before, last: paint.last });
  else result.push(paint);
}

function shown({ first, last, state, host }: Paint, family: Family, parts: readonly Part[]): SpaceInterval {
  const owner = host ?? partAt(parts, first)?.host;
  return {
    first: formatIp({ family, value: first }),
    last: formatIp({ family, value: last }),
    state,
    ...(owner === undefined ? {} : { host: owner }),
  };
}

/** The part that holds an address, by bisection. */
function partAt(parts: readonly Part[], value: bigint): Part | undefined {
  let low = 0;
  let high = parts.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((parts[middle]?.cidr.base ?? 0n) <= value) low = middle + 1;
    else high = middle;
  }
  const part = parts[low - 1];
  return part !== undefined && value <= lastOf(part.cidr).value ? part : undefined;
}

/** Parts and used intervals are in order, so one walk along both is enough. */
function blocksOf(parts: readonly Part[], { spec }: Network, used: readonly Interval[]): BlockUse[] {
  const blocks = new Map<string, BlockUse>();
  const slices = Math.log2(spec.slices?.length ?? 1);
  let at = 0;
  for (const { cidr, host } of parts) {
    if (host === undefined) continue;
    const last = lastOf(cidr).value;
    let inside = 0n;
    for (let one = used[at]; one !== undefined && one.last <= last; one = used[++at])
      if (one.first >= cidr.base) inside += one.last - one.first + 1n;
    const block = formatCidr(cidrAround(firstOf(cidr), cidr.length - slices));
    const before = blocks.get(block);
    blocks.set(block, {
      host,
      cidr: block,
      used: (before?.used ?? 0) + Number(inside),
      total: (before?.total ?? 0) + Number(capacity(cidr, defaultGateway(cidr))),
    });
  }
  return [...blocks.values()];
}
