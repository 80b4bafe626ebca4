// The snapshot that the agent acts on: the server's while it is followed, otherwise the last one known. This host's own
// endpoints in it are those of the journal, which knows better than the server which of them are attached. Also
// compares this host's endpoints in two snapshots, or in a snapshot and the journal.
import { isDeepStrictEqual } from "node:util";
import type { Mirror } from "../../client/mirror.ts";
import type { Kernel } from "../../kernel/kernel.ts";
import type { Clock } from "../../model/clock.ts";
import { nameOnHost } from "../../model/endpointName.ts";
import { emptySnapshot, type Endpoint, type Snapshot } from "../../model/resource.ts";
import type { BlockLease } from "../journal/blockLease.ts";
import type { Entry, Journal } from "../journal/journal.ts";

export type SnapshotSourceOptions = {
  readonly host: string;
  readonly mirror: Pick<Mirror, "snapshot" | "isSynced" | "problem">;
  readonly journal: Pick<Journal, "entries">;
  readonly kernel: Pick<Kernel, "netnsId">;
  readonly bootId: string;
  readonly clock: Clock;
  readonly blockLease: Pick<BlockLease, "ended">;
  /** Whether the kernel is known to have objects of Weft's. */
  readonly hasObserved: () => boolean;
};

/** How long a start waits for the server before it uses the snapshot on disk. */
export const START_GRACE_MS = 3_000;

export class SnapshotSource {
  readonly #options: SnapshotSourceOptions;
  #startedAtMs = 0;

  constructor(options: SnapshotSourceOptions) {
    this.#options = options;
  }

  /** The grace of a start begins now. */
  start(): void {
    this.#startedAtMs = this.#options.clock.monotonicMs();
  }

  /** The snapshot to act on; undefined while the kernel must not be changed: during the grace, or if there is none. */
  current(): Snapshot | undefined {
    const { mirror, clock, host, blockLease, hasObserved } = this.#options;
    if (blockLease.ended !== undefined) return withoutHost(mirror.snapshot() ?? emptySnapshot(""), host);
    if (mirror.isSynced) return mirror.snapshot();
    const isGrace = !hasObserved() && clock.monotonicMs() - this.#startedAtMs < START_GRACE_MS;
    return isGrace ? undefined : mirror.snapshot();
  }

  /** The newest snapshot, however old: enough to detach what this host attached itself. */
  known(): Snapshot | undefined {
    return this.#options.mirror.snapshot();
  }

  /** The snapshot with this host's own endpoints as the journal has them. */
  local(snapshot: Snapshot): Snapshot {
    const { host, journal } = this.#options;
    return withLocal(snapshot, host, journal.entries.values(), (entry) => this.isAlive(entry));
  }

  /** Whether the server is being followed at this moment: the snapshot is complete and current. */
  get isSynced(): boolean {
    return this.#options.mirror.isSynced;
  }

  /** Whether what current() lacks is to be removed: the server says so, or has removed this host. */
  get isComplete(): boolean {
    return this.isSynced || this.hasEnded;
  }

  /** Whether the server has removed this host: then none of its endpoints stays. */
  get hasEnded(): boolean {
    return this.#options.blockLease.ended !== undefined;
  }

  /** Throws a Fault `another-history` if the server does not know the revisions that this host has. */
  checkHistory(): void {
    const { problem } = this.#options.mirror;
    if (problem?.reason === "another-history") throw problem;
  }

  /** Whether the namespace of an endpoint is still the one it was attached in. */
  isAlive(entry: Entry): boolean {
    return isAlive(entry, this.#options.bootId, this.#options.kernel);
  }
}

/** The snapshot with this host's endpoints replaced by those that the journal has as attached and that are alive. */
export function withLocal(
  snapshot: Snapshot,
  host: string,
  entries: Iterable<Entry>,
  isAlive: (entry: Entry) => boolean,
): Snapshot {
  const known = endpointsAtServer(snapshot, host);
  const own: Endpoint[] = [];
  for (const entry of entries)
    if (entry.state === "attached" && isAlive(entry))
      own.push(withServerSettings(entry.endpoint, known.get(entry.endpoint.name)));
  return { ...snapshot, endpoints: [...snapshot.endpoints.filter((endpoint) => endpoint.spec.host !== host), ...own] };
}

/** What the server has of this host's endpoints, by their names on the host. */
export function endpointsAtServer({ endpoints }: Snapshot, host: string): ReadonlyMap<string, Endpoint> {
  const named = new Map<string, Endpoint>();
  for (const endpoint of endpoints) if (endpoint.spec.host === host) named.set(nameOnHost(endpoint.spec), endpoint);
  return named;
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
  const { qos: _, securityGroups: __, allowedAddresses: ___, labels: ____, ...spec } = own.spec;
  const settings = SETTINGS.flatMap((key) => (known.spec[key] === undefined ? [] : [[key, known.spec[key]]]));
  return { ...own, spec: { ...spec, ...Object.fromEntries(settings) } };
}

/** Whether both are one lease: a name may have been detached and attached anew while the server was away. */
export function isSameLease({ spec: a }: Endpoint, { spec: b }: Endpoint): boolean {
  return a.network === b.network && a.netns === b.netns && a.addresses.join() === b.addresses.join();
}

/** What may change of an endpoint while it is attached. */
const SETTINGS = ["qos", "securityGroups", "allowedAddresses", "labels"] as const;

function hasSameSettings(a: Endpoint | undefined, b: Endpoint): boolean {
  return SETTINGS.every((key) => a?.spec[key] === b.spec[key] || isDeepStrictEqual(a?.spec[key], b.spec[key]));
}

/** The server wants it detached. */
function isDetaching(endpoint: Endpoint | undefined): boolean {
  return endpoint?.spec.detaching === true;
}

const LISTS = ["vrfs", "networks", "hosts", "blocks", "vteps", "securityGroups", "conversions"] as const;

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
