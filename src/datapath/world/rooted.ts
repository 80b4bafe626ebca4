// Reservations as the kernel sees them: not at all. What is reserved from a network is on its segment, so endpoints of
// a reservation become the root's, under ranges that say what is otherwise for them. Pure; the same snapshot if nothing
// is reserved.
import type { AddressRange } from "../../model/range.ts";
import type { Endpoint, Network, Snapshot } from "../../model/resource.ts";

/** Fields of a range that a piece has from the range it is in, unless it has its own. */
const OVERRIDES = ["gateway", "gateway6", "dns", "mtu", "securityGroups"] as const;

/** The snapshot without reservations: their endpoints and ranges are their roots'. */
export function rooted(snapshot: Snapshot): Snapshot {
  if (!snapshot.networks.some(isReservation)) return snapshot;
  const roots = rootsOf(snapshot.networks);
  const pieces = piecesByRoot(snapshot.networks);
  return {
    ...snapshot,
    networks: snapshot.networks
      .filter((network) => !isReservation(network))
      .map((network) => withPieces(network, pieces.get(network.name) ?? [])),
    endpoints: snapshot.endpoints.map((endpoint) => atRoot(endpoint, roots)),
  };
}

/** Name of the root that each reservation is from, directly or not. */
export function rootsOf(networks: readonly Network[]): ReadonlyMap<string, string> {
  const byName = new Map(networks.map((network) => [network.name, network]));
  const roots = new Map<string, string>();
  for (const network of networks) {
    let at: Network | undefined = network;
    while (at?.spec.reservedFrom !== undefined) at = byName.get(at.spec.reservedFrom);
    if (at !== undefined && at !== network) roots.set(network.name, at.name);
  }
  return roots;
}

/** The endpoint as one of its root; itself if its network is none of a reservation. */
export function atRoot(endpoint: Endpoint, roots: ReadonlyMap<string, string>): Endpoint {
  const { network, range } = endpoint.spec;
  const root = roots.get(network);
  if (root === undefined) return endpoint;
  const spec = {
    ...endpoint.spec,
    network: root,
    ...(range === undefined ? {} : { range: nameAtRoot(network, range) }),
  };
  return { ...endpoint, spec };
}

/** No network's own range has such a name: a slash is not allowed in one. */
function nameAtRoot(reservation: string, range: string): string {
  return `${reservation}/${range}`;
}

function isReservation({ spec }: Network): boolean {
  return spec.reservedFrom !== undefined;
}

function withPieces(network: Network, pieces: readonly AddressRange[]): Network {
  if (pieces.length === 0) return network;
  return { ...network, spec: { ...network.spec, ranges: [...(network.spec.ranges ?? []), ...pieces] } };
}

function piecesByRoot(networks: readonly Network[]): ReadonlyMap<string, readonly AddressRange[]> {
  const byName = new Map(networks.map((network) => [network.name, network]));
  const roots = rootsOf(networks);
  const pieces = new Map<string, AddressRange[]>();
  for (const network of networks) {
    const root = roots.get(network.name);
    if (root === undefined) continue;
    const own = (network.spec.ranges ?? []).map((range) => ({
      ...range,
      ...overridesOf(byName, network, range),
      name: nameAtRoot(network.name, range.name),
    }));
    pieces.set(root, [...(pieces.get(root) ?? []), ...own]);
  }
  return pieces;
}

/** What the range has otherwise, and for the rest what the range has that it is a piece of. */
function overridesOf(
  byName: ReadonlyMap<string, Network>,
  network: Network,
  range: AddressRange,
): Partial<AddressRange> {
  const parent = byName.get(network.spec.reservedFrom ?? "");
  const around = parent?.spec.ranges?.find(({ name }) => name === range.from);
  const above = parent === undefined || around === undefined ? {} : overridesOf(byName, parent, around);
  const own = Object.fromEntries(
    OVERRIDES.filter((field) => range[field] !== undefined).map((field) => [field, range[field]]),
  );
  // A limit is per direction, and a reservation may have one for all of its pieces.
  const qos = { ...above.qos, ...network.spec.qos, ...range.qos };
  // Groups of a reservation are those of all of its pieces.
  const groups = [...(range.securityGroups ?? above.securityGroups ?? []), ...(network.spec.securityGroups ?? [])];
  return {
    ...above,
    ...own,
    ...(Object.keys(qos).length === 0 ? {} : { qos }),
    ...(groups.length === 0 ? {} : { securityGroups: groups }),
  };
}
