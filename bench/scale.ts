// What do many endpoints on one host cost? Attaches 900 workloads to a local network, one after the other, then a
// hundred more at once, and compares the last hundred of the 900 with the first. Part of the growth is the kernel's: a
// new port's first packets are flooded to every other port of the bridge. So the same ports are also made by `ip`, on a
// bridge of their own. A Linux bridge has at most 1,023 ports, so this is as many as one can hold.
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type Cluster, call, must } from "../test/netns/lab/cluster.ts";
import { addNamespace, ip, pathOf, withCluster } from "./lab/lab.ts";
import { cellsOf, quantilesOf, show } from "./lab/report.ts";

const HOST = "h1";
const ENDPOINTS = 900;
const EDGE = 100;

async function attachMs(cluster: Cluster, netns: string): Promise<number> {
  const startedMs = performance.now();
  const request = { network: "many", netns: pathOf(netns) };
  const { status, body } = await call(cluster.agentSocket(HOST), "POST", "/v1/attachments", request);
  if (status !== 201) throw new Error(`attach: ${status} ${JSON.stringify(body)}\n${cluster.log(HOST)}`);
  return performance.now() - startedMs;
}

/**
 * Milliseconds per port that `ip` takes for ports `from`…`to` of a bridge, their far ends up in one other namespace.
 */
async function byHandMs(
  cluster: Cluster,
  { bridge, far }: { readonly bridge: string; readonly far: string },
  from: number,
  to: number,
): Promise<number> {
  const numbers = Array.from({ length: to - from }, (_, i) => from + i);
  const queues = "numtxqueues 1 numrxqueues 1";
  const pairs = numbers.map(
    (n) => `link add v${n} up master br0 ${queues} type veth peer name p${n} ${queues} netns ${far}\n`,
  );
  const ups = numbers.map((n) => `link set p${n} up\n`);
  const [pairsFile, upsFile] = [join(cluster.folder, "pairs"), join(cluster.folder, "ups")];
  writeFileSync(pairsFile, pairs.join(""));
  writeFileSync(upsFile, ups.join(""));
  const startedMs = performance.now();
  await must("ip", "-n", bridge, "-batch", pairsFile);
  await must("ip", "-n", far, "-batch", upsFile);
  return (performance.now() - startedMs) / numbers.length;
}

/** What the kernel alone takes per port: for the first ones, and for the last. */
async function growthByHand(cluster: Cluster): Promise<{ readonly first: number; readonly last: number }> {
  const bridge = await addNamespace(cluster, "hand");
  const far = await addNamespace(cluster, "far");
  await ip(bridge, ["link add br0 address 02:00:00:00:00:01 type bridge", "link set br0 up"]);
  const first = await byHandMs(cluster, { bridge, far }, 0, EDGE);
  await byHandMs(cluster, { bridge, far }, EDGE, ENDPOINTS - EDGE);
  return { first, last: await byHandMs(cluster, { bridge, far }, ENDPOINTS - EDGE, ENDPOINTS) };
}

/** Resident memory of the agent in MB. */
async function agentMb(cluster: Cluster): Promise<number> {
  const status = readFileSync(`/proc/${cluster.pidOf(HOST)}/status`, "utf8");
  return Number(/^VmRSS:\s+(\d+)/m.exec(status)?.[1]) / 1024;
}

await withCluster(1, async (cluster) => {
  const byHand = await growthByHand(cluster);
  const subnets = [{ cidr: "10.95.0.0/16", hostPrefix: 20 }];
  await cluster.api("PUT", "/v1/networks/many", { spec: { ipam: "local", subnets } });
  await cluster.converged();
  const workloads: string[] = [];
  for (let i = 0; i < ENDPOINTS + EDGE; i++) workloads.push(await cluster.addWorkloadNetns(`w${i}`));
  const beforeMb = await agentMb(cluster);
  const times: number[] = [];
  for (const netns of workloads.slice(0, ENDPOINTS)) times.push(await attachMs(cluster, netns));
  const startedMs = performance.now();
  await Promise.all(workloads.slice(ENDPOINTS).map((netns) => attachMs(cluster, netns)));
  const atOnceMs = performance.now() - startedMs;
  await cluster.converged();
  const [first, last] = [quantilesOf(times.slice(0, EDGE)), quantilesOf(times.slice(-EDGE))];
  const afterMb = await agentMb(cluster);
  const ratio = { lastToFirst: last.p50 / first.p50, byHandLastToFirst: byHand.last / byHand.first };
  show(
    {
      bench: "scale",
      values: { first, last, byHand, ratio, atOnceMs, beforeMb, afterMb },
      columns: ["ms", "p50", "p90", "p99", "by hand, mean"],
      rows: [
        [`the first ${EDGE} of ${ENDPOINTS} attaches`, ...cellsOf(first), byHand.first],
        [`the last ${EDGE}`, ...cellsOf(last), byHand.last],
      ],
      notes: [
        `Last to first: ${ratio.lastToFirst.toFixed(2)}, by hand ${ratio.byHandLastToFirst.toFixed(2)}. ` +
          `${EDGE} more at once: ${atOnceMs.toFixed(0)} ms.`,
        `Memory of the agent: ${beforeMb.toFixed(0)} MB before, ${afterMb.toFixed(0)} MB after.`,
      ],
    },
    process.argv,
  );
});
