// Random lives of workloads: they join networks, leave them and move between them while agents and the server die,
// connections break and answers are lost. At the end everything heals. Then every instance has exactly the interfaces
// of its memberships, and every move is finished or shows why it cannot be. A failure prints the seed; run it again
// with WEFT_SEED=n. WEFT_SEEDS=n runs that many lives.
import assert from "node:assert/strict";
import { after, test } from "node:test";
import type { Write } from "../../src/control/write.ts";
import { Fault } from "../../src/model/fault.ts";
import type { Endpoint, Snapshot } from "../../src/model/resource.ts";
import { randomFrom } from "./lab/clock.ts";
import type { Host } from "./lab/host.ts";
import { assertUnique } from "./lab/laws.ts";
import { World } from "./lab/world.ts";

const first = Number(process.env["WEFT_SEED"] ?? 1);
const count = process.env["WEFT_SEED"] === undefined ? Number(process.env["WEFT_SEEDS"] ?? 30) : 1;
const STEPS = 60;
const WORKLOADS = ["web", "db"];
const ADMIN = { role: "admin" } as const;

for (let seed = first; seed < first + count; seed++) {
  test(`seed ${seed}: members are where they belong`, { timeout: 60_000 }, () => live(seed));
}

/** What all lives came to: a simulation in which nothing happens proves nothing. */
const came = { left: 0, joined: 0 };
if (count >= 10) after(() => assert.ok(came.left > count && came.joined > count, JSON.stringify(came)));

async function live(seed: number): Promise<void> {
  const random = randomFrom(seed);
  const world = new World(random);
  const life = new Life(world);
  try {
    await world.startServer();
    for (let i = 1; i <= 3; i++) world.startAgent(world.addHost(`h${i}`));
    await world.clock.advance(2000);
    await life.begin();
    world.lossPercent = random(3) * 5;
    for (let step = 0; step < STEPS; step++) await life.step(`seed ${seed}, step ${step}`);
    await world.heal();
    await world.assertConverged(`seed ${seed}`);
    const snapshot = await life.snapshot();
    assertSettled(world, snapshot, `seed ${seed}`);
    came.left += snapshot.moves.filter(({ spec }) => spec.state === "left").length;
    came.joined += snapshot.endpoints.filter(({ spec }) => spec.joined === true).length;
  } finally {
    for (const host of world.hosts.values()) world.killAgent(host);
    world.killServer();
    await world.clock.advance(60_000);
  }
}

/** What everybody has after everything healed is what memberships and moves ask for. */
function assertSettled(world: World, snapshot: Snapshot, label: string): void {
  const networks = new Map(snapshot.networks.map((network) => [network.name, network]));
  const wanted = new Set(snapshot.memberships.map(({ spec }) => `${spec.network} ${spec.workload}`));
  const open = snapshot.moves.filter(({ spec }) => spec.state !== "left" && spec.state !== "gone");
  const conditions = [...world.hosts.values()].flatMap((host) => host.running?.agent.report.conditions ?? []);
  for (const { spec } of open) {
    assert.equal(spec.state, "failed", `${label}: ${spec.endpoint} is ${spec.state} on its way to ${spec.to}`);
    assert.match(spec.reason ?? "", /no free address|no block|disabled/, `${label}: ${spec.reason}`);
  }
  for (const move of snapshot.moves) {
    if (move.spec.state !== "left") continue;
    assert.ok((move.spec.newAddresses ?? []).length > 0, `${label}: ${move.name} says where it went`);
  }
  for (const endpoint of snapshot.endpoints.filter(({ spec }) => spec.joined === true)) {
    const { network, workload, owner } = endpoint.spec;
    const isMoving = open.some(({ spec }) => spec.endpoint === endpoint.name || spec.owner === owner);
    assert.ok(isMoving || wanted.has(`${network} ${workload}`), `${label}: ${endpoint.name} has no membership`);
  }
  const alive = snapshot.endpoints.filter(({ spec }) => world.hosts.get(spec.host)?.workloads.has(netnsOf(spec)));
  for (const { spec } of snapshot.memberships) {
    for (const instance of alive.filter((endpoint) => endpoint.spec.workload === spec.workload)) {
      const isThere = alive.some((each) => each.spec.network === spec.network && samePlace(each, instance));
      const isMoving = open.some((move) => move.spec.owner === instance.spec.owner && move.spec.to === spec.network);
      const why = conditions.some((line) => line.startsWith(`${instance.spec.owner} joins ${spec.network}: `));
      assert.ok(
        isThere || isMoving || why || networks.get(spec.network)?.spec.enabled === false,
        `${label}: ${instance.spec.owner} is not in ${spec.network}`,
      );
    }
  }
}

function netnsOf({ netns }: Endpoint["spec"]): `/${string}` {
  return netns as `/${string}`;
}
function samePlace({ spec: a }: Endpoint, { spec: b }: Endpoint): boolean {
  return a.host === b.host && a.owner === b.owner && a.netns === b.netns;
}

class Life {
  readonly #world: World;
  #workloads = 0;

  constructor(world: World) {
    this.#world = world;
  }

  /** Four networks out of a pool, and a few workloads in them. */
  async begin(): Promise<void> {
    const pool = {
      ids: { first: 1, last: 6 },
      globalSubnets: [{ cidr: "192.168.<id>.0/28" }],
      localSubnets: [{ cidr: "10.<id>.0.0/16", hostPrefix: 28 }],
    };
    await this.#write({ verb: "put", kind: "pool", name: "apcera", spec: pool });
    for (const [i, name] of ["a", "b", "c", "d"].entries()) {
      const ipam = i % 2 === 0 ? "global" : "local";
      await this.#write({ verb: "put", kind: "network", name, spec: { pool: { name: "apcera" }, ipam } });
    }
    assert.equal((await this.snapshot()).networks.length, 4);
    await this.#world.clock.advance(500);
    for (let i = 0; i < 6; i++) await this.#attach();
    await this.#world.clock.advance(500);
  }

  async snapshot(): Promise<Snapshot> {
    const { control } = this.#world;
    assert(control !== undefined);
    return control.snapshot(ADMIN);
  }

  async step(label: string): Promise<void> {
    const { random, clock } = this.#world;
    const actions = [
      () => this.#attach(),
      () => this.#attach(),
      () => this.#detach(),
      () => this.#join(),
      () => this.#join(),
      () => this.#leave(),
      () => this.#migrate(),
      () => this.#migrate(),
      () => this.#forgetMigration(),
      () => this.#endWorkload(),
      () => this.#replaceNetwork(),
      () => this.#onHost((host) => (host.running === undefined ? this.#world.startAgent(host) : undefined)),
      () => this.#onHost((host) => this.#world.killAgent(host)),
      () => this.#onHost((host) => (host.isCut = !host.isCut)),
      () => this.#onHost((host) => (random(4) === 0 ? this.#world.reboot(host) : undefined)),
      () => this.#restartServer(),
    ];
    await actions[random(actions.length)]?.();
    await clock.advance(random(4) === 0 ? random(5000) : random(200));
    if (this.#world.control !== undefined) assertUnique(await this.snapshot(), label);
  }

  async #write(write: Exclude<Write, { readonly verb: "join" }>): Promise<void> {
    const { control, clock } = this.#world;
    const done = control?.write(write).catch(mustBeFault);
    await clock.advance(1);
    await done;
  }

  async #attach(): Promise<void> {
    const host = this.#anyOf(this.#world.hosts.values());
    const network = this.#anyOf("abcd");
    if (host === undefined || network === undefined) return;
    const netns = `/run/netns/w${++this.#workloads}` as const;
    host.kernel.addWorkload(netns);
    host.workloads.add(netns);
    const workload = this.#anyOf(WORKLOADS) ?? "";
    void host.running?.attacher.attach({ network, netns, workload }).catch(mustBeFault);
  }

  async #detach(): Promise<void> {
    const host = this.#anyOf(this.#world.hosts.values());
    const name = host === undefined ? undefined : this.#anyOf(host.entries.keys());
    if (name !== undefined) void host?.running?.attacher.detach(name).catch(mustBeFault);
  }

  async #join(): Promise<void> {
    const claim = { network: this.#anyOf("abcd") ?? "", workload: this.#anyOf(WORKLOADS) ?? "" };
    await this.#write({ verb: "join-network", claim });
  }

  async #leave(): Promise<void> {
    const name = this.#world.control === undefined ? undefined : this.#anyOf((await this.snapshot()).memberships)?.name;
    if (name !== undefined) await this.#write({ verb: "delete", kind: "membership", name });
  }

  async #migrate(): Promise<void> {
    const { random } = this.#world;
    const member = this.#world.control === undefined ? undefined : this.#anyOf((await this.snapshot()).endpoints);
    if (member === undefined) return;
    const { network: from, workload = "" } = member.spec;
    const to = this.#anyOf("abcd".replace(from, "")) ?? "";
    const who = [{}, { workload }, { endpoint: member.name }][random(3)];
    await this.#write({ verb: "migrate", request: { from, to, ...who } });
  }

  async #forgetMigration(): Promise<void> {
    if (this.#world.random(4) > 0) return;
    const name = this.#world.control === undefined ? undefined : this.#anyOf((await this.snapshot()).migrations)?.name;
    const force = this.#world.random(2) === 0;
    if (name !== undefined) await this.#write({ verb: "delete", kind: "migration", name, force });
  }

  /** Deleted by force and made again: another network, with none of its members. */
  async #replaceNetwork(): Promise<void> {
    if (this.#world.random(4) > 0) return;
    const name = this.#anyOf("abcd") ?? "";
    await this.#write({ verb: "delete", kind: "network", name, force: true });
    const ipam = this.#world.random(2) === 0 ? "global" : "local";
    await this.#write({ verb: "put", kind: "network", name, spec: { pool: { name: "apcera" }, ipam } });
  }

  async #endWorkload(): Promise<void> {
    const host = this.#anyOf(this.#world.hosts.values());
    const netns = host === undefined ? undefined : this.#anyOf(host.workloads);
    if (netns === undefined) return;
    host?.workloads.delete(netns);
    host?.kernel.removeWorkload(netns);
  }

  async #restartServer(): Promise<void> {
    if (this.#world.control === undefined) await this.#world.startServer();
    else this.#world.killServer();
  }

  async #onHost(act: (host: Host) => void): Promise<void> {
    const host = this.#anyOf(this.#world.hosts.values());
    if (host !== undefined) act(host);
  }

  #anyOf<T>(all: Iterable<T>): T | undefined {
    const list = [...all];
    return list.length === 0 ? undefined : list[this.#world.random(list.length)];
  }
}

function mustBeFault(error: unknown): undefined {
  if (!(error instanceof Fault)) throw error;
}
