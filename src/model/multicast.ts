// Groups that carry the frames of a network with `peers: multicast`, and the devices of hosts that these cross by.
import { type Family, type Ip, contains, familyOf, formatIp, ipOf, parseCidr, parseIp } from "./address.ts";
import { Fault } from "./fault.ts";
import { deviceFor } from "./physical.ts";
import type { HostSpec, NetworkSpec, Snapshot } from "./resource.ts";

/**
 * Of a network that does not give its group: this and its VNI. Both are of one organisation or site (RFC 2365, 4291).
 */
export type GroupBase = { readonly [F in Family]: string };
export const GROUP_BASE: GroupBase = { 4: "239.0.0.0", 6: "ff05::" };

/** Groups of one link, which no router forwards, and every switch floods or reads itself (RFC 5771 4). */
const LINK_ONLY = parseCidr("224.0.0.0/24", "multicast");
/** Scopes of IPv6 groups that are of one machine or link, or reserved (RFC 4291 2.7, RFC 7346). */
const NO_SCOPE: ReadonlySet<bigint> = new Set([0x0n, 0x1n, 0x2n, 0xfn]);

export function isMulticast(text: string): boolean {
  const ip = ipOf(text);
  return ip !== undefined && isGroup(ip);
}

function isGroup({ family, value }: Ip): boolean {
  return family === 4 ? value >> 28n === 0xen : value >> 120n === 0xffn;
}

/** The canonical text of a group that can carry a network; a Fault `address-invalid` says why another cannot. */
export function parseGroup(text: string, where: string): string {
  const ip = parseIp(text, where);
  const why = !isGroup(ip)
    ? "it is no multicast group"
    : (ip.family === 4 ? contains(LINK_ONLY, ip) : NO_SCOPE.has((ip.value >> 112n) & 0xfn))
      ? "groups of that range stay on one link, for protocols of their own"
      : undefined;
  if (why === undefined) return formatIp(ip);
  const fix = "choose one like 239.0.16.1 or ff05::1001, or leave it out";
  throw new Fault("address-invalid", { what: `${text} cannot be the group of a network`, where, why, fix });
}

/** As given for a cluster: at most one base per family; what is not given stays as it is. */
export function groupBaseOf(texts: readonly string[], where: string): GroupBase {
  const given = texts.map((text) => parseGroup(text, where));
  const one = (family: Family) => given.find((text) => familyOf(text) === family) ?? GROUP_BASE[family];
  const base = { 4: one(4), 6: one(6) };
  if (given.every((text) => text === base[familyOf(text)])) return base;
  const what = "there are two bases of one family";
  throw new Fault("request-invalid", { what, where, fix: `write it like ${where} 239.192.0.0,ff08::` });
}

/** The group that follows from a VNI; a Fault if the base leaves no room for it. */
export function derivedGroup(base: GroupBase, family: Family, vni: number): string {
  const first = ipOf(base[family]) ?? { family, value: 0n };
  return parseGroup(formatIp({ family, value: first.value + BigInt(vni) }), "spec.group");
}

/**
 * What a group is on Ethernet: groups with equal values have one MAC, and a host that joins one gets the packets of
 * all (RFC 1112 6.4: the low 23 bits; RFC 2464 7: the low 32).
 */
export function groupMac(group: string): string {
  const { family, value } = parseIp(group, "group");
  return family === 4 ? `01:00:5e ${value & 0x7f_ffffn}` : `33:33 ${value & 0xffff_ffffn}`;
}

/** Devices that networks ask for, by name. */
export function devicesNamed(snapshot: Pick<Snapshot, "networks"> | undefined): readonly string[] {
  return [...new Set(snapshot?.networks.flatMap(({ spec }) => spec.underlayDevice ?? []))].sort();
}

/** Where packets of a tunnel leave a host, and arrive at it. */
export type TunnelEnd = {
  readonly underlay: string;
  readonly underlayMtu: number;
  /** Known where the network has a group. */
  readonly device?: string;
};

/** What says of a network by which device its tunnel crosses. */
export type TunnelWay = Pick<NetworkSpec, "group" | "underlayDevice" | "parent">;
type Ends = Pick<HostSpec, "underlay" | "underlayMtu" | "underlayDevice" | "physical" | "physicalSet" | "devices">;

/**
 * Undefined for a host without the device, or without an address of the group's family there. A device that was taken
 * over has its addresses on the bridge: the tunnel goes by that.
 */
export function tunnelEnd({ group, underlayDevice, parent }: TunnelWay, host: Ends): TunnelEnd | undefined {
  const { underlay, underlayMtu } = host;
  if (group === undefined) return host;
  const isRight = (address: string) => familyOf(address) === familyOf(group);
  const wanted = parent === undefined ? (underlayDevice ?? host.underlayDevice) : deviceFor(host, parent);
  if (wanted === undefined) return undefined;
  if (wanted === host.underlayDevice && isRight(underlay)) return { underlay, underlayMtu, device: wanted };
  const device = host.devices?.find(({ name }) => name === wanted);
  if (device === undefined) return undefined;
  const { name, mtu, addresses = [], onBridge = [], ownBridge } = device;
  const own = addresses.find(isRight);
  if (own !== undefined) return { underlay: own, underlayMtu: mtu, device: name };
  const moved = onBridge.find(isRight);
  if (moved === undefined || ownBridge === undefined) return undefined;
  return { underlay: moved, underlayMtu: ownBridge.mtu, device: ownBridge.name };
}
