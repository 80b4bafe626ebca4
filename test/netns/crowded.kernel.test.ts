// Root in a workload fills its namespace with more than an observation reads: the agent takes no longer for it than for
// others.
import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { whyNoKernelTests } from "../runner/machine.ts";
import { BOTH_DATAPATHS, Cluster, must, until, type Workload } from "./lab/cluster.ts";

/** With the mark of the agent's. */
const ROUTES = 12_000;
/** What the agent takes away of them in one round, and some for the rest. */
const ROUND = 5_000;

describe("a crowded workload", { skip: whyNoKernelTests() ?? false }, () => {
  const cluster = new Cluster(1);
  const workloads = new Map<string, Workload>();
  const of = (name: string) => workloads.get(name) ?? assert.fail(`${name} is not attached`);

  before(async () => {
    await cluster.open();
    const { status } = await cluster.api("PUT", "/v1/networks/flat", { spec: BOTH_DATAPATHS.switched });
    assert.equal(status, 201);
    await cluster.converged();
    for (const name of ["crowded", "victim"]) workloads.set(name, await cluster.attach("h1", "flat", name));
    await cluster.converged();
  });
  after(() => cluster.close());

  const batch = (name: string, lines: readonly string[]): string[] => {
    const path = join(cluster.folder, name);
    writeFileSync(path, `${lines.join("\n")}\n`);
    return ["ip", "-n", of("crowded").netns, "-force", "-batch", path];
  };
  const changes = async (mtu: number) => {
    const { code, stderr } = await cluster.weft("network", "edit", "flat", "--mtu", String(mtu), "--wait=40");
    assert.equal(code, 0, stderr);
    assert.match(await must("ip", "-n", of("victim").netns, "link", "show", "eth0"), new RegExp(`mtu ${mtu} `));
  };

  test("that has more routes like the agent's than it reads loses them, some in each round", async () => {
    const start = cluster.log("h1").length;
    const routes = Array.from(
      { length: ROUTES },
      (_, n) => `route add 198.18.${n >> 8}.${n & 255}/32 dev eth0 proto 87 metric 1024`,
    );
    await must(...batch("routes", routes));
    await must("ip", "-n", of("victim").netns, "link", "set", "eth0", "down");
    await changes(1380);
    const rounds = () =>
      [
        ...cluster
          .log("h1")
          .slice(start)
          .matchAll(/ ops=(\d+)/g),
      ].map(([, ops]) => Number(ops));
    await until("the agent takes them away", async () => Math.max(0, ...rounds()) > ROUND / 2, 60_000);
    assert(Math.max(...rounds()) < ROUND, `${Math.max(...rounds())} operations in one round`);
  });
});
