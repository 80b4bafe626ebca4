// Does traffic across two hosts pay for Weft? One TCP stream and the round trip, over a routed and a switched network
// of Weft and over the same networks made by hand with `ip`, in turns: Weft's between two hosts that run it, the others
// between two that do not. Those made by hand have no spoofing filters and no way out, so the same settings are those
// of an open network; what the usual ones cost is told beside it. A ratio is the median of the ratios of neighbouring
// samples, so that a machine that gets slower or faster meanwhile does not matter.
import type { Cluster } from "../test/netns/lab/cluster.ts";
import { addBareHosts, handmadeRouted, handmadeSwitched, type Pair } from "./lab/handmade.ts";
import { pathOf, withCluster } from "./lab/lab.ts";
import { median, show } from "./lab/report.ts";
import { gigabits, roundTripUs } from "./lab/traffic.ts";

const ROUNDS = 11;
const SECONDS = 2;
const PINGS = 200;
const TARGET = 0.97;

type Kind = "routed" | "switched";
type Settings = "open" | "usual";
type Samples = { weftGbit: number[]; handGbit: number[]; weftRttUs: number[]; handRttUs: number[] };

const ANYTHING = { mac: true, ip: true, dhcpServer: true, routerAdvertisements: true, broadcasts: true };
const OPEN = { masquerade: false, spoofing: ANYTHING } as const;
const ROUTED = { ipam: "local" } as const;
const SWITCHED = { ipam: "global" } as const;
const NETWORKS: Readonly<Record<Settings, Readonly<Record<Kind, object>>>> = {
  open: {
    routed: { ...ROUTED, ...OPEN, subnets: [{ cidr: "10.89.0.0/16", hostPrefix: 24 }] },
    switched: { ...SWITCHED, ...OPEN, subnets: [{ cidr: "10.90.0.0/16" }] },
  },
  usual: {
    routed: { ...ROUTED, subnets: [{ cidr: "10.91.0.0/16", hostPrefix: 24 }] },
    switched: { ...SWITCHED, subnets: [{ cidr: "10.92.0.0/16" }] },
  },
};

/** A workload on each of the two hosts, attached to a network of Weft. */
async function weftPair(cluster: Cluster, settings: Settings, kind: Kind): Promise<Pair> {
  const name = `${settings}-${kind}`;
  const { status, body } = await cluster.api("PUT", `/v1/networks/${name}`, { spec: NETWORKS[settings][kind] });
  if (status >= 300) throw new Error(`network ${name}: ${status} ${JSON.stringify(body)}`);
  await cluster.converged();
  const from = await cluster.attach("h1", name, `${name}1`);
  const to = await cluster.attach("h2", name, `${name}2`);
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
  await addBareHosts(cluster);
  const hand = { routed: await handmadeRouted(cluster), switched: await handmadeSwitched(cluster) };
  const measure = async (settings: Settings, kind: Kind) =>
    summary(await compare(await weftPair(cluster, settings, kind), hand[kind]));
  // Open ones first: with the first uplink, hosts begin to track connections.
  const open = { routed: await measure("open", "routed"), switched: await measure("open", "switched") };
  const usual = { routed: await measure("usual", "routed"), switched: await measure("usual", "switched") };
  const row = (name: string, of: ReturnType<typeof summary>) =>
    [name, of.weftGbit, of.handGbit, of.ratioGbit, of.weftRttUs, of.handRttUs, of.ratioRtt] as const;
  show(
    {
      bench: "throughput",
      values: {
        ratio: { routed: open.routed.ratioGbit, switched: open.switched.ratioGbit },
        usualRatio: { routed: usual.routed.ratioGbit, switched: usual.switched.ratioGbit },
        ...open,
        usualRouted: usual.routed,
        usualSwitched: usual.switched,
      },
      columns: ["", "Weft Gbit/s", "by hand", "ratio", "Weft RTT µs", "by hand", "ratio"],
      rows: [
        row("routed, same settings", open.routed),
        row("switched, same settings", open.switched),
        row("routed, usual settings", usual.routed),
        row("switched, usual settings", usual.switched),
      ],
      notes: [
        `${ROUNDS} pairs of ${SECONDS} s each, in turns. Target: a ratio of at least ${TARGET} with the same settings.`,
        "Usual settings have spoofing filters and masquerade; by hand there are neither.",
      ],
    },
    process.argv,
  );
});
