// Weft's nft tables, one per namespace (`inet weft`), each replaced in one transaction. Sets carry what grows (subnets,
// members); the rules stay the same whatever the number of networks.
import { familyOf } from "../../model/address.ts";
import { bridgeOfOthers } from "../../model/bridges.ts";
import { routedDevice } from "../../model/driver.ts";
import { prefixesOf } from "../../model/carrying.ts";
import type { Network, Vrf } from "../../model/resource.ts";
import { withoutClashes } from "../world/deviceClash.ts";
import { isInHost, networksOn, nsOf } from "../world/placement.ts";
import { guardChains, isBridgeOfHost, isGuarded } from "./bridgesOfHost.ts";
import { hostBridges } from "./hostBridges.ts";
import { closedTo, compileUplinkFilter, resolvers } from "./uplinkFilter.ts";
import { segmentsOf } from "../world/layout.ts";
import { GATEWAY_OUTPUT, policyOf } from "./groups.ts";
import { twoTunnels } from "./closing.ts";
import { connectionLimitChain } from "./connectionLimit.ts";
import { bridgeTable } from "./filters.ts";
import type { KernelObject } from "../kinds.ts";
import { nftDigest } from "../kinds/tables.ts";
import { PLUG_PREFIX } from "../tunnel/bridge.ts";
import { TUNNELS, waysIn } from "../tunnel/drivers.ts";
import { compileTunnels, dropsToTunnels, noTunnels, usedByDriver } from "./tunnels.ts";
import { UPLINK } from "../../model/uplink.ts";
import { usesUplink } from "../network/uplink.ts";
import { FAMILIES, IP, chain, oneOf } from "./tableParts.ts";
import type { World } from "../world/world.ts";

/**
 * A VRF's table: packets to the outside leave under the uplink's address; what a network of the VRF has no host for is
 * refused instead of leaking into the underlay; what the host itself sends into the tunnel comes from this host's VTEP,
 * so that the answer finds back.
 */
export function compileFirewall(world: World, vrf: Vrf, networks: readonly Network[]): KernelObject {
  const policy = policyOf(world, vrf.name);
  const inside = usesUplink(vrf, networks) ? uplinkChains(world, vrf, networks) : "";
  const body = (policy.profiles.size > 0 ? GATEWAY_OUTPUT : "") + isolated(world, vrf, networks) + inside;
  const bridge = bridgeTable(policy, networks, "own", twoTunnels(world, vrf, networks));
  return { kind: "nft", ns: nsOf(vrf), digest: nftDigest(body, bridge), body, bridge };
}

/**
 * A segment without a gateway leads nowhere: what is sent to its bridge's MAC all the same would be routed like the
 * rest, though no answer found back.
 */
function isolated(world: World, vrf: Vrf, networks: readonly Network[]): string {
  const drops = FAMILIES.flatMap((family) => {
    const bridges = networks
      .filter(({ spec }) => spec.ipam === "global" && prefixesOf(spec).some((cidr) => familyOf(cidr) === family))
      .flatMap((network) => segmentsOf(vrf, network, world.self, []))
      .filter(({ gateways }) => !gateways.some((cidr) => familyOf(cidr) === family))
      .map(({ bridge }) => `"${bridge}"`)
      .sort();
    return bridges.length === 0 ? [] : [`meta nfproto ipv${family} iifname ${oneOf(bridges)} drop`];
  });
  return drops.length === 0
    ? ""
    : chain("isolated", ["type filter hook forward priority filter - 1; policy accept;", ...drops]);
}

function uplinkChains(world: World, vrf: Vrf, networks: readonly Network[]): string {
  const forward = chain("forward", [
    "type filter hook forward priority filter; policy accept;",
    `oifname != "${UPLINK}" ct state != new accept`,
    `oifname != "${UPLINK}" goto counted`,
    ...dropsToTunnels(usedByDriver(world)),
    ...subnetsIn(networks, 4).map((all) => `ip daddr ${all} reject with icmp net-unreachable`),
    ...subnetsIn(networks, 6).map((all) => `ip6 daddr ${all} reject with icmpv6 no-route`),
    ...unhidden(vrf, networks),
    "goto counted",
  ]);
  return (
    connectionLimitChain(networks) + untracked(networks) + forward + INPUT + uplinkPostrouting(world, vrf, networks)
  );
}

/** What is sent to the namespace's own addresses, as the uplink's. */
const INPUT = chain("input", [
  "type filter hook input priority filter; policy accept;",
  `iifname != "${UPLINK}" goto counted`,
]);

/** Masquerade needs connection tracking; what stays inside does not, and it would cost half of routing. */
function untracked(networks: readonly Network[]): string {
  const inside = FAMILIES.flatMap((family) =>
    subnetsIn(networks, family).map((all) => `${IP[family]} saddr ${all} ${IP[family]} daddr ${all} notrack`),
  );
  return chain("untracked", ["type filter hook prerouting priority raw; policy accept;", ...inside]);
}

/** Nothing leaves with a source that is not hidden, but to a host that has access, which routes to it. */
function unhidden(vrf: Vrf, networks: readonly Network[]): string[] {
  const known = vrf.spec.hostAccess ? networks : networks.filter((network) => network.spec.masquerade);
  return FAMILIES.map((family) => {
    const [some] = subnetsIn(known, family);
    const source = some === undefined ? `meta nfproto ipv${family}` : `${IP[family]} saddr != ${some}`;
    return `${source} reject with icmpx admin-prohibited`;
  });
}

function uplinkPostrouting(world: World, vrf: Vrf, networks: readonly Network[]): string {
  const hidden = networks.filter((network) => network.spec.masquerade);
  const lines = FAMILIES.flatMap((family) => {
    const [ip, [all]] = [IP[family], subnetsIn(networks, family)];
    return subnetsIn(hidden, family).map(
      (some) => `oifname "${UPLINK}" ${ip} saddr ${some} ${ip} daddr != ${all} masquerade`,
    );
  });
  return chain("postrouting", [
    "type nat hook postrouting priority srcnat; policy accept;",
    ...lines,
    ...toTunnels(world, vrf).map((devices) => `iifname "${UPLINK}" oifname "${devices}" masquerade`),
  ]);
}

/**
 * Subnets of one family as a set; none if there are none. Without a name, because the contents of named sets are not
 * part of what the digest of a table watches.
 */
function subnetsIn(networks: readonly Network[], family: 4 | 6): string[] {
  const subnets = networks
    .flatMap((network) => prefixesOf(network.spec))
    .filter((cidr) => familyOf(cidr) === family)
    .sort();
  return subnets.length === 0 ? [] : [oneOf(subnets)];
}

/**
 * The host's tables: tunnels and ways out, and what the VRF in the host's own namespace has there. Nothing while the
 * host carries no VRF.
 */
export function compileProtection(world: World, management: readonly string[]): KernelObject[] {
  if (world.vrfs.length === 0) return [];
  const vrf = world.vrfs.find(isInHost);
  const [, networks] = vrf === undefined ? [world, []] : withoutClashes(world, networksOn(world, vrf));
  const own = networks.filter((network) => !isBridgeOfHost(world, network));
  const bridges = vrf === undefined ? undefined : bridgesIn(world, vrf, own, management);
  const body = compileTunnels(world, bridges) + compileUplinkFilter(world, management, bridges);
  if (vrf === undefined) return [{ kind: "nft", ns: "host", digest: nftDigest(body), body }];
  const bridge =
    bridgeTable(policyOf(world, vrf.name), networks, "host", twoTunnels(world, vrf, networks)) +
    atOthers(world, networks) +
    guardChains(networks.some((network) => isGuarded(world, vrf, network)));
  return [{ kind: "nft", ns: "host", digest: nftDigest(body, bridge), body, bridge }];
}

/**
 * A bridge of others may have the host itself as its gateway, and what the host hides behind its own address must reach
 * no tunnel. All else that workloads send to the host there is its owner's to judge.
 */
function atOthers(world: World, networks: readonly Network[]): string {
  if (!networks.some(({ spec }) => bridgeOfOthers(spec) !== undefined)) return "";
  const lines = ["type filter hook input priority 0; policy accept;", `iifname "${PLUG_PREFIX}*" jump no_tunnels`];
  return noTunnels(usedByDriver(world)) + chain("plugs_at_host", lines);
}

function bridgesIn(world: World, vrf: Vrf, networks: readonly Network[], management: readonly string[]) {
  const here = new Set(networks.map(({ name }) => name));
  const devicesOf = (_: Vrf, network: Network) =>
    here.has(network.name) ? segmentsOf(vrf, network, world.self, []).map((segment) => `"${segment.bridge}"`) : [];
  return hostBridges(world, vrf, networks, {
    resolvers: resolvers(world, [vrf], devicesOf),
    closed: closedTo(world, management),
  });
}

/** Patterns of the devices that routed networks have, or would have. */
function toTunnels(world: World, vrf: Vrf): readonly string[] {
  const patterns = waysIn(world, vrf).flatMap(({ vrf: { spec }, network }) => {
    const { driver } = network.spec;
    return driver === "ovs" ? [] : [TUNNELS[driver].pattern(routedDevice(driver, spec))];
  });
  return [...new Set(patterns)].sort();
}
