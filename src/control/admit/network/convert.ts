// Conversions: what carries the frames of endpoints changes in phases that all member hosts go through
// (decisions/0043). The write that changes the network or VRF makes the conversion; the server moves it from phase to
// phase by writes of its own, when all hosts are there; a person may send it back.
import { isDeepStrictEqual } from "node:util";
import {
  ANEW_MS,
  carriageOf,
  changesMtu,
  changesWay,
  converts,
  phaseAfter,
  phasesOf,
  wayBefore,
  withCarriage,
} from "../../../model/conversion.ts";
import { checkAble } from "../../../model/lacking.ts";
import { DRIVERS, routedDevice } from "../../../model/driver.ts";
import { Fault } from "../../../model/fault.ts";
import type { Carriage } from "../../../model/kinds/conversion.ts";
import type { Conversion, Host, Network, NetworkSpec, Vrf, VrfSpec } from "../../../model/resource.ts";
import { isOnHost } from "../../../model/carrying.ts";
import type { Draft } from "../../state/draft.ts";
import { type View, carries, get } from "../../state/view.ts";
import type { Delete, Write } from "../../write.ts";
import { endpointNames, networksOf } from "../contents.ts";
import { existing } from "../context.ts";
import { checkFeatures } from "./features.ts";
import { checkMtu } from "./mtu.ts";

/** Hosts that have to follow: those that carry the VRF. */
export function membersOf(view: View, { spec }: Conversion): string[] {
  return [...view.host.keys()].filter((host) => carries(view, spec.vrf, host));
}

/** Begins a conversion if the frames of endpoints would have to cross in another way, or another size. */
export function convertNetwork(draft: Draft, old: Network, spec: NetworkSpec): void {
  const { view } = draft;
  const [from, to] = [carriageOf(old.spec), carriageOf(spec)];
  if (isDeepStrictEqual(from, to) && old.spec.vrf === spec.vrf) return;
  const obstacle = changesWay({ from, to }) ? (fixed(old, spec) ?? sameNames(old, spec)) : undefined;
  // What only hosts use may lose packets where there is no second way.
  if (obstacle === undefined ? !isUsed(view, old) : !hasEndpoints(view, old.name))
    return endConversion(draft, old.spec.vrf, old.name);
  if (obstacle !== undefined) throw obstacle;
  begin(draft, { vrf: spec.vrf, network: old.name, from, to });
}

/** The same of a VRF; gives its spec, with other names for the devices if two of one VNI stand side by side. */
export function convertVrf(draft: Draft, old: Vrf, spec: VrfSpec): VrfSpec {
  const { view } = draft;
  const from = carriageOf(old.spec);
  // What crosses on a physical network, or by Open vSwitch, has nothing of the VRF's tunnel.
  const networks = networksOf(view, old.name).filter((network) => DRIVERS[network.spec.driver].isPhysical !== true);
  if (isDeepStrictEqual(from, carriageOf(spec))) return spec;
  if (!networks.some((network) => isUsed(view, network))) {
    endConversion(draft, old.name);
    return spec;
  }
  checkOneDeviceEach(old, spec, networks);
  const isSameVni = old.spec.tunnelPort !== spec.tunnelPort;
  const { alternate, ...rest } = spec;
  const named: VrfSpec = !isSameVni ? spec : alternate === true ? rest : { ...rest, alternate: true };
  begin(draft, { vrf: old.name, from, to: carriageOf(named) });
  return named;
}

/** Of two tunnels of a network, each has a name; and the kernel has one of a VNI and port. */
function sameNames({ name, spec: old }: Network, spec: NetworkSpec): Fault | undefined {
  const isSamePlace = old.driver === spec.driver && old.vni === spec.vni;
  if (isSamePlace ? old.device === spec.device : spec.device === undefined || old.device !== spec.device)
    return undefined;
  return new Fault("in-use", {
    what: isSamePlace
      ? `the device of network "${name}" cannot get another name`
      : `network "${name}" cannot have two devices called ${spec.device}`,
    where: "spec.device",
    why: isSamePlace
      ? "the kernel has one device of a VNI and port, so packets would be lost until the new one is there"
      : "while its tunnel changes, hosts have the old one and the new one",
    fix: isSamePlace ? "detach its endpoints first" : "give another device, too, or none",
  });
}

/** Tunnels stand side by side in one bridge; what crosses by devices of the host is there once. */
function fixed({ name, spec: old }: Network, spec: NetworkSpec): Fault | undefined {
  const driver = [old, spec].find((each) => DRIVERS[each.driver].isPhysical === true)?.driver;
  if (driver === undefined) return undefined;
  return new Fault("in-use", {
    what: `how frames of network "${name}" cross cannot change`,
    where: spec.driver === old.driver ? "spec.vni" : "spec.driver",
    why: `driver ${DRIVERS[driver].title} has one way on a host, so packets would be lost`,
    fix: "detach its endpoints first, or migrate them to a new network (weft network migrate)",
  });
}

/** A network without a VNI of its own uses its VRF's tunnel, also if only reservations have endpoints. */
function hasEndpoints(view: View, network: string): boolean {
  const { reservations = [] } = view.networks.get(network) ?? {};
  return [network, ...reservations].some((name) => endpointNames(view, name).length > 0);
}

/** In the hosts' own namespace, also those that have it without endpoints: their programs are on its bridge. */
function isUsed(view: View, { name, spec }: Network): boolean {
  const areHostsOnIt = () => [...view.host.values()].some((host) => isOnHost(spec, host));
  return hasEndpoints(view, name) || (spec.placement === "host" && areHostsOnIt());
}

/** The kernel has one device of a name, and one of a VNI and port: both ways need devices that differ in both. */
function checkOneDeviceEach({ name, spec: old }: Vrf, spec: VrfSpec, networks: readonly Network[]): void {
  if (!networks.some((network) => network.spec.ipam === "local")) return;
  const isSamePlace = old.vni === spec.vni && old.tunnelPort === spec.tunnelPort;
  const isSameName = spec.vtepName !== undefined && routedDevice("vxlan", old) === routedDevice("vxlan", spec);
  if (!isSamePlace && !isSameName) return;
  throw new Fault("in-use", {
    what: isSamePlace
      ? `the tunnel device of VRF "${name}" cannot get another name`
      : `VRF "${name}" cannot have two tunnel devices called ${spec.vtepName}`,
    where: "spec.vtepName",
    why: isSamePlace
      ? `the kernel has one device of a VNI and port, so each host would lose packets for about ${ANEW_MS} ms`
      : "while its tunnel changes, hosts have the old one and the new one",
    fix: isSamePlace ? "detach its endpoints first, or change the VNI or port as well" : "give another vtepName, too",
  });
}

function begin(draft: Draft, spec: Omit<Conversion["spec"], "phase">): void {
  const running = get(draft.view, "conversion", spec.vrf);
  if (running !== undefined) throw busy(running);
  const [phase = "receive"] = phasesOf(spec);
  draft.put("conversion", spec.vrf, { ...spec, phase });
}

/** What has no endpoints any more, or goes, changes at once: a network, or the VRF itself. */
export function endConversion(draft: Draft, vrf: string, network?: string): void {
  if (get(draft.view, "conversion", vrf)?.spec.network === network) draft.remove("conversion", vrf);
}

/** Refuses a host that could not do what a conversion still asks of it: it takes both ways until the end. */
export function checkBothWays(view: View, host: Host, segment: Network): void {
  const conversion = get(view, "conversion", segment.spec.vrf);
  const vrf = view.vrf.get(segment.spec.vrf);
  if (conversion === undefined || vrf === undefined || !converts(conversion, segment)) return;
  checkAble(host, wayBefore(conversion, vrf, segment).network);
}

function busy({ name, spec }: Conversion): Fault {
  const what = spec.network === undefined ? `VRF "${spec.vrf}"` : `network "${spec.network}"`;
  return new Fault("in-use", {
    what: `a conversion of ${what} is in phase ${spec.phase}`,
    where: `conversion/${name}`,
    why: "a VRF has one conversion at a time",
    fix: `wait until it is over (weft network conversion list), or: weft network conversion cancel ${name}`,
  });
}

/**
 * The next phase, or the end: the server saw these hosts in the phase of this revision. Nothing changes if the
 * conversion has moved since, or a host has come that the server had not seen.
 */
export function advanceConversion(
  draft: Draft,
  { name, revision, hosts }: Extract<Write, { readonly verb: "advance-conversion" }>,
): Conversion | undefined {
  const conversion = get(draft.view, "conversion", name);
  if (conversion === undefined || conversion.revision !== revision) return undefined;
  if (membersOf(draft.view, conversion).some((host) => !hosts.includes(host))) return undefined;
  const phase = phaseAfter(conversion.spec);
  if (phase !== undefined) return draft.put("conversion", name, { ...conversion.spec, phase });
  draft.remove("conversion", name);
  return undefined;
}

/**
 * Takes a conversion back. While no host sends the new way and no device has the new MTU, it ends at once. After that
 * it goes on in the other direction: hosts take both ways, so all send the former one, and the rest follows.
 */
export function cancelConversion(draft: Draft, { name }: Delete): void {
  const { spec } = existing(draft.view, "conversion", name);
  if (spec.back === true) return;
  checkFormer(draft.view, name, spec);
  restore(draft, spec.network === undefined ? "vrf" : "network", spec.network ?? spec.vrf, spec.from);
  const isUndone = spec.phase === "narrow" || (spec.phase === "receive" && !changesMtu(spec));
  if (isUndone) draft.remove("conversion", name);
  else {
    const phase = phasesOf(spec).at(-1) ?? "receive";
    draft.put("conversion", name, { ...spec, from: spec.to, to: spec.from, phase, back: true });
  }
}

/**
 * Refuses the former way where hosts that joined since cannot carry it: as an edit to it would be refused. A network
 * without an MTU of its own has what all hosts carry, whatever the way.
 */
function checkFormer(view: View, name: string, spec: Conversion["spec"]): void {
  if (spec.network === undefined) return;
  const network = existing(view, "network", spec.network);
  const former: Network = { ...network, spec: withCarriage(network.spec, spec.from) };
  try {
    if (changesMtu(spec)) checkMtu(view, former.spec, former.spec.mtu, "spec.mtu");
    checkFeatures(view, network, former);
  } catch (error) {
    if (!(error instanceof Fault)) throw error;
    const { reason, detail } = error;
    throw new Fault(reason, {
      what: `the conversion of network "${network.name}" cannot go back`,
      where: `conversion/${name}`,
      why: detail.why === undefined ? detail.what : `${detail.what}: ${detail.why}`,
      fix: "let it go on; or make that host able to, or delete it if it is not needed, and cancel again",
    });
  }
}

function restore(draft: Draft, kind: "network" | "vrf", name: string, carriage: Carriage): void {
  if (kind === "network") {
    const network = existing(draft.view, kind, name);
    draft.put(kind, name, withCarriage(network.spec, carriage));
  } else {
    const vrf = existing(draft.view, kind, name);
    draft.put(kind, name, withCarriage(vrf.spec, carriage));
  }
}
