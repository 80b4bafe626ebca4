// Carries out memberships and moves on this host, with the same attach and detach that people use. It has a loop of its
// own, because an attach may fail for long and must not delay the kernel's rounds. It keeps no state: journal and
// snapshot say what is left to do, so it goes on after any crash.
//
// An instance of a workload is a namespace in which an owner has an interface of that workload, in any network: it
// remains an instance after it has left the network it was attached to first, and ends with its last interface.
import type { Transport } from "../../client/transport.ts";
import type { Ns } from "../../datapath/kinds/kind.ts";
import type { Kernel } from "../../kernel/kernel.ts";
import type { Clock } from "../../model/clock.ts";
import { defined } from "../../model/defined.ts";
import { plainName } from "../../model/endpointName.ts";
import { problemOf, type Reason } from "../../model/fault.ts";
import type { EndpointClaim } from "../../model/input.ts";
import { isOver } from "../../model/kinds/membership.ts";
import { type Endpoint, endpointName, type Move, type Snapshot } from "../../model/resource.ts";
import type { Attacher } from "../endpoint/attach.ts";
import type { Entry, Journal } from "../journal/journal.ts";
import { Loop } from "../reconcile/loop.ts";
import type { SnapshotSource } from "../reconcile/snapshotSource.ts";

export type MembersOptions = {
  readonly attacher: Pick<Attacher, "attach" | "detach">;
  readonly host: string;
  readonly journal: Pick<Journal, "entries" | "version">;
  readonly snapshots: Pick<SnapshotSource, "current" | "isSynced" | "isAlive">;
  readonly kernel: Pick<Kernel, "linkNames">;
  readonly transport: Pick<Transport, "moved">;
  readonly clock: Clock;
  readonly random: () => number;
  readonly log: (message: string, fields?: Readonly<Record<string, unknown>>) => void;
  /** A line for each endpoint whose workload has ended. */
  readonly endedWorkloads: () => readonly string[];
  /** Called with what instances should have and could not get, a line each; also when that is nothing. */
  readonly onRefused: (refused: readonly string[]) => void;
};

const PERIOD_MS = 30_000;
const GATHER_MS = 10;
/** Refusals that end by themselves: tried again, and not reported. */
const PASSING: ReadonlySet<Reason> = new Set(["unavailable", "timeout", "not-synced", "in-use", "internal"]);

export class Members {
  readonly #options: MembersOptions;
  readonly #loop: Loop;
  /** What the last round looked at. */
  #seen: readonly unknown[] | undefined;
  /** It had no memberships and moves, and no endpoints of memberships. */
  #wasIdle = false;

  constructor(options: MembersOptions) {
    this.#options = options;
    const { clock, random } = options;
    this.#loop = new Loop({ clock, random, periodMs: PERIOD_MS, gatherMs: GATHER_MS }, () => this.#round());
  }

  /** The snapshot or the journal may have changed. */
  poke(): void {
    if (this.#isNews()) this.#loop.poke();
  }

  /** Runs until the signal aborts; never rejects. */
  run(signal: AbortSignal): Promise<void> {
    return this.#loop.run(signal);
  }

  /** Most changes do not concern memberships, and most clusters have none. */
  #isNews(): boolean {
    const snapshot = this.#options.snapshots.current();
    const seen = this.#seen;
    if (snapshot === undefined) return false;
    if (seen === undefined) return true;
    if (this.#wasIdle && asksNothing(snapshot)) return false;
    return this.#inputs(snapshot).some((input, i) => input !== seen[i]);
  }

  #inputs({ memberships, moves, networks }: Snapshot): readonly unknown[] {
    const { snapshots, journal, endedWorkloads } = this.#options;
    return [memberships, moves, networks, journal.version, snapshots.isSynced, endedWorkloads().join()];
  }

  async #round(): Promise<boolean> {
    const { snapshots, journal, host, onRefused } = this.#options;
    const snapshot = snapshots.current();
    if (snapshot === undefined) return true;
    this.#seen = this.#inputs(snapshot);
    const hasJoined = journal.entries.values().some(({ endpoint }) => endpoint.spec.joined === true);
    this.#wasIdle = asksNothing(snapshot) && !hasJoined;
    const { joins, leaves, moves } = planMemberships(snapshot, {
      host,
      entries: journal.entries,
      isAlive: (entry) => snapshots.isAlive(entry),
      isComplete: snapshots.isSynced,
    });
    const refused: string[] = [];
    let isDone = true;
    for (const { what, step } of [
      ...leaves.map((name) => ({ what: `${name} leaves`, step: () => this.#options.attacher.detach(name) })),
      ...joins.map((join) => ({ what: `${join.owner} joins ${join.network}`, step: () => this.#join(join) })),
      ...moves.map((move) => ({ what: `${move.spec.endpoint} moves`, step: () => this.#move(move, snapshot) })),
    ]) {
      try {
        if ((await step()) === false) isDone = false;
      } catch (error) {
        isDone = false;
        const { reason, detail } = problemOf(error);
        if (!PASSING.has(reason)) refused.push(`${what}: ${detail}`);
        this.#options.log("members", { error: detail });
        if (reason === "unavailable" || reason === "timeout") break;
      }
    }
    onRefused(refused);
    return isDone;
  }

  async #join({ user, ...join }: Join): Promise<void> {
    const ifname = this.#nextName(join.owner, join.netns);
    await this.#options.attacher.attach({ ...join, ifname }, { joined: true, ...defined({ user }) });
  }

  /** One step after another, each reported to the server; false while it has to wait. */
  async #move(move: Move, snapshot: Snapshot): Promise<boolean> {
    const { snapshots, attacher, journal } = this.#options;
    const { spec } = move;
    const name = plainName(spec.endpoint, spec.host);
    const old = journal.entries.get(name);
    if (old?.endpoint.spec.network !== spec.from || !snapshots.isAlive(old)) return this.#moveEnded(move, snapshot);
    const there = this.#targetOf(spec, old.endpoint.spec.netns);
    if (there === undefined && old.state === "detaching") {
      // It is being detached for another reason, so it must not appear elsewhere.
      await this.#tell(move, { state: "gone" });
      return true;
    }
    const target = there ?? (await this.#attachTarget(move, old.endpoint));
    if (target === undefined) return false;
    const arrived = { newEndpoint: target.name, newAddresses: target.spec.addresses };
    if (spec.state !== "joined") await this.#tell(move, { state: "joined", ...arrived });
    await attacher.detach(name);
    await this.#tell(move, { state: "left", ...arrived });
    return true;
  }

  /** The endpoint is gone: this host detached it after it made the new one, or it went for another reason. */
  async #moveEnded(move: Move, snapshot: Snapshot): Promise<boolean> {
    const { journal, snapshots } = this.#options;
    const { spec } = move;
    const isKnown = snapshot.endpoints.some((endpoint) => endpoint.name === spec.endpoint);
    const isHere = journal.entries.has(plainName(spec.endpoint, spec.host));
    // The journal may have lost it, and a round is about to adopt it.
    if (!snapshots.isSynced || (isKnown && !isHere)) return false;
    // If its entry is still here, its workload has ended before the move.
    const target = isHere ? undefined : this.#targetOf(spec, undefined);
    const arrived = target && { newEndpoint: target.name, newAddresses: target.spec.addresses };
    await this.#tell(move, arrived === undefined ? { state: "gone" } : { state: "left", ...arrived });
    return true;
  }

  #targetOf({ to, owner }: Move["spec"], netns: string | undefined): Endpoint | undefined {
    const isTarget = ({ state, endpoint: { spec } }: Entry) => {
      const isHere = spec.owner === owner && (netns === undefined || spec.netns === netns);
      return state === "attached" && spec.network === to && isHere;
    };
    return this.#options.journal.entries.values().find(isTarget)?.endpoint;
  }

  /** The new interface; undefined if it is refused, which is reported to the server once. */
  async #attachTarget(move: Move, { spec }: Endpoint): Promise<Endpoint | undefined> {
    const { owner, netns, workload, user, joined, securityGroups, qos } = spec;
    const request = {
      network: move.spec.to,
      owner,
      netns,
      ifname: this.#nextName(owner, netns),
      ...(workload === undefined ? {} : { workload }),
      // The endpoint's own: without them it would be open, or unlimited, in the new network.
      ...(securityGroups === undefined ? {} : { securityGroups }),
      ...(qos === undefined ? {} : { qos }),
    };
    try {
      const by = { joined: joined === true, ...defined({ user }) };
      const { endpoint } = await this.#options.attacher.attach(request, by);
      return this.#options.journal.entries.get(endpoint)?.endpoint;
    } catch (error) {
      const { reason, detail } = problemOf(error);
      if (PASSING.has(reason)) throw error;
      if (move.spec.reason !== detail) await this.#tell(move, { state: "failed", reason: detail });
      return undefined;
    }
  }

  async #tell(move: Move, report: Parameters<Transport["moved"]>[1]): Promise<void> {
    await this.#options.transport.moved(move.name, report);
  }

  #nextName(owner: string, netns: string): string {
    const { journal, kernel } = this.#options;
    const own = [...journal.entries.values()].filter(({ endpoint: { spec } }) => {
      return spec.owner === owner && spec.netns === netns;
    });
    const last = own.reduce((most, { endpoint: { spec } }) => (most > spec.ifname ? most : spec.ifname), "");
    const links = kernel.linkNames(netns as Ns);
    return nextInterface(last, (name) => links.includes(name) || journal.entries.has(endpointName(owner, name)));
  }
}

function asksNothing({ memberships, moves }: Snapshot): boolean {
  return memberships.length === 0 && moves.length === 0;
}

/** An interface that an instance lacks. */
export type Join = Required<Pick<EndpointClaim, "network" | "workload" | "owner" | "netns">> & {
  readonly user?: string;
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
  const userOf = usersIn(snapshot, host);
  const wanted = new Set(snapshot.memberships.map(({ spec }) => `${spec.network} ${workloadOf(spec)}`));
  const leaves = joined
    .filter((entry) => {
      if (!isAlive(entry)) return true;
      const { network, workload } = entry.endpoint.spec;
      const asked = `${network} ${workloadOf({ workload, user: userOf(entry.endpoint) })}`;
      return isComplete && !wanted.has(asked) && !moves.some((move) => owns(move, entry.endpoint));
    })
    .map((entry) => entry.endpoint.name);
  const alive = attached
    .filter(isAlive)
    .map(({ endpoint: { spec }, endpoint }) => ({ ...spec, ...defined({ user: userOf(endpoint) }) }))
    .filter(({ workload }) => workload !== undefined);
  return { joins: joinsOf(snapshot, alive, entries, moves), leaves, moves };
}

/** The user of an endpoint: as the server says now, or said when it was attached. */
function usersIn({ endpoints }: Snapshot, host: string): (endpoint: Endpoint) => string | undefined {
  const own = new Map(
    endpoints.filter(({ spec }) => spec.host === host).map((each) => [plainName(each.name, host), each]),
  );
  return (endpoint) => (own.get(endpoint.name) ?? endpoint).spec.user;
}

/** A user's workload is another than one of the same name of another user, or of none. */
function workloadOf({
  workload,
  user,
}: {
  readonly workload?: string | undefined;
  readonly user?: string | undefined;
}) {
  return `${workload} ${user ?? ""}`;
}

function joinsOf(
  snapshot: Snapshot,
  alive: readonly Endpoint["spec"][],
  entries: ReadonlyMap<string, Entry>,
  moves: readonly Move[],
): Join[] {
  const networks = new Set(snapshot.networks.map((network) => network.name));
  // Also those that are being detached: until they are gone their names and addresses are not free.
  const there = new Set([...entries.values()].map(({ endpoint: { spec } }) => `${spec.network} ${instanceOf(spec)}`));
  const coming = new Set(moves.map(({ spec }) => `${spec.to} ${spec.owner}`));
  const instances = Map.groupBy(
    new Map(alive.map((spec) => [`${workloadOf(spec)} ${instanceOf(spec)}`, spec])).values(),
    workloadOf,
  );
  return snapshot.memberships.flatMap(({ spec: { network, workload, user } }) =>
    (networks.has(network) ? (instances.get(workloadOf({ workload, user })) ?? []) : [])
      .filter((spec) => !there.has(`${network} ${instanceOf(spec)}`) && !coming.has(`${network} ${spec.owner}`))
      .map(({ owner, netns }): Join => ({ network, workload, owner, netns, ...defined({ user }) })),
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
function instanceOf({ owner, netns }: { readonly owner: string; readonly netns: string }): string {
  return `${owner} ${netns}`;
}

/** A further interface comes last in the order of names: the first has the default route, which must stay. */
export function nextInterface(last: string, isTaken: (name: string) => boolean): string {
  const stem = last.replace(/\d+$/, "");
  for (let n = 0; n < 10_000; n++) {
    const name = `${stem}${n}`;
    if (name > last && name.length <= 15 && !isTaken(name)) return name;
  }
  throw new Error(`no interface name is free after ${last}`);
}
