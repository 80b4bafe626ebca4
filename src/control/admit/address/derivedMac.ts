// MACs that Weft makes of addresses. Where switches see them, the VLAN is in them as well: networks of one range on two
// VLANs have no MAC in common, which a switch with one table of MACs for all VLANs (IEEE 802.1Q, shared VLAN learning)
// would confuse. So does any switch between two VLANs inside one outer VLAN (802.1ad): it learns by the outer one.
import { type Ip, formatMac } from "../../../model/address.ts";
import { isPhysical } from "../../../model/driver.ts";
import type { NetworkSpec } from "../../../model/resource.ts";
import { MAC_BASE, MAC_BITS } from "../numbers.ts";

/** Ids of VLANs have 12 bits. */
const VLAN_IDS = 4096;
/** Spreads outer VLANs, so that equal inner ones in them rarely meet; inside one, all ids stay apart. */
const OUTER_STEP = 1021;

/** To which 32 bits of an address are added: `02:00:…`, on VLAN 300 (0x12c) `12:2c:…`. */
export function macBaseOf(spec: NetworkSpec): bigint {
  const { vlan, outerVlan = 0 } = spec;
  if (vlan === undefined || !isPhysical(spec)) return MAC_BASE;
  const id = (vlan + OUTER_STEP * outerVlan) % VLAN_IDS;
  // The low half of the first octet stays: it says unicast, and locally administered.
  return MAC_BASE + (BigInt(id >> 8) << 44n) + (BigInt(id & 255) << 32n);
}

/**
 * The MAC of an address, and what may take its place: two IPv6 addresses can share their low 32 bits, and a MAC may be
 * asked for. Two or three more, and for an island 255, because MACs of the islands beside it are taken as well.
 */
export function* macsOf(spec: NetworkSpec, { value }: Ip): Generator<string> {
  const base = macBaseOf(spec);
  const first = base + (value & (MAC_BITS - 1n));
  for (const octet of [0x00n, 0x04n, 0x0cn]) yield formatMac(first + (octet << 40n));
  if (base === MAC_BASE) yield formatMac(first + (0x10n << 40n));
  if (spec.isolated === true) for (let n = 1n; n < 256n; n++) yield formatMac(first + (n << 32n));
}
