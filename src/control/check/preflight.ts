// `weft host preflight`: all hosts try the ways to each other at the same moment, and what they found out is put
// together here. Needs no network.
import { familyOf } from "../../model/address.ts";
import { vrfsOn } from "../../model/carrying.ts";
import { DEFAULT_DRIVER, DRIVERS, encapsulationOf, packetsText, tunnelPortOf } from "../../model/driver.ts";
import { Fault } from "../../model/fault.ts";
import { unknownFault } from "../../model/kinds.ts";
import { lackedBy, lackingText } from "../../model/lacking.ts";
import { TUNNEL_PORT } from "../../model/limits.ts";
import type { ClusterGroup } from "../../model/paths.ts";
import type { Channel, PreflightReport, PreflightRequest, TrialResult, Way } from "../../model/preflight.ts";
import type { Host, Network, Snapshot, Vrf } from "../../model/resource.ts";
import type { Parts } from "../parts.ts";
import { fullSnapshot } from "../state/visibility.ts";

/** Faults: `network-unknown`, `host-unknown`, `request-invalid` for less than two hosts. */
export async function preflight(
  { committer, inquiry, lifecycle }: Parts,
  request: PreflightRequest,
): Promise<PreflightReport> {
  await committer.settled();
  const snapshot = fullSnapshot(committer.view);
  const hosts = hostsOf(snapshot, request);
  const channels = channelsIn(snapshot, request.network);
  const questions = hosts.map(({ name }): [string, Question] => {
    const peers = hosts.filter((peer) => peer.name !== name);
    const trial = { peers: peers.map((peer) => ({ host: peer.name, underlay: peer.spec.underlay })), channels };
    return [name, { orders: [], trial }];
  });
  const { answers, unanswered } = await inquiry.ask(new Map(questions));
  const results = new Map<string, TrialResult | string>();
  for (const { name } of hosts) {
    const trial = answers.get(name)?.trial;
    results.set(name, trial ?? unanswered.get(name) ?? "its agent is too old to be asked");
  }
  const report = reportOf(hosts, channels, results);
  const { groups = [] } = lifecycle.status(committer).status;
  return { ...report, problems: [...report.problems, ...groupProblems(groups, request.network)] };
}

/** Packets pass without the devices that networks need: agents make these packets themselves. */
function lackingProblems(hosts: readonly Host[], channels: readonly Channel[]): string[] {
  const drivers = [...new Set(channels.map(({ driver }) => driver))];
  return hosts.flatMap((host) =>
    drivers.flatMap((driver) => {
      const lacked = lackedBy(host, driver);
      return lacked.length === 0
        ? []
        : [`host ${host.name} cannot carry networks with driver ${driver}: it lacks ${lackingText(lacked)}`];
    }),
  );
}

/** Of the network, or all, by what hosts know by now: asked, they try their groups, too. */
function groupProblems(groups: readonly ClusterGroup[], only: string | undefined): string[] {
  return groups
    .filter(({ network }) => only === undefined || network === only)
    .flatMap(({ network, unproven }) =>
      unproven
        .filter(({ state }) => state !== "unknown")
        .map(({ hosts, obstacles }) => `${hosts.join(" – ")}: group of network ${network}: ${obstacles.join("; ")}`),
    );
}

type Question = Parameters<Parts["inquiry"]["ask"]>[0] extends ReadonlyMap<string, infer Q> ? Q : never;

/** In the order in which they joined: those named, of those that carry the network. */
function hostsOf(snapshot: Snapshot, { network, hosts: named }: PreflightRequest): readonly Host[] {
  const known = new Set(snapshot.hosts.map(({ name }) => name));
  const missing = named?.find((name) => !known.has(name));
  if (missing !== undefined) throw unknownFault("host", missing, "hosts");
  const vrf = network === undefined ? undefined : networkIn(snapshot, network).spec.vrf;
  const hosts = snapshot.hosts
    .filter(({ name }) => named === undefined || named.includes(name))
    .filter(({ name }) => vrf === undefined || named !== undefined || vrfsOn(snapshot, name).has(vrf))
    .toSorted((a, b) => a.spec.order - b.spec.order);
  if (hosts.length >= 2) return hosts;
  const whose = network === undefined ? "" : ` that carry network "${network}"`;
  throw new Fault("request-invalid", {
    what: `a preflight needs two hosts, and there ${hosts.length === 1 ? "is one" : "are none"}${whose}`,
    where: network === undefined ? "hosts" : "network",
    fix: remedyOf(network, named, snapshot.hosts.length),
  });
}

function remedyOf(network: string | undefined, hosts: readonly string[] | undefined, joined: number): string {
  if (joined < 2) return "start an agent on another host, so that it joins";
  const [first = "HOST"] = hosts ?? [];
  if (hosts !== undefined) return `name another: --host ${first} --host OTHER, or leave --host out to try all hosts`;
  return network === undefined ? "join another host" : "name the hosts that are to carry it (--host)";
}

function networkIn({ networks }: Snapshot, name: string): Network {
  const network = networks.find((one) => one.name === name);
  if (network === undefined) throw unknownFault("network", name, "network");
  return network;
}

/** One whose frames cross in packets between hosts. */
function tunnelledIn(snapshot: Snapshot, name: string): Network {
  const network = networkIn(snapshot, name);
  if (encapsulationOf(network.spec) !== undefined) return network;
  throw new Fault("request-invalid", {
    what: `network "${name}" has no tunnels to try`,
    where: "network",
    why: `its frames cross as they are (driver ${network.spec.driver}), on devices of the hosts`,
    fix: "try an endpoint of it on each host (ping); weft network show names hosts without a device",
  });
}

/** What the network, or any network, sends between hosts; as long as there is none, what one would by default. */
function channelsIn(snapshot: Snapshot, name: string | undefined): readonly Channel[] {
  const networks = name === undefined ? snapshot.networks : [tunnelledIn(snapshot, name)];
  const vrfs = new Map(snapshot.vrfs.map((vrf) => [vrf.name, vrf]));
  const all = networks.flatMap(({ spec }) => {
    const vrf = vrfs.get(spec.vrf);
    return vrf === undefined ? [] : channelsOf(spec, vrf);
  });
  const channels = new Map(all.map((channel) => [packetsText(channel.driver, channel.port), channel]));
  return channels.size > 0 ? [...channels.values()] : [{ driver: DEFAULT_DRIVER, port: TUNNEL_PORT }];
}

/** None of a network on a physical one. */
function channelsOf(way: Network["spec"], { spec }: Vrf): readonly Channel[] {
  const driver = encapsulationOf(way);
  if (driver === undefined) return [];
  return [{ driver, port: DRIVERS[driver].hasPort ? tunnelPortOf(way, spec.tunnelPort) : 0 }];
}

/** `results`: of each host, or why there is none. */
export function reportOf(
  hosts: readonly Host[],
  channels: readonly Channel[],
  results: ReadonlyMap<string, TrialResult | string>,
): PreflightReport {
  const obstacles = hosts.flatMap(({ name }) => {
    const obstacle = obstacleOf(results.get(name));
    return obstacle === undefined ? [] : [`host ${name} could not try: ${obstacle}`];
  });
  const ways = hosts.flatMap((from) =>
    hosts.flatMap((to) => (from === to ? [] : channels.map((channel) => wayOf({ from, to, channel }, results)))),
  );
  const filters = hosts.flatMap(({ name }) => {
    const isBad = ways.some(({ from, to, state }) => state !== "passes" && (from === name || to === name));
    const result = results.get(name);
    return isBad && typeof result === "object" ? result.filters.map((filter) => `host ${name} filters: ${filter}`) : [];
  });
  const named = ways.flatMap(({ from, to, why }) => (why === undefined ? [] : [`${from} → ${to}: ${why}`]));
  return {
    hosts: hosts.map(({ name }) => name),
    ways,
    problems: [...obstacles, ...lackingProblems(hosts, channels), ...named, ...filters],
  };
}

function obstacleOf(result: TrialResult | string | undefined): string | undefined {
  return typeof result === "object" ? result.obstacle : result;
}

type Ends = { readonly from: Host; readonly to: Host; readonly channel: Channel };

function wayOf({ from, to, channel }: Ends, results: ReadonlyMap<string, TrialResult | string>): Way {
  const way = { from: from.name, to: to.name, channel };
  const [near, far] = [results.get(from.name), results.get(to.name)];
  if (typeof near !== "object" || typeof far !== "object" || near.obstacle !== undefined || far.obstacle !== undefined)
    return { ...way, state: "untried", size: 0 };
  const packets = packetsText(channel.driver, channel.port);
  if (familyOf(from.spec.underlay) !== familyOf(to.spec.underlay)) {
    const why = `one has an IPv4 address on the underlay and the other an IPv6 address; give both one of one family`;
    return { ...way, state: "dead", size: 0, why };
  }
  const seen = near.peers.find(({ host }) => host === to.name);
  const size = tried(seen, channel)?.passed ?? 0;
  const isHeard =
    tried(
      far.peers.find(({ host }) => host === from.name),
      channel,
    )?.heard === true;
  const most = Math.min(near.mtu, far.mtu);
  if (size >= most) return { ...way, state: "passes", size };
  if (size > 0) return { ...way, state: "small", size, why: smallText(size, most, channel, to) };
  if (isHeard) return { ...way, state: "one-way", size: 0, why: `${packets} arrives, but the answers do not` };
  if (seen?.ping !== true) return { ...way, state: "dead", size: 0, why: deadText(from, to, packets) };
  return { ...way, state: "blocked", size: 0, why: blockedText(from, to, packets, channel) };
}

function tried(seen: TrialResult["peers"][number] | undefined, { driver, port }: Channel) {
  return seen?.channels.find(({ channel }) => channel.driver === driver && channel.port === port);
}

function smallText(size: number, most: number, { driver }: Channel, to: Host): string {
  const inside = size - DRIVERS[driver].overhead[familyOf(to.spec.underlay)];
  return (
    `packets of ${size} bytes pass and those of ${most}, the MTU of the hosts, do not; ` +
    `raise the MTU between them, or give networks an MTU of ${inside} or less (--mtu)`
  );
}

function deadText(from: Host, to: Host, packets: string): string {
  const ends = `${from.spec.underlay} to ${to.spec.underlay}`;
  return `neither ${packets} nor a ping passes from ${ends}; check the route, and open ${packets} in firewalls`;
}

function blockedText(from: Host, to: Host, packets: string, { driver }: Channel): string {
  const ends = `${from.spec.underlay} to ${to.spec.underlay}`;
  const other = DRIVERS[driver].hasPort
    ? "if none blocks it, something on the way uses this port itself: choose another (--tunnel-port)"
    : "if none blocks it, the cloud does: use the driver vxlan, which is UDP";
  return `a ping passes and ${packets} does not; open ${packets} from ${ends} in firewalls; ${other}`;
}
