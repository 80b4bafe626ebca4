// Does traffic across two hosts pay for Weft? One TCP stream and the round trip, for each driver, over a network of
// Weft's and over the same network made by hand, in turns: Weft's between two hosts that run it, the others between two
// that do not. By hand each is measured twice: with filters that promise the same (a port sends from its own MAC and
// address only, a tunnel takes packets from its peers only), which is what Weft is held against, and without any. A
// ratio is the median of the ratios of neighbouring samples, so that a machine that gets slower or faster meanwhile
// does not matter. What this machine's kernel lacks is measured in a guest (test/guest), whose figures are their own.
import { IS_GUEST } from "../test/guest/inGuest.ts";
import { whyNoGuests } from "../test/guest/files.ts";
import { runInGuest } from "../test/guest/machine.ts";
import * as hand from "./lab/handmade.ts";
import { pathOf, withCluster } from "./lab/lab.ts";
import { Plugged } from "./lab/plugged.ts";
import { median, medianRange, show } from "./lab/report.ts";
import { gigabits, roundTripUs } from "./lab/traffic.ts";

const ROUNDS = 15;
const SECONDS = 1.5;
const PINGS = 100;
const TARGET = 0.97;

const ANYTHING = { mac: true, ip: true, dhcpServer: true, routerAdvertisements: true, broadcasts: true };
const global = (n: number) => ({ ipam: "global", masquerade: false, subnets: [{ cidr: `10.${n}.0.0/16` }] });
const local = (n: number) => ({ ipam: "local", subnets: [{ cidr: `10.${n}.0.0/16`, hostPrefix: 24 }] });
const outside = (n: number) => ({ ipam: "global", subnets: [{ cidr: `10.${n}.0.0/16` }] });

type Row = { readonly spec: object; readonly byHand: keyof typeof BY_HAND };

const BY_HAND = {
  routed: hand.handmadeRouted,
  switched: hand.handmadeSwitched,
  multicast: hand.handmadeMulticast,
  bridge: hand.handmadeBridge,
  gre: hand.handmadeGre,
  vlan: hand.handmadeVlan,
  ovs: hand.handmadeOvs,
} as const;

const HERE: Readonly<Record<string, Row>> = {
  "vxlan routed": { spec: { ...local(80), masquerade: false }, byHand: "routed" },
  "vxlan switched": { spec: global(81), byHand: "switched" },
  "vxlan multicast": { spec: { ...global(82), peers: "multicast" }, byHand: "multicast" },
  bridge: { spec: { ...outside(83), driver: "bridge", parent: "lan0" }, byHand: "bridge" },
  "vxlan, any source": { spec: { ...global(84), spoofing: ANYTHING }, byHand: "switched" },
  // Last, because with the first way out hosts begin to track connections.
  "vxlan, way out": { spec: local(85), byHand: "routed" },
};

/** With a kernel that has all drivers. */
const IN_GUEST: Readonly<Record<string, Row>> = {
  "gre switched": { spec: { ...global(86), driver: "gre" }, byHand: "gre" },
  vlan: { spec: { ...outside(87), driver: "vlan", parent: "lan0", vlan: 87 }, byHand: "vlan" },
  ovs: { spec: { ...outside(88), driver: "ovs", parent: "lan1", vlan: 88 }, byHand: "ovs" },
};

type Who = "weft" | "guarded" | "bare";
type Samples = Readonly<Record<Who, { readonly gbit: number[]; readonly rttUs: number[] }>>;

/** A workload on each of the two hosts, attached to a network of Weft. */
async function weftPair(cluster: Plugged, name: string, spec: object): Promise<hand.Pair> {
  const network = `of-${name.replaceAll(/[^a-z]+/g, "-")}`;
  const { status, body } = await cluster.api("PUT", `/v1/networks/${network}`, { spec });
  if (status >= 300) throw new Error(`network ${network}: ${status} ${JSON.stringify(body)}`);
  await cluster.converged();
  const from = await cluster.attach("h1", network, `${network}1`);
  const to = await cluster.attach("h2", network, `${network}2`);
  await cluster.converged();
  await cluster.reaches(from, to.addresses[0] ?? "");
  return { from: pathOf(from.netns), to: pathOf(to.netns), address: to.addresses[0] ?? "" };
}

async function compare(weft: hand.Pair, byHand: hand.Handmade): Promise<Samples> {
  const none = () => ({ gbit: [], rttUs: [] });
  const samples: Samples = { weft: none(), guarded: none(), bare: none() };
  const order: Who[] = ["weft", "guarded", "bare"];
  // The first stream after the devices were made is slower, whoever made them.
  await gigabits(weft, 1);
  await gigabits(byHand, 1);
  for (let round = 0; round < ROUNDS; round++) {
    for (const who of order) {
      const pair = who === "weft" ? weft : byHand;
      if (who !== "weft") byHand.guards(who === "guarded");
      samples[who].gbit.push(await gigabits(pair, SECONDS));
      samples[who].rttUs.push(await roundTripUs(pair, PINGS));
    }
    order.push(order.shift() ?? "bare");
  }
  byHand.guards(false);
  return samples;
}

type Result = Readonly<
  Record<"weftGbit" | "guardedGbit" | "ratio" | "ratioLow" | "ratioHigh" | "ratioToBare" | "ratioRtt", number>
>;

function resultOf({ weft, guarded, bare }: Samples): Result {
  const ratios = (ours: readonly number[], theirs: readonly number[]) =>
    ours.map((value, i) => value / (theirs[i] ?? Number.NaN));
  const toGuarded = ratios(weft.gbit, guarded.gbit);
  const [ratioLow, ratioHigh] = medianRange(toGuarded);
  return {
    weftGbit: median(weft.gbit),
    guardedGbit: median(guarded.gbit),
    ratio: median(toGuarded),
    ratioLow,
    ratioHigh,
    ratioToBare: median(ratios(weft.gbit, bare.gbit)),
    ratioRtt: median(ratios(weft.rttUs, guarded.rttUs)),
  };
}

async function measured(rows: Readonly<Record<string, Row>>): Promise<Readonly<Record<string, Result>>> {
  const results: Record<string, Result> = {};
  await withCluster(new Plugged(2, IS_GUEST), async (cluster) => {
    for (const host of hand.BARE) await cluster.addHost(host);
    const made = new Map<string, hand.Handmade>();
    for (const [name, { spec, byHand }] of Object.entries(rows)) {
      const pair = made.get(byHand) ?? (await BY_HAND[byHand](cluster));
      made.set(byHand, pair);
      results[name] = resultOf(await compare(await weftPair(cluster, name, spec), pair));
      console.error(`${name}: ${results[name].ratio.toFixed(3)}`);
    }
  });
  return results;
}

/** The rows of a guest, which runs this file and prints one line. */
async function measuredInGuest(): Promise<Readonly<Record<string, Result>>> {
  let printed = "";
  const code = await runInGuest({
    argv: [process.execPath, import.meta.filename],
    env: { WEFT_GUEST: "1" },
    print: (chunk) => void (printed += chunk.toString()),
    record: () => undefined,
  });
  const line = printed.split("\n").find((text) => text.startsWith("{"));
  if (code !== 0 || line === undefined) throw new Error(`the bench failed in its guest:\n${printed}`);
  return JSON.parse(line) as Record<string, Result>;
}

if (IS_GUEST) console.log(JSON.stringify(await measured(IN_GUEST)));
else {
  const here = await measured(HERE);
  const obstacle = whyNoGuests();
  const guest = obstacle === undefined ? await measuredInGuest() : {};
  const rows = [
    ...Object.entries(here),
    ...Object.entries(guest).map(([name, result]) => [`${name} (guest)`, result] as const),
  ];
  show(
    {
      bench: "throughput",
      values: Object.fromEntries(rows),
      columns: ["", "Weft Gbit/s", "by hand", "ratio", "from", "to", "to no filters", "RTT ratio"],
      rows: rows.map(([name, result]) => {
        const { weftGbit, guardedGbit, ratio, ratioLow, ratioHigh, ratioToBare, ratioRtt } = result;
        return [name, weftGbit, guardedGbit, ratio, ratioLow, ratioHigh, ratioToBare, ratioRtt];
      }),
      notes: [
        `${ROUNDS} rounds of ${SECONDS} s each, in turns. Target: a ratio of at least ${TARGET}, also of each driver.`,
        "Samples differ by some percent: in 95 of 100 such runs the true ratio lies between `from` and `to`.",
        "By hand: filters for MAC, address, tunnel; connections are not tracked, as they are with a way out.",
        ...(obstacle === undefined ? [] : [`gre, vlan and ovs were not measured: ${obstacle}`]),
      ],
    },
    process.argv,
  );
}
