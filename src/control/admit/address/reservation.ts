// Reservations: networks whose ranges are pieces of another network's, on the same segment. The parent's index has one
// interval per piece, so the size of a reservation does not matter. A reservation can be reserved from. What it returns
// is the parent's in the same commit, including quarantine.
import { isDeepStrictEqual } from "node:util";
import { ipOf } from "../../../model/address.ts";
import { defined } from "../../../model/defined.ts";
import { Fault } from "../../../model/fault.ts";
import type { NetworkInput, ReserveRequest } from "../../../model/input.ts";
import { someLabels } from "../../../model/labels.ts";
import { checkName } from "../../../model/parse.ts";
import { restrictedFields } from "../../../model/template.ts";
import type { AddressRange } from "../../../model/range.ts";
import type { Network, NetworkSpec } from "../../../model/resource.ts";
import { ALL_SPACES_FREE, indexOfIp, obstacleIn, planOf } from "../../../ipam/range.ts";
import type { Draft } from "../../state/draft.ts";
import { type View, get } from "../../state/view.ts";
import { globalNetwork } from "./addresses.ts";
import { reservationsUnder, segmentOwnerOf } from "../contents.ts";
import { checkSome, refuseWhile } from "../context.ts";
import { giveUp } from "./freed.ts";
import { checkGroups } from "../group/group.ts";
import { excludedOf } from "./lease.ts";
import { checkFree, pieceSource, pieceFor, rangeAround } from "./piece.ts";
import { checkLimits, networkQos } from "../workload/qos.ts";
import { checkQuota, checkTenant, leasesOfTenant, quotasOf } from "./quota.ts";
import { rangesOf } from "./range.ts";
import { alignLeases } from "../network/resize.ts";

const PIECE = "piece-";
const RESERVED = { done: "reserved", fix: "reserve from a global network" };

/** Creates a reservation, or adds a piece to one. */
export function reserve(draft: Draft, from: string, request: ReserveRequest): Network {
  const { name, tenant } = request;
  checkName("network", name, "name");
  const parent = globalNetwork(draft.view, from, "network", RESERVED);
  const old = get(draft.view, "network", name);
  checkTarget(parent, name, old, tenant);
  const ranges = old?.spec.ranges ?? [];
  const piece = { name: nextName(ranges), ...pieceFor(pieceSource(draft, parent), request) };
  return putReservation(draft, name, { ...(old?.spec ?? inherited(parent, tenant)), ranges: [...ranges, piece] });
}

function nextName(ranges: readonly AddressRange[]): string {
  const numbers = ranges.map(({ name }) => (name.startsWith(PIECE) ? Number(name.slice(PIECE.length)) : 0));
  return `${PIECE}${Math.max(0, ...numbers.filter(Number.isSafeInteger)) + 1}`;
}

/** The strategy is each network's own; a new reservation starts with its parent's. */
function inherited({ name, spec }: Network, tenant: string | undefined): NetworkInput {
  const { strategy, sticky, quarantine } = spec;
  return { subnets: [], reservedFrom: name, ...defined({ tenant, strategy, sticky, quarantine }) };
}

function checkTarget(parent: Network, name: string, old: Network | undefined, tenant: string | undefined): void {
  if (name === parent.name) throw fromItself(name, "name");
  if (old === undefined) return;
  const why =
    old.spec.reservedFrom === undefined
      ? "it is not a reservation"
      : old.spec.reservedFrom !== parent.name
        ? `it is reserved from network "${old.spec.reservedFrom}"`
        : tenant !== undefined && tenant !== old.spec.tenant
          ? `it is ${old.spec.tenant === undefined ? "of no tenant" : `tenant ${old.spec.tenant}'s`}`
          : undefined;
  if (why === undefined) return;
  const whom = tenant === undefined ? "" : ` for tenant ${tenant}`;
  throw new Fault("name-taken", {
    what: `network "${name}" cannot get addresses of network "${parent.name}"${whom}`,
    where: "name",
    why,
    fix: "choose another name for a new reservation",
  });
}

function fromItself(name: string, where: string): Fault {
  return new Fault("request-invalid", {
    what: `network "${name}" cannot be reserved from itself`,
    where,
    fix: "choose another name for the reservation",
  });
}

/** Creates or changes a reservation. Its pieces must be the parent's and free, and no lease or hold loses its place. */
export function putReservation(draft: Draft, name: string, input: NetworkInput): Network {
  const { view } = draft;
  const old = get(view, "network", name);
  const from = input.reservedFrom ?? "";
  if (from === name) throw fromItself(name, "spec.reservedFrom");
  checkStaysReservation(name, old, input);
  const parent = globalNetwork(view, from, "spec.reservedFrom", RESERVED);
  const segmentOwner = segmentOwnerOf(view, parent);
  checkOwn(input, segmentOwner);
  const spec = completed(draft, input, segmentOwner, old);
  const stray = strayGateway(spec, segmentOwner);
  if (stray !== undefined) throw stray;
  const used = leasesOfTenant(view, parent.name, spec.tenant);
  // Its own pieces are no obstacle.
  draft.put("network", name, { ...spec, ranges: [] });
  const ranges = piecesOf(draft, parent, spec);
  const network = draft.put("network", name, { ...spec, ranges });
  checkQuota(view, parent, spec.tenant, used);
  if (old === undefined) return network;
  checkLimits(view, old, network);
  giveUp(draft, old, network, parent);
  alignLeases(draft, old, network, false);
  alignReservations(draft, network);
  return network;
}

/** A network cannot become a reservation or stop being one, nor change its parent: its leases are on that segment. */
function checkStaysReservation(name: string, old: Network | undefined, input: NetworkInput): void {
  if (old === undefined || old.spec.reservedFrom === input.reservedFrom) return;
  const from = old.spec.reservedFrom;
  throw new Fault("immutable", {
    what: `network "${name}" is ${from === undefined ? "not a reservation" : `reserved from network "${from}"`}`,
    where: "spec.reservedFrom",
    why: "it is so as long as it lives",
    fix:
      from === undefined
        ? "choose another name for a new reservation"
        : `leave it at "${from}", or delete the network and make it anew`,
  });
}

const SEGMENT_ONLY = [
  "vni",
  "peers",
  "group",
  "ttl",
  "underlayDevice",
  "outsiders",
  "hosts",
  "clusters",
  "bridge",
  "isolated",
  "device",
  "takeOver",
  "hostAddresses",
  "allocatedAddresses",
  "parent",
  "vlan",
  "outerVlan",
  "tunnel",
  "trunks",
  "spoofing",
  "stp",
  "forwardDelay",
  "mtu",
  "offload",
  "slices",
  "dns",
  "pool",
] as const;

/** Settings of the segment are the segment owner's. A put may repeat them, but not change them. */
function checkOwn(input: NetworkInput, segmentOwner: Network): void {
  const { spec } = segmentOwner;
  const field =
    (["vrf", "placement", "driver", "masquerade", "ipam"] as const).find(
      (name) => input[name] !== undefined && input[name] !== spec[name],
    ) ??
    SEGMENT_ONLY.find((name) => input[name] !== undefined) ??
    (input.subnets === undefined || input.subnets.length === 0 || isDeepStrictEqual(input.subnets, spec.subnets)
      ? undefined
      : "subnets");
  if (field !== undefined) {
    throw new Fault("request-invalid", {
      what: `a reservation has no ${field} of its own`,
      where: `spec.${field}`,
      why: `it is on the segment of network "${segmentOwner.name}"`,
      fix: "leave it out; it has its own securityGroups and qos, and its ranges gateway, dns, mtu and securityGroups",
    });
  }
  const fix = "let one be found (weft network reserve), or delete the network to return all of them";
  checkSome(input.ranges ?? [], "spec.ranges", fix, "a reservation is the pieces that it has");
}

function completed(draft: Draft, input: NetworkInput, segmentOwner: Network, old: Network | undefined): NetworkSpec {
  const { reservedFrom = "", tenant, quotas, strategy, sticky, quarantine, enabled = true } = input;
  const { driver, vrf, placement, subnets, masquerade } = segmentOwner.spec;
  return defined({
    driver,
    ipam: "global",
    vrf,
    placement,
    subnets: [],
    reservedFrom,
    tenant: tenant === undefined ? undefined : checkTenant(tenant, "spec.tenant"),
    quotas: quotas && quotasOf(quotas),
    ranges: rangesOf(draft, input.ranges ?? [], subnets, old),
    strategy,
    sticky,
    quarantine,
    qos: networkQos(input.qos),
    cni: input.cni === false ? undefined : input.cni,
    securityGroups: input.securityGroups && checkGroups(draft.view, input.securityGroups, "spec.securityGroups"),
    masquerade,
    enabled,
    restricted: restrictedFields(input, old?.spec.restricted),
    labels: someLabels(input.labels),
    description: input.description,
  });
}

/**
 * Why a piece cannot have its gateway: the bridge on every host has the address, so it must already be the segment's,
 * or belong to the reservation.
 */
function strayGateway({ ranges = [] }: NetworkSpec, segmentOwner: Network): Fault | undefined {
  const known = excludedOf(segmentOwner);
  for (const [i, range] of ranges.entries()) {
    for (const field of ["gateway", "gateway6"] as const) {
      const ip = ipOf(range[field] ?? "");
      const isOwn = ip !== undefined && ranges.some((each) => indexOfIp(planOf(each), ip) !== undefined);
      if (ip === undefined || isOwn || known[ip.family].includes(ip.value)) continue;
      return new Fault("address-outside", {
        what: `gateway ${range[field]} is neither the segment's nor in a piece of the reservation`,
        where: `spec.ranges[${i}].${field}`,
        why: "it may be in use",
        fix: "leave it out, write none, or choose an address that is reserved",
      });
    }
  }
  return undefined;
}

/** The pieces, each with the range that it is from; every lease of them must be free in the parent. */
function piecesOf(draft: Draft, parent: Network, { ranges = [] }: NetworkSpec): AddressRange[] {
  const source = pieceSource(draft, parent);
  return ranges.map((range, i) => {
    const where = `spec.ranges[${i}]`;
    const plan = planOf(range);
    const around = rangeAround(parent, range);
    if (around === undefined || (range.from !== undefined && range.from !== around)) {
      const kind = parent.spec.ranges === undefined ? "subnet" : "range";
      throw new Fault("address-outside", {
        what: `piece "${range.name}" is in no ${kind} of network "${parent.name}"`,
        where,
        why: "type, addresses and MACs of a piece are those of the range that it is from",
        fix: `see \`weft network show ${parent.name}\`, or let one be found (weft network reserve)`,
      });
    }
    if (range.size === undefined || plan.macs !== plan.size) {
      throw new Fault("request-invalid", {
        what: `piece "${range.name}" has more leases than MACs`,
        where: `${where}.size`,
        why: "each lease of a reservation has a MAC of its own on the segment",
        fix: "choose a size, of at most 2147483648",
      });
    }
    checkFree(source, plan, { at: 0n, size: plan.size }, where);
    return fromRange(range, around);
  });
}

function fromRange(range: AddressRange, around: string): AddressRange {
  const { from: _, ...rest } = range;
  return around === "" ? rest : { ...rest, from: around };
}

/** Call with the network as it is now: it must still have what is reserved from it. */
export function alignReservations(draft: Draft, network: Network): void {
  const { view } = draft;
  const excluded = excludedOf(network);
  const lost: string[] = [];
  for (const name of view.networks.get(network.name)?.reservations ?? []) {
    const reservation = get(view, "network", name);
    if (reservation === undefined) continue;
    const ranges = (reservation.spec.ranges ?? []).map((range) => {
      const plan = planOf(range);
      const around = rangeAround(network, range);
      const isKept =
        around !== undefined && obstacleIn(plan, ALL_SPACES_FREE, excluded, { at: 0n, size: plan.size }) === plan.size;
      if (isKept) return fromRange(range, around);
      lost.push(`${reservationText(reservation)}: ${range.name}`);
      return range;
    });
    if (lost.length === 0) draft.put("network", name, { ...reservation.spec, ranges });
  }
  const segmentOwner = segmentOwnerOf(view, network);
  for (const each of reservationsUnder(view, network.name))
    if (strayGateway(each.spec, segmentOwner) !== undefined) lost.push(`${reservationText(each)}: its gateway`);
  refuseWhile(lost, {
    what: `this change of network "${network.name}" is refused`,
    why: "what is reserved from it would lose its place, or be a gateway",
    fix: "return these pieces first (weft network range remove), or shrink them",
  });
}

/** Everything reserved from a network, directly or not, as a list for people. */
export function reservationsText(view: View, name: string): string[] {
  return reservationsUnder(view, name).map(reservationText);
}

function reservationText({ name, spec }: Network): string {
  return `reservation ${name}${spec.tenant === undefined ? "" : ` of tenant ${spec.tenant}`}`;
}
