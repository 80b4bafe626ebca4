// Does anything leak when containers come and go and processes are killed? Ten thousand ADD and DEL pairs by CNI, half
// in a local and half in a global network, with random kills of shims, of the agent, and of namespaces before their
// DEL. Afterwards journal, server, kernel and `weft ipam check` must agree that nothing is left, and no address was
// given twice. In the environment: WEFT_PAIRS, WEFT_SEED.
import { agreed } from "../test/netns/lab/inventory.ts";
import { soak } from "../test/netns/lab/soak.ts";
import { randomFrom } from "../test/sim/lab/clock.ts";
import { withCluster } from "./lab/lab.ts";
import { show } from "./lab/report.ts";

const HOST = "h1";
const pairs = Number(process.env["WEFT_PAIRS"] ?? 10_000);
const seed = Number(process.env["WEFT_SEED"] ?? Date.now() % 1_000_000);
const NETWORKS = {
  local: { ipam: "local", subnets: [{ cidr: "10.93.0.0/16", hostPrefix: 24 }] },
  global: { ipam: "global", subnets: [{ cidr: "10.94.0.0/16" }] },
} as const;

await withCluster(1, async (cluster) => {
  for (const [name, spec] of Object.entries(NETWORKS)) await cluster.api("PUT", `/v1/networks/${name}`, { spec });
  await cluster.converged();
  const random = randomFrom(seed);
  const rows: (string | number)[][] = [];
  const values = { pairs: 0, shimsKilled: 0, agentsKilled: 0, failures: 0, left: 0 };
  for (const network of Object.keys(NETWORKS)) {
    const options = { host: HOST, network, pairs: pairs / 2, workers: 12, agentLifeMs: 2500 };
    const soaked = await soak(cluster, { ...options, random: () => random(1_000_000) / 1_000_000 });
    for (const failure of soaked.failures) console.error(failure);
    const left = await agreed(cluster, HOST);
    rows.push([network, soaked.pairs, soaked.shimsKilled, soaked.agentsKilled, soaked.failures.length, left.length]);
    values.pairs += soaked.pairs;
    values.shimsKilled += soaked.shimsKilled;
    values.agentsKilled += soaked.agentsKilled;
    values.failures += soaked.failures.length;
    values.left += left.length;
  }
  const columns = ["network", "pairs", "shims killed", "agents killed", "failures", "left over"];
  show({ bench: "soak", values, columns, rows, notes: [`Seed ${seed}.`] }, process.argv);
  if (values.failures + values.left > 0) process.exitCode = 1;
});
