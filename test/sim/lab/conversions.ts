// What happens in the life of networks that are converted (convert.test.ts).
import assert from "node:assert/strict";
import { Fault } from "../../../src/model/fault.ts";
import { type Conversion, snapshotOf } from "../../../src/model/resource.ts";
import type { Host } from "./host.ts";
import { NETWORKS, type NetworkName, Pairs } from "./pairs.ts";
import type { World } from "./world.ts";
import { anyOf } from "./writes.ts";

const ADMIN = { role: "admin" } as const;
type ServerWrite = Parameters<NonNullable<World["control"]>["write"]>[0];
const NAMES = Object.keys(NETWORKS) as readonly NetworkName[];

export class Conversions {
  readonly #world: World;
  readonly #label: string;
  readonly came = { begun: 0, ended: 0, cancelled: 0, refused: 0 };
  readonly #pairs: Pairs;
  #workloads = 0;
  #hosts = 3;
  #what = "";
  #isHealing = false;
  /** Conversions that are on their way, by their uid. */
  #open: ReadonlySet<string> = new Set();

  constructor(world: World, label: string) {
    this.#world = world;
    this.#label = label;
    this.#pairs = new Pairs(world);
  }

  /** A workload of each network on each host, all of which reach each other. */
  async begin(): Promise<void> {
    for (const name of NAMES) assert.ok(await this.#write(() => put("network", name, NETWORKS[name])));
    await this.#world.clock.advance(5_000);
    for (const host of this.#world.hosts.values()) for (const name of NAMES) await this.#attach(host, name);
    await this.#world.clock.advance(30_000);
    await this.#pairs.look();
    assert.ok(this.#pairs.size >= 3 * 6, `${this.#label}: ${this.#pairs.size} pairs`);
    this.#world.afterOps = (host) => this.#afterOps(host);
  }

  async step(step: number): Promise<void> {
    const { random, clock } = this.#world;
    const actions: readonly (readonly [name: string, weight: number, act: () => unknown])[] = [
      ["edit", 8, () => this.#edit()],
      ["cancel", 2, () => this.#cancel()],
      ["kill or start", 4, () => onHost(this.#world, (host) => killOrStart(this.#world, host))],
      ["cut or mend", 3, () => onHost(this.#world, (host) => void (host.isCut = !host.isCut))],
      ["mend all", 3, () => this.#mend()],
      ["server", 3, () => (this.#world.control === undefined ? this.#world.startServer() : this.#world.killServer())],
      ["attach", 2, () => onHost(this.#world, (host) => this.#attach(host, anyOf(random, NAMES) ?? "near"))],
      ["detach", 1, () => this.#detach()],
      ["join", 1, () => this.#join()],
      ["reclaim", 1, () => this.#reclaim()],
      ["delete", 1, () => this.#delete()],
      ["nothing", 6, () => undefined],
    ];
    const wheel = actions.flatMap((action) => new Array<typeof action>(action[1]).fill(action));
    const [name, , act] = wheel[random(wheel.length)] ?? assert.fail();
    this.#what = `step ${step}, ${name}`;
    await act();
    await clock.advance([0, 3, 50, 400, 1_500, 5_000][random(6)] ?? 0);
    await this.#pairs.judge(`${this.#label}: ${this.#what}`);
    await this.#pairs.look();
    const open = new Set((await conversionsIn(this.#world)).map(({ uid }) => uid));
    this.came.ended += [...this.#open].filter((uid) => !open.has(uid)).length;
    this.#open = open;
  }

  async judge(what: string): Promise<void> {
    await this.#pairs.judge(`${this.#label}: ${what}`);
  }

  /** Everything heals: then all of it has ended, and a kernel is as if nothing had been converted. */
  async end(): Promise<void> {
    this.#what = "at the end";
    this.#isHealing = true;
    this.#world.repeatsReports = false;
    await this.#world.heal();
    await this.#pairs.judge(`${this.#label}: ${this.#what}`);
    const told = (await this.#world.control?.conditions())?.map(({ message }) => message);
    assert.deepEqual(await conversionsIn(this.#world), [], `${this.#label}: it does not end: ${told?.join("; ")}`);
    await this.#world.assertConverged(this.#label);
    for (const host of this.#world.hosts.values()) {
      this.#world.killAgent(host);
      this.#world.startAgent(host);
    }
    await this.#world.clock.advance(40_000);
    await this.#world.assertConverged(`${this.#label}, after restarts`);
    await this.#pairs.judge(`${this.#label}: ${this.#what}`);
  }

  // What happens.

  async #edit(): Promise<void> {
    const { random } = this.#world;
    const mtu = { mtu: [1400, 1300, undefined][random(3)] };
    const driver = { driver: (["vxlan", "gre"] as const)[random(2)] };
    const vni = { vni: [5000, 5001, 5002][random(3)] };
    const port = { tunnelPort: [4789, 8472][random(2)] };
    const name = anyOf(random, NAMES) ?? "near";
    const { vrf } = NETWORKS[name];
    const ofNetwork = [mtu, driver, ...(name === "near" ? [] : [vni, { ...vni, ...mtu }]), { ...driver, ...mtu }];
    const isVrf = random(3) === 0;
    const fields = isVrf ? [port, vni, { ...port, ...vni }][random(3)] : ofNetwork[random(ofNetwork.length)];
    const running = (await conversionsIn(this.#world)).find((one) => one.spec.vrf === vrf);
    const { control } = this.#world;
    const found = await control?.find(isVrf ? "vrf" : "network", isVrf ? vrf : name, ADMIN);
    if (control === undefined || found === undefined) return;
    const before = this.#world.store.revision;
    const isDone = await this.#write(() => put(found.kind as "network", found.name, { ...found.spec, ...fields }));
    const now = (await conversionsIn(this.#world)).find((one) => one.spec.vrf === vrf);
    if (!isDone) this.came.refused++;
    else if (now !== undefined && now.revision > before && now.spec.back !== true) this.came.begun++;
    // One at a time: what runs goes on as it was, unless its network is not used any more.
    if (running !== undefined && now !== undefined && isDone)
      assert.deepEqual(
        [now.spec.from, now.spec.to],
        [running.spec.from, running.spec.to],
        `${this.#label}: ${this.#what}`,
      );
  }

  async #cancel(): Promise<void> {
    const conversion = anyOf(this.#world.random, await conversionsIn(this.#world));
    if (conversion === undefined) return;
    const { name } = conversion;
    if (await this.#write(() => ({ verb: "delete", kind: "conversion", name }))) this.came.cancelled++;
  }

  async #delete(): Promise<void> {
    const { random } = this.#world;
    const name = anyOf(random, NAMES) ?? "near";
    if (random(2) === 0 || this.#world.control === undefined) return;
    this.#pairs.forget(({ spec }) => spec.network === name);
    await this.#write(() => ({ verb: "delete", kind: "network", name, force: true }));
    await this.#write(() => put("network", name, NETWORKS[name]));
  }

  async #attach(host: Host, network: NetworkName): Promise<void> {
    if (host.running === undefined) return;
    const netns = `/run/netns/w${++this.#workloads}` as const;
    host.kernel.addWorkload(netns);
    host.workloads.add(netns);
    void host.running.attacher.attach({ network, netns }).catch(mustBeFault);
    await this.#world.clock.advance(300);
  }

  async #detach(): Promise<void> {
    const host = anyOf(this.#world.random, this.#world.hosts.values());
    const name = host === undefined ? undefined : anyOf(this.#world.random, host.entries.keys());
    if (host?.running === undefined || name === undefined) return;
    this.#pairs.forget(({ spec, name: other }) => spec.host === host.name && other === name);
    void host.running.attacher.detach(name).catch(mustBeFault);
  }

  async #join(): Promise<void> {
    if (this.#hosts > 4) return;
    const host = this.#world.addHost(`h${++this.#hosts}`);
    this.#world.startAgent(host);
    await this.#world.clock.advance(3_000);
    await this.#attach(host, anyOf(this.#world.random, NAMES) ?? "near");
  }

  /** Of a host that is gone for good, until its agent is started again. */
  async #reclaim(): Promise<void> {
    const { control, hosts, clock } = this.#world;
    const host = anyOf(
      this.#world.random,
      [...hosts.values()].filter(({ running }) => running === undefined),
    );
    if (host === undefined || control === undefined) return;
    this.#pairs.forget(({ spec }) => spec.host === host.name);
    const done = control.reclaim(host.name, { force: true }).catch(mustBeFault);
    await clock.advance(5);
    await done;
  }

  async #mend(): Promise<void> {
    if (this.#world.control === undefined) await this.#world.startServer();
    for (const host of this.#world.hosts.values()) {
      host.isCut = false;
      if (host.running === undefined) this.#world.startAgent(host);
    }
  }

  /** Whether the server took it. */
  async #write(make: () => ServerWrite): Promise<boolean> {
    const { control, clock } = this.#world;
    if (control === undefined) return false;
    const done = control.write(make()).then(
      () => true,
      (error: unknown) => {
        mustBeFault(error);
        return false;
      },
    );
    await clock.advance(1);
    return done;
  }

  /** In the middle of a round: a few pairs, because there are many such moments; and sometimes somebody dies there. */
  async #afterOps(host: Host): Promise<void> {
    const { random } = this.#world;
    await this.#pairs.judgeSome(host, `${this.#label}: ${this.#what}, in the middle of a round of ${host.name}`);
    if (this.#isHealing) return;
    if (random(60) === 0) this.#world.killAgent(host);
    if (random(60) === 0) host.isCut = true;
    if (random(120) === 0) this.#world.killServer();
  }
}

function mustBeFault(error: unknown): void {
  if (!(error instanceof Fault)) throw error;
}

function killOrStart(world: World, host: Host): void {
  if (host.running === undefined) world.startAgent(host);
  else world.killAgent(host);
}

function put(kind: "network" | "vrf", name: string, spec: object): ServerWrite {
  return { verb: "put", kind: kind as "network", name, spec: spec as { subnets: [] } };
}

export async function conversionsIn({ store }: World): Promise<readonly Conversion[]> {
  return snapshotOf("", 0, (await store.read()).resources).conversions ?? [];
}

async function onHost({ random, hosts }: World, act: (host: Host) => unknown): Promise<void> {
  const host = anyOf(random, hosts.values());
  if (host !== undefined) await act(host);
}
