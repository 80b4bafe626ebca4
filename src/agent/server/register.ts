// Makes the server's record of this host's endpoints agree with the journal: endpoints of local networks are
// registered, detached ones released and then removed from the journal. It has a loop of its own, because a slow server
// must not delay the kernel's rounds.
import type { Mirror } from "../../client/mirror.ts";
import { problemOf } from "../../model/fault.ts";
import { nameOnHost } from "../../model/endpointName.ts";
import type { Snapshot } from "../../model/resource.ts";
import { portsWithAddresses } from "../endpoint/endedFlows.ts";
import type { EndpointParts } from "../endpoint/parts.ts";
import type { Journal } from "../journal/journal.ts";
import { portsIn } from "../reconcile/knownState.ts";
import { withServerSettings } from "../reconcile/localSnapshot.ts";
import { Loop } from "../reconcile/loop.ts";
import { disagreement, forgettable, type HostEndpoints } from "./disagreement.ts";

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

/**
 * The server's revisions have become lower (`weft host accept-history`): entries from higher revisions count as older
 * than everything that this server says.
 */
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
