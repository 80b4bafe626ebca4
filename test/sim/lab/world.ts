// A whole cluster in one process: the control plane over a store in memory, real agents over fake kernels, a line
// between them that loses, delays and cuts, and a clock that only the test moves. One seed, one life. Disks survive
// crashes: the store, each host's journal, token and last snapshot; kernels survive agents.
import { DIRECTIONS } from "../../../src/model/qos.ts";
import assert from "node:assert/strict";
import { join } from "node:path";
import { Agent } from "../../../src/agent/agent.ts";
import type { Door } from "../../../src/agent/endpoint/door.ts";
import { type Entry, type Former, type Journal, memoryJournal } from "../../../src/agent/journal/journal.ts";
import { BlockLease, type BlockLeaseRecord } from "../../../src/agent/journal/blockLease.ts";
import { Mirror } from "../../../src/client/mirror.ts";
import type { Heard, Transport } from "../../../src/client/transport.ts";
import { Control } from "../../../src/control/control.ts";
import type { LivenessSettings } from "../../../src/control/hosts/liveness.ts";
import type { Outcome } from "../../../src/control/write.ts";
import { compile } from "../../../src/datapath/compile.ts";
import { diff } from "../../../src/datapath/state/diff.ts";
import { segmentOwners } from "../../../src/datapath/world/reservations.ts";
import { printOps } from "../../../src/datapath/state/print.ts";
import type { Ns } from "../../../src/datapath/kinds/kind.ts";
import type { Op } from "../../../src/datapath/state/state.ts";
import { FakeKernel } from "../../../src/kernel/fake.ts";
import type { Kernel, OpResult } from "../../../src/kernel/kernel.ts";
import type { CheckReport, CheckRequest } from "../../../src/model/check.ts";
import type { Clock } from "../../../src/model/clock.ts";
import { formatIp, ipOf } from "../../../src/model/address.ts";
import { nameOnHost } from "../../../src/model/endpointName.ts";
import { Fault } from "../../../src/model/fault.ts";
import type { ChangeSet, Endpoint, Snapshot } from "../../../src/model/resource.ts";
import { openMemoryStore } from "../../../src/store/memory.ts";
import type { Store } from "../../../src/store/store.ts";
import { settle, VirtualClock, WallClock } from "./clock.ts";
import { HostDisk } from "./hostDisk.ts";
import type { Machine } from "./packets.ts";
import { assertReach } from "./reach.ts";

const emptyStore = () => openMemoryStore({ cluster: "simulated", history: 64 });
const JOIN_TOKEN = "join-token-of-the-simulation-000000";
const away = () => new Fault("unavailable", { what: "the line is cut", fix: "wait" });
/** What goes over a line is a copy. */
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
  /** Undefined while the agent is dead. */
  running:
    | {
        readonly agent: Agent;
        readonly door: Door;
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

export class World {
  readonly clock = new VirtualClock();
  /** The server's; each host has its own. */
  readonly wall = new WallClock(this.clock);
  readonly random: (n: number) => number;
  #inner: Store;
  /** Every transaction that is on the server's disk. */
  readonly #written: Parameters<Store["commit"]>[] = [];
  readonly store: Store;
  readonly hosts = new Map<string, Host>();
  control: Control | undefined;
  /** A commit waits for it, and fails as it does. */
  disk: Promise<void> = Promise.resolve();
  /** Chance in a hundred that a request or its answer is lost. */
  lossPercent = 0;
  /** Hosts that the server gave up by itself, by the uid they had. */
  readonly givenUp = new Set<string>();
  readonly #liveness: LivenessSettings | undefined;
  readonly #disks: string | undefined;
  #uids = 0;
  #expiring = new AbortController();
  /** What is left of a killed server writes nothing more. */
  #endLife: () => void = () => undefined;

  /** With `liveness`, the server also sweeps. Journals are files in the folder `disks`, if there is one. */
  constructor(random: (n: number) => number, liveness?: LivenessSettings, disks?: string) {
    this.random = random;
    this.#liveness = liveness;
    this.#disks = disks;
    this.#inner = emptyStore();
    this.store = this.#storeOverDisk();
  }

  /** The store on the server's disk, whichever that is now. */
  #storeOverDisk(): Store {
    const inner = () => this.#inner;
    return {
      cluster: inner().cluster,
      get revision() {
        return inner().revision;
      },
      read: () => inner().read(),
      commit: async (commits, secrets) => {
        await this.disk;
        const revisions = await inner().commit(commits, secrets);
        this.#written.push([commits, secrets]);
        return revisions;
      },
      watch: (from, signal) => inner().watch(from, signal),
      secret: (key) => inner().secret(key),
      leases: (query) => inner().leases(query),
      close: () => inner().close(),
    };
  }

  /** What the server's disk has now, to be restored later. */
  backup(): number {
    return this.#written.length;
  }

  /** The server dies, and the next one starts with what the disk had then. */
  async restore(backup: number): Promise<void> {
    this.killServer();
    await settle();
    this.#inner = emptyStore();
    this.#written.length = backup;
    for (const [commits, secrets] of this.#written) await this.#inner.commit(commits, secrets);
  }

  async startServer(): Promise<Control> {
    const uid = () => `uid-${++this.#uids}`;
    const entropy = { uid, token: () => `host-token-of-the-simulation-${++this.#uids}` };
    const later = (run: () => void): void => void this.clock.sleep(5).then(run);
    const liveness = this.#liveness === undefined ? {} : { liveness: this.#liveness };
    const life = { hasEnded: false };
    this.#endLife = () => void (life.hasEnded = true);
    const store: Store = Object.create(this.store, {
      commit: {
        value: (...commit: Parameters<Store["commit"]>) =>
          life.hasEnded ? Promise.reject(away()) : this.store.commit(...commit),
      },
    });
    this.control = await Control.open(store, {
      clock: this.wall.started(),
      entropy,
      history: 64,
      later,
      ...liveness,
    });
    if (this.#liveness !== undefined) void this.#sweepOn(this.control);
    if (!this.control.hasToken("join")) await this.control.setToken("join", JOIN_TOKEN);
    this.#expiring = new AbortController();
    void this.control.expireOn(this.#expiring.signal);
    return this.control;
  }

  async #sweepOn(control: Control): Promise<void> {
    while (this.control === control) {
      await this.clock.sleep(10_000);
      if (this.control !== control) return;
      const before = (await this.store.read()).resources;
      const name = await control.sweep();
      const gone = before.find((one) => one.kind === "host" && one.name === name);
      if (gone !== undefined) this.givenUp.add(gone.uid);
      const silentMs = this.clock.nowMs() - (this.hosts.get(name ?? "")?.heardAtMs ?? 0);
      const { reclaimAfterMs = 0 } = this.#liveness ?? {};
      assert(silentMs >= reclaimAfterMs, `${name} was given up after a silence of ${silentMs} ms`);
    }
  }

  /** Somebody sets the clock of the server's machine, or of a host's, by up to two hours, either way. */
  stepClock(): void {
    const walls = [this.wall, ...[...this.hosts.values()].map((host) => host.wall)];
    walls[this.random(walls.length)]?.step((this.random(2 * 7200) - 7200) * 1000);
  }

  /** As kill -9: what was not committed is not. */
  killServer(): void {
    const dead = this.control;
    this.control = undefined;
    this.#expiring.abort();
    this.#endLife();
    void dead?.close();
  }

  addHost(name: string): Host {
    const n = this.hosts.size + 1;
    const underlay = `172.16.${n >> 8}.${n & 255}`;
    const host: Host = {
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
      disk: this.#disks === undefined ? undefined : new HostDisk(join(this.#disks, name)),
      workloads: new Set(),
      wall: new WallClock(this.clock),
      heardAtMs: this.clock.nowMs(),
    };
    this.hosts.set(name, host);
    return host;
  }

  startAgent(host: Host): void {
    assert.equal(host.running, undefined);
    const clock = host.wall.started();
    const kernel = guarded(
      host.kernel,
      clock,
      () => mirror.snapshot() !== undefined,
      `${host.name}: kernel write before any snapshot`,
    );
    const transport = this.#lineOf(host);
    const saved = host.saved === undefined ? {} : { saved: host.saved };
    const random = () => this.random(1000) / 1000;
    const refused = new Set<number>();
    host.credential = host.token;
    const mirror = new Mirror({ transport, clock, random, ...saved });
    const journal = openJournal(host);
    const blockLease = new BlockLease(clock, host.blockLease, (record) => {
      if (host.running?.agent === agent) host.blockLease = copy(record);
    });
    const agent: Agent = new Agent({
      host: host.name,
      version: "simulated",
      uid: () => `local-${++this.#uids}`,
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
        if (host.running?.agent === agent) host.credential = host.token = joined.token;
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
    host.running = { agent, door: agent.door, stop, mirror, blockLease };
    host.ended = undefined;
    void agent.run(stop.signal).catch((error: unknown) => (host.ended = error));
  }

  /** As kill -9: kernel and disk stay as they are. */
  killAgent(host: Host): void {
    host.running?.stop.abort();
    host.running = undefined;
    host.disk?.kill();
  }

  /** Somebody removes what says who the host is, and starts it. */
  joinAnew(host: Host): void {
    this.killAgent(host);
    host.token = JOIN_TOKEN;
    this.startAgent(host);
  }

  /** A machine with a copy of the host's disk: another boot, another address, nothing in its kernel. */
  clone(host: Host, underlay: string): Host {
    const disk = this.#disks === undefined ? undefined : host.disk?.copied(join(this.#disks, `copy${++this.#uids}`));
    const memory = { entries: new Map(host.entries), freed: new Map(host.freed), disk };
    const clone = { ...host, ...memory, log: [], running: undefined, workloads: new Set<`/${string}`>() };
    const other: Host = { ...clone, wall: new WallClock(this.clock), isCut: false };
    this.reboot(other, underlay);
    return other;
  }

  /** The machine restarts: nothing of its kernel is left, and no workload. */
  reboot(host: Host, underlay = host.underlay): void {
    this.killAgent(host);
    host.underlay = underlay;
    host.bootId = `boot-${++this.#uids}`;
    host.kernel = new FakeKernel({
      addresses: new Map([[host.underlay, 1500]]),
      facts: { prefixes: [], bootId: host.bootId },
    });
    host.workloads.clear();
  }

  /** The line of one host: each request, and each answer, may be lost; a cut line loses all and ends its watches. */
  #lineOf(host: Host): Transport {
    const ask = async <T>(call: (control: Control) => Promise<T>): Promise<T> => {
      await this.clock.sleep(1 + this.random(5));
      const { control } = this;
      if (control === undefined || host.isCut || this.random(100) < this.lossPercent) throw away();
      const answer = await call(control);
      await this.clock.sleep(this.random(5));
      if (this.control !== control || host.isCut || this.random(100) < this.lossPercent) throw away();
      return copy(answer);
    };
    const viewer = (control: Control) => {
      const by = control.identify(host.credential);
      if (by.role === "join") throw new Fault("forbidden", { what: "not joined", fix: "join" });
      return by;
    };
    return {
      join: (claim) =>
        ask(async (control) => ({
          ...(await control.join(copy(claim), host.credential, proposedBy(host))),
          ...heardBy(control),
        })),
      snapshot: (known) => ask((control) => control.snapshot(viewer(control), known)),
      watch: (from, signal, history) => this.#watch(host, viewer, from, signal, history),
      reconnect: () => undefined,
      report: (report) =>
        ask(async (control) => {
          viewer(control);
          await control.report(copy(report));
          host.heardAtMs = this.clock.nowMs();
          return heardBy(control);
        }),
      answer: (answer) =>
        ask((control) => {
          viewer(control);
          return Promise.resolve(control.answer(host.name, copy(answer)));
        }),
      attach: (claim, granted) =>
        ask(async (control) => {
          const write = { verb: "attach", claim: copy(claim), by: viewer(control) } as const;
          if (granted === undefined) return (await control.write(write)).resource as Endpoint;
          const decided = ({ resource }: Outcome) => {
            const early = copy(resource as Endpoint);
            void this.clock.sleep(this.random(5)).then(() => !host.isCut && granted(early));
          };
          // It dies with what it has granted: nothing of that is on its disk.
          const isForgotten = this.random(100) < this.lossPercent;
          if (isForgotten) {
            decided(await control.write(write, { dryRun: true }));
            await this.clock.sleep(this.random(10));
            throw away();
          }
          return (await control.write(write, { decided })).resource as Endpoint;
        }),
      detach: (endpoint) =>
        ask(async (control) => {
          const by = viewer(control);
          await control.write({ verb: "detach", endpoint, by }).catch((error: unknown) => {
            if (!(error instanceof Fault && error.reason === "endpoint-unknown")) throw error;
          });
        }),
      moved: (move, report) =>
        ask(async (control) => {
          await control.write({ verb: "move", move, report: copy(report), by: viewer(control) });
        }),
    };
  }

  async *#watch(
    host: Host,
    viewer: (control: Control) => ReturnType<Control["identify"]> & { role: "admin" | "host" },
    from: number,
    signal: AbortSignal,
    history: string | undefined,
  ): AsyncGenerator<ChangeSet> {
    const { control } = this;
    if (control === undefined || host.isCut) throw away();
    for await (const set of control.watch(from, viewer(control), signal, history)) {
      await this.clock.sleep(this.random(20), signal);
      if (this.control !== control || host.isCut || this.random(100) < this.lossPercent) throw away();
      yield copy(set);
      if (this.random(20) === 0) yield copy(set);
    }
    if (!signal.aborted) throw away();
  }

  /** A check, with the time it takes. */
  async check(request: CheckRequest): Promise<{ readonly report: CheckReport; readonly tookMs: number }> {
    const { control } = this;
    assert(control !== undefined);
    const startedAtMs = this.clock.nowMs();
    let endedAtMs: number | undefined;
    const report = control.check(request).finally(() => (endedAtMs = this.clock.nowMs()));
    while (endedAtMs === undefined) await this.clock.advance(20);
    return { report: await report, tookMs: endedAtMs - startedAtMs };
  }

  /** Everything heals; then enough time passes for whatever has to happen. */
  async heal(): Promise<void> {
    this.lossPercent = 0;
    if (this.control === undefined) await this.startServer();
    for (const host of this.hosts.values()) {
      host.isCut = false;
      host.isDiskFull = false;
      host.disk?.heal();
      if (host.running === undefined) this.startAgent(host);
    }
    await this.clock.advance(150_000);
  }

  /** Laws 1, 2, 7 and 10: every kernel is what the server's snapshot asks for, every journal what the server knows. */
  async assertConverged(label: string): Promise<void> {
    const { control } = this;
    assert(control !== undefined);
    const snapshot = await control.snapshot({ role: "admin" });
    const status = await control.status();
    for (const host of this.hosts.values()) {
      const at = `${label} ${host.name}`;
      const actual = await host.kernel.observe([...host.workloads] as Ns[]);
      const ops = diff(actual, compile(alive(snapshot, host), host.name));
      assert.deepEqual(printOps(ops), [], `${at}: ${JSON.stringify(host.running?.agent.report)}`);
      const known = snapshot.endpoints
        .filter((e) => e.spec.host === host.name)
        .map((e) => `${nameOnHost(e.spec)} ${e.spec.addresses.join()}`);
      const held = [...host.entries.values()].map((e) => `${e.endpoint.name} ${e.endpoint.spec.addresses.join()}`);
      assert.deepEqual(held.sort(), known.sort(), `${at}: journal and server`);
      const reached = status.hosts.find((h) => h.host === host.name)?.status?.revision;
      const { agent, mirror } = host.running ?? assert.fail();
      const seen = `${mirror.isSynced} ${mirror.snapshot()?.revision} ${mirror.problem?.message}`;
      const told = `${seen} ${JSON.stringify(agent.report)}`;
      assert.equal(reached, snapshot.revision, `${at}: reported revision; ${told}`);
    }
    assertUnique(snapshot, label);
    await this.#assertReach(snapshot, label);
  }

  /** What the kernels do with packets is what the resources say. */
  async #assertReach(snapshot: Snapshot, label: string): Promise<void> {
    const machines: Machine[] = [];
    for (const { name, kernel, workloads } of this.hosts.values()) {
      const state = await kernel.observe([...workloads]);
      machines.push({ name, state, text: (ns) => kernel.tableText(ns) });
    }
    const isAlive = ({ spec }: Endpoint) =>
      this.hosts.get(spec.host)?.workloads.has(spec.netns as `/${string}`) === true;
    assertReach(snapshot, machines, isAlive, label);
  }

  async settle(): Promise<void> {
    await settle();
  }
}

/**
 * The server's word as a kernel has it: endpoints whose workload has gone stay leased, but are in no kernel; and on its
 * host an endpoint has the name that the host gave.
 */
function alive(snapshot: Snapshot, host: Host): Snapshot {
  const isHere = ({ spec }: Endpoint) => spec.host !== host.name || host.workloads.has(spec.netns as `/${string}`);
  const endpoints = snapshot.endpoints.filter(isHere);
  return { ...snapshot, endpoints: endpoints.map((one) => ({ ...one, name: nameOnHost(one.spec) })) };
}

function openJournal(host: Host): Journal {
  const write = () => {
    if (host.isDiskFull) throw new Fault("unavailable", { what: "the disk is full", fix: "free some space" });
  };
  if (host.disk === undefined) return memoryJournal(host.entries, host.freed, { bootId: host.bootId, write });
  const journal = host.disk.open(host.bootId);
  host.entries = journal.entries as Map<string, Entry>;
  return journal;
}

/** A token the host made before it asked, so that a join whose answer was lost can be repeated. */
function proposedBy(host: Host): string {
  return `proposed-token-of-simulated-host-${host.name}-${host.proposal}`;
}

function heardBy({ reclaimAfterMs }: Control): Heard {
  return reclaimAfterMs === undefined ? {} : { reclaimAfterMs };
}

/** Law 7: an address has one lease per VRF, a VNI one owner. */
export function assertUnique(snapshot: Snapshot, label: string): void {
  const vrfOf = new Map(snapshot.networks.map((network) => [network.name, network.spec.vrf]));
  const seen = new Map<string, string>();
  for (const endpoint of snapshot.endpoints) {
    for (const address of endpoint.spec.addresses) {
      const key = `${vrfOf.get(endpoint.spec.network)} ${address}`;
      assert.equal(
        seen.get(key),
        undefined,
        `${label}: ${address} has two leases: ${seen.get(key)} and ${endpoint.name}`,
      );
      seen.set(key, endpoint.name);
    }
  }
  assertApart(snapshot, label);
  const vnis = [...snapshot.vrfs.map((v) => v.spec.vni), ...snapshot.networks.flatMap((n) => n.spec.vni ?? [])];
  assert.equal(new Set(vnis).size, vnis.length, `${label}: a VNI has two owners`);
}

const TURN_OPS = 32;

/** The kernel makes wait who deletes links, all of them at once; and a long list gives others their turn. */
function turnFrom(ops: readonly Op[], from: number): readonly [end: number, waitMs: number] {
  const isRemoval = (op: Op | undefined) => op?.op === "remove" && "name" in op.object;
  let end = from;
  while (isRemoval(ops[end])) end++;
  if (end > from) return [end, 20];
  while (end < ops.length && end - from < TURN_OPS && !isRemoval(ops[end])) end++;
  return [end, end - from === TURN_OPS ? 1 : 0];
}

/**
 * In a global network and all that is reserved from it, an address or MAC has one endpoint, or is in quarantine once,
 * or is held: never two of them.
 */
function assertApart(snapshot: Snapshot, label: string): void {
  const roots = segmentOwners(snapshot.networks);
  const global = new Set(snapshot.networks.filter(({ spec }) => spec.ipam === "global").map(({ name }) => name));
  const seen = new Map<string, string>();
  const take = (name: string, text: string, who: string) => {
    const network = roots.get(name) ?? name;
    const key = `${network} ${text}`;
    assert.equal(seen.get(key), undefined, `${label}: ${text} of ${network} is of ${seen.get(key)} and of ${who}`);
    seen.set(key, who);
  };
  for (const { name, spec } of snapshot.endpoints)
    if (global.has(spec.network)) for (const text of [...spec.addresses, spec.mac]) take(spec.network, text, name);
  for (const { name, spec } of snapshot.freed)
    if (spec.untilMs !== undefined) for (const text of spec.addresses) take(spec.network, text, name);
  for (const { name, spec } of snapshot.holds) {
    const [first, last] = [ipOf(spec.first), ipOf(spec.last)];
    if (first === undefined || last === undefined) continue;
    for (let value = first.value; value <= last.value; value++)
      take(spec.network, formatIp({ family: first.family, value }), name);
  }
}

/** Tables, and the elements without which a port carries nothing. */
function isPolicy({ kind }: Op["object"]): boolean {
  return kind === "nft" || kind === "element";
}

/** Law 4, and law 8: in each batch the policy comes before the ports. */
function guarded(kernel: FakeKernel, clock: Clock, mayWrite: () => boolean, what: string): Kernel {
  return {
    netnsPrefix: kernel.netnsPrefix,
    observe: (workloads) => kernel.observe(workloads),
    nextHops: (addresses) => kernel.nextHops(addresses),
    async apply(ops, isStale): Promise<OpResult[]> {
      assert(ops.length === 0 || mayWrite(), what);
      const firstPort = ops.findIndex(
        ({ op, object }) => op === "add" && object.kind === "veth" && object.master !== undefined,
      );
      const lastTable = ops.findLastIndex(({ op, object }) => op !== "remove" && isPolicy(object));
      assert(firstPort < 0 || lastTable < firstPort, "a port before its policy");
      const results: OpResult[] = [];
      for (let from = 0; from < ops.length; ) {
        const [end, waitMs] = turnFrom(ops, from);
        results.push(...(await kernel.apply(ops.slice(from, end), isStale)));
        if (waitMs > 0) await clock.sleep(waitMs);
        from = end;
      }
      return results;
    },
    ports: () => kernel.ports(),
    cutOff: (ports) => kernel.cutOff(ports),
    watch: (poke, signal) => kernel.watch(poke, signal),
    echo: () => kernel.echo(),
    walls: () => kernel.walls(),
    netnsId: (path) => kernel.netnsId(path),
    ownNetns: (id) => kernel.ownNetns(id),
    linkNames: (ns) => kernel.linkNames(ns),
    facts: () => kernel.facts(),
    underlayMtu: (address) => kernel.underlayMtu(address),
    shaping: () => kernel.shaping(),
    queues: (ns) => kernel.queues(ns),
    counters: () => kernel.counters(),
    cutFlows: (ns, isAllowed) => kernel.cutFlows(ns, isAllowed),
    thinFlows: () => kernel.thinFlows(),
    packetsPassed: () => kernel.packetsPassed(),
    close: () => kernel.close(),
  };
}
