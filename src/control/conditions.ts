// What a user should know although no request was refused: hosts that wait for a block or a tunnel endpoint because
// there is none left, and hosts that have come to stand in a network's way since it was made. Computed from the view
// when asked.
import { type Cidr, formatCidr, ipOf, overlaps } from "../model/address.ts";
import type { Reason } from "../model/fault.ts";
import type { Host, Network } from "../model/resource.ts";
import { cidrsOf } from "./admit/context.ts";
import { isDefaultRoute } from "./admit/overlap.ts";
import { TUNNEL_OVERHEAD } from "./limits.ts";
import type { View } from "./view.ts";

export type Condition = {
  readonly reason: Extract<Reason, "exhausted" | "overlap" | "mtu-invalid">;
  /** `network/blue` or `vrf/blue`. */
  readonly object: string;
  readonly host: string;
  readonly message: string;
};

export function conditionsOf(view: View, prefixes: ReadonlyMap<string, readonly Cidr[]>): Condition[] {
  const conditions: Condition[] = [];
  for (const network of view.network.values()) {
    conditions.push(...exhaustionOf(view, network), ...clashesOf(view, network, prefixes));
  }
  return [...conditions, ...[...view.vrf.keys()].flatMap((vrf) => missingVteps(view, vrf))];
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

/** What was refused when the network was made may come later: a VPN comes up, a host with a smaller MTU joins. */
function clashesOf(view: View, network: Network, prefixes: ReadonlyMap<string, readonly Cidr[]>): Condition[] {
  const cidrs = cidrsOf(network);
  const object = `network/${network.name}`;
  return [...view.host.values()].flatMap((host) => {
    const met = (prefixes.get(host.name) ?? []).find(
      (prefix) => !isDefaultRoute(prefix) && cidrs.some((cidr) => overlaps(prefix, cidr)),
    );
    const most = host.spec.underlayMtu - TUNNEL_OVERHEAD[ipOf(host.spec.underlay)?.family ?? 4];
    return [
      ...(met === undefined
        ? []
        : [
            condition(
              "overlap",
              object,
              host,
              `network "${network.name}" overlaps ${formatCidr(met)}, which host "${host.name}" has itself`,
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

function condition(reason: Condition["reason"], object: string, host: Host, message: string): Condition {
  return { reason, object, host: host.name, message };
}
