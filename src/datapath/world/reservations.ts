// Reservations have no objects of their own in the kernel. A reservation is on the segment of the network that it was
// made from, directly or through other reservations: the segment's owner. So endpoints and ranges of a reservation
// become the owner's; its ranges carry what differs for them. Pure; the same snapshot if nothing is reserved.
import type { AddressRange } from "../../model/range.ts";
import type { Endpoint, Network, Snapshot } from "../../model/resource.ts";

/** Fields that a piece inherits from the range it is in, unless it has its own. */
const OVERRIDES = ["gateway", "gateway6", "dns", "mtu", "securityGroups"] as const;

/** The snapshot without reservations: their endpoints and ranges are those of the segments' owners. */
export function withoutReservations(snapshot: Snapshot): Snapshot {
  if (!snapshot.networks.some(isReservation)) return snapshot;
  const owners = segmentOwnersOf(snapshot.networks);
  const pieces = piecesByOwner(snapshot.networks, owners);
  return {
    ...snapshot,
    networks: snapshot.networks
      .filter((network) => !isReservation(network))
      .map((network) => withPieces(network, pieces.get(network.name) ?? [])),
    endpoints: snapshot.endpoints.map((endpoint) => ofSegmentOwner(endpoint, owners)),
  };
}

/** The network that owns the segment, by the name of each reservation. */
export function segmentOwnersOf(networks: readonly Network[]): ReadonlyMap<string, string> {
  const byName = new Map(networks.map((network) => [network.name, network]));
  const owners = new Map<string, string>();
  for (const network of networks) {
    let at: Network | undefined = network;
    while (at?.spec.reservedFrom !== undefined) at = byName.get(at.spec.reservedFrom);
    if (at !== undefined && at !== network) owners.set(network.name, at.name);
  }
  return owners;
}

/** The endpoint as one of the segment's owner; itself unless its network is a reservation. */
export function ofSegmentOwner(endpoint: Endpoint, owners: ReadonlyMap<string, string>): Endpoint {
  const { network, range } = endpoint.spec;
  const owner = owners.get(network);
  if (owner === undefined) return endpoint;
  const spec = {
    ...endpoint.spec,
    network: owner,
    ...(range === undefined ? {} : { range: rangeOfReservation(network, range) }),
  };
  return { ...endpoint, spec };
}

/** No network's own range has such a name: a slash is not allowed in one. */
function rangeOfReservation(reservation: string, range: string): string {
  return `${reservation}/${range}`;
}

function isReservation({ spec }: Network): boolean {
  return spec.reservedFrom !== undefined;
}

function withPieces(network: Network, pieces: readonly AddressRange[]): Network {
  if (pieces.length === 0) return network;
  return { ...network, spec: { ...network.spec, ranges: [...(network.spec.ranges ?? []), ...pieces] } };
}

function piecesByOwner(
  networks: readonly Network[],
  owners: ReadonlyMap<string, string>,
): ReadonlyMap<string, readonly AddressRange[]> {
  const byName = new Map(networks.map((network) => [network.name, network]));
  const pieces = new Map<string, AddressRange[]>();
  for (const network of networks) {
    const owner = owners.get(network.name);
    if (owner === undefined) continue;
    const own = (network.spec.ranges ?? []).map((range) => ({
      ...range,
      ...overridesOf(byName, network, range),
      name: rangeOfReservation(network.name, range.name),
    }));
    pieces.set(owner, [...(pieces.get(owner) ?? []), ...own]);
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
