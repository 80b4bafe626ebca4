// What happens in the random life of a cluster, and what was acknowledged in it (faults.test.ts).
import assert from "node:assert/strict";
import { Fault } from "../../../src/model/fault.ts";
import type { QosInput } from "../../../src/model/qos.ts";
import { type Network, snapshotOf } from "../../../src/model/resource.ts";
import type { Host } from "./host.ts";
import { assertUnique } from "./laws.ts";
import type { World } from "./world.ts";

export const STEPS = 60;

/** What happens in a life, and what was acknowledged in it. */
export class Life {
  readonly #world: World;
  readonly #label: string;
  /** Networks acknowledged as made, and not since deleted, whatever the answer to that was. */
  readonly #networks = new Set<string>();
  #workloads = 0;
  #revision = 0;
  #copy: Host | undefined;
  #copies = 0;

  constructor(world: World, seed: number) {
    this.#world = world;
    this.#label = `seed ${seed}`;
  }

  async step(step: number): Promise<void> {
    const { random, clock } = this.#world;
    const actions = [
      () => this.#makeNetwork(step),
      () => this.#attach(),
      () => this.#attach(),
      () => this.#attach(),
      () => this.#detach(),
      () => this.#deleteNetwork(),
      () => this.#changeNetwork(),
      () => this.#resize(),
      () => this.#holdOrRelease(),
      () => this.#limit(),
      () => this.#putGroup(),
      () => this.#assignGroups(),
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
    assertUnique(await this.#snapshot(), `${this.#label}, step ${step}`);
  }

  /** Copies of hosts end; everything heals; and a person says that what the server has now holds. */
  async heal(): Promise<void> {
    const { clock } = this.#world;
    this.#endCopy();
    await this.#world.heal();
    for (const host of this.#world.hosts.values()) {
      const refused = host.ended ?? host.running?.mirror.problem;
      if (refused instanceof Fault && refused.reason === "token-wrong") this.#world.joinAnew(host);
      assert.equal(host.ended, undefined, this.#label);
    }
    // What was lost with a backup, and the journals of hosts still name.
    for (const name of ["g0", "g1", "g2"])
      await this.#write({ verb: "put", kind: "securitygroup", name, spec: { rules: [] } });
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
    for (let i = 0; i < 3; i++) await this.#makeNetwork(STEPS + this.#workloads + i);
    for (const host of hosts.values()) {
      for (let i = 0; i < 4; i++) {
        await this.#attachTo(host);
        await clock.advance(50);
      }
    }
    await this.#putGroup();
    await this.#assignGroups();
    await clock.advance(60_000);
  }

  async #snapshot() {
    const { cluster, revision, resources } = await this.#world.store.read();
    return snapshotOf(cluster, revision, resources);
  }

  async #write(write: Parameters<NonNullable<World["control"]>["write"]>[0]): Promise<boolean> {
    const { control, clock } = this.#world;
    if (control === undefined) return false;
    const done = control.write(write).then(
      () => true,
      (error: unknown) => {
        if (error instanceof Fault) return false;
        throw error;
      },
    );
    await clock.advance(1);
    return done;
  }

  async #makeNetwork(step: number): Promise<void> {
    const { random } = this.#world;
    const name = `n${step}`;
    const n = random(6);
    const isLocal = random(2) === 0;
    const subnets = isLocal
      ? [
          { cidr: `10.${n}.0.0/16`, hostPrefix: 26 },
          ...(random(2) === 0 ? [{ cidr: `fd0${n}::/56`, hostPrefix: 64 }] : []),
        ]
      : [{ cidr: `10.${n}.0.0/24` }, ...(random(2) === 0 ? [{ cidr: `fd0${n}::/64` }] : [])];
    const vrf = random(3) === 0 ? { vrf: "shared" } : {};
    const addressing = !isLocal && random(2) === 0 ? this.#addressing(n) : {};
    const spec = { subnets, ...vrf, ...addressing, ...this.#qos() };
    if (await this.#write({ verb: "put", kind: "network", name, spec })) this.#networks.add(name);
  }

  /** Ranges so small that they are soon full, and quarantines that matter. */
  #addressing(n: number): Partial<Network["spec"]> {
    const { random } = this.#world;
    const strategy = (["lowest", "next", "random"] as const)[random(3)] ?? "lowest";
    return {
      strategy,
      sticky: random(2) === 0,
      quarantine: [0, 2, 60][random(3)] ?? 0,
      ranges: [
        { name: "a", type: "ip4", first: `10.${n}.0.${random(4)}`, size: 2 + random(6) },
        { name: "s", type: "ip6", prefix: `fd1${n}::/64`, size: 1 + random(3) },
        { name: "e", type: "ether", size: 1 + random(3) },
      ],
    };
  }

  /** A range grows, or shrinks under its leases; the answer may be no. */
  async #resize(): Promise<void> {
    const { random, control } = this.#world;
    const name = this.#anyOf(this.#networks);
    const network = name === undefined ? undefined : await control?.find("network", name, { role: "admin" });
    if (network?.spec.ranges === undefined) return;
    const ranges = network.spec.ranges.map((range) => (random(2) === 0 ? range : { ...range, size: 1 + random(8) }));
    const spec = { ...network.spec, ranges };
    await this.#write({ verb: "put", kind: "network", name: network.name, spec, force: random(2) === 0 });
  }

  async #holdOrRelease(): Promise<void> {
    const { random } = this.#world;
    const network = this.#anyOf(this.#networks);
    if (network === undefined) return;
    const n = random(6);
    const from = random(8);
    const span = { network, first: `10.${n}.0.${from}`, last: `10.${n}.0.${from + random(3)}` };
    const expires = random(2) === 0 ? {} : { expiresInSeconds: 1 + random(5) };
    if (random(2) === 0) await this.#write({ verb: "release", span });
    else await this.#write({ verb: "hold", request: { ...span, reason: "r", owner: "o", ...expires } });
  }

  async #changeNetwork(): Promise<void> {
    const name = this.#anyOf(this.#networks);
    const { control } = this.#world;
    const network = name === undefined ? undefined : await control?.find("network", name, { role: "admin" });
    if (network === undefined) return;
    const spec = {
      ...network.spec,
      masquerade: !network.spec.masquerade,
      mtu: 1300 + this.#world.random(100),
      ...this.#qos(),
    };
    await this.#write({ verb: "put", kind: "network", name: network.name, spec });
  }

  /** Mostly nothing, as most networks and endpoints have. */
  #qos(): { readonly qos?: QosInput } {
    const { random } = this.#world;
    const choice = () =>
      [{ average: 1_000_000 * (1 + random(20)) }, "none" as const, "inherit" as const][random(3)] ?? "none";
    return random(3) > 0 ? {} : { qos: { inbound: choice(), outbound: choice() } };
  }

  /** Live, whatever its host is doing. */
  async #limit(): Promise<void> {
    const endpoint = this.#anyOf((await this.#snapshot()).endpoints);
    if (endpoint !== undefined) await this.#write({ verb: "patch-endpoint", name: endpoint.name, patch: this.#qos() });
  }

  async #putGroup(): Promise<void> {
    const { random } = this.#world;
    const network = this.#anyOf(this.#networks);
    const peers = [{}, { peer: { group: `g${random(3)}` } }, network === undefined ? {} : { peer: { network } }];
    const rules = Array.from({ length: random(3) }, () => ({
      direction: random(2) === 0 ? ("in" as const) : ("out" as const),
      action: "allow" as const,
      protocol: "tcp",
      ports: [random(100)],
      ...peers[random(3)],
    }));
    await this.#write({ verb: "put", kind: "securitygroup", name: `g${random(3)}`, spec: { rules } });
  }

  async #assignGroups(): Promise<void> {
    const { random, control } = this.#world;
    const securityGroups = ["default", "g0", "g1", "g2"].filter(() => random(3) === 0);
    const name = this.#anyOf(this.#networks);
    const network = name === undefined ? undefined : await control?.find("network", name, { role: "admin" });
    const endpoint = this.#anyOf((await this.#snapshot()).endpoints);
    if (network !== undefined && random(2) === 0)
      await this.#write({
        verb: "put",
        kind: "network",
        name: network.name,
        spec: { ...network.spec, securityGroups },
      });
    else if (endpoint !== undefined)
      await this.#write({ verb: "patch-endpoint", name: endpoint.name, patch: { securityGroups } });
  }

  async #deleteNetwork(): Promise<void> {
    const name = this.#anyOf(this.#networks);
    if (name === undefined || this.#world.random(2) === 0) return;
    this.#networks.delete(name);
    const force = this.#world.random(2) === 0;
    if (!(await this.#write({ verb: "delete", kind: "network", name, force })) && this.#world.control !== undefined) {
      if ((await this.#world.control.find("network", name, { role: "admin" })) !== undefined) this.#networks.add(name);
    }
  }

  /** Starts an attach and does not wait: whatever happens next may happen in the middle of it. */
  async #attach(): Promise<void> {
    const host = this.#anyOf(this.#world.hosts.values());
    if (host !== undefined) await this.#attachTo(host);
  }

  async #attachTo(host: Host): Promise<void> {
    const network = this.#anyOf(this.#networks);
    if (network === undefined) return;
    // Sometimes one that has, had, or is just losing its interface: the same name again.
    const known = this.#world.random(3) === 0 ? this.#anyOf(host.workloads) : undefined;
    const netns = known ?? (`/run/netns/w${++this.#workloads}` as const);
    if (known === undefined) host.kernel.addWorkload(netns);
    host.workloads.add(netns);
    const range = [undefined, undefined, "a", "s", "e"][this.#world.random(5)];
    const groups = this.#world.random(4) === 0 ? { securityGroups: [`g${this.#world.random(3)}`] } : {};
    const wish = { ...(range === undefined ? {} : { range }), ...groups };
    void host.running?.door.attach({ network, netns, ...wish, ...this.#qos() }).catch(mustBeFault);
  }

  async #detach(): Promise<void> {
    const host = this.#anyOf(this.#world.hosts.values());
    const name = host === undefined ? undefined : this.#anyOf(host.entries.keys());
    if (name !== undefined) void host?.running?.door.detach(name).catch(mustBeFault);
  }

  async #endWorkload(): Promise<void> {
    const host = this.#anyOf(this.#world.hosts.values());
    const netns = host === undefined ? undefined : this.#anyOf(host.workloads);
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
    const host = this.#anyOf(this.#world.hosts.values());
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
    this.#networks.clear();
    const { networks, revision } = await this.#snapshot();
    for (const { name } of networks) this.#networks.add(name);
    this.#revision = revision;
  }

  async #onHost(act: (host: Host) => void): Promise<void> {
    const host = this.#anyOf(this.#world.hosts.values());
    if (host !== undefined) act(host);
  }

  #anyOf<T>(all: Iterable<T>): T | undefined {
    const list = [...all];
    return list.length === 0 ? undefined : list[this.#world.random(list.length)];
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
    const names = new Set((await this.#snapshot()).networks.map((network) => network.name));
    for (const name of this.#networks) assert(names.has(name), `${this.#label}: ${name} was acknowledged`);
  }
}

function mustBeFault(error: unknown): void {
  if (!(error instanceof Fault)) throw error;
}
