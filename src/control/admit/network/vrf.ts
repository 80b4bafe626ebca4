// Routing domains: put by name, made on demand with a network, removed. A VRF that was put stays until it is deleted;
// one made on demand goes with its last network (`kept` says which it is). The server counts the index and finds the
// VNI and the VTEP subnets unless they are given. Once given or found they and the tunnel's port stay, whatever a later
// put leaves out; a VTEP subnet that a put leaves out of its list goes when no network needs its family.
import {
  type Cidr,
  type Family,
  canonicalCidrs,
  familyOf,
  formatCidr,
  overlaps,
  parseCidr,
} from "../../../model/address.ts";
import { defined } from "../../../model/defined.ts";
import { Fault } from "../../../model/fault.ts";
import type { Key, Network, Vrf, VrfSpec } from "../../../model/resource.ts";
import type { VrfInput } from "../../../model/input.ts";
import { TUNNEL_PORT } from "../../../model/limits.ts";
import { VRF_INDEX_FIRST, VRF_INDEX_LAST } from "../../../model/uplink.ts";
import type { Draft } from "../../state/draft.ts";
import type { Delete, Put } from "../../write.ts";
import { PREFIX_MAX, VNI_FIRST, VNI_MAX, VTEP_MAC_OUI, VTEP_PREFIX_MIN, VTEP_SUBNETS } from "../numbers.ts";
import { type View, get, hostsInOrder } from "../../state/view.ts";
import { alignVrf } from "./allocate.ts";
import { endpointNames, networksOf } from "../contents.ts";
import { checkSome, cidrsOf, refuseWhile } from "../context.ts";
import { convertVrf, endConversion } from "./convert.ts";
import { checkVrfDevices } from "./devices.ts";
import { checkTunnelPort } from "./openVswitch.ts";
import { checkVrfName, vrfPlacement } from "./placement.ts";
import {
  type Collision,
  checkUsable,
  hostAccessCollision,
  hostCollision,
  networkCollision,
  overlapFault,
} from "./overlap.ts";

/** Makes or changes a VRF as its user wants it. */
export function putVrf(draft: Draft, { name, spec: input }: Put<VrfInput>): Vrf {
  const { view } = draft;
  const old = get(view, "vrf", name);
  checkVrfName(name, input.placement ?? old?.spec.placement, "name");
  const spec = completed(draft, name, input, old);
  checkSpec(draft, name, spec);
  if (old !== undefined) checkChange(draft, old, spec, input);
  const named = old === undefined ? spec : convertVrf(draft, old, spec);
  checkVrfDevices(view, name, named);
  checkTunnelPort(view, named.tunnelPort);
  const vrf = draft.put("vrf", name, named);
  alignVrf(draft, name, hostsInOrder(view), "anew");
  return vrf;
}

/**
 * The VRF of a network that is being put, made if it is not there; with a VTEP subnet for each family of a local
 * network. A local network's VNI is its VRF's: one that is asked for makes it, or meets it.
 */
export function ensureVrf(draft: Draft, network: Pick<Network, "name" | "spec">, vni: number | undefined): void {
  const { vrf: name, ipam, placement } = network.spec;
  checkVrfName(name, placement, "spec.vrf");
  const { view } = draft;
  const old = get(view, "vrf", name)?.spec;
  const subnets = cidrsOf(network);
  const families = subnets.map((cidr) => cidr.family);
  const wish = { vrf: name, avoid: subnets };
  if (old === undefined) {
    const spec: VrfSpec = {
      index: freeIndex(view),
      vni: chooseVni(view, ipam === "local" ? vni : undefined, `vrf/${name}`, network.spec.vni),
      tunnelPort: TUNNEL_PORT,
      vtepSubnets: placement === "host" ? [] : withFamilies(draft, wish, [], [4, ...families]),
      vtepMacOui: VTEP_MAC_OUI,
      hostAccess: false,
      ...(placement === "host" ? { placement } : {}),
      // Said, so that a list of it can be applied again: a put that does not say makes it one that stays.
      kept: false,
    };
    checkVrfDevices(view, name, spec);
    draft.put("vrf", name, spec);
  } else if (ipam === "local") {
    draft.put("vrf", name, { ...old, vtepSubnets: withFamilies(draft, wish, old.vtepSubnets, families) });
    if (vni === undefined || vni === old.vni) return;
    throw new Fault("vni-invalid", {
      what: `network "${network.name}" cannot have VNI ${vni}`,
      where: "spec.vni",
      why: `routed networks use the VNI of their VRF, and VRF "${name}" has ${old.vni}`,
      fix: "leave it out, or put the network into a VRF of its own",
    });
  }
}

/** Removes a VRF; with `force` its networks and their endpoints too. */
export function deleteVrf(draft: Draft, { name, force }: Delete, removeNetwork: (name: string) => void): void {
  const networks = networksOf(draft.view, name).map((network) => network.name);
  if (force !== true) {
    refuseWhile(networks, {
      what: `VRF "${name}" has networks`,
      why: "it goes only when they are gone",
      fix: "delete them first, or use force to delete all of them with their endpoints",
    });
  }
  for (const network of networks) removeNetwork(network);
  alignVrf(draft, name, []);
  endConversion(draft, name);
  draft.remove("vrf", name);
}

/** The VNI asked for, unless another than `owner` has it; else the lowest free one from 4096 up, but `not`. */
export function chooseVni(view: View, wanted: number | undefined, owner: Key, not?: number): number {
  const where = "spec.vni";
  if (wanted !== undefined) {
    if (!Number.isInteger(wanted) || wanted < 1 || wanted > VNI_MAX) {
      throw new Fault("vni-invalid", {
        what: `VNI ${wanted} is not to be had`,
        where,
        why: "a VNI is 1 to 16777214, and the last one, 16777215, is for what hosts try their paths with",
        fix: "choose another, or leave it out",
      });
    }
    const other = view.vniOwners.get(wanted);
    if (other === undefined || other === owner) return wanted;
    throw new Fault("vni-taken", {
      what: `VNI ${wanted} belongs to ${other}`,
      where,
      why: "two owners would mix their traffic",
      fix: "choose another, or leave it out",
    });
  }
  let vni = view.vnis.nextFree(BigInt(VNI_FIRST));
  if (not !== undefined && vni === BigInt(not)) vni = view.vnis.nextFree(vni + 1n);
  if (vni > BigInt(VNI_MAX)) {
    throw new Fault("exhausted", {
      what: `no VNI from ${VNI_FIRST} up is free`,
      where,
      fix: "give one below, or delete networks",
    });
  }
  return Number(vni);
}

function completed(draft: Draft, name: string, input: VrfInput, old: Vrf | undefined): VrfSpec {
  const { view } = draft;
  const { vni, tunnelPort, vtepMacOui, hostAccess = false, kept = true, vtepName, dcos } = input;
  const placement = vrfPlacement(view, name, input.placement, old);
  return defined({
    index: old?.spec.index ?? freeIndex(view),
    vni: vni === undefined && old !== undefined ? old.spec.vni : chooseVni(view, vni, `vrf/${name}`),
    tunnelPort: tunnelPort ?? old?.spec.tunnelPort ?? TUNNEL_PORT,
    // Tunnels that are routed into are of local networks, which are never in the hosts' own namespace.
    vtepSubnets: placement === "host" ? [] : vtepSubnetsOf(draft, name, input, old?.spec.vtepSubnets),
    vtepMacOui: ouiOf(vtepMacOui ?? VTEP_MAC_OUI),
    hostAccess,
    placement,
    kept,
    vtepName: vtepName === undefined ? undefined : deviceName(vtepName),
    alternate: (old === undefined ? input : old.spec).alternate,
    dcos,
  });
}

/** As given or as they were, and one for each family that a local network needs, even if it is not named. */
function vtepSubnetsOf(
  draft: Draft,
  vrf: string,
  input: VrfInput,
  old: readonly string[] | undefined,
): readonly string[] {
  const families = stayingFamilies(draft, vrf);
  const wish = { vrf, avoid: [] };
  if (input.vtepSubnets === undefined)
    return withFamilies(draft, wish, old ?? [], old === undefined ? [4, ...families] : families);
  const given = canonicalCidrs(input.vtepSubnets, "spec.vtepSubnets");
  const needed = neededFamilies(draft, vrf);
  const had = (old ?? []).filter(
    (text) => needed.has(familyOf(text)) && !given.some((other) => familyOf(other) === familyOf(text)),
  );
  return withFamilies(draft, wish, [...given, ...had], families);
}

/** Of local networks that the write leaves as they are. */
function stayingFamilies({ view, coming }: Draft, vrf: string): Family[] {
  return networksOf(view, vrf)
    .filter(({ name, spec }) => spec.ipam === "local" && !coming.networks.has(name))
    .flatMap(cidrsOf)
    .map((cidr) => cidr.family);
}

/** Of all local networks that the VRF has when the write is done. */
function neededFamilies(draft: Draft, vrf: string): ReadonlySet<Family> {
  return new Set([...stayingFamilies(draft, vrf), ...(draft.coming.families.get(vrf) ?? [])]);
}

/** For which VRF VTEP subnets are sought, and what they must not meet besides: subnets of a network that is put. */
type VtepWish = { readonly vrf: string; readonly avoid: readonly Cidr[] };

/** The subnets, and a default one for each family that has none. */
function withFamilies(
  draft: Draft,
  wish: VtepWish,
  subnets: readonly string[],
  families: readonly Family[],
): readonly string[] {
  const missing = [...new Set(families)].filter((family) => !subnets.some((text) => familyOf(text) === family));
  return [...subnets, ...missing.map((family) => formatCidr(freeVtepSubnet(draft, wish, family)))];
}

function checkSpec(draft: Draft, name: string, spec: VrfSpec): void {
  if (spec.placement !== "host") checkSome(spec.vtepSubnets, "spec.vtepSubnets", "leave the list out and one is found");
  const seen = new Set<Family>();
  for (const [i, text] of spec.vtepSubnets.entries()) {
    const where = `spec.vtepSubnets[${i}]`;
    const cidr = parseCidr(text, where);
    checkVtepSubnet(cidr, where);
    if (seen.has(cidr.family)) {
      throw new Fault("request-invalid", {
        what: `a second IPv${cidr.family} VTEP subnet`,
        where,
        fix: "give at most one per family",
      });
    }
    seen.add(cidr.family);
    const met = vtepSubnetCollision(draft, { vrf: name, avoid: [] }, cidr);
    if (met !== undefined) throw overlapFault(cidr, where, met);
  }
  if (!spec.hostAccess) return;
  for (const network of networksOf(draft.view, name)) {
    if (draft.coming.networks.has(network.name)) continue;
    for (const cidr of cidrsOf(network)) {
      const met = hostAccessCollision(draft, name, cidr);
      if (met !== undefined) throw overlapFault(cidr, "spec.hostAccess", met);
    }
  }
}

function checkVtepSubnet(cidr: Cidr, where: string): void {
  checkUsable(cidr, where);
  const least = VTEP_PREFIX_MIN[cidr.family];
  const most = PREFIX_MAX[cidr.family];
  if (cidr.length >= least && cidr.length <= most) return;
  throw new Fault("prefix-invalid", {
    what: `VTEP subnet ${formatCidr(cidr)} has a prefix of /${cidr.length}`,
    where,
    why: cidr.length < least ? "only 24 bits of a tunnel address are in its MAC" : "it has no room for two hosts",
    fix: `choose a prefix from /${least} to /${most}`,
  });
}

/**
 * The MACs and addresses of tunnels cannot change under traffic. A family can be added; one that no network
 * needs carries nothing and can go, unless the MACs of the tunnels are made of its addresses.
 */
function checkChange(draft: Draft, old: Vrf, spec: VrfSpec, input: VrfInput): void {
  if (input.index !== undefined && input.index !== old.spec.index) {
    throw new Fault("immutable", {
      what: `VRF "${old.name}" has index ${old.spec.index}`,
      where: "spec.index",
      why: "the server counts it",
      fix: "leave it out",
    });
  }
  const needed = neededFamilies(draft, old.name);
  const ofMacs = old.spec.vtepSubnets.some((text) => familyOf(text) === 4) ? 4 : 6;
  const isIdle = (text: string) => !needed.has(familyOf(text)) && familyOf(text) !== ofMacs;
  const field =
    (spec.vtepMacOui === old.spec.vtepMacOui ? undefined : "vtepMacOui") ??
    (old.spec.vtepSubnets.every((text) => spec.vtepSubnets.includes(text) || isIdle(text)) ? undefined : "vtepSubnets");
  if (field === undefined) return;
  const endpoints = networksOf(draft.view, old.name).flatMap(({ name }) => endpointNames(draft.view, name));
  refuseWhile(endpoints, {
    what: `\`${field}\` of VRF "${old.name}" cannot change`,
    why: "its tunnels carry endpoints",
    fix: "detach them first",
  });
}

function vtepSubnetCollision(draft: Draft, { vrf, avoid }: VtepWish, cidr: Cidr): Collision | undefined {
  const own = avoid.find((other) => overlaps(other, cidr));
  if (own !== undefined) return { with: formatCidr(own), why: "it is the network's own" };
  return networkCollision(draft, vrf, cidr) ?? hostCollision(draft, cidr);
}

function freeVtepSubnet(draft: Draft, wish: VtepWish, family: Family): Cidr {
  const free = VTEP_SUBNETS[family].find((cidr) => vtepSubnetCollision(draft, wish, cidr) === undefined);
  if (free !== undefined) return free;
  throw new Fault("overlap", {
    what: `no default IPv${family} VTEP subnet is free for VRF "${wish.vrf}"`,
    where: "spec.vtepSubnets",
    why: "all of them meet its networks, or addresses and routes of hosts",
    fix: `put the VRF with vtepSubnets of your own first`,
  });
}

function freeIndex(view: View): number {
  const index = view.vrfIndexes.nextFree(BigInt(VRF_INDEX_FIRST));
  if (index <= BigInt(VRF_INDEX_LAST)) return Number(index);
  throw new Fault("exhausted", {
    what: `there are ${VRF_INDEX_LAST} VRFs`,
    why: "each needs uplink addresses of its own",
    fix: "delete one, or put networks into one VRF",
  });
}

function ouiOf(text: string): string {
  const oui = text.toLowerCase();
  if (/^[0-9a-f]{2}(:[0-9a-f]{2}){2}$/.test(oui) && (Number.parseInt(oui.slice(0, 2), 16) & 1) === 0) return oui;
  throw new Fault("address-invalid", {
    what: `"${text}" is not the beginning of a unicast MAC`,
    where: "spec.vtepMacOui",
    fix: "write three octets like 70:b3:d5",
  });
}

/** What Linux takes as the name of a link (dev_valid_name, net/core/dev.c). */
function deviceName(text: string): string {
  if (/^[a-zA-Z0-9][a-zA-Z0-9._-]{0,14}$/.test(text)) return text;
  throw new Fault("name-invalid", {
    what: `"${text}" cannot be the name of a device`,
    where: "spec.vtepName",
    fix: "choose at most 15 letters, digits and dashes",
  });
}
