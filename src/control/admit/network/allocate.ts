// Brings what the server allocates in a VRF in line with its networks and hosts: the VRF itself, VTEPs, blocks.
// Repeating it changes nothing. Hosts are served in registration order, each gets the lowest free value. A host for
// which nothing is left is skipped, and served when there is something again (conditions.ts names the hosts that wait).
import {
  type Cidr,
  type Ip,
  cidrOf,
  contains,
  firstOf,
  formatCidr,
  formatIp,
  ipOf,
  lastOf,
  parseCidr,
  vtepMac,
} from "../../../model/address.ts";
import { isOutside } from "../../../model/cluster.ts";
import { blockName, vtepName } from "../../../model/resource.ts";
import type { Host, Network, Subnet, Vrf, Vtep } from "../../../model/resource.ts";
import { defined } from "../../../model/defined.ts";
import { endConversion } from "./convert.ts";
import { NOTHING_USED } from "../../../ipam/intervals.ts";
import { nextBlock, nextVtep } from "../../../ipam/allocate.ts";
import type { Draft } from "../../state/draft.ts";
import { get } from "../../state/view.ts";
import { blocksOf, networksOf } from "../contents.ts";

/**
 * Call after any change of a VRF, its networks or its hosts. `hosts` are those that may lack something, in order.
 * `anew`: the VRF has changed, or a network has come with its blocks, so existing VTEPs and blocks may be wrong.
 */
export function alignVrf(draft: Draft, name: string, hosts: readonly Host[], anew: "anew" | "" = ""): void {
  const vrf = get(draft.view, "vrf", name);
  if (vrf === undefined) return;
  const locals = networksOf(draft.view, name).filter(({ spec }) => spec.ipam === "local");
  // A disabled network keeps its blocks, and they must stay reachable.
  if (!locals.some((network) => network.spec.enabled || draft.view.networks.get(network.name)?.blocks.size)) {
    return removeVteps(draft, name);
  }
  const vteps = draft.view.vrfs.get(name)?.vteps;
  for (const host of hosts) {
    const vtep = vteps?.get(host.name);
    if (anew === "anew" || vtep === undefined || familiesOf(vtep) < vrf.spec.vtepSubnets.length)
      ensureVtep(draft, vrf, host);
  }
  for (const network of locals) {
    if (anew === "anew") dropUnreachable(draft, network);
    if (!network.spec.enabled) continue;
    for (const host of hosts) if (!isOutside(network.spec, host.name)) ensureBlocks(draft, network, host);
  }
}

/** Call after a network has left the VRF: hosts lose its blocks, and the VRF goes with the last unless it is kept. */
export function vacateVrf(draft: Draft, name: string): void {
  alignVrf(draft, name, []);
  const vrf = get(draft.view, "vrf", name);
  if (vrf === undefined || vrf.spec.kept === true || networksOf(draft.view, name).length > 0) return;
  endConversion(draft, name);
  draft.remove("vrf", name);
}

/** Removes blocks that the network's subnets no longer give: another subnet, another length, a family that is gone. */
export function dropStaleBlocks(draft: Draft, network: Network): void {
  const subnets = network.spec.ipam === "local" ? network.spec.subnets : [];
  for (const block of blocksOf(draft.view, network.name)) {
    const cidr = cidrOf(block.spec.cidr);
    if (!subnets.some((subnet) => cidr !== undefined && gives(subnet, cidr))) draft.remove("block", block.name);
  }
}

function gives(subnet: Subnet, block: Cidr): boolean {
  const cidr = parseCidr(subnet.cidr, "subnet");
  return block.length === subnet.hostPrefix && contains(cidr, firstOf(block));
}

function familiesOf(vtep: Vtep): number {
  return (vtep.spec.ip === undefined ? 0 : 1) + (vtep.spec.ip6 === undefined ? 0 : 1);
}

function removeVteps(draft: Draft, vrf: string): void {
  for (const vtep of draft.view.vrfs.get(vrf)?.vteps.values() ?? []) draft.remove("vtep", vtep.name);
}

/** Blocks of hosts that have no tunnel endpoint here. */
function dropUnreachable(draft: Draft, network: Network): void {
  const vteps = draft.view.vrfs.get(network.spec.vrf)?.vteps;
  for (const { name, spec } of blocksOf(draft.view, network.name))
    if (vteps?.has(spec.host) !== true) draft.remove("block", name);
}

/** All families; while a VTEP subnet is full, only what the host has and is still right. */
function ensureVtep(draft: Draft, vrf: Vrf, host: Host): void {
  const index = draft.view.vrfs.get(vrf.name);
  const old = index?.vteps.get(host.name)?.spec;
  const ips: { 4?: string; 6?: string } = {};
  for (const text of vrf.spec.vtepSubnets) {
    const subnet = parseCidr(text, `vrf/${vrf.name}`);
    const mine = ipOf((subnet.family === 4 ? old?.ip : old?.ip6) ?? "");
    const ip =
      mine !== undefined && isInside(subnet, mine)
        ? mine
        : nextVtep(subnet, index?.assigned[subnet.family] ?? NOTHING_USED);
    if (ip !== undefined) ips[subnet.family] = formatIp(ip);
  }
  const low = ipOf(ips[4] ?? ips[6] ?? "");
  const isWhole = Object.keys(ips).length === vrf.spec.vtepSubnets.length;
  const name = vtepName(vrf.name, host.name);
  if (low === undefined || (old === undefined && !isWhole)) return draft.remove("vtep", name);
  draft.put("vtep", name, {
    vrf: vrf.name,
    host: host.name,
    ...defined({ ip: ips[4], ip6: ips[6] }),
    mac: vtepMac(vrf.spec.vtepMacOui, low),
  });
}

/** Strictly: neither the first nor the last address. */
function isInside(subnet: Cidr, ip: Ip): boolean {
  return ip.family === subnet.family && ip.value > subnet.base && ip.value < lastOf(subnet).value;
}

/** All families or none: a host that is reachable in one family only is worse than a host that visibly waits. */
function ensureBlocks(draft: Draft, network: Network, host: Host): void {
  const { view } = draft;
  // Without a VTEP no host could reach the block.
  if (view.vrfs.get(network.spec.vrf)?.vteps.has(host.name) !== true) return;
  const index = view.networks.get(network.name);
  const had = index?.blocks.get(host.name) ?? {};
  if (network.spec.subnets.length === Object.keys(had).length) return;
  const wanted: Cidr[] = [];
  for (const subnet of network.spec.subnets) {
    const cidr = parseCidr(subnet.cidr, `network/${network.name}`);
    if (subnet.hostPrefix === undefined || had[cidr.family] !== undefined) continue;
    const block = nextBlock(cidr, subnet.hostPrefix, index?.carved[cidr.family] ?? NOTHING_USED);
    if (block === undefined) return;
    wanted.push(block);
  }
  for (const block of wanted) {
    draft.put("block", blockName(network.name, host.name, block.family), {
      network: network.name,
      host: host.name,
      cidr: formatCidr(block),
    });
  }
}
