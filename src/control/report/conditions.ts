// What a user should know although no request was refused: hosts that wait for a block or a VTEP because none is left,
// hosts whose addresses overlap a network that is older, and lost hosts. Computed from the view on request: a condition
// ends with its cause.
import { type Cidr, formatCidr, overlaps, parseCidr } from "../../model/address.ts";
import { formatDuration } from "../../model/duration.ts";
import { tunnelMtu } from "../../model/driver.ts";
import type { Host, Network, Vrf } from "../../model/resource.ts";
import type { HostCondition } from "../../model/status.ts";
import { cidrsOf } from "../admit/context.ts";
import { DIRECTIONS } from "../../model/qos.ts";
import { unableHosts } from "../admit/workload/qos.ts";
import { isDefaultRoute } from "../admit/network/overlap.ts";
import { type View, residentsOf } from "../state/view.ts";

export const CONDITION_REASONS = [
  "exhausted",
  "overlap",
  "mtu-invalid",
  "qos-unsupported",
  "host-lost",
  "mass-loss",
  "clock-stepped",
  "host-cloned",
  "another-history",
] as const;
export type Condition = {
  readonly reason: (typeof CONDITION_REASONS)[number];
  /** `network/blue`, `vrf/blue`, `host/h1`, or `cluster` if it concerns all. */
  readonly object: string;
  /** Absent if it does not concern a single host. */
  readonly host?: string;
  readonly message: string;
};

export function conditionsOf(view: View, prefixes: ReadonlyMap<string, readonly Cidr[]>): Condition[] {
  const conditions: Condition[] = [];
  for (const network of view.network.values()) {
    conditions.push(
      ...exhaustionOf(view, network),
      ...clashesOf(view, network, prefixes),
      ...unlimitedOn(view, network),
    );
  }
  for (const vrf of view.vrf.values()) {
    conditions.push(...missingVteps(view, vrf.name), ...vtepClashesOf(view, vrf, prefixes));
  }
  return conditions;
}

/** Lost hosts with what they still have, and why none is reclaimed when too many are silent. */
export function lossesOf(
  view: View,
  hosts: readonly HostCondition[],
  massLoss: readonly string[],
  nowMs: number,
): Condition[] {
  const lost = hosts.flatMap((host): Condition[] => {
    if (host.state !== "lost") return [];
    const blocks = [...view.networks.values()].flatMap((index) => {
      const had = index.blocks.get(host.host);
      return [had?.[4], had?.[6]].filter((block) => block !== undefined);
    });
    const held = `${blocks.length} blocks and ${residentsOf(view, host.host).size} endpoints`;
    const since = formatDuration(nowMs - (host.sinceMs ?? nowMs));
    return [
      {
        reason: "host-lost",
        object: `host/${host.host}`,
        host: host.host,
        message:
          `host "${host.host}" has been lost for ${since} and keeps its ${held}; if it is gone for good: ` +
          `weft host reclaim ${host.host} --dry-run`,
      },
    ];
  });
  if (massLoss.length === 0) return lost;
  const names = massLoss.slice(0, 10).join(", ");
  const more = massLoss.length > 10 ? ` and ${massLoss.length - 10} more` : "";
  const message =
    `${massLoss.length} of ${view.host.size} hosts are silent at once (${names}${more}): none is reclaimed by itself` +
    "; see whether the server's own network is down";
  return [...lost, { reason: "mass-loss", object: "cluster", message }];
}

/** Hosts without a block of each family. */
function exhaustionOf(view: View, network: Network): Condition[] {
  if (network.spec.ipam !== "local" || !network.spec.enabled) return [];
  const blocks = view.networks.get(network.name)?.blocks;
  const vteps = view.vrfs.get(network.spec.vrf)?.vteps;
  return [...view.host.values()].flatMap((host) => {
    const had = blocks?.get(host.name);
    const lacking = network.spec.subnets.filter(({ cidr }) => had?.[cidr.includes(":") ? 6 : 4] === undefined);
    if (lacking.length === 0 || vteps?.has(host.name) !== true) return [];
    const subnets = network.spec.subnets
      .map(({ cidr, hostPrefix }) => `${cidr} in blocks of /${hostPrefix}`)
      .join(" and ");
    return [
      condition(
        "exhausted",
        `network/${network.name}`,
        host,
        `network "${network.name}" has no block left for host "${host.name}": ${subnets}`,
      ),
    ];
  });
}

function missingVteps(view: View, vrf: string): Condition[] {
  const index = view.vrfs.get(vrf);
  const networks = [...(index?.networks ?? [])].map((name) => view.network.get(name));
  if (!networks.some((network) => network?.spec.ipam === "local" && network.spec.enabled)) return [];
  const subnets = view.vrf.get(vrf)?.spec.vtepSubnets ?? [];
  return [...view.host.values()].flatMap((host) => {
    const vtep = index?.vteps.get(host.name)?.spec;
    if (subnets.every((subnet) => (subnet.includes(":") ? vtep?.ip6 : vtep?.ip) !== undefined)) return [];
    return [
      condition(
        "exhausted",
        `vrf/${vrf}`,
        host,
        `VRF "${vrf}" has no tunnel address left for host "${host.name}" in ${subnets.join(", ")}`,
      ),
    ];
  });
}

/** An overlap that would have been refused may appear later: a VPN starts, a host with a smaller MTU joins. */
function clashesOf(view: View, network: Network, prefixes: ReadonlyMap<string, readonly Cidr[]>): Condition[] {
  const cidrs = cidrsOf(network);
  const object = `network/${network.name}`;
  return [...view.host.values()].flatMap((host) => {
    const met = metBy(prefixes.get(host.name), cidrs);
    const most = tunnelMtu(network.spec.driver, host.spec);
    return [
      ...(met.length === 0
        ? []
        : [
            condition(
              "overlap",
              object,
              host,
              `network "${network.name}" overlaps ${met.join(", ")}, which host "${host.name}" has itself`,
            ),
          ]),
      ...(network.spec.mtu === undefined || network.spec.mtu <= most
        ? []
        : [
            condition(
              "mtu-invalid",
              object,
              host,
              `network "${network.name}" has MTU ${network.spec.mtu}, but tunnels of host "${host.name}" carry ${most}`,
            ),
          ]),
    ];
  });
}

/**
 * VTEP addresses are routed by the host's VRF namespaces, but a host that has the prefix itself may mean another
 * machine.
 */
function vtepClashesOf(view: View, vrf: Vrf, prefixes: ReadonlyMap<string, readonly Cidr[]>): Condition[] {
  if (view.vrfs.get(vrf.name)?.vteps.size === 0) return [];
  const subnets = vrf.spec.vtepSubnets.map((text) => parseCidr(text, `vrf/${vrf.name}`));
  return [...view.host.values()].flatMap((host) => {
    const met = metBy(prefixes.get(host.name), subnets);
    if (met.length === 0) return [];
    const message = `VTEP subnets of VRF "${vrf.name}" overlap ${met.join(", ")}, which host "${host.name}" has itself`;
    return [condition("overlap", `vrf/${vrf.name}`, host, message)];
  });
}

const MET_MAX = 5;
/** A host's own prefix that overlaps one of the ranges, in either direction. */
function metBy(prefixes: readonly Cidr[] | undefined, ranges: readonly Cidr[]): string[] {
  return (prefixes ?? [])
    .filter((prefix) => !isDefaultRoute(prefix) && ranges.some((range) => overlaps(prefix, range)))
    .map(formatCidr)
    .slice(0, MET_MAX);
}

/** Hosts that carry the network and joined, or rebooted, without what its limits need: nothing attaches there. */
function unlimitedOn(view: View, network: Network): Condition[] {
  return DIRECTIONS.flatMap((direction) =>
    unableHosts(view, network, direction).map((host) => ({
      reason: "qos-unsupported" as const,
      object: `network/${network.name}`,
      host,
      message: `network "${network.name}" limits ${direction} traffic, which host "${host}" cannot`,
    })),
  );
}

function condition(reason: Condition["reason"], object: string, host: Host, message: string): Condition {
  return { reason, object, host: host.name, message };
}
