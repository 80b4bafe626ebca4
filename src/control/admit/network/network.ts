// Networks: which specs are valid, which defaults Weft fills in, and what may change while endpoints are attached.
import { isDeepStrictEqual } from "node:util";
import { defined } from "../../../model/defined.ts";
import { Fault } from "../../../model/fault.ts";
import type { NetworkInput } from "../../../model/input.ts";
import { someLabels } from "../../../model/labels.ts";
import { type Network, type NetworkSpec, cursorName } from "../../../model/resource.ts";
import { checkName } from "../../../model/parse.ts";
import { restrictedFields } from "../../../model/template.ts";
import type { Draft } from "../../state/draft.ts";
import type { Delete, Put } from "../../write.ts";
import { DEFAULT_DRIVER, DRIVERS, isPhysical } from "../../../model/driver.ts";
import { type View, get, hostsInOrder } from "../../state/view.ts";
import { dropStaleBlocks, alignVrf, vacateVrf } from "./allocate.ts";
import { blocksOf, endpointNames, endpointsOf, freedOf, holdsOf, membershipsOf } from "../contents.ts";
import { cidrsOf, refuseWhile } from "../context.ts";
import { convertNetwork, endConversion } from "./convert.ts";
import { checkNetworkDevices } from "./devices.ts";
import { alignHostAddresses, hostAddressFields, hostsInSpec, withoutGateways } from "../address/hostAddress.ts";
import { checkFeatures } from "./features.ts";
import { endLease, giveUp } from "../address/freed.ts";
import { checkGroups, groupsWithPeer } from "../group/group.ts";
import { endMoves, movesThrough } from "../workload/migrate.ts";
import { peersOf } from "./multicast.ts";
import { checkMtu } from "./mtu.ts";
import { offloadOf } from "./offload.ts";
import { overlapFault, subnetCollision } from "./overlap.ts";
import { type WithSubnets, drawn } from "./pool.ts";
import { checkOvs, wayPart } from "./openVswitch.ts";
import { checkTags, checkTogether } from "./bridge.ts";
import { checkDevices } from "./carries.ts";
import { checkOuter } from "./physical.ts";
import { quotasOf } from "../address/quota.ts";
import { rangesOf } from "../address/range.ts";
import { putReservation, reservationsText, alignReservations } from "../address/reservation.ts";
import { alignLeases } from "./resize.ts";
import { checkLimits, networkQos } from "../workload/qos.ts";
import { givenParts } from "./given.ts";
import { checkNamedInside, clusterFields, vacateOutside } from "../host/cluster.ts";
import { checkHosts, vrfAndPlacement } from "./placement.ts";
import { checkSlices, movedIn, subnetsOf, withGateways } from "./subnet.ts";
import { chooseVni, ensureVrf } from "./vrf.ts";

/** Makes or changes a network, with its VRF, tunnel endpoints and blocks. */
export function putNetwork(draft: Draft, wanted: Put<NetworkInput>): Network {
  const { name, spec: input, force } = wanted;
  checkName("network", name, "name");
  const { view } = draft;
  const old = get(view, "network", name);
  if (input.reservedFrom !== undefined || old?.spec.reservedFrom !== undefined)
    return putReservation(draft, name, input);
  const { input: whole, pool } = drawn(draft, wanted, old);
  const spec: NetworkSpec = { ...completed(draft, name, whole, old), ...defined({ pool }) };
  if (old !== undefined) checkChange(view, old, spec);
  if (old !== undefined) convertNetwork(draft, old, spec);
  ensureVrf(draft, { name, spec }, whole.vni);
  for (const [i, cidr] of cidrsOf({ name, spec }).entries()) {
    const met = subnetCollision(draft, { name, spec }, cidr);
    const where = i < spec.subnets.length ? `spec.subnets[${i}].cidr` : "spec.ranges";
    if (met !== undefined) throw overlapFault(cidr, where, met);
  }
  checkNamedInside(view, name, spec);
  checkMtu(view, spec, spec.mtu, "spec.mtu");
  for (const [i, { mtu }] of (spec.ranges ?? []).entries()) checkMtu(view, spec, mtu, `spec.ranges[${i}].mtu`);
  checkNetworkDevices(view, name, spec, old);
  checkOuter(view, name, spec);
  checkOvs(view, name, spec);
  checkTogether(view, name, spec);
  checkTags(view, name, spec);
  checkDevices(view, spec, old);
  const put = draft.put("network", name, spec);
  if (old !== undefined) {
    dropStaleBlocks(draft, put);
    alignLeases(draft, old, put, force === true);
    alignReservations(draft, put);
    vacateOutside(draft, put, force === true);
  }
  const network = alignHostAddresses(draft, put);
  const isMoved = old !== undefined && old.spec.vrf !== spec.vrf;
  alignVrf(draft, spec.vrf, hostsInOrder(view), isMoved ? "anew" : "");
  if (isMoved) vacateVrf(draft, old.spec.vrf);
  checkLimits(view, old, network);
  checkFeatures(view, old, network);
  return network;
}

/** Removes a network; its endpoints too with `force`, else it is refused while there are any. */
export function deleteNetwork(draft: Draft, { name, force = false }: Delete): void {
  const { view } = draft;
  const network = get(view, "network", name);
  if (network === undefined) return;
  if (!force) checkUnused(view, name);
  removeNetwork(draft, name);
  vacateVrf(draft, network.spec.vrf);
}

function checkUnused(view: View, name: string): void {
  refuseWhile(reservationsText(view, name), {
    what: `network "${name}" has reservations`,
    why: "they are pieces of it",
    fix: "delete them first, or use force to delete all of them with their endpoints",
  });
  refuseWhile(endpointNames(view, name), {
    what: `network "${name}" has endpoints`,
    why: "they would lose their network",
    fix: "detach them first, or use force",
  });
  const members = membershipsOf(view, name).map(({ spec }) => `workload ${spec.workload}`);
  refuseWhile([...members, ...movesThrough(view, name).map((endpoint) => `migration of ${endpoint}`)], {
    what: `network "${name}" has members`,
    why: "their instances are to be in it",
    fix: `let them leave first (weft network leave ${name} WORKLOAD), or use force`,
  });
  refuseWhile(groupsWithPeer(view, name), {
    what: `network "${name}" is the peer of security groups`,
    why: "their rules would match no peer",
    fix: "change them first, or use force",
  });
}

/** Removes a network, all that stands in it and all that is reserved from it; its VRF is the caller's to settle. */
export function removeNetwork(draft: Draft, name: string): void {
  const { view } = draft;
  for (const each of view.networks.get(name)?.reservations ?? []) removeNetwork(draft, each);
  const network = get(view, "network", name);
  const parent = get(view, "network", network?.spec.reservedFrom ?? "");
  if (network !== undefined && parent !== undefined) returnTo(draft, network, parent);
  for (const endpoint of endpointNames(view, name)) draft.remove("endpoint", endpoint);
  for (const freed of freedOf(view, name)) draft.remove("freed", freed.name);
  for (const hold of holdsOf(view, name)) draft.remove("hold", hold.name);
  for (const range of ["", ...(get(view, "network", name)?.spec.ranges ?? []).map((each) => each.name)])
    draft.remove("cursor", cursorName(name, range));
  for (const block of blocksOf(view, name)) draft.remove("block", block.name);
  for (const membership of membershipsOf(view, name)) draft.remove("membership", membership.name);
  endMoves(draft, ({ spec }) => spec.from === name || spec.to === name);
  if (network !== undefined) endConversion(draft, network.spec.vrf, name);
  draft.remove("network", name);
}

/** Addresses in quarantine stay in it; all others of a reservation are free in its parent at once. */
function returnTo(draft: Draft, network: Network, parent: Network): void {
  for (const endpoint of endpointsOf(draft.view, network.name)) endLease(draft, endpoint);
  draft.put("network", network.name, { ...network.spec, ranges: [] });
  giveUp(draft, network, undefined, parent);
}

function completed(draft: Draft, name: string, input: WithSubnets, old: Network | undefined): NetworkSpec {
  const { view, context } = draft;
  const ipam = input.ipam ?? (input.subnets.some((subnet) => subnet.hostPrefix !== undefined) ? "local" : "global");
  const driver = input.driver ?? old?.spec.driver ?? DEFAULT_DRIVER;
  const qos = networkQos(input.qos);
  const known = old?.spec.ipam === "global" ? old.spec.vni : undefined;
  const way = wayPart(view, name, input, driver);
  const isOutside = isPhysical({ driver, ...way });
  const isBare = isOutside || input.hostAddresses !== undefined;
  const given = withoutGateways(withGateways(input.subnets, old?.spec), isBare);
  const subnets = subnetsOf({ ...input, subnets: given }, ipam);
  for (const [i, range] of (input.ranges ?? []).entries())
    checkGroups(view, range.securityGroups ?? [], `spec.ranges[${i}].securityGroups`);
  if (ipam === "local") refuseGlobalOnly(input);
  refuseReserved(input);
  const { vrf, placement } = vrfAndPlacement(view, name, { ...input, driver, ipam }, old);
  const { masquerade = !isOutside, enabled = true } = input;
  const hosts = hostsInSpec(input);
  const { ranges, quotas, strategy, sticky, quarantine, dns, mtu, slices, cni, spoofing, labels, description } = input;
  const groups = input.securityGroups ?? (old === undefined ? context.newNetworkGroups : undefined);
  const hasVni = ipam === "global" && DRIVERS[driver].hasVni;
  const vni = hasVni ? chooseVni(view, input.vni ?? known, `network/${name}`) : undefined;
  return defined({
    driver,
    ipam,
    vrf,
    placement,
    hosts: hosts && checkHosts(view, hosts, old),
    ...clusterFields(view, input.clusters),
    ...givenParts(input, { driver, placement }),
    ...hostAddressFields(view, { ...input, ...way, driver, subnets, placement }, old),
    vni,
    ...way,
    ...peersOf(draft, input, { driver, ipam, vni }),
    subnets,
    ranges: ranges && rangesOf(draft, ranges, subnets, old),
    quotas: quotas && quotasOf(quotas),
    strategy,
    sticky,
    quarantine,
    dns,
    mtu,
    offload: offloadOf(input.offload, driver),
    slices: slices && checkSlices(slices, ipam, input.subnets),
    qos,
    masquerade,
    enabled,
    cni: cni === false ? undefined : cni,
    securityGroups: groups && checkGroups(view, groups, "spec.securityGroups"),
    spoofing,
    restricted: restrictedFields(input, old?.spec.restricted),
    labels: someLabels(labels),
    description,
  });
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

const FIXED = [
  "ipam",
  "placement",
  "vrf",
  "bridge",
  "isolated",
  "underlayDevice",
  "parent",
  "vlan",
  "outerVlan",
  "tunnel",
] as const;

/**
 * With endpoints attached, or reserved from: text, masquerade and a further family may change, subnets may grow, and
 * how frames cross may be converted; what they stand on may not go.
 */
function checkChange(view: View, old: Network, spec: NetworkSpec): void {
  const endpoints = endpointNames(view, old.name);
  const blockers = [...endpoints, ...reservationsText(view, old.name)];
  if (blockers.length === 0) return;
  const field =
    FIXED.find((name) => spec[name] !== old.spec[name]) ??
    (isDeepStrictEqual(spec.slices, old.spec.slices) ? undefined : "slices") ??
    movedIn(old.spec.subnets, spec.subnets);
  if (field === undefined) return;
  const users = endpoints.length > 0 ? "endpoints" : "reservations";
  refuseWhile(blockers, {
    what: `\`${field}\` of network "${old.name}" cannot change`,
    why: `${users} use ${field === "subnets" ? "these subnets" : "it"}`,
    fix: "detach or delete them first, or migrate endpoints to a new network (weft network migrate)",
  });
}
