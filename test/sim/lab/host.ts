// A simulated host: its disk and kernel, which survive its agent, and a real agent on them.
import assert from "node:assert/strict";
import { join } from "node:path";
import { DIRECTIONS } from "../../../src/model/qos.ts";
import { Agent } from "../../../src/agent/agent.ts";
import type { Attacher } from "../../../src/agent/endpoint/attach.ts";
import { type Entry, type Former, type Journal, memoryJournal } from "../../../src/agent/journal/journal.ts";
import { BlockLease, type BlockLeaseRecord } from "../../../src/agent/journal/blockLease.ts";
import { Mirror } from "../../../src/client/mirror.ts";
import type { Transport } from "../../../src/client/transport.ts";
import { FakeKernel } from "../../../src/kernel/fake.ts";
import { Fault } from "../../../src/model/fault.ts";
import type { Snapshot } from "../../../src/model/resource.ts";
import { type VirtualClock, WallClock } from "./clock.ts";
import { type AfterOps, guarded } from "./guardedKernel.ts";
import { HostDisk } from "./hostDisk.ts";

export const JOIN_TOKEN = "join-token-of-the-simulation-000000";
/** What is on a disk is a copy. */
const copy = <T>(value: T): T => structuredClone(value);

export type Host = {
  readonly name: string;
  underlay: string;
  kernel: FakeKernel;
  bootId: string;
  /** The disk: what is in memory while the world has no disks. */
  entries: Map<string, Entry>;
  readonly freed: Map<string, Former>;
  saved: Snapshot | undefined;
  token: string;
  /** What its agent shows the server now; the one on disk is of the last join. */
  credential: string;
  blockLease: BlockLeaseRecord | undefined;
  /** The server has said that it is no longer, and it has not joined anew since, whatever happened to its agent. */
  told: boolean;
  /** Number of the credential that the host proposes, and of those that it knows to be refused. */
  proposal: number;
  /** What its agent logged, for failures. */
  readonly log: string[];
  /** Why its agent has given up, if it has: the server said no to it. */
  ended: unknown;
  /** Why the server refused to let it join, the last time. */
  refused?: unknown;
  /** Undefined while the agent is dead. */
  running:
    | {
        readonly agent: Agent;
        readonly attacher: Attacher;
        readonly stop: AbortController;
        readonly mirror: Mirror;
        readonly blockLease: BlockLease;
      }
    | undefined;
  isCut: boolean;
  /** Its journal takes no record. */
  isDiskFull: boolean;
  /** Undefined in a world without disks. */
  readonly disk: HostDisk | undefined;
  /** Workloads that live in namespaces of this host. */
  readonly workloads: Set<`/${string}`>;
  readonly wall: WallClock;
  /** When the server last took a report of it. */
  heardAtMs: number;
};

/** The `n`th host of a world, without an agent. Its journal is a file in the folder `disks`, if there is one. */
export function newHost(name: string, n: number, clock: VirtualClock, disks: string | undefined): Host {
  const underlay = `172.16.${n >> 8}.${n & 255}`;
  return {
    name,
    underlay,
    kernel: new FakeKernel({ addresses: new Map([[underlay, 1500]]), facts: { prefixes: [], bootId: "boot-1" } }),
    bootId: "boot-1",
    entries: new Map(),
    freed: new Map(),
    saved: undefined,
    token: JOIN_TOKEN,
    credential: JOIN_TOKEN,
    blockLease: undefined,
    told: false,
    proposal: 1,
    log: [],
    ended: undefined,
    running: undefined,
    isCut: false,
    isDiskFull: false,
    disk: disks === undefined ? undefined : new HostDisk(join(disks, name)),
    workloads: new Set(),
    wall: new WallClock(clock),
    heardAtMs: clock.nowMs(),
  };
}

/** What an agent gets from its world. */
type AgentParts = {
  readonly transport: Transport;
  readonly random: () => number;
  readonly uid: () => string;
  /** What this agent's kernel calls; asked for each time. */
  readonly afterOps: () => AfterOps;
};

export function startAgent(host: Host, { transport, random, uid, afterOps }: AgentParts): void {
  assert.equal(host.running, undefined);
  const clock = host.wall.started();
  const isAlive = () => host.running?.agent === agent;
  const kernel = guarded(host.kernel, clock, () => mirror.snapshot() !== undefined, {
    what: `${host.name}: kernel write before any snapshot`,
    afterOps: () => unlessDead(afterOps(), isAlive),
  });
  const saved = host.saved === undefined ? {} : { saved: host.saved };
  const refused = new Set<number>();
  host.credential = host.token;
  const mirror = new Mirror({ transport, clock, random, ...saved });
  const journal = openJournal(host, () => host.running?.agent === agent);
  const blockLease = new BlockLease(clock, host.blockLease, (record) => {
    if (host.running?.agent === agent) host.blockLease = copy(record);
  });
  const agent: Agent = new Agent({
    host: host.name,
    version: "simulated",
    uid,
    kernel,
    transport,
    mirror,
    journal,
    clock,
    random,
    cluster: host.token === JOIN_TOKEN ? undefined : "simulated",
    claim: () =>
      Promise.resolve({
        host: host.name,
        underlay: host.underlay,
        underlayMtu: 1500,
        hostPrefixes: [],
        shaping: DIRECTIONS,
        bootId: host.bootId,
      }),
    saveIdentity: (joined) => {
      if (host.running?.agent === agent) host.credential = host.token = joined.certificate ?? host.token;
    },
    saveSnapshot: (snapshot) => {
      if (host.running?.agent === agent) host.saved = copy(snapshot);
      return Promise.resolve();
    },
    troubles: () => [],
    blockLease,
    renew: () => {
      if (host.running?.agent !== agent) return false;
      if (host.token === proposedBy(host) || refused.has(host.proposal)) host.proposal++;
      refused.add(host.proposal);
      host.credential = JOIN_TOKEN;
      return true;
    },
    log: (message, fields) => {
      host.log.push(`${message} ${JSON.stringify(fields ?? {})}`);
      if (message === "this host is no longer") host.told = true;
      if (message === "this host has joined anew") host.told = false;
    },
  });
  const stop = new AbortController();
  host.running = { agent, attacher: agent.attacher, stop, mirror, blockLease };
  host.ended = undefined;
  void agent.run(stop.signal).catch((error: unknown) => (host.ended = error));
}

/** What a killed agent has begun, it does not end. */
function unlessDead(after: AfterOps, isAlive: () => boolean): AfterOps {
  if (after === undefined) return undefined;
  return async () => {
    if (isAlive()) await after();
    if (!isAlive()) await new Promise(() => undefined);
  };
}

/** A killed agent's promises go on in this process; its journal must not be written by them any more. */
function openJournal(host: Host, isAlive: () => boolean): Journal {
  const write = () => {
    if (!isAlive()) throw new Fault("unavailable", { what: "the process has ended", fix: "wait" });
    if (host.isDiskFull) throw new Fault("unavailable", { what: "the disk is full", fix: "free some space" });
  };
  if (host.disk === undefined) return memoryJournal(host.entries, host.freed, { bootId: host.bootId, write });
  const journal = host.disk.open(host.bootId);
  host.entries = journal.entries as Map<string, Entry>;
  return journal;
}

/** A token the host made before it asked, so that a join whose answer was lost can be repeated. */
export function proposedBy(host: Pick<Host, "name" | "proposal">): string {
  return `proposed-token-of-simulated-host-${host.name}-${host.proposal}`;
}
