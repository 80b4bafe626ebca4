// The main job on the real kernel: three hosts, real processes, real packets.
import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { setTimeout } from "node:timers/promises";
import { isDeepStrictEqual } from "node:util";
import { PATHS_VNI } from "../../src/model/paths.ts";
import { whyNoKernelTests } from "../runner/machine.ts";
import { call, Cluster, must, OUTSIDE, packetsAt, run, until, type Json, type Workload } from "./lab/cluster.ts";
import { pinging, stopPinging } from "./lab/pinging.ts";

/** Tunnel packets between hosts, the hosts' own packets, and what IPv6 says on any link. */
const ON_THE_WIRE = new RegExp(
  ["172\\.31\\.77\\.", "Request who-has 172\\.31", "Reply 172\\.31", "fe80::", ":: > "]
    .map((start) => `^${start}`)
    .join("|"),
);
const EXAMPLE = join(import.meta.dirname, "../../examples/dcos.yaml");

describe("a cluster of three hosts", { skip: whyNoKernelTests() ?? false }, () => {
  const cluster = new Cluster(3);
  const workloads = new Map<string, Workload[]>();
  const of = (network: string) => workloads.get(network) ?? assert.fail(`nothing is attached to ${network}`);
  const everyPair = async (network: string) => {
    for (const a of of(network))
      for (const b of of(network))
        if (a !== b)
          for (const ip of b.addresses) assert(await cluster.reaches(a, ip), `${a.endpoint} -> ${b.endpoint} ${ip}`);
  };

  before(() => cluster.open());
  after(async () => {
    stopPinging();
    await cluster.close();
  });

  test("a DC/OS configuration becomes networks, and workloads on every host reach each other", async () => {
    const imported = await cluster.weft("import", "dcos", EXAMPLE);
    assert.equal(imported.code, 0, imported.stderr);
    await cluster.converged();
    for (const network of ["dcos", "dcos-1"]) {
      workloads.set(
        network,
        await Promise.all(cluster.hosts.map((host) => cluster.attach(host, network, `${network}-${host}`))),
      );
    }
    await cluster.converged();
    await everyPair("dcos");
    await everyPair("dcos-1");
  });

  test("a switched network is made live, with both families on one segment", async () => {
    const { status, body } = await cluster.api("PUT", "/v1/networks/blue", {
      spec: { subnets: [{ cidr: "10.7.0.0/16" }, { cidr: "fd07::/64" }], ipam: "global" },
    });
    assert.equal(status, 201, JSON.stringify(body));
    await cluster.converged();
    workloads.set("blue", await Promise.all(cluster.hosts.map((host) => cluster.attach(host, "blue", `blue-${host}`))));
    await cluster.converged();
    assert.deepEqual(
      of("blue").map((w) => w.addresses.length),
      [2, 2, 2],
    );
    await everyPair("blue");
  });

  test("a dual-stack network is routed, too", async () => {
    const spec = {
      subnets: [
        { cidr: "10.8.0.0/16", hostPrefix: 24 },
        { cidr: "fd08::/56", hostPrefix: 64 },
      ],
    };
    assert.equal((await cluster.api("PUT", "/v1/networks/green", { spec })).status, 201);
    await cluster.converged();
    workloads.set(
      "green",
      await Promise.all(cluster.hosts.map((host) => cluster.attach(host, "green", `green-${host}`))),
    );
    await cluster.converged();
    await everyPair("green");
  });

  test("nobody reaches another VRF, not even a tenant with the same addresses", async () => {
    assert.equal(
      (await cluster.api("PUT", "/v1/networks/red", { spec: { subnets: [{ cidr: "10.7.0.0/16" }], ipam: "global" } }))
        .status,
      201,
    );
    await cluster.converged();
    const [first, , third] = cluster.hosts;
    workloads.set("red", [
      await cluster.attach(first ?? "", "red", "red-a"),
      await cluster.attach(third ?? "", "red", "red-b"),
    ]);
    await cluster.converged();
    await everyPair("red");
    const blue = new Set(of("blue").flatMap((w) => w.addresses));
    for (const { addresses } of of("red")) assert(blue.has(addresses[0] ?? ""), "both tenants use the same addresses");
    const red = new Set(of("red").flatMap((w) => w.addresses));
    const blueOnly = [...blue].find((ip) => ip.startsWith("10.") && !red.has(ip)) ?? "";
    assert.equal(await cluster.pings(of("red")[0] ?? "", blueOnly), false);
    for (const [from, to] of [
      ["dcos", "blue"],
      ["blue", "dcos"],
      ["green", "dcos"],
      ["red", "green"],
    ] as const) {
      const target = of(to)[1]?.addresses[0] ?? "";
      assert.equal(await cluster.pings(of(from)[0] ?? "", target), false, `${from} -> ${to}`);
    }
  });

  test("networks of one VRF route to each other without masquerade; the outside sees the host", async () => {
    const [a] = of("dcos");
    const b = of("dcos-1")[1];
    assert(a !== undefined && b !== undefined);
    const seen = await packetsAt(b.netns, "eth0", "icmp", () => cluster.pings(a, b.addresses[0] ?? "", 2));
    assert.match(seen, new RegExp(`${a.addresses[0]} > ${b.addresses[0]}`));
    const outside = await packetsAt(cluster.wire, "lan", `icmp and host ${OUTSIDE}`, () =>
      cluster.pings(a, OUTSIDE, 2),
    );
    assert.match(outside, new RegExp(`${cluster.underlayOf(a.host)} > ${OUTSIDE}`));
    assert.doesNotMatch(outside, / 9\.|169\.254/);
    // A switched network reaches the outside through its gateway.
    await cluster.reaches(of("blue")[0] ?? "", OUTSIDE);
  });

  test("the wire carries VXLAN with the right VNI and port, and nothing of the overlays in the clear", async () => {
    const seen = await packetsAt(cluster.wire, "lan", "not tcp", async () => {
      await everyPair("dcos");
      await everyPair("blue");
    });
    const { body } = await cluster.api("GET", "/v1/networks/blue");
    const vnis = new Set([...seen.matchAll(/VXLAN, flags \[I\] \(0x08\), vni (\d+)/g)].map((m) => Number(m[1])));
    assert(vnis.has(body.spec.vni) && vnis.has(1024), "both networks' packets are there");
    // Other networks may say something on their own at any moment (IPv6 does), in their own VNI.
    const vrfs = (await cluster.api("GET", "/v1/vrfs")).body.items.map((v: Json) => v.spec.vni);
    const networks = (await cluster.api("GET", "/v1/networks")).body.items.map((n: Json) => n.spec.vni);
    for (const vni of vnis) assert([...vrfs, ...networks, PATHS_VNI].includes(vni), `VNI ${vni}`);
    const outer = [...seen.matchAll(/^\d\d:\S+ (?:IP6?|ARP),? (.*)$/gm)].map((m) => m[1] ?? "");
    assert(outer.length > 20);
    for (const line of outer) assert.match(line, ON_THE_WIRE, line);
    // An unallocated address of a network is refused on the spot instead of leaking to the underlay.
    const leaked = await packetsAt(cluster.wire, "lan", "net 9.0.0.0/8", () =>
      cluster.pings(of("dcos")[0] ?? "", "9.200.0.9"),
    );
    assert.equal(leaked, "");
  });

  test("the host's connection tracking holds no tunnels", async () => {
    const tracked = (host: string) =>
      must("nsenter", `--net=/run/netns/${cluster.netnsOf(host)}`, "cat", "/proc/net/nf_conntrack");
    for (const host of cluster.hosts) {
      // A member may have its rules earlier than this host. A packet that it sends then is tracked for 30 s
      // (`nf_conntrack_udp_timeout`). With traffic all the time, the entry of a tracked tunnel would not go.
      const tracksNone = async () => {
        await everyPair("dcos");
        return !/dport=4789\b/.test(await tracked(host));
      };
      await until(`${host} tracks no tunnel`, tracksNone, 45_000);
      assert.match(await tracked(host), /dport=7474/, "it tracks what else there is");
    }
  });

  test("only member hosts may send to the tunnel port", async () => {
    const [target] = of("dcos");
    assert(target !== undefined);
    await cluster.addHost("h9");
    const rogue = cluster.netnsOf("h9");
    for (const words of [
      ["link", "add", "vx", "type", "vxlan", "id", "1024", "local", cluster.underlayOf("h9"), "dstport", "4789"],
      ["link", "set", "vx", "up"],
      ["addr", "add", "44.128.9.9/20", "dev", "vx"],
      ["route", "add", `${target.addresses[0]}/32`, "via", "44.128.0.1", "dev", "vx", "onlink"],
      ["neigh", "add", "44.128.0.1", "lladdr", "70:b3:d5:80:00:01", "dev", "vx"],
    ])
      await must("ip", "-n", rogue, ...words);
    await must(
      "bridge",
      "-n",
      rogue,
      "fdb",
      "append",
      "70:b3:d5:80:00:01",
      "dev",
      "vx",
      "dst",
      cluster.underlayOf(target.host),
    );
    const inside = cluster.vrfNetns(target.host, "dcos");
    const seen = await packetsAt(inside, "vtep1024", "icmp", () => cluster.pings(rogue, target.addresses[0] ?? "", 3));
    assert.equal(seen, "");
  });

  test("drift is repaired: links, routes, entries, addresses and rules that somebody removed", async () => {
    const [a, b] = of("dcos");
    assert(a !== undefined && b !== undefined);
    const ns = cluster.vrfNetns(a.host, "dcos");
    const repairs = async () =>
      (await cluster.status()).hosts.find((h) => h.host === a.host)?.status?.driftRepaired ?? 0;
    const port = (await must("ip", "-n", ns, "-br", "link", "show", "master", "m-dcos")).split(/[@ ]/)[0] ?? "";
    for (const damage of [
      ["ip", "-n", ns, "route", "flush", "proto", "87"],
      ["ip", "-n", ns, "neigh", "flush", "nud", "permanent", "dev", "vtep1024"],
      ["ip", "-n", ns, "link", "delete", "vtep1024"],
      ["ip", "-n", ns, "address", "flush", "dev", "m-dcos"],
      ["ip", "-n", ns, "link", "set", "m-dcos", "down"],
      ["ip", "-n", ns, "link", "delete", port],
      ["ip", "-n", a.netns, "route", "delete", "default"],
      ["ip", "netns", "exec", ns, "nft", "flush", "chain", "inet", "weft", "postrouting"],
      ["ip", "netns", "exec", ns, "nft", "delete", "table", "inet", "weft"],
    ]) {
      const before = await repairs();
      await must(...damage);
      // Nobody tells the agent about a workload's own namespace, or may: it looks within its period of 30 s.
      await until(
        `repair of: ${damage.join(" ")}`,
        async () => (await repairs()) > before && (await cluster.pings(a, b.addresses[0] ?? "")),
        45_000,
      );
    }
    assert(await cluster.reaches(a, OUTSIDE));
  });

  test("kill -9 of an agent loses no packet, and its restart changes nothing", async () => {
    const [a, b] = of("dcos");
    assert(a !== undefined && b !== undefined);
    // What the tests before did to a bridge settles by itself: its state, its link-local address.
    const before = await until("the kernel is at rest", async () => {
      const first = await snapshotOfKernel(cluster, a.host);
      await setTimeout(500);
      return isDeepStrictEqual(first, await snapshotOfKernel(cluster, a.host)) && first;
    });
    const stop = pinging(a.netns, b.addresses[0] ?? "");
    const logged = cluster.log(a.host).length;
    await cluster.kill(a.host);
    await cluster.startAgent(a.host);
    await cluster.converged();
    assert.equal(await stop(), 0, "no ping is lost until the new agent has made its first round");
    const now = await snapshotOfKernel(cluster, a.host);
    assert.deepEqual(
      now.filter((line) => !before.includes(line)),
      [],
      "nothing was made anew",
    );
    assert.deepEqual(
      before.filter((line) => !now.includes(line)),
      [],
      "nothing went",
    );
    const { status } = (await cluster.status()).hosts.find((h) => h.host === a.host) ?? assert.fail();
    assert.equal(status?.driftRepaired, 0);
    assert.doesNotMatch(cluster.log(a.host).slice(logged), / round /, "the new agent's rounds apply nothing");
  });

  test("without the server: traffic flows, local networks work, global ones refuse; then all is told", async () => {
    await cluster.kill("server");
    await everyPair("dcos-1");
    const extra = await cluster.attach("h2", "dcos", "while-away");
    assert(await cluster.reaches(extra, of("dcos")[0]?.addresses[0] ?? ""));
    const gone = of("dcos-1").pop() ?? assert.fail();
    assert.equal(
      (await call(cluster.agentSocket(gone.host), "DELETE", `/v1/attachments/${gone.endpoint}`)).status,
      204,
    );
    await assert.rejects(cluster.attach("h2", "blue", "blue-away"), /unavailable/);
    // An agent that starts now has only its disk.
    await cluster.kill("h2");
    await cluster.startAgent("h2");
    assert(await cluster.reaches(extra, of("dcos")[0]?.addresses[0] ?? ""));
    await cluster.startServer();
    await until("the server knows what happened meanwhile", async () => {
      const names: string[] = (await cluster.api("GET", "/v1/endpoints")).body.items.map(
        (e: { name: string }) => e.name,
      );
      return names.includes(extra.endpoint) && !names.includes(gone.endpoint);
    });
    await cluster.converged();
    await everyPair("blue");
  });

  test("kill -9 of the server loses no acknowledged write", async () => {
    const acknowledged: string[] = [];
    for (let round = 0; round < 3; round++) {
      const writes = Array.from({ length: 20 }, async (_, i) => {
        const name = `n-${round}-${i}`;
        const answer = await cluster
          .api("PUT", `/v1/networks/${name}`, {
            spec: {
              subnets: [{ cidr: `10.${100 + round}.${i}.0/24`, gateway: "none" }],
              ipam: "global",
              masquerade: false,
            },
          })
          .catch(() => undefined);
        if (answer?.status === 201) acknowledged.push(name);
      });
      await Promise.any([
        Promise.all(writes),
        until("some are acknowledged", async () => acknowledged.length > round * 5 + 2),
      ]);
      await cluster.kill("server");
      await Promise.all(writes);
      await cluster.startServer();
    }
    const names = new Set(
      (await cluster.api("GET", "/v1/networks?limit=1000")).body.items.map((n: { name: string }) => n.name),
    );
    assert(acknowledged.length > 0);
    for (const name of acknowledged) assert(names.has(name), `${name} was acknowledged`);
  });

  test("a network with endpoints is kept; with force it goes and leaves nothing in any kernel", async () => {
    const refused = await cluster.api("DELETE", "/v1/networks/blue");
    assert.equal(refused.status, 409);
    assert.equal(refused.body.reason, "in-use");
    assert(refused.body.blockers.includes("blue-h1.eth0"), JSON.stringify(refused.body));
    assert.equal((await cluster.api("DELETE", "/v1/networks/blue?force=true")).status, 200);
    await cluster.converged();
    for (const host of cluster.hosts) {
      const ns = cluster.vrfNetns(host, "blue");
      assert(!readdirSync("/run/netns").includes(ns), `${ns} is gone`);
      assert.doesNotMatch(await must("ip", "-n", cluster.netnsOf(host), "link"), /wu-blue/);
    }
    for (const { netns } of of("blue")) assert.doesNotMatch(await must("ip", "-n", netns, "link"), /eth0/);
    await everyPair("dcos");
  });

  test("a deleted host frees its blocks, and its peers forget it", async () => {
    await cluster.kill("h3");
    assert.equal((await cluster.api("DELETE", "/v1/hosts/h3?force=true")).status, 200);
    await cluster.converged(["h1", "h2"]);
    const blocks = (await cluster.api("GET", "/v1/blocks?limit=1000")).body.items.map(
      (b: { spec: { host: string } }) => b.spec.host,
    );
    assert(!blocks.includes("h3"));
    const ns = cluster.vrfNetns("h1", "dcos");
    for (const text of [
      await must("ip", "-n", ns, "route"),
      await must("ip", "-n", ns, "neigh"),
      await must("bridge", "-n", ns, "fdb"),
    ])
      assert.doesNotMatch(text, /44\.128\.0\.3|172\.31\.77\.13/);
    assert.doesNotMatch(
      await must("ip", "netns", "exec", cluster.netnsOf("h1"), "nft", "list", "table", "inet", "weft"),
      /172\.31\.77\.13/,
    );
  });

  test("when everything is deleted, the kernels hold nothing of Weft", async () => {
    for (const { name } of (await cluster.api("GET", "/v1/networks?limit=1000")).body.items)
      assert.equal((await cluster.api("DELETE", `/v1/networks/${name}?force=true`)).status, 200, name);
    await cluster.converged(["h1", "h2"]);
    for (const host of ["h1", "h2"]) {
      const netns = cluster.netnsOf(host);
      assert.deepEqual(
        readdirSync("/run/netns").filter((name) => name.startsWith(`${netns}-`)),
        [],
      );
      assert.equal((await run("ip", "netns", "exec", netns, "nft", "list", "ruleset")).stdout.trim(), "");
      assert.deepEqual(
        (await must("ip", "-n", netns, "-br", "link"))
          .trim()
          .split("\n")
          .map((line) => line.split(/[@ ]/)[0]),
        ["lo", "eth0"],
      );
      assert.equal((await must("ip", "-n", netns, "route", "show", "proto", "87")).trim(), "");
    }
  });
});

/**
 * Everything of Weft in a host's kernel, interface indexes included: an object that was made anew shows. Without the
 * elements of sets (-t): packets fill some of them, and the agent watches the others.
 */
async function snapshotOfKernel(cluster: Cluster, host: string): Promise<string[]> {
  const netns = cluster.netnsOf(host);
  const parts = [
    await must("ip", "-n", netns, "link"),
    await must("ip", "netns", "exec", netns, "nft", "-a", "-t", "list", "ruleset"),
  ];
  for (const vrf of ["dcos", "blue"]) {
    const ns = cluster.vrfNetns(host, vrf);
    parts.push(
      await must("ip", "-n", ns, "-d", "link"),
      await must("ip", "-n", ns, "address"),
      await must("ip", "-n", ns, "route"),
      await must("bridge", "-n", ns, "fdb"),
      await must("ip", "netns", "exec", ns, "nft", "-a", "-t", "list", "ruleset"),
    );
  }
  // Timers count down, and what is learned moves by itself.
  return parts
    .join("\n")
    .split("\n")
    .filter((line) => !/ (REACHABLE|STALE|DELAY)$|_timer|extern_learn$/.test(line))
    .map((line) => line.replaceAll(/ +/g, " ").trim());
}
