// What every driver does, with packets: both families, one host and across, in several networks at once.
import assert from "node:assert/strict";
import { test } from "node:test";
import { DRIVERS, type Driver } from "../../../src/model/driver.ts";
import { type Cluster, type Json, type Workload, must, until } from "./cluster.ts";
import * as frames from "./frames.ts";
import { Interface } from "./interface.ts";
import { type Leaving, leaving } from "./leaving.ts";
import { echoes, stream } from "./sockets.ts";

export type Station = Workload & { readonly wire: Interface };
type Family = 4 | 6;
const FAMILIES = [4, 6] as const;

/** One that spans the hosts. Two with the same number have the same addresses, and need VRFs of their own. */
export function segment(number: number) {
  return { ipam: "global", subnets: [{ cidr: `10.${number}.0.0/16` }, { cidr: `fd0${number}::/64` }] };
}
const ROUTED = {
  ipam: "local",
  subnets: [
    { cidr: "10.8.0.0/16", hostPrefix: 24 },
    { cidr: "fd08::/56", hostPrefix: 64 },
  ],
} as const;

/** `mtu`: of its largest packet, if that is not the one of the suite. */
export type SceneNetwork = {
  readonly spec: Readonly<Record<string, unknown>> & { readonly subnets: readonly { readonly cidr: string }[] };
  readonly mtu?: number;
};

/** What a tunnel driver has. `other` is there for the isolation of the rest. */
export const TUNNELED: Readonly<Record<string, SceneNetwork>> = {
  switched: { spec: segment(7) },
  other: { spec: segment(7) },
  routed: { spec: ROUTED },
};

/** Two workloads on h1 and one on h2 in each network. */
const PLACES = [
  ["a", "h1"],
  ["b", "h1"],
  ["c", "h2"],
] as const;

const LIMIT_MBIT = 10;
const MEGABYTE = 1_000_000;
/** `look`: runs when all bytes are there and the connection still is. */
type Load = { readonly bytes: number; readonly look?: () => Promise<void> };

export class DriverScene {
  readonly cluster: Cluster;
  readonly driver: Driver;
  readonly networks: Readonly<Record<string, SceneNetwork>>;
  readonly stations = new Map<string, Station>();
  #tags = 0;

  /** The cluster has two hosts, and is open. */
  constructor(cluster: Cluster, driver: Driver, networks = TUNNELED) {
    this.cluster = cluster;
    this.driver = driver;
    this.networks = networks;
  }

  get names(): readonly string[] {
    return Object.keys(this.networks);
  }

  /** Without `other`. */
  get tested(): readonly string[] {
    return this.names.filter((name) => name !== "other");
  }

  /** Networks that span the hosts. */
  get segments(): readonly string[] {
    return this.names.filter((name) => this.networks[name]?.spec["ipam"] === "global");
  }

  async open(): Promise<void> {
    for (const [name, { spec }] of Object.entries(this.networks))
      await this.put(`/v1/networks/${name}`, { ...spec, driver: this.driver });
    await this.cluster.converged();
    const places = this.names.flatMap((network) => PLACES.map(([name, host]) => [network, name, host] as const));
    await Promise.all(
      places.map(([network, name, host]) =>
        this.attach(host, network, `${network}-${name}`, this.#more(network, name)),
      ),
    );
    await this.cluster.converged();
    const ways = this.names.flatMap((network) => this.of(`${network}-c`).addresses.map((to) => [network, to] as const));
    await Promise.all(ways.map(([network, to]) => this.cluster.reaches(this.of(`${network}-a`), to)));
  }

  async attach(host: string, network: string, name: string, more: Readonly<Record<string, unknown>>): Promise<Station> {
    const workload = await this.cluster.attach(host, network, name, more);
    const station = { ...workload, wire: await Interface.in(workload.netns, "eth0") };
    this.stations.set(name, station);
    return station;
  }

  /** All segments may have the same addresses, but those of `c` are in none of the others. */
  #more(network: string, name: string) {
    const place = this.segments.indexOf(network) + 1;
    const addresses = (this.networks[network]?.spec.subnets ?? []).map(({ cidr }) =>
      cidr.replace(/\.0\.0\/16$/, `.9.${place}`).replace(/:\/64$/, `:9:${place}`),
    );
    return name === "c" && place > 0 ? { addresses } : {};
  }

  /** The namespace that has a network's bridge on a host. */
  async spaceOf(host: string, network: string): Promise<string> {
    const own = this.cluster.vrfNetns(host, network);
    const spaces = (await must("ip", "netns", "list")).split("\n").map((line) => line.split(" ")[0]);
    return spaces.includes(own) ? own : this.cluster.netnsOf(host);
  }

  /** The port of a workload there. */
  async portOf({ endpoint }: Workload, ns: string): Promise<string> {
    const links = JSON.parse(await must("ip", "-n", ns, "-j", "link", "show", "type", "veth")) as Json[];
    return links.find(({ ifalias }) => ifalias === `weft:endpoint:${endpoint}`)?.ifname ?? assert.fail(endpoint);
  }

  close(): void {
    for (const { wire } of this.stations.values()) wire.close();
  }

  of(name: string): Station {
    return this.stations.get(name) ?? assert.fail(name);
  }

  async put(path: string, spec: unknown): Promise<void> {
    const { status, body } = await this.cluster.api("PUT", path, { spec });
    assert(status < 300, `${path}: ${JSON.stringify(body)}`);
  }

  tag(): string {
    return `<${String(++this.#tags).padStart(6, "0")}>`;
  }

  /** Of a frame as the sender makes it: to the MAC by which it reaches that address, which may be a router's. */
  async ends(from: Station, to: Station, family: Family): Promise<frames.Ends> {
    const [source, target] = [addressOf(from, family), addressOf(to, family)];
    await this.cluster.reaches(from, target);
    const inside = ["-n", from.netns, "-j"] as const;
    const [route] = JSON.parse(await must("ip", ...inside, "route", "get", target)) as Json[];
    const [neighbour] = JSON.parse(await must("ip", ...inside, "neigh", "show", route.gateway ?? target)) as Json[];
    return { fromMac: from.mac, toMac: neighbour.lladdr, from: source, to: target };
  }

  /** Whether a ping of a size (of the whole packet) that must not be cut comes back. */
  fits({ netns }: Workload, to: string, size: number): Promise<boolean> {
    return echoes(netns, to, { uncut: size, waitMs: 500 });
  }

  /** Fails if one of these reaches one of those. */
  async assertNoneReaches(froms: readonly Workload[], tos: readonly string[], size = 100): Promise<void> {
    const pairs = froms.flatMap((from) => tos.map((to) => [from, to] as const));
    const reached = await Promise.all(pairs.map(([from, to]) => this.fits(from, to, size)));
    const wrong = pairs.filter((_, i) => reached[i]).map(([from, to]) => `${from.endpoint} ${to} with ${size} bytes`);
    assert.deepEqual(wrong, []);
  }

  /** Sends bytes by TCP; gives Mbit/s as the receiver saw them. */
  stream(from: Workload, to: Workload, family: Family, { bytes, look }: Load): Promise<number> {
    return stream({ from: from.netns, to: to.netns, address: addressOf(to, family), bytes }, look);
  }
}

function addressOf({ addresses }: Workload, family: Family): string {
  return addresses.find((ip) => ip.includes(":") === (family === 6)) ?? assert.fail(`no address of IPv${family}`);
}

/**
 * Declares the last tests: what others change is changed back; the networks go, and nothing of Weft's is left on the
 * hosts. Of drivers that have no such tests of their own.
 */
export function lastTests(scene: DriverScene): void {
  const { cluster, names, tested } = scene;
  test("drift is repaired: a bridge that is down, a port without its bridge, filters without rules", async () => {
    await Promise.all(
      tested.map(async (network) => {
        const [from, far] = [scene.of(`${network}-a`), scene.of(`${network}-c`)];
        const ns = await scene.spaceOf("h1", network);
        const harms = [
          ["ip", "link", "set", `wb-${network}`, "down"],
          ["ip", "link", "set", await scene.portOf(from, ns), "nomaster"],
        ];
        for (const harm of harms) {
          await must("ip", "netns", "exec", ns, ...harm);
          await cluster.reaches(from, far.addresses[0] ?? "");
        }
      }),
    );
    for (const ns of new Set(await Promise.all(tested.map((network) => scene.spaceOf("h1", network))))) {
      const rules = async () => await must("ip", "netns", "exec", ns, "nft", "list", "chain", "bridge", "weft", "v4");
      const whole = await rules();
      await must("ip", "netns", "exec", ns, "nft", "flush", "chain", "bridge", "weft", "v4");
      await until("the rules are back", async () => (await rules()) === whole);
    }
  });

  test("removal leaves nothing", async () => {
    for (const name of names) {
      const { status, body } = await cluster.api("DELETE", `/v1/networks/${name}?force=true`);
      assert.equal(status, 200, JSON.stringify(body));
    }
    for (const host of cluster.hosts) {
      const inside = (...words: readonly string[]) => must("ip", "netns", "exec", cluster.netnsOf(host), ...words);
      const left = async () => {
        const [links, addresses] = [await inside("ip", "-d", "link"), await inside("ip", "-d", "address")];
        const spaces = (await must("ip", "netns", "list")).split("\n");
        return [
          ...`${links}${addresses}`.split("\n").filter((line) => /weft|proto 87|: w[bijklopqtuvx]/.test(line)),
          ...(await inside("nft", "list", "tables")).split("\n").filter((line) => line.includes("weft")),
          ...spaces.filter((line) => names.some((name) => line.startsWith(cluster.vrfNetns(host, name)))),
        ];
      };
      let last: readonly string[] = [];
      await until(`nothing is left on ${host}`, async () => (last = await left()).length === 0).catch(() =>
        assert.deepEqual(last, [], host),
      );
    }
  });
}

/** Declares the tests; `mtu` is what the driver leaves of an underlay of 1500. */
export function driverSuite(scene: DriverScene, mtu: number): void {
  const { cluster, tested } = scene;
  const segments = scene.segments.filter((name) => tested.includes(name));
  const mtuOf = (network: string) => scene.networks[network]?.mtu ?? mtu;
  const inEach = (check: (network: string) => Promise<void>) => Promise.all(tested.map(check));

  test("pings of both families, on one host and across, and no packet larger than the tunnel carries", async () => {
    await inEach(async (network) => {
      const [from, most] = [scene.of(`${network}-a`), mtuOf(network)];
      const tos = ["b", "c"].flatMap((name) => scene.of(`${network}-${name}`).addresses);
      for (const to of tos) await until(`${most} bytes to ${to} of ${network}`, () => scene.fits(from, to, most));
      await scene.assertNoneReaches([from], tos, most + 1);
    });
  });

  test("TCP with full segments, of both families, on one host and across", async () => {
    for (const network of tested) {
      for (const name of ["b", "c"]) {
        for (const family of FAMILIES) {
          const [from, to] = [scene.of(`${network}-a`), scene.of(`${network}-${name}`)];
          const look = async () => {
            const told = await must("nsenter", `--net=/run/netns/${from.netns}`, "ss", "-Htin");
            const segment = Number(/ mss:(\d+) /.exec(told)?.[1]);
            // With headers of IP and TCP, and timestamps.
            assert.equal(
              segment + (family === 4 ? 52 : 72),
              mtuOf(network),
              `${network}-${name} IPv${family}: ${told}`,
            );
          };
          await scene.stream(from, to, family, { bytes: MEGABYTE, look });
        }
      }
    }
  });

  test("another network with the same addresses is another world, and a broadcast comes once", async () => {
    const apart = segments.flatMap((from) => scene.segments.filter((to) => to !== from).map((to) => [from, to]));
    await Promise.all(
      apart.map(([from, to]) => scene.assertNoneReaches([scene.of(`${from}-a`)], scene.of(`${to}-c`).addresses)),
    );
    for (const network of segments) {
      const [from, near, far] = stationsOf(scene, network);
      const tag = scene.tag();
      const source = addressOf(from, 4);
      const ends = { fromMac: from.mac, toMac: frames.BROADCAST, from: source };
      from.wire.send(frames.udp({ ...ends, to: source.replace(/\d+\.\d+$/, "255.255") }, 4000, tag));
      await until("it is everywhere", async () => near.wire.has(tag) && far.wire.has(tag));
      // A later frame overtakes no copy.
      await cluster.reaches(from, far.addresses[0] ?? "", 3);
      assert.deepEqual([near.wire.count(tag), far.wire.count(tag)], [1, 1]);
      for (const [name, { wire }] of scene.stations)
        if (!name.startsWith(`${network}-`)) assert.equal(wire.count(tag), 0, `${network} ${name}`);
    }
  });

  test("frames with addresses of others are dropped, on one host and across", async () => {
    for (const network of tested) {
      const [from, near, far] = stationsOf(scene, network);
      for (const to of [near, far]) {
        for (const family of FAMILIES) {
          const honest = await scene.ends(from, to, family);
          const victim = to === near ? far : near;
          const [tag, fence] = [scene.tag(), scene.tag()];
          from.wire.send(frames.udp({ ...honest, from: addressOf(victim, family) }, 4000, tag));
          from.wire.send(frames.udp({ ...honest, fromMac: victim.mac }, 4000, tag));
          from.wire.send(frames.udp(honest, 4000, fence));
          await until(`the fence is there, ${network}, IPv${family}`, async () => to.wire.has(fence));
          assert.equal(to.wire.count(tag), 0, `${network}, IPv${family}`);
        }
      }
    }
  });

  test("security groups refuse and allow, on one host and across, and follow changes", async () => {
    const rule = (protocol: string) => ({ direction: "in", action: "allow", protocol });
    const group = (...protocols: string[]) => scene.put("/v1/securitygroups/guarded", { rules: protocols.map(rule) });
    await group("tcp");
    await inEach(async (network) => {
      const guarded = await scene.attach("h2", network, `${network}-g`, { securityGroups: ["guarded"] });
      await cluster.converged();
      const [far, , near] = stationsOf(scene, network);
      for (const from of [far, near])
        for (const family of FAMILIES) await scene.stream(from, guarded, family, { bytes: 1000 });
      await scene.assertNoneReaches([far, near], guarded.addresses);
    });
    await group("tcp", "icmp", "icmpv6");
    await inEach(async (network) => {
      const [far, , near] = stationsOf(scene, network);
      for (const from of [far, near])
        for (const to of scene.of(`${network}-g`).addresses) await cluster.reaches(from, to);
    });
  });

  test("no frame leaves for another host with a packet mark, also of an endpoint with groups", async () => {
    for (const network of tested) {
      const [from, , far] = stationsOf(scene, network);
      const pings = async () => {
        for (const to of [far, scene.of(`${network}-g`)])
          for (const ip of to.addresses) await cluster.reaches(from, ip, 2);
      };
      let there: Leaving | undefined;
      const here = await leaving(await scene.spaceOf("h1", network), async () => {
        there = await leaving(await scene.spaceOf("h2", network), pings);
      });
      for (const seen of [here, there]) {
        assert(seen !== undefined && seen.frames >= 8, `${network}: ${seen?.frames} frames`);
        assert.equal(seen.marked, 0, `${network}: of ${seen.frames} frames`);
      }
    }
  });

  test("a limit holds, on one host and across, for both families", async () => {
    const qos = { outbound: { average: `${LIMIT_MBIT}mbit` } };
    await inEach(async (network) => {
      const limited = await scene.attach("h1", network, `${network}-l`, { qos });
      for (const name of ["b", "c"]) {
        for (const family of FAMILIES) {
          const to = scene.of(`${network}-${name}`);
          await cluster.reaches(limited, addressOf(to, family));
          const mbit = await scene.stream(limited, to, family, { bytes: MEGABYTE });
          assert.ok(mbit < LIMIT_MBIT * 1.1, `${network}-${name}, IPv${family}: ${mbit} Mbit/s`);
        }
      }
    });
  });

  // What others carry, or no tunnel does, no agent probes.
  if (DRIVERS[scene.driver].isPhysical === true) return;
  test("the paths between the hosts are proven", async () => {
    await until("status says so", async () => {
      const { stdout } = await cluster.weft("status");
      return /, 1 of 1 path proven/.test(stdout);
    });
  });
}

function stationsOf(scene: DriverScene, network: string): readonly [Station, Station, Station] {
  return [scene.of(`${network}-a`), scene.of(`${network}-b`), scene.of(`${network}-c`)];
}
