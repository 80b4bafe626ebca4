// Routing domains: put by name, made on demand with a network, removed. A VRF that was put stays until it is deleted;
// one made on demand goes with its last network (`kept` says which it is). The server counts the index and finds the
// VNI and the VTEP subnets unless they are given. Once given or found they and the tunnel's port stay, whatever a later
// put leaves out; a VTEP subnet that a put leaves out of its list goes when no network needs its family.
import { type Cidr, type Family, familyOf, formatCidr, overlaps, parseCidr } from "../../../model/address.ts";
import { Fault } from "../../../model/fault.ts";
import type { Key, Vrf, VrfSpec } from "../../../model/resource.ts";
import type { VrfInput } from "../../../model/input.ts";
import { checkName } from "../../../model/parse.ts";
import { TUNNEL_PORT } from "../../../model/limits.ts";
import { VRF_INDEX_FIRST, VRF_INDEX_LAST } from "../../../model/uplink.ts";
import type { Draft } from "../../state/draft.ts";
import type { Delete, Put } from "../../write.ts";
import { PREFIX_MAX, VNI_FIRST, VNI_MAX, VTEP_MAC_OUI, VTEP_PREFIX_MIN, VTEP_SUBNETS } from "../numbers.ts";
import { type View, get, hostsInOrder } from "../../state/view.ts";
import { networksOf, settleVrf } from "./allocate.ts";
import { type Context, cidrsOf, inUse } from "../context.ts";
import { checkVrfDevices } from "./devices.ts";
import {
  type Collision,
  checkUsable,
  hostAccessCollision,
  hostCollision,
  networkCollision,
  overlapFault,
} from "./overlap.ts";

/** Makes or changes a VRF as its user wants it. */
export function putVrf(draft: Draft, { name, spec: input }: Put<VrfInput>, context: Context): Vrf {
  checkName("vrf", name, "name");
  const { view } = draft;
  const old = get(view, "vrf", name);
  const spec = completed(view, name, input, old, context);
  checkSpec(view, name, spec, context);
  if (old !== undefined) checkChange(view, old, spec, input, neededFamilies(view, name, context));
  checkVrfDevices(view, name, spec);
  const vrf = draft.put("vrf", name, spec);
  settleVrf(draft, name, hostsInOrder(view), "anew");
  return vrf;
}

/** What a network asks of the VRF it is put into. */
export type VrfRequest = {
  readonly subnets: readonly Cidr[];
  readonly isLocal: boolean;
  readonly vni?: number;
  readonly notVni?: number;
};

/**
 * The VRF of a network that is being put, made if it is not there; with a VTEP subnet for each family of a local
 * network.
 */
export function ensureVrf(draft: Draft, name: string, wish: VrfRequest, context: Context): Vrf {
  checkName("vrf", name, "spec.vrf");
  const { view } = draft;
  const old = get(view, "vrf", name);
  const families = wish.subnets.map((cidr) => cidr.family);
  if (old !== undefined) {
    const vtepSubnets = wish.isLocal
      ? withFamilies(view, name, old.spec.vtepSubnets, families, wish.subnets, context)
      : old.spec.vtepSubnets;
    return draft.put("vrf", name, { ...old.spec, vtepSubnets });
  }
  const spec: VrfSpec = {
    index: freeIndex(view),
    vni: chooseVni(view, wish.vni, `vrf/${name}`, "spec.vni", wish.notVni),
    tunnelPort: TUNNEL_PORT,
    vtepSubnets: withFamilies(view, name, [], [4, ...families], wish.subnets, context),
    vtepMacOui: VTEP_MAC_OUI,
    hostAccess: false,
    // Said, so that a list of it can be applied again: a put that does not say makes it one that stays.
    kept: false,
  };
  checkVrfDevices(view, name, spec);
  return draft.put("vrf", name, spec);
}

/** Removes a VRF; with `force` its networks and their endpoints too. */
export function deleteVrf(draft: Draft, { name, force }: Delete, removeNetwork: (name: string) => void): void {
  const { view } = draft;
  const networks = networksOf(view, name).map((network) => network.name);
  if (networks.length > 0 && force !== true) {
    throw inUse(
      `VRF "${name}" has networks`,
      "it goes only when they are gone",
      "delete them first, or use force to delete all of them with their endpoints",
      networks,
    );
  }
  for (const network of networks) removeNetwork(network);
  settleVrf(draft, name, []);
  draft.remove("vrf", name);
}

/**
 * The VNI asked for, unless another than `owner` has it; without a wish the lowest free one from 4096 up, but
 * `not`.
 */
export function chooseVni(view: View, wanted: number | undefined, owner: Key, where: string, not?: number): number {
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

function completed(view: View, name: string, input: VrfInput, old: Vrf | undefined, context: Context): VrfSpec {
  return {
    index: old?.spec.index ?? freeIndex(view),
    vni:
      input.vni === undefined && old !== undefined
        ? old.spec.vni
        : chooseVni(view, input.vni, `vrf/${name}`, "spec.vni"),
    tunnelPort: input.tunnelPort ?? old?.spec.tunnelPort ?? TUNNEL_PORT,
    vtepSubnets: vtepSubnetsOf(view, name, input, old, context),
    vtepMacOui: ouiOf(input.vtepMacOui ?? VTEP_MAC_OUI),
    hostAccess: input.hostAccess ?? false,
    kept: input.kept ?? true,
    ...(input.vtepName === undefined ? {} : { vtepName: deviceName(input.vtepName) }),
    ...(input.dcos === undefined ? {} : { dcos: input.dcos }),
  };
}

/**
 * As given or as they were, and one for each family that a local network needs: an overlay file need not name them
 * all.
 */
function vtepSubnetsOf(
  view: View,
  name: string,
  input: VrfInput,
  old: Vrf | undefined,
  context: Context,
): readonly string[] {
  const families = stayingFamilies(view, name, context);
  const given = input.vtepSubnets?.map((text, i) => formatCidr(parseCidr(text, `spec.vtepSubnets[${i}]`)));
  if (given === undefined)
    return withFamilies(
      view,
      name,
      old?.spec.vtepSubnets ?? [],
      old === undefined ? [4, ...families] : families,
      [],
      context,
    );
  const needed = neededFamilies(view, name, context);
  const had = (old?.spec.vtepSubnets ?? []).filter(
    (text) => needed.has(familyOf(text)) && !given.some((other) => familyOf(other) === familyOf(text)),
  );
  return withFamilies(view, name, [...given, ...had], families, [], context);
}

/** Of local networks that the write leaves as they are. */
function stayingFamilies(view: View, name: string, { moving }: Context): Family[] {
  const locals = networksOf(view, name).filter(({ spec }) => spec.ipam === "local");
  return locals
    .filter((network) => moving?.has(network.name) !== true)
    .flatMap(cidrsOf)
    .map((cidr) => cidr.family);
}

/** Of all local networks that the VRF has when the write is done. */
function neededFamilies(view: View, name: string, context: Context): ReadonlySet<Family> {
  return new Set([...stayingFamilies(view, name, context), ...(context.coming?.get(name) ?? [])]);
}

/** The subnets, and a default one for each family that has none. */
function withFamilies(
  view: View,
  vrf: string,
  subnets: readonly string[],
  families: readonly Family[],
  alsoNot: readonly Cidr[],
  context: Context,
): readonly string[] {
  const missing = [...new Set(families)].filter((family) => !subnets.some((text) => familyOf(text) === family));
  return [...subnets, ...missing.map((family) => formatCidr(freeVtepSubnet(view, vrf, family, alsoNot, context)))];
}

function checkSpec(view: View, name: string, spec: VrfSpec, context: Context): void {
  if (spec.vtepSubnets.length === 0) {
    throw new Fault("request-invalid", {
      what: "spec.vtepSubnets: expected at least one",
      where: "spec.vtepSubnets",
      fix: "leave the list out and one is found",
    });
  }
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
    const met = vtepSubnetCollision(view, name, cidr, [], context);
    if (met !== undefined) throw overlapFault(cidr, where, met);
  }
  if (!spec.hostAccess) return;
  for (const network of networksOf(view, name)) {
    if (context.moving?.has(network.name) === true) continue;
    for (const cidr of cidrsOf(network)) {
      const met = hostAccessCollision(view, name, cidr, context);
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
 * What every tunnel between hosts is made of cannot change under traffic. A family can be added; one that no network
 * needs carries nothing and can go, unless the MACs of the tunnels are made of its addresses.
 */
function checkChange(view: View, old: Vrf, spec: VrfSpec, input: VrfInput, needed: ReadonlySet<Family>): void {
  if (input.index !== undefined && input.index !== old.spec.index) {
    throw new Fault("immutable", {
      what: `VRF "${old.name}" has index ${old.spec.index}`,
      where: "spec.index",
      why: "the server counts it",
      fix: "leave it out",
    });
  }
  const ofMacs = old.spec.vtepSubnets.some((text) => familyOf(text) === 4) ? 4 : 6;
  const isIdle = (text: string) => !needed.has(familyOf(text)) && familyOf(text) !== ofMacs;
  const fixed = ["vni", "tunnelPort", "vtepMacOui", "vtepName"] as const;
  const field =
    fixed.find((name) => spec[name] !== old.spec[name]) ??
    (old.spec.vtepSubnets.every((text) => spec.vtepSubnets.includes(text) || isIdle(text)) ? undefined : "vtepSubnets");
  if (field === undefined) return;
  const endpoints = networksOf(view, old.name).flatMap((network) => [
    ...(view.networks.get(network.name)?.endpoints.keys() ?? []),
  ]);
  if (endpoints.length === 0) return;
  throw inUse(
    `the ${field} of VRF "${old.name}" cannot change`,
    "its tunnels carry endpoints",
    "detach them first",
    endpoints,
  );
}

function vtepSubnetCollision(
  view: View,
  vrf: string,
  cidr: Cidr,
  alsoNot: readonly Cidr[],
  context: Context,
): Collision | undefined {
  const coming = alsoNot.find((other) => overlaps(other, cidr));
  if (coming !== undefined) return { with: formatCidr(coming), why: "it is the network's own" };
  return networkCollision(view, vrf, cidr, context) ?? hostCollision(view, cidr, context);
}

function freeVtepSubnet(view: View, vrf: string, family: Family, alsoNot: readonly Cidr[], context: Context): Cidr {
  const free = VTEP_SUBNETS[family].find(
    (cidr) => vtepSubnetCollision(view, vrf, cidr, alsoNot, context) === undefined,
  );
  if (free !== undefined) return free;
  throw new Fault("overlap", {
    what: `no default IPv${family} VTEP subnet is free for VRF "${vrf}"`,
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
