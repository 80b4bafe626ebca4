// Numbers of admission: defaults, ranges, what Weft keeps for itself. Nothing else.
import { type Cidr, type Family, parseCidr } from "../../model/address.ts";
import { PATHS_VNI } from "../../model/paths.ts";

/** The last VNI is for path probes (PATHS_VNI). */
export const VNI_MAX = PATHS_VNI - 1;
/** The first VNI that the server chooses: DC/OS, flannel, Calico and handmade tunnels stay below. */
export const VNI_FIRST = 4096;
export const VTEP_MAC_OUI = "70:b3:d5";
/** MACs that Weft makes up: 02:00 and 32 bits. */
export const MAC_BASE = 0x0200_0000_0000n;
export const MAC_BITS = 1n << 32n;

/** Least address length of a block, slice or subnet that still has room for a gateway and an endpoint. */
export const PREFIX_MAX: { readonly [F in Family]: number } = { 4: 30, 6: 126 };
/** A VTEP's MAC carries the low 24 bits of its IPv4 address, so a larger subnet would give the same MAC twice. */
export const VTEP_PREFIX_MIN: { readonly [F in Family]: number } = { 4: 8, 6: 8 };

/** No workload can have one of these addresses: unspecified, loopback, multicast and beyond, link-local IPv6. */
export const NOT_UNICAST: readonly Cidr[] = [
  "0.0.0.0/8",
  "127.0.0.0/8",
  "224.0.0.0/3",
  "::/127",
  "fe80::/10",
  "ff00::/8",
]
  .map(known)
  // IPv4 written as IPv6 (RFC 4291 2.5.5.2): no packet on a wire has such an address.
  .concat({ family: 6, base: 0xffff_0000_0000n, length: 96 });

/** What the server chooses of, in this order: benchmark range (RFC 2544), then shared space (RFC 6598). */
export const VTEP_SUBNETS: { readonly [F in Family]: readonly Cidr[] } = {
  4: ["198.18.0.0/16", "198.19.0.0/16", ...Array.from({ length: 64 }, (_, n) => `100.${64 + n}.0.0/16`)].map(known),
  6: Array.from({ length: 64 }, (_, n) => `fd00:7765:6674:${n.toString(16)}::/64`).map(known),
};

function known(text: string): Cidr {
  return parseCidr(text, "limits");
}
