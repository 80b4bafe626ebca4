// How many leases a network has free: what it can give, worked out once for each network as it is, minus what is
// blocked, which the view counts with each change. The view keeps the result (its `leases`) until something of the
// network changes, so that a selection asks for thousands of them at the cost of a lookup each.
import { type Family, parseCidr } from "../../model/address.ts";
import { allHostAddresses } from "../../model/carrying.ts";
import type { Network } from "../../model/resource.ts";
import { blockCount, capacity, defaultGateway, slicePrefix } from "../../ipam/allocate.ts";
import { type Plan, indexOfIp, indexOfMac, planOf, spansOf } from "../../ipam/range.ts";
import { excludedOf } from "../admit/address/lease.ts";
import { roomsOf } from "../admit/address/addresses.ts";
import type { Leases, NetworkIndex, Space } from "../state/networkIndex.ts";
import type { View } from "../state/view.ts";

/** In which space the leases of a network are counted, and how many there are; of its ranges, each by itself, too. */
type Capacity = {
  readonly total: number;
  readonly spaces: readonly { readonly space: Space; readonly total: number }[];
  readonly plans: readonly { readonly plan: Plan; readonly total: number }[];
};

/**
 * Of a local network, what its host can give; without a host, all that no endpoint has. The view keeps the answer until
 * something of the network changes.
 */
export function leasesOf(view: View, network: Network, host = ""): Leases {
  const where = network.spec.ipam === "local" ? host : "";
  let known = view.leases.get(network.name);
  if (known === undefined) view.leases.set(network.name, (known = new Map()));
  let leases = known.get(where);
  if (leases === undefined) known.set(where, (leases = counted(view, network, where)));
  return leases;
}

function counted(view: View, network: Network, host: string): Leases {
  const index = view.networks.get(network.name);
  if (host !== "") return { free: freeOnHost(network, index, host), quarantined: 0 };
  const { total, spaces, plans } = capacityOf(network);
  if (index === undefined) return { free: total, quarantined: 0 };
  const quarantined = index.quarantined.values().reduce((sum, queue) => sum + queue.size, 0);
  // Of a local network only endpoints take something; blocks do not.
  const used = network.spec.ipam === "local" ? { ...index.assigned, mac: index.blocked.mac } : index.blocked;
  const isOneSpace = spaces.length <= 1 || plans.length === 0;
  let free = isOneSpace ? least(spaces, (space) => Number(used[space].count)) : 0;
  // What is blocked may lie in another range than what is free, or in none.
  if (free <= 0) free = plans.reduce((sum, plan) => sum + freeInPlan(plan, index), 0);
  return { free: Math.max(0, free), quarantined };
}

/** How many leases it could give if none were used. */
export function leasesIn(network: Network): number {
  return capacityOf(network).total;
}

function least(spaces: Capacity["spaces"], used: (space: Space) => number): number {
  let free = Number.POSITIVE_INFINITY;
  for (const { space, total } of spaces) free = Math.min(free, total - used(space));
  return free === Number.POSITIVE_INFINITY ? 0 : free;
}

function freeInPlan({ plan, total }: Capacity["plans"][number], index: NetworkIndex): number {
  const space = spaceOf(plan);
  const span = spansOf(plan)[space];
  return span === undefined ? 0 : total - Number(index.blocked[space].countIn(span.first, span.last));
}

const capacities = new WeakMap<Network, Capacity>();

/** Resources never change: another spec is another object. */
function capacityOf(network: Network): Capacity {
  let known = capacities.get(network);
  if (known === undefined) {
    known =
      network.spec.ipam === "local" ? ofBlocks(network) : network.spec.ranges ? ofRanges(network) : ofSubnets(network);
    capacities.set(network, known);
  }
  return known;
}

function ofSubnets(network: Network): Capacity {
  const hosts = allHostAddresses(network.spec);
  const spaces = roomsOf(network).map(({ cidr, gateway }) => {
    const own = hosts.filter(({ address }) => address.includes(":") === (cidr.family === 6)).length;
    return { space: cidr.family, total: Number(capacity(cidr, gateway)) - own };
  });
  return { total: least(spaces, () => 0), spaces, plans: [] };
}

function ofBlocks(network: Network): Capacity {
  const parts = network.spec.slices?.length ?? 1;
  const spaces = network.spec.subnets.map(({ cidr: text, hostPrefix }) => {
    const cidr = parseCidr(text, network.name);
    const length = slicePrefix(hostPrefix ?? cidr.length, parts);
    const part = { ...cidr, length };
    const blocks = Number(blockCount(cidr, hostPrefix ?? cidr.length));
    return { space: cidr.family, total: blocks * parts * Number(capacity(part, defaultGateway(part))) };
  });
  return { total: least(spaces, () => 0), spaces, plans: [] };
}

function ofRanges(network: Network): Capacity {
  const kept = excludedOf(network);
  const plans = (network.spec.ranges ?? []).map((range) => {
    const plan = planOf(range);
    const families = [4, 6] as const satisfies readonly Family[];
    const indexes = [
      ...families.flatMap((family) => kept[family].map((value) => indexOfIp(plan, { family, value }))),
      ...kept.mac.map((mac) => indexOfMac(plan, mac)),
    ];
    const excluded = new Set(indexes.filter((index) => index !== undefined)).size;
    return { plan, total: Number(plan.size) - excluded };
  });
  const total = plans.reduce((sum, plan) => sum + plan.total, 0);
  const spaces = new Set(plans.map(({ plan }) => spaceOf(plan)));
  return { total, spaces: [...spaces].map((space) => ({ space, total })), plans };
}

function spaceOf({ first4, first6 }: Plan): Space {
  return first4 !== undefined ? 4 : first6 !== undefined ? 6 : "mac";
}

/** In the host's block; of several slices, in the first, which an attach without one gets. */
function freeOnHost(network: Network, index: NetworkIndex | undefined, host: string): number {
  const blocks = index?.blocks.get(host);
  if (index === undefined || blocks === undefined) return 0;
  const parts = network.spec.slices?.length ?? 1;
  let free = Number.POSITIVE_INFINITY;
  for (const block of Object.values(blocks)) {
    const cidr = parseCidr(block.spec.cidr, block.name);
    const part = { ...cidr, length: slicePrefix(cidr.length, parts) };
    const last = part.base + (1n << BigInt((part.family === 4 ? 32 : 128) - part.length)) - 1n;
    const used = index.assigned[part.family].countIn(part.base, last);
    free = Math.min(free, Number(capacity(part, defaultGateway(part)) - used));
  }
  return free;
}
