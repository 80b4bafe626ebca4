// What every tunnel driver does, with packets: a switched and a routed network, both families, one host and across.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { test } from "node:test";
import { type Cluster, type Json, type Workload, must, run, until } from "./cluster.ts";
import * as frames from "./frames.ts";
import { Interface } from "./interface.ts";

type Station = Workload & { readonly wire: Interface };
type Family = 4 | 6;
const FAMILIES = [4, 6] as const;

const NETWORKS = {
  switched: { ipam: "global", subnets: [{ cidr: "10.7.0.0/16" }, { cidr: "fd07::/64" }] },
  // The same addresses in another VRF.
  other: { ipam: "global", subnets: [{ cidr: "10.7.0.0/16" }, { cidr: "fd07::/64" }] },
  routed: {
    ipam: "local",
    subnets: [
      { cidr: "10.8.0.0/16", hostPrefix: 24 },
      { cidr: "fd08::/56", hostPrefix: 64 },
    ],
  },
} as const;

/** Two workloads on h1 and one on h2 in each network. */
const PLACES = [
  ["a", "h1"],
  ["b", "h1"],
  ["c", "h2"],
] as const;

const LIMIT_MBIT = 4;

export class DriverScene {
  readonly cluster: Cluster;
  readonly driver: string;
  readonly stations = new Map<string, Station>();
  #tags = 0;

  /** The cluster has two hosts, and is open. */
  constructor(cluster: Cluster, driver: string) {
    this.cluster = cluster;
    this.driver = driver;
  }

  async open(): Promise<void> {
    for (const [name, spec] of Object.entries(NETWORKS))
      await this.put(`/v1/networks/${name}`, { ...spec, driver: this.driver });
    await this.cluster.converged();
    for (const network of Object.keys(NETWORKS)) {
      for (const [name, host] of PLACES) {
        // In `other` and `switched` they get the same addresses; these two are of nobody in `switched`.
        const more = network === "other" && name === "c" ? { addresses: ["10.7.9.9", "fd07::9:9"] } : {};
        const workload = await this.cluster.attach(host, network, `${network}-${name}`, more);
        this.stations.set(`${network}-${name}`, { ...workload, wire: await Interface.in(workload.netns, "eth0") });
      }
    }
    await this.cluster.converged();
    for (const network of Object.keys(NETWORKS))
      for (const to of this.of(`${network}-c`).addresses) await this.cluster.reaches(this.of(`${network}-a`), to);
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

  ends(from: Station, to: Station, family: Family): frames.Ends {
    const pick = ({ addresses }: Workload) => addresses.find((text) => text.includes(":") === (family === 6)) ?? "";
    return { fromMac: from.mac, toMac: to.mac, from: pick(from), to: pick(to) };
  }

  /** Whether a ping of a size (of the whole packet) that must not be cut comes back. */
  async fits(from: Workload, to: string, size: number): Promise<boolean> {
    const payload = String(size - (to.includes(":") ? 48 : 28));
    const ping = ["ping", "-n", "-q", "-c", "1", "-W", "0.5", "-M", "do", "-s", payload, to];
    return (await run("ip", "netns", "exec", from.netns, ...ping)).code === 0;
  }

  /** Sends megabytes by TCP; gives Mbit/s as the receiver saw them. */
  async stream(from: Workload, to: Workload, family: Family, size: string): Promise<number> {
    const inside = ({ netns }: Workload) => ["nsenter", `--net=/run/netns/${netns}`] as const;
    const [program, ...args] = inside(to);
    const server = spawn(program, [...args, "iperf3", "-s", "-1", "-J", "-p", "5201"]);
    let text = "";
    server.stdout.setEncoding("utf8").on("data", (more: string) => (text += more));
    const ended = new Promise((resolve) => server.once("exit", resolve));
    try {
      await until("iperf3 listens", async () => (await must(...inside(to), "ss", "-Hltn", "sport = :5201")) !== "");
      const address = to.addresses.find((ip) => ip.includes(":") === (family === 6)) ?? "";
      await must(...inside(from), "iperf3", "-c", address, "-p", "5201", "-n", size);
      await ended;
    } finally {
      server.kill();
    }
    const { end } = JSON.parse(text) as Json;
    return end.sum_received.bits_per_second / 1e6;
  }
}

/** Declares the tests; `mtu` is what the driver leaves of an underlay of 1500. */
export function driverSuite(scene: DriverScene, mtu: number): void {
  const { cluster } = scene;

  test("pings of both families, on one host and across, and no packet larger than the tunnel carries", async () => {
    for (const network of ["switched", "routed"]) {
      const from = scene.of(`${network}-a`);
      for (const peer of ["b", "c"]) {
        for (const to of scene.of(`${network}-${peer}`).addresses) {
          await until(`${mtu} bytes to ${network}-${peer} ${to}`, () => scene.fits(from, to, mtu));
          assert.ok(!(await scene.fits(from, to, mtu + 1)), `${mtu + 1} bytes to ${network}-${peer} ${to}`);
        }
      }
    }
  });

  test("TCP with full segments", async () => {
    await scene.stream(scene.of("switched-a"), scene.of("switched-c"), 6, "2M");
    await scene.stream(scene.of("routed-a"), scene.of("routed-c"), 4, "2M");
  });

  test("another network with the same addresses is another world, and a broadcast comes once", async () => {
    const [from, near, far] = ["a", "b", "c"].map((name) => scene.of(`switched-${name}`)) as [
      Station,
      Station,
      Station,
    ];
    for (const to of scene.of("other-c").addresses) assert.ok(!(await scene.fits(from, to, 100)), to);
    const tag = scene.tag();
    from.wire.send(frames.udp({ ...scene.ends(from, far, 4), toMac: frames.BROADCAST, to: "10.7.255.255" }, 4000, tag));
    await until("it is everywhere", async () => near.wire.has(tag) && far.wire.has(tag));
    // A later frame overtakes no copy.
    await cluster.reaches(from, far.addresses[0] ?? "", 3);
    assert.deepEqual([near.wire.count(tag), far.wire.count(tag)], [1, 1]);
    for (const name of ["b", "c"]) assert.equal(scene.of(`other-${name}`).wire.count(tag), 0, name);
  });

  test("frames with addresses of others are dropped, on one host and across", async () => {
    const [from, victim] = [scene.of("switched-a"), scene.of("switched-b")];
    for (const to of [victim, scene.of("switched-c")]) {
      for (const family of FAMILIES) {
        const true_ = scene.ends(from, to, family);
        const forged = scene.ends(scene.of(to === victim ? "switched-c" : "switched-b"), to, family);
        const [tag, fence] = [scene.tag(), scene.tag()];
        from.wire.send(frames.udp({ ...true_, from: forged.from }, 4000, tag));
        from.wire.send(frames.udp({ ...true_, fromMac: forged.fromMac }, 4000, tag));
        from.wire.send(frames.udp(true_, 4000, fence));
        await until("the fence is there", async () => to.wire.has(fence));
        assert.equal(to.wire.count(tag), 0);
      }
    }
  });

  test("security groups refuse and allow, on one host and across, and follow changes", async () => {
    const rule = (protocol: string) => ({ direction: "in", action: "allow", protocol });
    const group = (...protocols: string[]) => scene.put("/v1/securitygroups/guarded", { rules: protocols.map(rule) });
    await group("tcp");
    for (const network of ["switched", "routed"]) {
      const guarded = await cluster.attach("h2", network, `${network}-g`, { securityGroups: ["guarded"] });
      scene.stations.set(`${network}-g`, { ...guarded, wire: await Interface.in(guarded.netns, "eth0") });
      await cluster.converged();
      await scene.stream(scene.of(`${network}-a`), guarded, 4, "10K");
      for (const from of [scene.of(`${network}-a`), scene.of(`${network}-c`)]) {
        for (const to of guarded.addresses) assert.ok(!(await scene.fits(from, to, 100)), `${from.endpoint} ${to}`);
      }
    }
    await group("tcp", "icmp", "icmpv6");
    for (const network of ["switched", "routed"])
      for (const to of scene.of(`${network}-g`).addresses) await cluster.reaches(scene.of(`${network}-a`), to);
  });

  test("a limit holds", async () => {
    for (const network of ["switched", "routed"]) {
      const limited = await cluster.attach("h1", network, `${network}-l`, {
        qos: { outbound: { average: `${LIMIT_MBIT}mbit` } },
      });
      for (const to of scene.of(`${network}-c`).addresses) await cluster.reaches(limited, to);
      const mbit = await scene.stream(limited, scene.of(`${network}-c`), 4, "1M");
      assert.ok(mbit < LIMIT_MBIT * 1.1, `${network}: ${mbit} Mbit/s`);
    }
  });

  test("the paths between the hosts are proven", async () => {
    await until("status says so", async () => {
      const { stdout } = await cluster.weft("status");
      return /, 1 of 1 path proven/.test(stdout);
    });
  });
}
