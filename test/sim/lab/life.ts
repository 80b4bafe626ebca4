// What happens in the random life of a cluster, and what was acknowledged in it (faults.test.ts).
import assert from "node:assert/strict";
import { Fault } from "../../../src/model/fault.ts";
import type { Host } from "./host.ts";
import { assertUnique } from "./laws.ts";
import type { World } from "./world.ts";
import { anyOf, Writes } from "./writes.ts";

export const STEPS = 60;

/** What happens in a life, and what was acknowledged in it. */
export class Life {
  readonly #world: World;
  readonly #label: string;
  readonly #writes: Writes;
  #workloads = 0;
  #revision = 0;
  #copy: Host | undefined;
  #copies = 0;

  constructor(world: World, seed: number) {
    this.#world = world;
    this.#writes = new Writes(world);
    this.#label = `seed ${seed}`;
  }

  async step(step: number): Promise<void> {
    const { random, clock } = this.#world;
    const actions = [
      () => this.#writes.makeNetwork(step),
      () => this.#attach(),
      () => this.#attach(),
      () => this.#attach(),
      () => this.#detach(),
      () => this.#writes.deleteNetwork(),
      () => this.#writes.changeNetwork(),
      () => this.#writes.resize(),
      () => this.#writes.holdOrRelease(),
      () => this.#writes.limit(),
      () => this.#writes.putGroup(),
      () => this.#writes.assignGroups(),
      () =>
        this.#onHost((host) =>
          host.running === undefined ? this.#world.startAgent(host) : this.#world.killAgent(host),
        ),
      () => this.#onHost((host) => void (host.isCut = !host.isCut)),
      () => this.#onHost((host) => void host.kernel.drift(random(1000))),
      () => this.#onHost((host) => host.kernel.failNext(1 + random(3))),
      () => this.#onHost((host) => (random(4) === 0 ? this.#world.reboot(host) : undefined)),
      () => this.#onHost((host) => host.disk?.change(random)),
      () => this.#onHost((host) => (random(3) === 0 ? this.#loseJournal(host) : undefined)),
      () => this.#endWorkload(),
      () => Promise.resolve(this.#world.stepClock()),
      () => this.#copyHost(),
      () => (random(3) === 0 ? this.#restore() : Promise.resolve()),
      () => (this.#world.control === undefined ? this.#world.startServer() : Promise.resolve()),
      () => (random(3) === 0 ? Promise.resolve(this.#world.killServer()) : Promise.resolve()),
    ];
    await actions[random(actions.length)]?.();
    await clock.advance([0, 3, 50, 700, 5000][random(5)] ?? 0);
    const revision = this.#world.store.revision;
    assert(revision >= this.#revision, `${this.#label}: the revision went back`);
    this.#revision = revision;
    assertUnique(await this.#writes.snapshot(), `${this.#label}, step ${step}`);
  }

  /** Copies of hosts end; everything heals; and a person says that what the server has now holds. */
  async heal(): Promise<void> {
    const { clock } = this.#world;
    this.#endCopy();
    await this.#world.heal();
    for (const host of this.#world.hosts.values()) {
      const refused = host.ended ?? host.running?.mirror.problem ?? host.refused;
      // It waits for another token, which somebody brings.
      if (refused instanceof Fault && refused.reason === "token-wrong") this.#world.joinAnew(host);
      assert.equal(host.ended, undefined, this.#label);
    }
    // What was lost with a backup, and the journals of hosts still name.
    for (const name of ["g0", "g1", "g2"])
      await this.#writes.write({ verb: "put", kind: "securitygroup", name, spec: { rules: [] } });
    await clock.advance(30_000);
    for (let asked = 0; asked < 5; asked++) {
      const told =
        (await this.#world.control?.conditions())?.filter(({ reason }) => reason === "another-history") ?? [];
      if (told.length === 0) return;
      for (const { host } of told) {
        const done = this.#world.control?.acceptHistory(host ?? "");
        await clock.advance(10);
        await done;
      }
      await clock.advance(60_000);
    }
    assert.fail(`${this.#label}: hosts follow another history for ever`);
  }

  /** Some networks, and workloads on every host. */
  async populate(): Promise<void> {
    const { clock, hosts } = this.#world;
    for (let i = 0; i < 3; i++) await this.#writes.makeNetwork(STEPS + this.#workloads + i);
    for (const host of hosts.values()) {
      for (let i = 0; i < 4; i++) {
        await this.#attachTo(host);
        await clock.advance(50);
      }
    }
    await this.#writes.putGroup();
    await this.#writes.assignGroups();
    await clock.advance(60_000);
  }

  /** Starts an attach and does not wait: whatever happens next may happen in the middle of it. */
  async #attach(): Promise<void> {
    const host = anyOf(this.#world.random, this.#world.hosts.values());
    if (host !== undefined) await this.#attachTo(host);
  }

  async #attachTo(host: Host): Promise<void> {
    const network = anyOf(this.#world.random, this.#writes.networks);
    if (network === undefined) return;
    // Sometimes one that has, had, or is just losing its interface: the same name again.
    const known = this.#world.random(3) === 0 ? anyOf(this.#world.random, host.workloads) : undefined;
    const netns = known ?? (`/run/netns/w${++this.#workloads}` as const);
    if (known === undefined) host.kernel.addWorkload(netns);
    host.workloads.add(netns);
    const range = [undefined, undefined, "a", "s", "e"][this.#world.random(5)];
    const groups = this.#world.random(4) === 0 ? { securityGroups: [`g${this.#world.random(3)}`] } : {};
    const wish = { ...(range === undefined ? {} : { range }), ...groups };
    void host.running?.attacher.attach({ network, netns, ...wish, ...this.#writes.qos() }).catch(mustBeFault);
  }

  async #detach(): Promise<void> {
    const host = anyOf(this.#world.random, this.#world.hosts.values());
    const name = host === undefined ? undefined : anyOf(this.#world.random, host.entries.keys());
    if (name !== undefined) void host?.running?.attacher.detach(name).catch(mustBeFault);
  }

  async #endWorkload(): Promise<void> {
    const host = anyOf(this.#world.random, this.#world.hosts.values());
    const netns = host === undefined ? undefined : anyOf(this.#world.random, host.workloads);
    if (netns === undefined) return;
    host?.workloads.delete(netns);
    host?.kernel.removeWorkload(netns);
  }

  /** What it said of attached endpoints is in the kernel. */
  #loseJournal(host: Host): void {
    this.#world.killAgent(host);
    host.disk?.harm(this.#world.random);
  }

  /** A machine with the same disk, which runs beside the host, and ends some time later. */
  async #copyHost(): Promise<void> {
    const host = anyOf(this.#world.random, this.#world.hosts.values());
    if (this.#copy !== undefined) this.#endCopy();
    else if (host !== undefined) {
      this.#copy = this.#world.clone(host, `172.16.200.${++this.#copies}`);
      this.#world.startAgent(this.#copy);
    }
  }

  #endCopy(): void {
    if (this.#copy !== undefined) this.#world.killAgent(this.#copy);
    this.#copy = undefined;
  }

  /** The server goes back to what its disk had some time ago. */
  async #restore(): Promise<void> {
    const { random } = this.#world;
    const now = this.#world.backup();
    await this.#world.restore(now - random(Math.min(now, 30)));
    await this.#world.startServer();
    this.#writes.networks.clear();
    const { networks, revision } = await this.#writes.snapshot();
    for (const { name } of networks) this.#writes.networks.add(name);
    this.#revision = revision;
  }

  async #onHost(act: (host: Host) => void): Promise<void> {
    const host = anyOf(this.#world.random, this.#world.hosts.values());
    if (host !== undefined) act(host);
  }

  /** The check finds what the leases of ended workloads hold, and nothing else; a repair frees that. */
  async assertMends(): Promise<void> {
    const { report } = await this.#world.check({ repair: true });
    for (const { rule, endpoint, repair } of report.findings)
      assert.deepEqual([rule, repair?.done], ["workload-gone", true], `${this.#label}: ${endpoint}`);
    const after = await this.#world.check({});
    const { findings, unchecked } = after.report;
    assert.deepEqual([findings, unchecked], [[], []], this.#label);
  }

  async assertKept(): Promise<void> {
    const names = new Set((await this.#writes.snapshot()).networks.map((network) => network.name));
    for (const name of this.#writes.networks) assert(names.has(name), `${this.#label}: ${name} was acknowledged`);
  }
}

function mustBeFault(error: unknown): void {
  if (!(error instanceof Fault)) throw error;
}
