// The snapshot as this host acts on it: which of its own endpoints are attached, the journal knows better than the
// server. Pure.
import { isDeepStrictEqual } from "node:util";
import type { Kernel } from "../../kernel/kernel.ts";
import { nameOnHost } from "../../model/endpointName.ts";
import type { Endpoint, Snapshot } from "../../model/resource.ts";
import type { Entry } from "../journal/journal.ts";

/** The snapshot with this host's endpoints replaced by those that the journal has as attached and that are alive. */
export function withLocal(
  snapshot: Snapshot,
  host: string,
  entries: Iterable<Entry>,
  isAlive: (entry: Entry) => boolean,
): Snapshot {
  const known = leasesByName(snapshot, host);
  const own: Endpoint[] = [];
  for (const entry of entries)
    if (entry.state === "attached" && isAlive(entry))
      own.push(withServerSettings(entry.endpoint, known.get(entry.endpoint.name)));
  return { ...snapshot, endpoints: [...snapshot.endpoints.filter((endpoint) => endpoint.spec.host !== host), ...own] };
}

/** What the server has of this host's endpoints, by their names on the host. */
export function leasesByName({ endpoints }: Snapshot, host: string): ReadonlyMap<string, Endpoint> {
  const leases = new Map<string, Endpoint>();
  for (const endpoint of endpoints) if (endpoint.spec.host === host) leases.set(nameOnHost(endpoint.spec), endpoint);
  return leases;
}

/** Whether the workload's namespace is still the one that it was attached in. */
export function isAlive(entry: Entry, bootId: string, kernel: Pick<Kernel, "netnsId">): boolean {
  return entry.bootId === bootId && kernel.netnsId(entry.endpoint.spec.netns) === entry.netnsId;
}

/** The snapshot for a host that the server has removed: it has no networks. */
export function withoutHost(snapshot: Snapshot, host: string): Snapshot {
  return { ...snapshot, hosts: snapshot.hosts.filter((one) => one.name !== host) };
}

/** The journal's endpoint with the settings that the server may change while it is attached. */
export function withServerSettings(own: Endpoint, known: Endpoint | undefined): Endpoint {
  if (known === undefined || !isSameLease(own, known) || hasSameSettings(own, known)) return own;
  const { qos: _, securityGroups: __, allowedAddresses: ___, ...spec } = own.spec;
  return { ...own, spec: { ...spec, ...settingsOf(known) } };
}

/** Whether both are one lease: a name may have been detached and attached anew while the server was away. */
export function isSameLease(a: Endpoint, b: Endpoint): boolean {
  return (
    a.spec.network === b.spec.network &&
    a.spec.netns === b.spec.netns &&
    a.spec.addresses.join() === b.spec.addresses.join()
  );
}

/** What may change of an endpoint while it is attached. */
function settingsOf({ spec: { qos, securityGroups, allowedAddresses } }: Endpoint): Partial<Endpoint["spec"]> {
  return {
    ...(qos === undefined ? {} : { qos }),
    ...(securityGroups === undefined ? {} : { securityGroups }),
    ...(allowedAddresses === undefined ? {} : { allowedAddresses }),
  };
}

function hasSameSettings(a: Endpoint | undefined, b: Endpoint): boolean {
  const [was, is] = [a?.spec, b.spec];
  // Usually none is set.
  const isSame = was?.qos === is.qos && was?.securityGroups === is.securityGroups;
  if (isSame && was?.allowedAddresses === is.allowedAddresses) return true;
  return isDeepStrictEqual(a === undefined ? {} : settingsOf(a), settingsOf(b));
}

/** The server wants it detached. */
function isDetaching(endpoint: Endpoint | undefined): boolean {
  return endpoint?.spec.detaching === true;
}

const LISTS = ["vrfs", "networks", "hosts", "blocks", "vteps", "securityGroups"] as const;

/** Whether two snapshots ask the same of a host, except for its own endpoints. */
export function isSameExceptOwn(before: Snapshot, now: Snapshot, host: string): boolean {
  return (
    before === now ||
    (LISTS.every((list) => before[list] === now[list]) && isSameElsewhere(before.endpoints, now.endpoints, host))
  );
}

/** Other hosts' endpoints are compared whole; of this host's, which the journal has, only the settings. */
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
  // In one pass over both: a list of the others would be as long as the network, at each attach.
  let i = 0;
  for (const endpoint of now) {
    if (endpoint.spec.host === host) continue;
    while (before[i]?.spec.host === host) i++;
    if (before[i++] !== endpoint) return false;
  }
  while (before[i]?.spec.host === host) i++;
  return i >= before.length;
}

/** Both without their common beginning and end: usually one endpoint is left of a thousand. */
function trimmed<T>(a: readonly T[], b: readonly T[]): readonly [readonly T[], readonly T[]] {
  const least = Math.min(a.length, b.length);
  let start = 0;
  while (start < least && a[start] === b[start]) start++;
  let end = 0;
  while (end < least - start && a[a.length - 1 - end] === b[b.length - 1 - end]) end++;
  return [a.slice(start, a.length - end), b.slice(start, b.length - end)];
}
