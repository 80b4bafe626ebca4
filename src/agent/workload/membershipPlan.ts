// What memberships and moves ask of this host, by its journal. Pure: an instance of a workload is a namespace in which
// an owner has an interface with that workload; whoever made the interface. So an instance that has moved away from
// the network it came with still is one, and one that has no interface left is nobody's.
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
export type MembershipPlan = {
  readonly joins: readonly Join[];
  /** Endpoints that a membership had made, and that nobody asks for any more. */
  readonly leaves: readonly string[];
  readonly moves: readonly Move[];
};

/**
 * `isComplete` says that absence in the snapshot is an answer: only then a membership that is not there has ended.
 * `isAlive` tells whether the workload of an entry still runs.
 */
export function planMemberships(
  snapshot: Snapshot,
  host: string,
  entries: ReadonlyMap<string, Entry>,
  isAlive: (entry: Entry) => boolean,
  isComplete: boolean,
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
  // Also those that are on their way out: a name and an address are free only when they are gone.
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

/** A move takes care of what it takes from and of what it has made. */
function owns(move: Move, endpoint: Endpoint): boolean {
  return (
    plainName(move.spec.endpoint, move.spec.host) === endpoint.name ||
    (move.spec.to === endpoint.spec.network && move.spec.owner === endpoint.spec.owner)
  );
}

export function instanceOf({ owner, netns }: { readonly owner: string; readonly netns: string }): string {
  return `${owner} ${netns}`;
}

/**
 * Name of a further interface: the next after the instance's last one. In the order of names, because the first has
 * the way to everything, and a workload that joins a network must not lose it.
 */
export function nextInterface(last: string, isTaken: (name: string) => boolean): string {
  const stem = last.replace(/\d+$/, "");
  for (let n = 0; n < 10_000; n++) {
    const name = `${stem}${n}`;
    if (name > last && name.length <= 15 && !isTaken(name)) return name;
  }
  throw new Error(`no interface name is free after ${last}`);
}
