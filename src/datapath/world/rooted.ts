// Removes reservations before compile. A reservation is on the segment of its root, so its endpoints become the root's,
// with ranges that carry the reservation's own settings. Pure; returns the same snapshot if there are no reservations.
import type { AddressRange } from "../../model/range.ts";
import type { Endpoint, Network, Snapshot } from "../../model/resource.ts";

/** Fields that a piece inherits from the range it is in, unless it has its own. */
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

/** The endpoint as one of its root; unchanged if its network is not a reservation. */
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

/** No network's own range can have this name: a slash is not allowed in one. */
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

/** The range's own settings, and for the rest those of the range that it is a piece of. */
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
  // Limits are per direction, and a reservation may have one for all of its pieces.
  const qos = { ...above.qos, ...network.spec.qos, ...range.qos };
  // A reservation's groups apply to all of its pieces.
  const groups = [...(range.securityGroups ?? above.securityGroups ?? []), ...(network.spec.securityGroups ?? [])];
  return {
    ...above,
    ...own,
    ...(Object.keys(qos).length === 0 ? {} : { qos }),
    ...(groups.length === 0 ? {} : { securityGroups: groups }),
  };
}
