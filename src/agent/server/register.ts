// Makes the server's record of this host's endpoints agree with the journal: endpoints of local networks are
// registered, detached ones released and then removed from the journal. It has a loop of its own, because a slow server
// must not delay the kernel's rounds.
import type { Mirror } from "../../client/mirror.ts";
import { portName } from "../../datapath/state/names.ts";
import { nameOnHost } from "../../model/endpointName.ts";
import { problemOf } from "../../model/fault.ts";
import type { Endpoint, Network, Snapshot } from "../../model/resource.ts";
import { portsWithAddresses } from "../endpoint/linkRemovals.ts";
import type { EndpointParts } from "../endpoint/parts.ts";
import type { Entry, Journal } from "../journal/journal.ts";
import { portsIn } from "../reconcile/knownState.ts";
import { Loop } from "../reconcile/loop.ts";
import { isSameLease, endpointsAtServer, withServerSettings } from "../reconcile/snapshotSource.ts";

type Parts = Pick<EndpointParts, "host" | "journal" | "kernel" | "transport" | "view" | "rounds" | "clock" | "onNews">;
export type RegistrarOptions = Parts & {
  readonly mirror: Pick<Mirror, "snapshot" | "isSynced">;
  readonly random: () => number;
  readonly log: (message: string, fields?: Readonly<Record<string, unknown>>) => void;
  /** Called with what the server refused, a line each; also when that is nothing. */
  readonly onRefused: (refused: readonly string[]) => void;
};

/** The loop that compares; poke it when the journal may have something that the server does not know. */
export function registrarOf(options: RegistrarOptions): Loop {
  const { clock, random } = options;
  return new Loop({ clock, random, periodMs: 30_000, gatherMs: 100 }, () => compareWithServer(options));
}

async function compareWithServer(options: RegistrarOptions): Promise<boolean> {
  const { mirror, journal, transport, view, rounds, clock, log, onRefused, onNews } = options;
  const snapshot = mirror.snapshot();
  if (snapshot === undefined || !mirror.isSynced || !view.hasReconciled) return true;
  const { register, release, detach } = disagreement(snapshot, endpointsOf(options, snapshot));
  recordSettings(snapshot, journal);
  for (const name of detach) {
    const entry = journal.entries.get(name);
    if (entry !== undefined) journal.put({ ...entry, state: "detaching" });
  }
  if (detach.length > 0) await rounds.now();
  // Releases first: another endpoint may have a released local address by now.
  const refused = await refusalsOf([
    ...release.map((name): ServerRequest => [`endpoint ${name} is not released`, () => transport.detach(name)]),
    ...register.map(({ name, spec: { detaching: _, ...claim } }): ServerRequest => {
      return [`endpoint ${name} is not registered`, () => transport.attach(claim)];
    }),
  ]);
  for (const error of refused) log("register", { error });
  onRefused(refused);
  if (refused.length === 0)
    for (const name of forgettable(snapshot, endpointsOf(options, snapshot), release))
      journal.remove(name, clock.monotonicMs());
  onNews();
  return refused.length === 0;
}

/** Flows of detached endpoints are ended first: the next owner of an address must not inherit them. */
function endpointsOf(options: RegistrarOptions, snapshot: Snapshot): HostEndpoints {
  const { host, journal, view } = options;
  const ports = portsWithAddresses(options, snapshot, portsIn(view.state), view.inFlight);
  return { host, entries: journal.entries, inFlight: view.inFlight, ports };
}

/** The journal takes over the settings that the server has for attached endpoints, for a start without the server. */
export function recordSettings(snapshot: Snapshot, journal: Pick<Journal, "entries" | "put">): void {
  for (const endpoint of snapshot.endpoints) {
    const entry = journal.entries.get(nameOnHost(endpoint.spec));
    if (entry === undefined || entry.endpoint.spec.host !== endpoint.spec.host) continue;
    const changed = withServerSettings(entry.endpoint, endpoint);
    if (changed !== entry.endpoint) journal.put({ ...entry, endpoint: changed });
  }
}

/** The server's revisions went down (`weft host accept-history`): entries count as older than all that it says. */
export function rewind(journal: Pick<Journal, "entries" | "put">, revision: number): void {
  for (const entry of journal.entries.values()) {
    const { endpoint } = entry;
    if (endpoint.revision > revision) journal.put({ ...entry, endpoint: { ...endpoint, revision } });
  }
}

/** A request, and what to report if the server refuses it. */
export type ServerRequest = readonly [refused: string, send: () => Promise<unknown>];

/** Sends every request, whatever the answers to the others; stops only if the server is away. */
export async function refusalsOf(requests: readonly ServerRequest[]): Promise<readonly string[]> {
  const refusals: string[] = [];
  for (const [refused, send] of requests) {
    try {
      await send();
    } catch (error) {
      const { reason, detail } = problemOf(error);
      refusals.push(`${refused}: ${detail}`);
      if (reason === "unavailable" || reason === "timeout") break;
    }
  }
  return refusals;
}

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
  const known = endpointsAtServer(snapshot, own.host);
  const register: Endpoint[] = [];
  const detach: string[] = [];
  for (const [name, entry] of entries) {
    const { endpoint, state } = entry;
    if (state === "detaching" || inFlight.has(name)) continue;
    const network = networks.get(endpoint.spec.network);
    if (isUnwanted(entry, known.get(name), network, snapshot.revision)) detach.push(name);
    else if (!known.has(name) && network?.spec.ipam === "local") register.push(endpoint);
  }
  const release = [...known].flatMap(([name, one]) => (isToRelease(name, one, own) ? [one.name] : []));
  return { register, release, detach };
}

function isToRelease(name: string, known: Endpoint, { entries, inFlight, ports }: HostEndpoints): boolean {
  const entry = entries.get(name);
  if (inFlight.has(name)) return false;
  if (entry?.state === "attached") return !isSameLease(entry.endpoint, known);
  // The journal lost its entry, and rounds adopt the port (adopt.ts), unless the server wants it detached.
  if (entry === undefined && known.spec.detaching === true) return true;
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
  const known = endpointsAtServer(snapshot, own.host);
  const gone = new Set(released);
  return [...entries].flatMap(([name, { state }]) => {
    if (state !== "detaching" || inFlight.has(name) || ports.has(portName(name))) return [];
    const endpoint = known.get(name);
    return endpoint === undefined || gone.has(endpoint.name) ? [name] : [];
  });
}
