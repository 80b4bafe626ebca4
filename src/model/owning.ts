// What users and groups of users own, counted of each resource, so that the server's index, its refusals and what is
// shown agree; and what a quota says of it.
import { formatRate, DIRECTIONS } from "./qos.ts";
import type { OwnedQuota } from "./quota.ts";
import type { Endpoint, Kind, Network, Resource } from "./resource.ts";

/** What is counted; of leases in one network, with its name behind. */
export type Quantity = (typeof QUANTITIES)[number] | `leases in ${string}`;
const QUANTITIES = [
  "networks",
  "reservations",
  "vrfs",
  "securityGroups",
  "templates",
  "endpoints",
  "leases",
  ...DIRECTIONS,
  "unlimited",
] as const;
const ALONE: Readonly<Partial<Record<Kind, Quantity>>> = {
  vrf: "vrfs",
  securitygroup: "securityGroups",
  template: "templates",
};

/** How much of what a resource is. */
export function amountsOf(resource: Resource): readonly (readonly [Quantity, number])[] {
  if (resource.kind === "network") return networkAmounts(resource);
  if (resource.kind === "endpoint") return endpointAmounts(resource);
  const alone = ALONE[resource.kind];
  return alone === undefined ? [] : [[alone, 1]];
}

function networkAmounts({ spec }: Network): readonly (readonly [Quantity, number])[] {
  const { reservedFrom, ranges = [] } = spec;
  if (reservedFrom === undefined) return [["networks", 1]];
  const leases = ranges.reduce((sum, range) => sum + (range.size ?? 0), 0);
  return [
    ["reservations", 1],
    ["leases", leases],
    [`leases in ${reservedFrom}`, leases],
  ];
}

function endpointAmounts({ spec }: Endpoint): readonly (readonly [Quantity, number])[] {
  const rates = DIRECTIONS.map((direction) => {
    const limit = spec.qos?.[direction];
    return [direction, typeof limit === "object" ? limit.average : undefined] as const;
  });
  return [
    ["endpoints", 1],
    ["leases", 1],
    [`leases in ${spec.network}`, 1],
    ...rates.map(([direction, rate]) => [direction, rate ?? 0] as const),
    ["unlimited", rates.filter(([, rate]) => rate === undefined).length],
  ];
}

/** Whose a resource is, as keys of users and groups. */
export function subjectsOf({ access }: Resource): readonly (`user/${string}` | `usergroup/${string}`)[] {
  return [
    ...(access?.owner === undefined ? [] : [`user/${access.owner}` as const]),
    ...(access?.group === undefined ? [] : [`usergroup/${access.group}` as const]),
  ];
}

/** The most that a quota allows of each; of what is missing there is no limit. */
export function limitsOf(quota: OwnedQuota): ReadonlyMap<Quantity, number> {
  const { bandwidth, leasesIn = [], ...plain } = quota;
  const rates = bandwidth === undefined ? [] : [...DIRECTIONS.map((one) => [one, bandwidth] as const), UNLIMITED];
  const entries = Object.entries(plain) as [Quantity, number][];
  return new Map<Quantity, number>([
    ...entries,
    ...leasesIn.map(({ network, leases }) => [`leases in ${network}` as const, leases] as const),
    ...rates,
  ]);
}
const UNLIMITED = ["unlimited", 0] as const;

/** `5 networks`, `100 Mbit/s inbound`. */
export function amountText(quantity: Quantity, amount: number): string {
  if (quantity === "inbound" || quantity === "outbound") return `${formatRate(amount)} ${quantity}`;
  if (quantity === "vrfs") return `${amount} ${amount === 1 ? "VRF" : "VRFs"}`;
  if (quantity === "securityGroups") return `${amount} security group${amount === 1 ? "" : "s"}`;
  const word = quantity.startsWith("leases in ") ? quantity.replace("in ", 'in network "') : quantity;
  return `${amount} ${amount === 1 ? word.replace(/s( |$)/, "$1") : word}${word === quantity ? "" : '"'}`;
}
