// Networks: which specs are valid, which defaults Weft fills in, and what may change while endpoints are attached.
import { isDeepStrictEqual } from "node:util";
import { type Cidr, parseCidr } from "../../../model/address.ts";
import { Fault } from "../../../model/fault.ts";
import type { NetworkInput } from "../../../model/input.ts";
import { prefixesOf } from "../../../model/membership.ts";
import { type Network, type NetworkSpec, cursorName } from "../../../model/resource.ts";
import { checkName } from "../../../model/parse.ts";
import type { Draft } from "../../state/draft.ts";
import type { Delete, Put } from "../../write.ts";
import { DEFAULT_DRIVER, DRIVERS, tunnelMtu } from "../../../model/driver.ts";
import { IPV6_MTU_MIN } from "../../../model/limits.ts";
import { type View, get, hostsInOrder } from "../../state/view.ts";
import { dropStaleBlocks, settleVrf, vacateVrf } from "./allocate.ts";
import { type Context, inUse } from "../context.ts";
import { checkNetworkDevices } from "./devices.ts";
import { endLease, giveUp } from "../address/freed.ts";
import { checkGroups, groupsWithPeer } from "../group/group.ts";
import { holdsOf } from "../address/hold.ts";
import { reservationsUnder } from "../address/reservationChain.ts";
import { membershipsOf } from "../workload/membership.ts";
import { endMoves, movesThrough } from "../workload/migrate.ts";
import { overlapFault, subnetCollision } from "./overlap.ts";
import { type WithSubnets, drawn } from "./pool.ts";
import { quotasOf } from "../address/quota.ts";
import { rangesOf } from "../address/range.ts";
import { putReservation, reservationsText, settleReservations } from "../address/reservation.ts";
import { settleLeases } from "./resize.ts";
import { checkNetworkHosts, limitsOf, networkQos } from "../workload/qos.ts";
import { checkSlices, standsOn, subnetsOf, withGateways } from "./subnet.ts";
import { chooseVni, ensureVrf } from "./vrf.ts";

/** Makes or changes a network, with its VRF, tunnel endpoints and blocks. */
export function putNetwork(draft: Draft, put: Put<NetworkInput>, context: Context): Network {
  const { name, spec: input, force } = put;
  checkName("network", name, "name");
  const { view } = draft;
  const old = get(view, "network", name);
  if (input.reservedFrom !== undefined || old?.spec.reservedFrom !== undefined)
    return putReservation(draft, name, input, context);
  const { input: whole, pool } = drawn(view, put, old, context);
  const spec = { ...completed(view, name, whole, old, context), ...(pool === undefined ? {} : { pool }) };
  if (old !== undefined) checkChange(view, old, spec);
  const cidrs = prefixesOf(spec).map((cidr) => parseCidr(cidr, "spec.subnets"));
  ensureNetworkVrf(draft, name, whole, spec, cidrs, context);
  for (const [i, cidr] of cidrs.entries()) {
    const where = i < spec.subnets.length ? `spec.subnets[${i}].cidr` : "spec.ranges";
    checkSubnet(view, name, spec.vrf, cidr, where, context);
  }
  for (const [mtu, where] of mtusOf(spec)) checkMtu(view, spec, mtu, where);
  checkNetworkDevices(view, name, spec, old);
  const network = draft.put("network", name, spec);
  if (old !== undefined) {
    dropStaleBlocks(draft, network);
    settleLeases(draft, old, network, force === true);
    settleReservations(draft, network);
  }
  const hosts = hostsInOrder(view);
  const isMoved = old !== undefined && old.spec.vrf !== spec.vrf;
  settleVrf(draft, spec.vrf, hosts, isMoved ? "anew" : "");
  if (isMoved) vacateVrf(draft, old.spec.vrf);
  if (!isDeepStrictEqual(limitsOf(spec), old === undefined ? [] : limitsOf(old.spec)))
    for (const each of [network, ...reservationsUnder(view, name)]) checkNetworkHosts(view, each);
  return network;
}

/** Removes a network; its endpoints too with `force`, else it is refused while there are any. */
export function deleteNetwork(draft: Draft, { name, force = false }: Delete, context: Context): void {
  const { view } = draft;
  const network = get(view, "network", name);
  if (network === undefined) return;
  const reservations = reservationsText(view, name);
  if (reservations.length > 0 && !force) {
    throw inUse(
      `network "${name}" has reservations`,
      "they are pieces of it",
      "delete them first, or use force to delete all of them with their endpoints",
      reservations,
    );
  }
  const endpoints = endpointsOf(view, name);
  if (endpoints.length > 0 && !force) {
    throw inUse(
      `network "${name}" has endpoints`,
      "they would lose their network",
      "detach them first, or use force",
      endpoints,
    );
  }
  const wishes = [
    ...membershipsOf(view, name).map(({ spec }) => `workload ${spec.workload}`),
    ...movesThrough(view, name).map((endpoint) => `migration of ${endpoint}`),
  ];
  if (wishes.length > 0 && !force) {
    const fix = `let them leave first (weft network leave ${name} WORKLOAD), or use force`;
    throw inUse(`network "${name}" has members`, "their instances are to be in it", fix, wishes);
  }
  const groups = groupsWithPeer(view, name);
  if (groups.length > 0 && !force) {
    const why = "their rules would match no peer";
    throw inUse(`network "${name}" is the peer of security groups`, why, "change them first, or use force", groups);
  }
  removeNetwork(draft, name, context);
  vacateVrf(draft, network.spec.vrf);
}

/** Removes a network, all that stands in it and all that is reserved from it; its VRF is the caller's to settle. */
export function removeNetwork(draft: Draft, name: string, context: Context): void {
  const { view } = draft;
  for (const each of view.networks.get(name)?.reservations ?? []) removeNetwork(draft, each, context);
  const network = get(view, "network", name);
  const parent = get(view, "network", network?.spec.reservedFrom ?? "");
  if (network !== undefined && parent !== undefined) returnTo(draft, network, parent, context);
  for (const endpoint of endpointsOf(view, name)) draft.remove("endpoint", endpoint);
  for (const freed of new Set(view.networks.get(name)?.freed.values() ?? [])) draft.remove("freed", freed);
  for (const hold of holdsOf(draft, name)) draft.remove("hold", hold.name);
  for (const range of ["", ...(get(view, "network", name)?.spec.ranges ?? []).map((each) => each.name)])
    draft.remove("cursor", cursorName(name, range));
  for (const blocks of view.networks.get(name)?.blocks.values() ?? []) {
    for (const block of [blocks[4], blocks[6]]) if (block !== undefined) draft.remove("block", block.name);
  }
  for (const membership of membershipsOf(view, name)) draft.remove("membership", membership.name);
  endMoves(draft, ({ spec }) => spec.from === name || spec.to === name);
  draft.remove("network", name);
}

/** Addresses in quarantine stay in it; all others of a reservation are free in its parent at once. */
function returnTo(draft: Draft, network: Network, parent: Network, context: Context): void {
  for (const endpoint of draft.view.networks.get(network.name)?.endpoints.values() ?? [])
    endLease(draft, endpoint, context);
  draft.put("network", network.name, { ...network.spec, ranges: [] });
  giveUp(draft, network, undefined, parent, context);
}

export function endpointsOf(view: View, network: string): string[] {
  return [...(view.networks.get(network)?.endpoints.keys() ?? [])];
}

function completed(
  view: View,
  name: string,
  input: WithSubnets,
  old: Network | undefined,
  context: Context,
): NetworkSpec {
  const groups = input.securityGroups ?? (old === undefined ? context.newNetworkGroups : undefined);
  const ipam = input.ipam ?? (input.subnets.some((subnet) => subnet.hostPrefix !== undefined) ? "local" : "global");
  const driver = input.driver ?? old?.spec.driver ?? DEFAULT_DRIVER;
  const qos = networkQos(input.qos, "spec.qos");
  const known = old?.spec.ipam === "global" ? old.spec.vni : undefined;
  const subnets = subnetsOf({ ...input, subnets: withGateways(input.subnets, old?.spec) }, ipam);
  for (const [i, range] of (input.ranges ?? []).entries())
    checkGroups(view, range.securityGroups ?? [], `spec.ranges[${i}].securityGroups`);
  if (ipam === "local") refuseGlobalOnly(input);
  refuseReserved(input);
  return {
    driver,
    ipam,
    vrf: input.vrf ?? name,
    ...(ipam === "local" || !DRIVERS[driver].hasVni
      ? {}
      : { vni: chooseVni(view, input.vni ?? known, `network/${name}`, "spec.vni") }),
    subnets,
    ...(input.ranges === undefined ? {} : { ranges: rangesOf(input.ranges, subnets, old, context) }),
    ...(input.quotas === undefined ? {} : { quotas: quotasOf(input.quotas) }),
    ...(input.strategy === undefined ? {} : { strategy: input.strategy }),
    ...(input.sticky === undefined ? {} : { sticky: input.sticky }),
    ...(input.quarantine === undefined ? {} : { quarantine: input.quarantine }),
    ...(input.dns === undefined ? {} : { dns: input.dns }),
    ...(input.mtu === undefined ? {} : { mtu: input.mtu }),
    ...(input.slices === undefined ? {} : { slices: checkSlices(input.slices, ipam, input.subnets) }),
    ...(qos === undefined ? {} : { qos }),
    masquerade: input.masquerade ?? true,
    enabled: input.enabled ?? true,
    ...(input.cni === undefined || input.cni === false ? {} : { cni: input.cni }),
    ...(groups === undefined ? {} : { securityGroups: checkGroups(view, groups, "spec.securityGroups") }),
    ...(input.spoofing === undefined ? {} : { spoofing: input.spoofing }),
    ...(input.description === undefined ? {} : { description: input.description }),
  };
}

/** A local network's VNI is its VRF's: one that is given makes or meets it. */
function ensureNetworkVrf(
  draft: Draft,
  name: string,
  input: NetworkInput,
  spec: NetworkSpec,
  subnets: readonly Cidr[],
  context: Context,
): void {
  const isLocal = spec.ipam === "local";
  const vrf = ensureVrf(
    draft,
    spec.vrf,
    {
      subnets,
      isLocal,
      ...(isLocal && input.vni !== undefined ? { vni: input.vni } : {}),
      ...(spec.vni === undefined ? {} : { notVni: spec.vni }),
    },
    context,
  );
  if (!isLocal || input.vni === undefined || input.vni === vrf.spec.vni) return;
  throw new Fault("vni-invalid", {
    what: `network "${name}" cannot have VNI ${input.vni}`,
    where: "spec.vni",
    why: `routed networks use the VNI of their VRF, and VRF "${vrf.name}" has ${vrf.spec.vni}`,
    fix: "leave it out, or put the network into a VRF of its own",
  });
}

/** Everything the range must not meet. */
function checkSubnet(view: View, name: string, vrfName: string, cidr: Cidr, where: string, context: Context): void {
  const met = subnetCollision(view, name, vrfName, cidr, context);
  if (met !== undefined) throw overlapFault(cidr, where, met);
}

/** What hosts' agents do for themselves cannot be asked of the server. */
function refuseGlobalOnly(input: NetworkInput): void {
  const field = (["ranges", "strategy", "sticky", "quotas"] as const).find((name) => input[name] !== undefined);
  if (field === undefined) return;
  throw new Fault("request-invalid", {
    what: `a local network has no ${field}`,
    where: `spec.${field}`,
    why: "each host's agent assigns from its block, lowest first, also while the server is away",
    fix: "leave it out, or set ipam to global",
  });
}

/** Words about reservations in a network that is none. */
function refuseReserved(input: NetworkInput): void {
  const piece = (input.ranges ?? []).findIndex(({ from }) => from !== undefined);
  if (input.tenant === undefined && piece < 0) return;
  throw new Fault("request-invalid", {
    what: `only a reservation has ${piece < 0 ? "a tenant" : "pieces of another network"}`,
    where: piece < 0 ? "spec.tenant" : `spec.ranges[${piece}].from`,
    fix: "leave it out, or give reservedFrom",
  });
}

function mtusOf(spec: NetworkSpec): (readonly [number, string])[] {
  const own = spec.mtu === undefined ? [] : [[spec.mtu, "spec.mtu"] as const];
  const ranges = (spec.ranges ?? []).flatMap(({ mtu }, i) =>
    mtu === undefined ? [] : [[mtu, `spec.ranges[${i}].mtu`] as const],
  );
  return [...own, ...ranges];
}

function checkMtu(view: View, spec: NetworkSpec, mtu: number, where: string): void {
  if (mtu < IPV6_MTU_MIN && prefixesOf(spec).some((cidr) => cidr.includes(":"))) {
    throw new Fault("mtu-invalid", {
      what: `MTU ${mtu} is too small for IPv6`,
      where,
      why: `IPv6 needs ${IPV6_MTU_MIN} bytes`,
      fix: `choose ${IPV6_MTU_MIN} or more`,
    });
  }
  for (const { name, spec: host } of view.host.values()) {
    const most = tunnelMtu(spec.driver, host);
    if (mtu <= most) continue;
    throw new Fault("mtu-invalid", {
      what: `MTU ${mtu} does not fit through the underlay`,
      where,
      why: `host "${name}" has an underlay MTU of ${host.underlayMtu}, which leaves ${most} inside a tunnel`,
      fix: `choose ${most} or less, or leave it out`,
    });
  }
}

/**
 * With endpoints attached, or reserved from: text, masquerade, MTU and a further family may change, and subnets may
 * grow; what they stand on may not go.
 */
function checkChange(view: View, old: Network, spec: NetworkSpec): void {
  const blockers = [...endpointsOf(view, old.name), ...reservationsText(view, old.name)];
  if (blockers.length === 0) return;
  const field =
    (["driver", "ipam", "vrf", "vni"] as const).find((name) => spec[name] !== old.spec[name]) ??
    (isDeepStrictEqual(spec.slices, old.spec.slices) ? undefined : "slices") ??
    (old.spec.subnets.every((subnet) => spec.subnets.some((s) => standsOn(subnet, s))) ? undefined : "subnets");
  if (field === undefined) return;
  const users = endpointsOf(view, old.name).length > 0 ? "endpoints" : "reservations";
  throw inUse(
    `the ${field} of network "${old.name}" cannot change`,
    `${users} use ${field === "subnets" ? "these subnets" : "it"}`,
    "detach or delete them first",
    blockers,
  );
}
