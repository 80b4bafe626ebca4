// Does traffic across two hosts pay for Weft? One TCP stream and the round trip, over a routed and a switched network
// of Weft and over the same networks made by hand with `ip`, in turns, between the same two hosts. A ratio is the
// median of the ratios of neighbouring samples, so that a machine that gets slower or faster meanwhile does not matter.
import type { Cluster } from "../test/netns/cluster.ts";
import { handmadeRouted, handmadeSwitched, type Pair } from "./lab/handmade.ts";
import { pathOf, withCluster } from "./lab/lab.ts";
import { median, show } from "./lab/report.ts";
import { gigabits, roundTripUs } from "./lab/traffic.ts";

const ROUNDS = 7;
const SECONDS = 2;
const PINGS = 200;
const TARGET = 0.97;

type Kind = "routed" | "switched";
type Samples = { weftGbit: number[]; handGbit: number[]; weftRttUs: number[]; handRttUs: number[] };

const NETWORKS = {
  routed: { ipam: "local", subnets: [{ cidr: "10.91.0.0/16", hostPrefix: 24 }] },
  switched: { ipam: "global", subnets: [{ cidr: "10.92.0.0/16" }] },
} as const;

/** A workload on each of the two hosts, attached to a network of Weft. */
async function weftPair(cluster: Cluster, kind: Kind): Promise<Pair> {
  const { status, body } = await cluster.api("PUT", `/v1/networks/${kind}`, { spec: NETWORKS[kind] });
  if (status >= 300) throw new Error(`network ${kind}: ${status} ${JSON.stringify(body)}`);
  await cluster.converged();
  const from = await cluster.attach("h1", kind, `${kind}1`);
  const to = await cluster.attach("h2", kind, `${kind}2`);
  await cluster.converged();
  return { from: pathOf(from.netns), to: pathOf(to.netns), address: to.addresses[0] ?? "" };
}

async function compare(weft: Pair, hand: Pair): Promise<Samples> {
  const samples: Samples = { weftGbit: [], handGbit: [], weftRttUs: [], handRttUs: [] };
  // The first stream after the devices were made is slower, whoever made them.
  await gigabits(weft, 1);
  await gigabits(hand, 1);
  for (let round = 0; round < ROUNDS; round++) {
    const order = round % 2 === 0 ? (["weft", "hand"] as const) : (["hand", "weft"] as const);
    for (const who of order) {
      const pair = who === "weft" ? weft : hand;
      samples[`${who}Gbit`].push(await gigabits(pair, SECONDS));
      samples[`${who}RttUs`].push(await roundTripUs(pair, PINGS));
    }
  }
  return samples;
}

function ratio(ours: readonly number[], theirs: readonly number[]): number {
  return median(ours.map((value, i) => value / (theirs[i] ?? Number.NaN)));
}

function summary(samples: Samples) {
  return {
    weftGbit: median(samples.weftGbit),
    handGbit: median(samples.handGbit),
    weftRttUs: median(samples.weftRttUs),
    handRttUs: median(samples.handRttUs),
    ratioGbit: ratio(samples.weftGbit, samples.handGbit),
    ratioRtt: ratio(samples.weftRttUs, samples.handRttUs),
  };
}

await withCluster(2, async (cluster) => {
  const routed = summary(await compare(await weftPair(cluster, "routed"), await handmadeRouted(cluster)));
  const switched = summary(await compare(await weftPair(cluster, "switched"), await handmadeSwitched(cluster)));
  const row = (name: string, of: typeof routed) =>
    [name, of.weftGbit, of.handGbit, of.ratioGbit, of.weftRttUs, of.handRttUs, of.ratioRtt] as const;
  const values = { routed, switched, ratio: { routed: routed.ratioGbit, switched: switched.ratioGbit } };
  show(
    {
      bench: "throughput",
      values,
      columns: ["", "Weft Gbit/s", "by hand", "ratio", "Weft RTT µs", "by hand", "ratio"],
      rows: [row("routed (ipam: local)", routed), row("switched (ipam: global)", switched)],
      notes: [`${ROUNDS} pairs of ${SECONDS} s each, in turns. Target: a throughput ratio of at least ${TARGET}.`],
    },
    process.argv,
  );
});
