// Random writes to the server of a simulated cluster: networks, ranges, holds, limits and security groups. A write may
// be refused; a server that is down takes none.
import { Fault } from "../../../src/model/fault.ts";
import type { QosInput } from "../../../src/model/qos.ts";
import { type Network, snapshotOf } from "../../../src/model/resource.ts";
import type { World } from "./world.ts";

export class Writes {
  readonly #world: World;
  /** Networks acknowledged as made, and not since deleted, whatever the answer to that was. */
  readonly networks = new Set<string>();

  constructor(world: World) {
    this.#world = world;
  }

  async snapshot() {
    const { cluster, revision, resources } = await this.#world.store.read();
    return snapshotOf(cluster, revision, resources);
  }

  async write(write: Parameters<NonNullable<World["control"]>["write"]>[0]): Promise<boolean> {
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

  async makeNetwork(step: number): Promise<void> {
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
    const spec = { subnets, ...vrf, ...addressing, ...this.qos() };
    if (await this.write({ verb: "put", kind: "network", name, spec })) this.networks.add(name);
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
  async resize(): Promise<void> {
    const { random, control } = this.#world;
    const name = anyOf(this.#world.random, this.networks);
    const network = name === undefined ? undefined : await control?.find("network", name, { role: "admin" });
    if (network?.spec.ranges === undefined) return;
    const ranges = network.spec.ranges.map((range) => (random(2) === 0 ? range : { ...range, size: 1 + random(8) }));
    const spec = { ...network.spec, ranges };
    await this.write({ verb: "put", kind: "network", name: network.name, spec, force: random(2) === 0 });
  }

  async holdOrRelease(): Promise<void> {
    const { random } = this.#world;
    const network = anyOf(this.#world.random, this.networks);
    if (network === undefined) return;
    const n = random(6);
    const from = random(8);
    const span = { network, first: `10.${n}.0.${from}`, last: `10.${n}.0.${from + random(3)}` };
    const expires = random(2) === 0 ? {} : { expiresInSeconds: 1 + random(5) };
    if (random(2) === 0) await this.write({ verb: "release", span });
    else await this.write({ verb: "hold", request: { ...span, reason: "r", owner: "o", ...expires } });
  }

  async changeNetwork(): Promise<void> {
    const name = anyOf(this.#world.random, this.networks);
    const { control } = this.#world;
    const network = name === undefined ? undefined : await control?.find("network", name, { role: "admin" });
    if (network === undefined) return;
    const spec = {
      ...network.spec,
      masquerade: !network.spec.masquerade,
      mtu: 1300 + this.#world.random(100),
      ...this.qos(),
    };
    await this.write({ verb: "put", kind: "network", name: network.name, spec });
  }

  /** Mostly nothing, as most networks and endpoints have. */
  qos(): { readonly qos?: QosInput } {
    const { random } = this.#world;
    const choice = () =>
      [{ average: 1_000_000 * (1 + random(20)) }, "none" as const, "inherit" as const][random(3)] ?? "none";
    return random(3) > 0 ? {} : { qos: { inbound: choice(), outbound: choice() } };
  }

  /** Live, whatever its host is doing. */
  async limit(): Promise<void> {
    const endpoint = anyOf(this.#world.random, (await this.snapshot()).endpoints);
    if (endpoint !== undefined) await this.write({ verb: "patch-endpoint", name: endpoint.name, patch: this.qos() });
  }

  async putGroup(): Promise<void> {
    const { random } = this.#world;
    const network = anyOf(this.#world.random, this.networks);
    const peers = [{}, { peer: { group: `g${random(3)}` } }, network === undefined ? {} : { peer: { network } }];
    const rules = Array.from({ length: random(3) }, () => ({
      direction: random(2) === 0 ? ("in" as const) : ("out" as const),
      action: "allow" as const,
      protocol: "tcp",
      ports: [random(100)],
      ...peers[random(3)],
    }));
    await this.write({ verb: "put", kind: "securitygroup", name: `g${random(3)}`, spec: { rules } });
  }

  async assignGroups(): Promise<void> {
    const { random, control } = this.#world;
    const securityGroups = ["default", "g0", "g1", "g2"].filter(() => random(3) === 0);
    const name = anyOf(this.#world.random, this.networks);
    const network = name === undefined ? undefined : await control?.find("network", name, { role: "admin" });
    const endpoint = anyOf(this.#world.random, (await this.snapshot()).endpoints);
    if (network !== undefined && random(2) === 0)
      await this.write({
        verb: "put",
        kind: "network",
        name: network.name,
        spec: { ...network.spec, securityGroups },
      });
    else if (endpoint !== undefined)
      await this.write({ verb: "patch-endpoint", name: endpoint.name, patch: { securityGroups } });
  }

  async deleteNetwork(): Promise<void> {
    const name = anyOf(this.#world.random, this.networks);
    if (name === undefined || this.#world.random(2) === 0) return;
    this.networks.delete(name);
    const force = this.#world.random(2) === 0;
    if (!(await this.write({ verb: "delete", kind: "network", name, force })) && this.#world.control !== undefined) {
      if ((await this.#world.control.find("network", name, { role: "admin" })) !== undefined) this.networks.add(name);
    }
  }
}

export function anyOf<T>(random: (n: number) => number, all: Iterable<T>): T | undefined {
  const list = [...all];
  return list.length === 0 ? undefined : list[random(list.length)];
}
