// What memberships and moves ask of this host. An instance of a workload is a namespace in which an owner has an
// interface of that workload, in any network: it remains an instance after it has left the network it was attached to
// first, and ends with its last interface. Pure.
import { plainName } from "../../model/endpointName.ts";
import type { Endpoint, Move, Snapshot } from "../../model/resource.ts";
import { isOver } from "../../model/membership.ts";
import type { Entry } from "../journal/journal.ts";

/** An interface that an instance lacks. */
export type Join = {
  readonly network: string;
  readonly workload: string;
  readonly owner: string;
  readonly netns: string;
};
export type HostWorkloads = {
  readonly host: string;
  readonly entries: ReadonlyMap<string, Entry>;
  /** Whether the workload of an entry still runs. */
  readonly isAlive: (entry: Entry) => boolean;
  /** Whether the server does not have what the snapshot lacks. */
  readonly isComplete: boolean;
};
export type MembershipPlan = {
  readonly joins: readonly Join[];
  /** Endpoints that were made for a membership and that no membership asks for now. */
  readonly leaves: readonly string[];
  readonly moves: readonly Move[];
};

/** If the snapshot is not complete, a membership that it lacks may still exist, and no endpoint leaves. */
export function planMemberships(
  snapshot: Snapshot,
  { host, entries, isAlive, isComplete }: HostWorkloads,
): MembershipPlan {
  const moves = snapshot.moves.filter((move) => move.spec.host === host && !isOver(move));
  const attached = [...entries.values()].filter((entry) => entry.state === "attached");
  const joined = attached.filter((entry) => entry.endpoint.spec.joined === true);
  if (snapshot.memberships.length === 0 && joined.length === 0) return { joins: [], leaves: [], moves };
  const wanted = new Set(snapshot.memberships.map(({ spec }) => `${spec.network} ${spec.workload}`));
  const leaves = joined
    .filter((entry) => {
      if (!isAlive(entry)) return true;
      const { network, workload } = entry.endpoint.spec;
      return isComplete && !wanted.has(`${network} ${workload}`) && !moves.some((move) => owns(move, entry.endpoint));
    })
    .map((entry) => entry.endpoint.name);
  return { joins: joinsOf(snapshot, attached.filter(isAlive), entries, moves), leaves, moves };
}

function joinsOf(
  snapshot: Snapshot,
  alive: readonly Entry[],
  entries: ReadonlyMap<string, Entry>,
  moves: readonly Move[],
): Join[] {
  const networks = new Set(snapshot.networks.map((network) => network.name));
  // Also those that are being detached: until they are gone their names and addresses are not free.
  const there = new Set([...entries.values()].map(({ endpoint: { spec } }) => `${spec.network} ${instanceOf(spec)}`));
  const coming = new Set(moves.map(({ spec }) => `${spec.to} ${spec.owner}`));
  const instances = Map.groupBy(
    new Map(alive.map(({ endpoint: { spec } }) => [`${spec.workload} ${instanceOf(spec)}`, spec])).values(),
    (spec) => spec.workload,
  );
  return snapshot.memberships.flatMap(({ spec: { network, workload } }) =>
    (networks.has(network) ? (instances.get(workload) ?? []) : [])
      .filter((spec) => !there.has(`${network} ${instanceOf(spec)}`) && !coming.has(`${network} ${spec.owner}`))
      .map(({ owner, netns }): Join => ({ network, workload, owner, netns })),
  );
}

/** The endpoint that a move takes away, and the one that it made, are the move's business. */
function owns(move: Move, endpoint: Endpoint): boolean {
  return (
    plainName(move.spec.endpoint, move.spec.host) === endpoint.name ||
    (move.spec.to === endpoint.spec.network && move.spec.owner === endpoint.spec.owner)
  );
}

/** The same for all interfaces of an instance. */
export function instanceOf({ owner, netns }: { readonly owner: string; readonly netns: string }): string {
  return `${owner} ${netns}`;
}

/**
 * The name for a further interface: after the instance's last one in the order of names. The first in that order has
 * the default route, which a workload must not lose when it joins a network.
 */
export function nextInterface(last: string, isTaken: (name: string) => boolean): string {
  const stem = last.replace(/\d+$/, "");
  for (let n = 0; n < 10_000; n++) {
    const name = `${stem}${n}`;
    if (name > last && name.length <= 15 && !isTaken(name)) return name;
  }
  throw new Error(`no interface name is free after ${last}`);
}
