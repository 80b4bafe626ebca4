// A whole cluster in one process: the control plane over a store in memory, real agents over fake kernels, a line
// between them that loses, delays and cuts, and a clock that only the test moves. One seed, one life. Disks survive
// crashes: the store, each host's journal, token and last snapshot; kernels survive agents.
import assert from "node:assert/strict";
import { join } from "node:path";
import { Control } from "../../../src/control/control.ts";
import type { LivenessSettings } from "../../../src/control/hosts/liveness.ts";
import { FakeKernel } from "../../../src/kernel/fake.ts";
import type { CheckReport, CheckRequest } from "../../../src/model/check.ts";
import type { Store } from "../../../src/store/store.ts";
import { settle, VirtualClock, WallClock } from "./clock.ts";
import { type Host, newHost, JOIN_TOKEN, startAgent } from "./host.ts";
import { assertConverged } from "./laws.ts";
import { away, lineOf } from "./line.ts";
import { ServerDisk } from "./serverDisk.ts";

export class World {
  readonly clock = new VirtualClock();
  /** The server's; each host has its own. */
  readonly wall = new WallClock(this.clock);
  readonly random: (n: number) => number;
  readonly #disk = new ServerDisk(() => this.disk);
  readonly store = this.#disk.store;
  readonly hosts = new Map<string, Host>();
  control: Control | undefined;
  /** A commit waits for it, and fails as it does. */
  disk: Promise<void> = Promise.resolve();
  /** Chance in a hundred that a request or its answer is lost. */
  lossPercent = 0;
  /** Whether a report may come a second time, after later ones. */
  repeatsReports = false;
  /** Called after each step of a change to a host's kernel; then changes are made in the smallest steps. */
  afterOps: ((host: Host) => Promise<void>) | undefined;
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
  }

  /** What the server's disk has now, to be restored later. */
  backup(): number {
    return this.#disk.backup();
  }

  /** The server dies, and the next one starts with what the disk had then. */
  async restore(backup: number): Promise<void> {
    this.killServer();
    await settle();
    await this.#disk.restore(backup);
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
    void this.control.tendOn(this.#expiring.signal);
    return this.control;
  }

  async #sweepOn(control: Control): Promise<void> {
    while (this.control === control) {
      await this.clock.sleep(10_000);
      if (this.control !== control) return;
      const before = (await this.store.read()).resources;
      const name = await control.reclaimLost();
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
    const host = newHost(name, this.hosts.size + 1, this.clock, this.#disks);
    this.hosts.set(name, host);
    return host;
  }

  startAgent(host: Host): void {
    startAgent(host, {
      transport: lineOf(this, host),
      random: () => this.random(1000) / 1000,
      uid: () => `local-${++this.#uids}`,
      afterOps: () => this.afterOps?.bind(undefined, host),
    });
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

  async assertConverged(label: string): Promise<void> {
    await assertConverged(this, label);
  }

  async settle(): Promise<void> {
    await settle();
  }
}
