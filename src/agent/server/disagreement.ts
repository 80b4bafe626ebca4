// What the journal of this host and the server disagree about, and who has to do what about it. Pure.
import { portName } from "../../datapath/state/names.ts";
import type { Endpoint, Network, Snapshot } from "../../model/resource.ts";
import type { Entry } from "../journal/journal.ts";
import { isSameLease, leasesByName } from "../reconcile/localSnapshot.ts";

/** What this host has. */
export type HostEndpoints = {
  readonly host: string;
  readonly entries: ReadonlyMap<string, Entry>;
  /** Endpoints whose attach or detach is running. */
  readonly inFlight: ReadonlySet<string>;
  /** Ports that the kernel has, or whose flows could not be ended. */
  readonly ports: ReadonlySet<string>;
};

export type Disagreement = {
  /** Endpoints of local networks that are attached here and that the server does not have: it registers them. */
  readonly register: readonly Endpoint[];
  /** Endpoints that the server has and this host has not: it releases them. */
  readonly release: readonly string[];
  /** Endpoints that are attached here and that the server wants detached, or whose network is gone. */
  readonly detach: readonly string[];
};

/** Call only with a complete and current snapshot: what it lacks, the server does not have. */
export function disagreement(snapshot: Snapshot, own: HostEndpoints): Disagreement {
  const { entries, inFlight } = own;
  const networks = new Map(snapshot.networks.map((network) => [network.name, network]));
  const known = leasesByName(snapshot, own.host);
  const register: Endpoint[] = [];
  const detach: string[] = [];
  for (const [name, entry] of entries) {
    const { endpoint, state } = entry;
    if (state === "detaching" || inFlight.has(name)) continue;
    const network = networks.get(endpoint.spec.network);
    if (isUnwanted(entry, known.get(name), network, snapshot.revision)) detach.push(name);
    else if (!known.has(name) && network?.spec.ipam === "local") register.push(endpoint);
  }
  const release = [...known].flatMap(([name, lease]) => (isToRelease(name, lease, own) ? [lease.name] : []));
  return { register, release, detach };
}

function isToRelease(name: string, lease: Endpoint, { entries, inFlight, ports }: HostEndpoints): boolean {
  const entry = entries.get(name);
  if (inFlight.has(name)) return false;
  if (entry?.state === "attached") return !isSameLease(entry.endpoint, lease);
  // The journal lost its entry, and rounds adopt the port (adopt.ts), unless the server wants it detached.
  if (entry === undefined && lease.spec.detaching === true) return true;
  // An address is not free before its link is gone.
  return !ports.has(portName(name));
}

/** Its network is gone, the server wants it detached, or the server forgot it after this host had it from there. */
function isUnwanted(
  { endpoint, networkUid }: Entry,
  known: Endpoint | undefined,
  network: Network | undefined,
  revision: number,
): boolean {
  // The journal may know a network from an answer that is newer than the mirror.
  if (network === undefined || (networkUid !== undefined && networkUid !== network.uid))
    return revision >= endpoint.revision;
  if (known !== undefined) return known.spec.detaching === true;
  return network.spec.ipam === "global" && revision >= endpoint.revision;
}

/** Endpoints to remove from the journal: detached, without a port, and no longer at the server. */
export function forgettable(snapshot: Snapshot, own: HostEndpoints, released: readonly string[]): string[] {
  const { entries, inFlight, ports } = own;
  const leases = leasesByName(snapshot, own.host);
  const gone = new Set(released);
  return [...entries].flatMap(([name, { state }]) => {
    if (state !== "detaching" || inFlight.has(name) || ports.has(portName(name))) return [];
    const lease = leases.get(name);
    return lease === undefined || gone.has(lease.name) ? [name] : [];
  });
}
