// What do many endpoints on one host cost? Attaches 900 workloads to a local network, one after the other, then a hundred
// more at once, and compares the last hundred of the 900 with the first: an attach must not get slower because others
// came before. Then the agent's memory. A Linux bridge has at most 1,023 ports, so this is as many as one can hold.
import { readFileSync } from "node:fs";
import { call, type Cluster } from "../test/netns/cluster.ts";
import { pathOf, withCluster } from "./lab/lab.ts";
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

/** Resident memory of the agent in MB. */
async function agentMb(cluster: Cluster): Promise<number> {
  const status = readFileSync(`/proc/${cluster.pidOf(HOST)}/status`, "utf8");
  return Number(/^VmRSS:\s+(\d+)/m.exec(status)?.[1]) / 1024;
}

await withCluster(1, async (cluster) => {
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
  const ratio = { lastToFirstP50: last.p50 / first.p50 };
  show(
    {
      bench: "scale",
      values: { first, last, ratio, atOnceMs, beforeMb, afterMb },
      columns: ["ms", "p50", "p90", "p99"],
      rows: [
        [`the first ${EDGE} of ${ENDPOINTS} attaches`, ...cellsOf(first)],
        [`the last ${EDGE}`, ...cellsOf(last)],
      ],
      notes: [
        `Last to first: ${ratio.lastToFirstP50.toFixed(2)}. ${EDGE} more at once: ${atOnceMs.toFixed(0)} ms.`,
        `Memory of the agent: ${beforeMb.toFixed(0)} MB before, ${afterMb.toFixed(0)} MB after.`,
      ],
    },
    process.argv,
  );
});
