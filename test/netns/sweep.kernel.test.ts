// The kernel has one neighbour table for all namespaces of a machine, and a workload can fill it. The neighbours that a
// host needs for its peers and its server stay known, and are restored when another program removes them, while the
// table is full.
import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { whyNoKernelTests } from "../runner/machine.ts";
import { BOTH_DATAPATHS, Cluster, must, run, until, type Workload } from "./lab/cluster.ts";

const LIMIT = "/proc/sys/net/ipv4/neigh/default/gc_thresh3";
const SERVER = "172.31.77.1";
/** More takes long to fill. */
const LIMIT_MOST = 70_000;

describe("a workload that sweeps addresses", { skip: whyNoKernelTests() ?? false }, () => {
  const cluster = new Cluster(2);
  const workloads = new Map<string, Workload>();
  const of = (name: string) => workloads.get(name) ?? assert.fail(`${name} is not attached`);
  const keptBy = async (host: string) => {
    const shown = await must("ip", "-n", cluster.netnsOf(host), "-d", "neigh", "show", "dev", "eth0");
    return shown
      .split("\n")
      .flatMap((line) => (/ managed extern_learn /.test(line) ? line.split(" ", 1) : []))
      .sort();
  };
  const ways = { h1: [SERVER, cluster.underlayOf("h2")], h2: [SERVER, cluster.underlayOf("h1")] };

  before(async () => {
    await cluster.open();
    assert((await cluster.api("PUT", "/v1/networks/switched", { spec: BOTH_DATAPATHS.switched })).status < 300);
    await cluster.converged();
    for (const [name, host] of [
      ["a", "h1"],
      ["b", "h2"],
      ["sweeper", "h1"],
    ] as const)
      workloads.set(name, await cluster.attach(host, "switched", name));
    await cluster.converged();
  });
  after(() => cluster.close());

  test("next hops are kept by the kernel", async () => {
    for (const [host, wanted] of Object.entries(ways))
      await until(`${host} keeps ${wanted.join()}`, async () => (await keptBy(host)).join() === wanted.join());
  });

  test("peers reach each other while the table is full, also when their neighbours are removed", async (t) => {
    const limit = Number(readFileSync(LIMIT, "utf8"));
    if (limit > LIMIT_MOST) return t.skip(`${LIMIT} is ${limit}`);
    await cluster.reaches(of("a"), of("b").addresses[0] ?? "");
    const file = join(cluster.folder, "sweep");
    const lines = Array.from({ length: limit + 100 }, (_, n) => `neigh replace 10.7.${100 + (n >> 8)}.${n & 255}`);
    writeFileSync(file, lines.map((line) => `${line} lladdr 02:00:00:00:00:01 dev eth0 nud stale\n`).join(""));
    const sweep = () => run("ip", "-n", of("sweeper").netns, "-force", "-batch", file);
    try {
      assert.match((await sweep()).stderr, /No buffer space available/);
      for (const [host, [, peer = ""]] of Object.entries(ways))
        await run("ip", "-n", cluster.netnsOf(host), "neigh", "del", peer, "dev", "eth0");
      await until(
        "a reaches b",
        async () => {
          await sweep();
          return cluster.pings(of("a"), of("b").addresses[0] ?? "");
        },
        5_000,
      );
    } finally {
      await must("ip", "-n", of("sweeper").netns, "neigh", "flush", "dev", "eth0");
    }
  });

  test("a neighbour that an administrator has fixed stays theirs, and purge takes ours alone", async () => {
    const netns = cluster.netnsOf("h1");
    const lan = /link\/ether (\S+)/.exec(await must("ip", "-n", cluster.wire, "link", "show", "lan"))?.[1] ?? "";
    await must("ip", "-n", netns, "neigh", "replace", SERVER, "lladdr", lan, "dev", "eth0", "nud", "permanent");
    await cluster.kill("h1", "SIGTERM");
    await cluster.startAgent("h1");
    await cluster.converged();
    await until("it is let alone", async () => (await keptBy("h1")).join() === cluster.underlayOf("h2"));
    await cluster.kill("h1", "SIGTERM");
    const state = join(cluster.folder, "h1");
    const purge = ["purge", "--yes", `--state-dir=${state}`, `--socket=${join(state, "agent.sock")}`];
    const weft = join(import.meta.dirname, "../../bin/weft");
    await must("nsenter", `--net=/run/netns/${netns}`, weft, ...purge, `--netns-prefix=${netns}-`);
    assert.deepEqual(await keptBy("h1"), []);
    assert.match(await must("ip", "-n", netns, "neigh", "show", SERVER), /PERMANENT/);
  });
});
