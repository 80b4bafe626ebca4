// What this host knows better than the server: which of its endpoints are attached. Pure: journal and snapshot in, the
// snapshot to compile and what the server still has to hear out.
import { portName } from "../../datapath/state/names.ts";
import { isAnyFurther } from "../../datapath/world/reach.ts";
import { isDeepStrictEqual } from "node:util";
import type { Kernel } from "../../kernel/kernel.ts";
import { nameOnHost } from "../../model/endpointName.ts";
import type { Endpoint, Network, Snapshot } from "../../model/resource.ts";
import type { Entry, Journal } from "../journal/journal.ts";

/**
 * The snapshot with this host's endpoints replaced by those of its journal that are attached and have a live workload.
 */
export function withLocal(
  snapshot: Snapshot,
  host: string,
  entries: Iterable<Entry>,
  isAlive: (entry: Entry) => boolean,
): Snapshot {
  const known = new Map(
    snapshot.endpoints.flatMap((endpoint) =>
      endpoint.spec.host === host ? [[nameOnHost(endpoint.spec), endpoint] as const] : [],
    ),
  );
  const own: Endpoint[] = [];
  for (const entry of entries)
    if (entry.state === "attached" && isAlive(entry))
      own.push(withServerSettings(entry.endpoint, known.get(entry.endpoint.name)));
  return { ...snapshot, endpoints: [...snapshot.endpoints.filter((endpoint) => endpoint.spec.host !== host), ...own] };
}

/** Whether the workload's namespace is still the one that it was attached in. */
export function isAlive(entry: Entry, bootId: string, kernel: Pick<Kernel, "netnsId">): boolean {
  return entry.bootId === bootId && kernel.netnsId(entry.endpoint.spec.netns) === entry.netnsId;
}

/** The snapshot of a host that is no longer: nothing in it is its own. */
export function withoutHost(snapshot: Snapshot, host: string): Snapshot {
  return { ...snapshot, hosts: snapshot.hosts.filter((one) => one.name !== host) };
}

/** The journal knows where an endpoint is; what may change while it is attached, the server knows better. */
export function withServerSettings(own: Endpoint, known: Endpoint | undefined): Endpoint {
  if (known === undefined || !isSameLease(own, known) || hasSameSettings(own, known)) return own;
  const { qos: _, securityGroups: __, allowedAddresses: ___, ...spec } = own.spec;
  return { ...own, spec: { ...spec, ...settingsOf(known) } };
}

/** What may change of an endpoint while it is attached, as far as it has it. */
function settingsOf({ spec: { qos, securityGroups, allowedAddresses } }: Endpoint): Partial<Endpoint["spec"]> {
  return {
    ...(qos === undefined ? {} : { qos }),
    ...(securityGroups === undefined ? {} : { securityGroups }),
    ...(allowedAddresses === undefined ? {} : { allowedAddresses }),
  };
}

/** Somebody other than its host wants it to go. */
function isDetaching(endpoint: Endpoint | undefined): boolean {
  return endpoint?.spec.detaching === true;
}

function hasSameSettings(a: Endpoint | undefined, b: Endpoint): boolean {
  const [was, is] = [a?.spec, b.spec];
  // Mostly there are none.
  const isSame = was?.qos === is.qos && was?.securityGroups === is.securityGroups;
  if (isSame && was?.allowedAddresses === is.allowedAddresses) return true;
  return isDeepStrictEqual(a === undefined ? {} : settingsOf(a), settingsOf(b));
}

/** What journal and server disagree about. Each list is what has to be done, by whom. */
export type Disagreement = {
  /** Local networks: attached here, unknown to the server. */
  readonly register: readonly Endpoint[];
  /** The server has it, this host does not: forget it there. */
  readonly release: readonly string[];
  /** Attached here, but the server wants it gone, or its network is gone. */
  readonly detach: readonly string[];
};

/**
 * Call only with a complete, current snapshot: absence is an answer here. `inFlight` names attaches that are between
 * the server's answer and the journal; `hasPort` tells whether the kernel holds an endpoint's port.
 */
export function disagreement(
  snapshot: Snapshot,
  host: string,
  entries: ReadonlyMap<string, Entry>,
  inFlight: ReadonlySet<string>,
  hasPort: (name: string) => boolean,
): Disagreement {
  const networks = new Map(snapshot.networks.map((network) => [network.name, network]));
  const known = new Map(
    snapshot.endpoints.flatMap((endpoint) =>
      endpoint.spec.host === host ? [[nameOnHost(endpoint.spec), endpoint] as const] : [],
    ),
  );
  const register: Endpoint[] = [];
  const detach: string[] = [];
  for (const [name, entry] of entries) {
    const { endpoint, state } = entry;
    if (state === "detaching" || inFlight.has(name)) continue;
    if (isUnwanted(entry, known.get(name), networks.get(endpoint.spec.network), snapshot.revision)) detach.push(name);
    else if (!known.has(name) && networks.get(endpoint.spec.network)?.spec.ipam === "local") register.push(endpoint);
  }
  const release: string[] = [];
  for (const [name, endpoint] of known) {
    // Its address is not free before its link is gone.
    if (entries.get(name)?.state === "detaching" && hasPort(name)) continue;
    const entry = entries.get(name);
    if (inFlight.has(name) || (entry?.state === "attached" && isSameLease(entry.endpoint, endpoint))) continue;
    // Its journal entry was lost, and rounds take it in again (adopt.ts).
    if (entry === undefined && endpoint.spec.detaching !== true && hasPort(name)) continue;
    release.push(endpoint.name);
  }
  return { register, release, detach };
}

/**
 * The server's revisions have become lower (`weft host accept-history`): what the journal knows from higher ones is
 * older than all that this server says.
 */
export function rewind(journal: Pick<Journal, "entries" | "put">, revision: number): void {
  for (const entry of journal.entries.values()) {
    const { endpoint } = entry;
    if (endpoint.revision > revision) journal.put({ ...entry, endpoint: { ...endpoint, revision } });
  }
}

/**
 * A name may have been detached and attached anew while the server was away; then the server's record is an old one.
 */
function isSameLease(a: Endpoint, b: Endpoint): boolean {
  return (
    a.spec.network === b.spec.network &&
    a.spec.netns === b.spec.netns &&
    a.spec.addresses.join() === b.spec.addresses.join()
  );
}

/** Its network is gone, the server asks for it, or the server forgot it after this host had it from there. */
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

const GROUND = ["vrfs", "networks", "hosts", "blocks", "vteps", "securityGroups"] as const;

/** Whether two snapshots ask the same of a host, but for its own endpoints. */
export function isSameExceptOwn(before: Snapshot, now: Snapshot, host: string): boolean {
  return (
    before === now ||
    (GROUND.every((list) => before[list] === now[list]) && isSameElsewhere(before.endpoints, now.endpoints, host))
  );
}

/** Of its own endpoints a host goes by its journal; only others', and what may change while attached, can be news. */
export function isSameElsewhere(was: readonly Endpoint[], is: readonly Endpoint[], host: string): boolean {
  if (was === is) return true;
  const [before, now] = trimmed(was, is);
  const own = new Map(before.flatMap((endpoint) => (endpoint.spec.host === host ? [[endpoint.name, endpoint]] : [])));
  for (const endpoint of now) {
    if (endpoint.spec.host !== host) continue;
    const old = own.get(endpoint.name);
    if (old !== endpoint && (!hasSameSettings(old, endpoint) || isDetaching(old) !== isDetaching(endpoint)))
      return false;
  }
  // Side by side, because a list of the others for each attach would be as long as the network.
  let i = 0;
  for (const endpoint of now) {
    if (endpoint.spec.host === host) continue;
    while (before[i]?.spec.host === host) i++;
    if (before[i++] !== endpoint) return false;
  }
  while (before[i]?.spec.host === host) i++;
  return i >= before.length;
}

/** Both without what they begin and end with in common: mostly one endpoint is left, of a thousand. */
function trimmed<T>(a: readonly T[], b: readonly T[]): readonly [readonly T[], readonly T[]] {
  const least = Math.min(a.length, b.length);
  let start = 0;
  while (start < least && a[start] === b[start]) start++;
  let end = 0;
  while (end < least - start && a[a.length - 1 - end] === b[b.length - 1 - end]) end++;
  return [a.slice(start, a.length - end), b.slice(start, b.length - end)];
}

/** A line for each endpoint whose workload has ended without a detach. */
export function endedWorkloads(entries: Iterable<Entry>, isHere: (entry: Entry) => boolean): string[] {
  return [...entries]
    .filter((entry) => entry.state === "attached" && !isHere(entry))
    .map(
      ({ endpoint: { name, spec } }) =>
        `endpoint ${name}: ${spec.netns} is gone; detach it to free ${spec.addresses.join(", ")}`,
    );
}

/** Whether routes of others in an endpoint's namespace change when it comes or goes: those of all but the way out. */
export function changesOtherRoutes(entries: Iterable<Entry>, { name, spec }: Endpoint): boolean {
  const beside = [spec];
  for (const { endpoint, state } of entries)
    if (endpoint.spec.netns === spec.netns && endpoint.name !== name && state === "attached")
      beside.push(endpoint.spec);
  return isAnyFurther(beside, spec.ifname);
}

/** Whether anything is attached to a network here. */
export function isInUse(entries: Iterable<Entry>, network: string): boolean {
  for (const { endpoint, state } of entries) if (endpoint.spec.network === network && state === "attached") return true;
  return false;
}

/** What the server has of this host's endpoints. */
export function ownOf({ endpoints }: Snapshot, host: string): Pick<Snapshot, "endpoints"> {
  return { endpoints: endpoints.filter((endpoint) => endpoint.spec.host === host) };
}

/** Detached, gone from the kernel, and let go of by the server: these addresses are free again. */
export function freeIn(
  entries: ReadonlyMap<string, Entry>,
  inFlight: ReadonlySet<string>,
  ports: ReadonlySet<string>,
  { endpoints }: Pick<Snapshot, "endpoints">,
  released: readonly string[],
): string[] {
  const gone = new Set(released);
  const atServer = new Set(endpoints.flatMap(({ name, spec }) => (gone.has(name) ? [] : [nameOnHost(spec)])));
  return [...entries]
    .filter(([name, { state }]) => state === "detaching" && !inFlight.has(name) && !ports.has(portName(name)))
    .filter(([name]) => !atServer.has(name))
    .map(([name]) => name);
}
