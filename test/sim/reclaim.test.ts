// Eight agents allocate at once, while their processes and the server are killed, connections break, hosts are drained,
// reclaimed by the server or by a person, and come back, and clocks are set. No address has two owners at any moment,
// and a host that comes back has nothing from before. A failure prints the seed; run it again with WEFT_SEED=n.
// WEFT_SEEDS=n runs that many lives.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { test } from "node:test";
import { Fault } from "../../src/model/fault.ts";
import { cidrOf, contains, ipOf } from "../../src/model/address.ts";
import { type Snapshot, snapshotOf } from "../../src/model/resource.ts";
import { randomFrom } from "./lab/clock.ts";
import type { Host } from "./lab/host.ts";
import { assertUnique } from "./lab/laws.ts";
import { World } from "./lab/world.ts";

const first = Number(process.env["WEFT_SEED"] ?? 1);
const count = process.env["WEFT_SEED"] === undefined ? Number(process.env["WEFT_SEEDS"] ?? 25) : 1;
const HOSTS = 8;
const STEPS = 120;
/** Short, so that a life has many of them. */
const LIVENESS = { suspectAfterMs: 30_000, lostAfterMs: 60_000, reclaimAfterMs: 90_000 };

const total = { attached: 0, reclaimed: 0, givenUp: 0, returned: 0, refused: 0 };

for (let seed = first; seed < first + count; seed++) {
  test(`seed ${seed}: no address has two owners`, { timeout: 60_000 }, () => live(seed));
}

test("the lives had what they are about", { skip: count < 20 }, () => {
  for (const [name, n] of Object.entries(total)) assert(n > 5, `${name}: ${n} in ${JSON.stringify(total)}`);
});

async function live(seed: number): Promise<void> {
  const random = randomFrom(seed);
  const world = new World(random, LIVENESS);
  const life = new Life(world, `seed ${seed}`);
  try {
    await world.startServer();
    for (let i = 1; i <= HOSTS; i++) world.startAgent(world.addHost(`h${i}`));
    await world.clock.advance(2000);
    // Eight blocks for eight hosts, and small ones: what is freed is wanted at once.
    await life.put("tight", { subnets: [{ cidr: "10.1.0.0/24", hostPrefix: 27 }] });
    await life.put("wide", {
      subnets: [
        { cidr: "10.2.0.0/16", hostPrefix: 28 },
        { cidr: "fd02::/56", hostPrefix: 64 },
      ],
    });
    await life.put("segment", { subnets: [{ cidr: "10.3.0.0/24" }] });
    await world.clock.advance(2000);
    world.lossPercent = random(3) * 5;
    for (let step = 0; step < STEPS; step++) await life.step(step);
    await world.heal();
    for (const { log } of world.hosts.values())
      total.returned += log.filter((line) => line.startsWith("this host has joined anew")).length;
    await world.assertConverged(`seed ${seed}`);
    await life.assertOwned("at the end");
  } finally {
    total.givenUp += world.givenUp.size;
    for (const host of world.hosts.values()) world.killAgent(host);
    world.killServer();
    await world.clock.advance(100_000);
  }
}

class Life {
  readonly #world: World;
  readonly #label: string;
  /** What went wrong where nobody waited. */
  readonly #wrong: string[] = [];
  #workloads = 0;

  constructor(world: World, label: string) {
    this.#world = world;
    this.#label = label;
  }

  async put(name: string, spec: object): Promise<void> {
    const made = this.#world.control?.write({ verb: "put", kind: "network", name, spec: spec as never });
    await this.#world.clock.advance(10);
    await made;
  }

  async step(step: number): Promise<void> {
    const { random, clock } = this.#world;
    const actions: readonly (() => Promise<unknown>)[] = [
      () => this.#everybodyAttaches(),
      () => this.#everybodyAttaches(),
      () => this.#onHost((host) => this.#attach(host)),
      () => this.#onHost((host) => this.#detach(host)),
      () => this.#onHost((host) => this.#detach(host)),
      () => this.#onHost((host) => this.#stopOrStart(host)),
      () => this.#onHost((host) => void (host.isCut = !host.isCut)),
      () => this.#onHost((host) => void (host.isCut = true)),
      () => this.#onHost((host) => (random(3) === 0 ? this.#world.reboot(host) : undefined)),
      () => this.#reclaim(),
      () => this.#drainOrResume(),
      async () => this.#world.stepClock(),
      async () => void (random(4) === 0 && this.#world.killServer()),
      async () => this.#world.control ?? (await this.#world.startServer()),
    ];
    await actions[random(actions.length)]?.();
    await clock.advance([0, 3, 200, 5000, 20_000, 40_000][random(6)] ?? 0);
    await this.assertOwned(`step ${step}`);
  }

  async #snapshot(): Promise<Snapshot> {
    const { cluster, revision, resources } = await this.#world.store.read();
    return snapshotOf(cluster, revision, resources);
  }

  async #everybodyAttaches(): Promise<void> {
    for (const host of this.#world.hosts.values())
      for (let i = 0; i <= this.#world.random(3); i++) await this.#attach(host);
  }

  /** Does not wait: whatever happens next may happen in the middle of it. */
  async #attach(host: Host): Promise<void> {
    const netns = `/run/netns/w${++this.#workloads}` as const;
    const network = ["tight", "tight", "wide", "segment"][this.#world.random(4)] ?? "";
    host.kernel.addWorkload(netns);
    host.workloads.add(netns);
    const self = host.running?.mirror.snapshot()?.hosts.find((one) => one.name === host.name);
    const isGivenUp = self !== undefined && this.#world.givenUp.has(self.uid);
    const wasTold = host.told;
    host.running?.attacher.attach({ network, netns }).then(
      ({ spec }) => {
        total.attached++;
        if (isGivenUp || wasTold)
          this.#wrong.push(`${host.name} (${self?.uid}) was given up, and assigned ${spec.addresses.join()}`);
      },
      (error: unknown) => {
        if (!(error instanceof Fault)) this.#wrong.push(String(error));
        else if (error.reason === "host-reclaimed" || error.reason === "host-drained") total.refused++;
      },
    );
  }

  async #detach(host: Host): Promise<void> {
    const name = this.#anyOf(host.entries.keys());
    if (name === undefined) return;
    host.running?.attacher.detach(name).catch((error: unknown) => {
      if (!(error instanceof Fault)) this.#wrong.push(String(error));
    });
  }

  async #stopOrStart(host: Host): Promise<void> {
    if (host.running === undefined) this.#world.startAgent(host);
    else this.#world.killAgent(host);
  }

  /** By a person, who is sometimes wrong about a machine: it works on, and only cannot be reached. */
  async #reclaim(): Promise<void> {
    const { control, clock, random } = this.#world;
    const host = this.#anyOf(this.#world.hosts.values());
    if (control === undefined || host === undefined) return;
    const done = control.reclaim(host.name, { force: random(2) === 0 }).then(
      () => void total.reclaimed++,
      (error: unknown) => {
        if (!(error instanceof Fault)) this.#wrong.push(String(error));
      },
    );
    await clock.advance(1);
    await done;
  }

  async #drainOrResume(): Promise<void> {
    const host = this.#anyOf(this.#world.hosts.values());
    if (host !== undefined) await this.#drain(host, this.#world.random(2) === 0);
  }

  async #drain(host: Host, drained: boolean): Promise<void> {
    const { control, clock } = this.#world;
    const done = control?.write({ verb: "drain", host: host.name, drained }).catch((error: unknown) => {
      if (!(error instanceof Fault)) this.#wrong.push(String(error));
    });
    await clock.advance(1);
    await done;
  }

  async #onHost(act: (host: Host) => unknown): Promise<void> {
    const host = this.#anyOf(this.#world.hosts.values());
    if (host !== undefined) await act(host);
  }

  #anyOf<T>(all: Iterable<T>): T | undefined {
    const list = [...all];
    return list.length === 0 ? undefined : list[this.#world.random(list.length)];
  }

  /** The store gives an address once; and so do all hosts together that the store knows, by what they hold. */
  async assertOwned(when: string): Promise<void> {
    const label = `${this.#label}, ${when}`;
    assert.deepEqual(this.#wrong, [], label);
    const snapshot = await this.#snapshot();
    assertUnique(snapshot, label);
    const owners = new Map<string, string>();
    for (const host of this.#world.hosts.values()) {
      if (!this.#isMember(host)) continue;
      for (const { endpoint, state } of host.entries.values()) {
        if (state !== "attached") continue;
        const { network, addresses } = endpoint.spec;
        for (const address of addresses) {
          const owner = `${endpoint.name} on ${host.name}`;
          assert.equal(owners.get(address), undefined, `${label}: ${address} belongs to ${owner}, and to another`);
          owners.set(address, owner);
          if (network !== "segment")
            assertInBlock(snapshot, { host: host.name, network }, address, `${label}: ${owner}`);
        }
      }
    }
  }

  /** Whether the store knows the credential that the host has on its disk. */
  #isMember(host: Host): boolean {
    const digest = createHash("sha256").update(host.token).digest("hex");
    return this.#world.store.secret(`token/host/${host.name}`) === digest;
  }
}

function assertInBlock(
  snapshot: Snapshot,
  { host, network }: { readonly host: string; readonly network: string },
  address: string,
  what: string,
): void {
  const ip = ipOf(address) ?? assert.fail(what);
  const blocks = snapshot.blocks.filter(({ spec }) => spec.host === host && spec.network === network);
  const isInside = blocks.some(({ spec }) => contains(cidrOf(spec.cidr) ?? assert.fail(what), ip));
  assert(isInside, `${what} has ${address}, outside ${blocks.map(({ spec }) => spec.cidr).join(" and ")}`);
}
