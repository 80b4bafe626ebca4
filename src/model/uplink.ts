// Names and addresses of uplinks, the veth pairs between a VRF's namespace and the host's. Addresses are the same on
// every host, from the VRF's index, and never leave it: no network may overlap them.
import { type Cidr, type Family, formatIp, parseCidr } from "./address.ts";
import { deviceName } from "./device.ts";

/** The end in the VRF's namespace. */
export const UPLINK = "uplink";
/** What the ends in the host's namespace begin with. */
export const UPLINK_HOST_PREFIX = "wu";

export function uplinkHostDevice(vrf: string): string {
  return deviceName(UPLINK_HOST_PREFIX, vrf);
}

/** As filters name them, and as values. */
export const UPLINK_RANGES: { readonly [F in Family]: string } = { 4: "169.254.64.0/18", 6: "fd00:7765:6675::/48" };
const CIDRS: { readonly [F in Family]: Cidr } = {
  4: parseCidr(UPLINK_RANGES[4], "uplinks"),
  6: parseCidr(UPLINK_RANGES[6], "uplinks"),
};
export const UPLINK_CIDRS: readonly Cidr[] = [CIDRS[4], CIDRS[6]];

/** Index 0 is not used. */
export const VRF_INDEX_FIRST = 1;
/** A /18 has so many pieces of four addresses, and one more. */
export const VRF_INDEX_LAST = 4095;

/** Each VRF's piece of a range: length of its prefix, and of its addresses in bits. */
const PIECES: { readonly [F in Family]: { readonly length: number; readonly bits: bigint } } = {
  4: { length: 30, bits: 2n },
  6: { length: 64, bits: 64n },
};

/** The two ends of a VRF's uplink: the first address of its piece is the host's, the second the namespace's. */
export function uplinkEnds(
  index: number,
  family: Family,
): { readonly host: string; readonly vrf: string; readonly length: number } {
  const { length, bits } = PIECES[family];
  const base = CIDRS[family].base + (BigInt(index) << bits);
  return { host: formatIp({ family, value: base + 1n }), vrf: formatIp({ family, value: base + 2n }), length };
}
