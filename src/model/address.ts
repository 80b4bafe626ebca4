// IPv4, IPv6, MAC and CIDR as values: parse, print, order, count. Both families are one type, so that nothing else in
// Weft has a v4 and a v6 twin. Resources and kernel objects carry the canonical text (RFC 5952 for IPv6, lower-case
// MAC); arithmetic happens on these values.
import { Fault } from "./fault.ts";

export type Family = 4 | 6;
export type Ip = { readonly family: Family; readonly value: bigint };
/** A network: `base` has its host bits zero. */
export type Cidr = { readonly family: Family; readonly base: bigint; readonly length: number };

/** Of an address or network in canonical form. */
export function familyOf(text: string): Family {
  return text.includes(":") ? 6 : 4;
}

export const BITS = { 4: 32, 6: 128 } as const;

/**
 * The address, or undefined if the text is not one. IPv4 in dotted quads without leading zeros; no zone, no prefix.
 * Takes IPv4-mapped IPv6, because kernels and workloads have it; what people write goes through parseIp and parseCidr.
 */
export function ipOf(text: string): Ip | undefined {
  return text.includes(":") ? ip6Of(text) : ip4Of(text);
}

function ip4Of(text: string): Ip | undefined {
  let value = 0;
  let at = 0;
  for (let part = 0; part < 4; part++) {
    if (part > 0 && text.charCodeAt(at++) !== DOT) return undefined;
    const start = at;
    let octet = 0;
    for (let digit = text.charCodeAt(at) - ZERO; digit >= 0 && digit <= 9; digit = text.charCodeAt(++at) - ZERO) {
      octet = octet * 10 + digit;
    }
    const length = at - start;
    // A leading zero is octal for some readers and decimal for others, so it is refused.
    if (length === 0 || length > 3 || octet > 255 || (length > 1 && text.charCodeAt(start) === ZERO)) return undefined;
    value = value * 256 + octet;
  }
  return at === text.length ? { family: 4, value: BigInt(value) } : undefined;
}

const [DOT, ZERO] = [0x2e, 0x30];

function ip6Of(text: string): Ip | undefined {
  const halves = text.split("::");
  if (halves.length > 2) return undefined;
  // A dotted quad is the low half of the whole address, so none stands in front of "::".
  const head = halves.length === 2 && halves[0]?.includes(".") === true ? undefined : groupsOf(halves[0] ?? "");
  const tail = halves.length === 2 ? groupsOf(halves[1] ?? "") : [];
  if (head === undefined || tail === undefined) return undefined;
  const missing = 8 - head.length - tail.length;
  if (halves.length === 2 ? missing < 1 : missing !== 0) return undefined;
  let value = 0n;
  for (const group of [...head, ...new Array<number>(missing).fill(0), ...tail]) value = (value << 16n) | BigInt(group);
  return { family: 6, value };
}

/** The 16-bit groups of one side of "::"; the last may be a dotted quad (RFC 4291 2.2). */
function groupsOf(text: string): number[] | undefined {
  if (text === "") return [];
  const groups: number[] = [];
  const parts = text.split(":");
  for (const [i, part] of parts.entries()) {
    if (part.includes(".") && i === parts.length - 1) {
      const quad = ip4Of(part);
      if (quad === undefined) return undefined;
      groups.push(Number(quad.value >> 16n), Number(quad.value & 0xffffn));
    } else {
      if (!/^[0-9a-fA-F]{1,4}$/.test(part)) return undefined;
      groups.push(Number.parseInt(part, 16));
    }
  }
  return groups;
}

export function formatIp(ip: Ip): string {
  if (ip.family === 4) {
    const v = Number(ip.value);
    return `${v >>> 24}.${(v >>> 16) & 255}.${(v >>> 8) & 255}.${v & 255}`;
  }
  return formatIp6(ip.value);
}

/** RFC 5952: lower case, the longest run of two or more zero groups becomes "::", the first of equals. */
function formatIp6(value: bigint): string {
  const groups: number[] = [];
  // Two groups at once, because each step of a bigint makes another one.
  for (const shift of [96n, 64n, 32n, 0n]) {
    const two = Number((value >> shift) & 0xffff_ffffn);
    groups.push(two >>> 16, two & 0xffff);
  }
  let best = { at: -1, length: 1 };
  for (let i = 0; i < 8; ) {
    let end = i;
    while (end < 8 && groups[end] === 0) end++;
    if (end - i > best.length) best = { at: i, length: end - i };
    i = Math.max(end, i + 1);
  }
  const hex = groups.map((g) => g.toString(16));
  if (best.at < 0) return hex.join(":");
  return `${hex.slice(0, best.at).join(":")}::${hex.slice(best.at + best.length).join(":")}`;
}

/** The address; a Fault `address-invalid` at `where` if the text is not one, or is IPv4 in the clothes of IPv6. */
export function parseIp(text: string, where: string): Ip {
  const ip = ipOf(text);
  if (ip !== undefined && !isMapped(ip)) return ip;
  throw new Fault("address-invalid", {
    what: `"${text.slice(0, 80)}" is not an IP address`,
    where,
    ...(ip === undefined
      ? { fix: "write it like 10.1.2.3 or fd00::1" }
      : { why: MAPPED, fix: `did you mean ${formatIp(unmapped(ip))}?` }),
  });
}

const MAPPED = "IPv6 that stands for IPv4 (::ffff:0:0/96, RFC 4291) is never on a wire";

/** Whether it is IPv4 written as IPv6. */
export function isMapped({ family, value }: Ip): boolean {
  return family === 6 && value >> 32n === 0xffffn;
}

function unmapped({ value }: Ip): Ip {
  return { family: 4, value: value & 0xffff_ffffn };
}

/** The network, or undefined unless the text is `address/length` with every host bit zero, and no IPv4 as IPv6. */
export function cidrOf(text: string): Cidr | undefined {
  const spread = interfaceOf(text);
  return spread !== undefined &&
    (spread.ip.value & hostMask(spread.ip.family, spread.length)) === 0n &&
    !isMapped(spread.ip)
    ? { family: spread.ip.family, base: spread.ip.value, length: spread.length }
    : undefined;
}

/** The network; a Fault `cidr-invalid` at `where`, which names the network meant when only host bits are set. */
export function parseCidr(text: string, where: string): Cidr {
  const cidr = cidrOf(text);
  if (cidr !== undefined) return cidr;
  throw new Fault("cidr-invalid", { what: `"${text.slice(0, 80)}" is not a network`, where, ...hintOn(text) });
}

function hintOn(text: string): { readonly why?: string; readonly fix: string } {
  const spread = interfaceOf(text);
  if (spread === undefined) {
    const fix = "write it like 10.1.0.0/16 or fd00:1::/64";
    return /\/0\d/.test(text) ? { why: "its length begins with a zero: it is octal for some readers", fix } : { fix };
  }
  const { ip, length } = spread;
  if (!isMapped(ip)) return { why: "host bits are set", fix: `did you mean ${formatCidr(cidrAround(ip, length))}?` };
  const meant = cidrAround(unmapped(ip), Math.max(0, length - BITS[6] + BITS[4]));
  return { why: MAPPED, fix: `did you mean ${formatCidr(meant)}?` };
}

/** An address with a prefix length, host bits kept: what `ip address` takes. */
export function interfaceOf(text: string): { readonly ip: Ip; readonly length: number } | undefined {
  const match = /^([^/]+)\/(0|[1-9]\d{0,2})$/.exec(text);
  const ip = ipOf(match?.[1] ?? "");
  const length = Number(match?.[2]);
  return ip !== undefined && length <= BITS[ip.family] ? { ip, length } : undefined;
}

export function cidrAround(ip: Ip, length: number): Cidr {
  return { family: ip.family, base: ip.value & ~hostMask(ip.family, length), length };
}

/** The canonical texts of addresses; a Fault `address-invalid` names the one that is none. */
export function canonicalIps(texts: readonly string[], where: string): string[] {
  return texts.map((text, i) => formatIp(parseIp(text, `${where}[${i}]`)));
}

/** The canonical texts of networks; a Fault `cidr-invalid` names the one that is none. */
export function canonicalCidrs(texts: readonly string[], where: string): string[] {
  return texts.map((text, i) => formatCidr(parseCidr(text, `${where}[${i}]`)));
}

export function formatCidr(cidr: Cidr): string {
  return `${formatIp({ family: cidr.family, value: cidr.base })}/${cidr.length}`;
}

/** All host bits set: /24 of IPv4 gives 0xff. */
export function hostMask(family: Family, length: number): bigint {
  return (1n << BigInt(BITS[family] - length)) - 1n;
}

export function firstOf(cidr: Cidr): Ip {
  return { family: cidr.family, value: cidr.base };
}

export function lastOf(cidr: Cidr): Ip {
  return { family: cidr.family, value: cidr.base | hostMask(cidr.family, cidr.length) };
}

export function addressCount(cidr: Cidr): bigint {
  return 1n << BigInt(BITS[cidr.family] - cidr.length);
}

export function contains(cidr: Cidr, ip: Ip): boolean {
  return cidr.family === ip.family && (ip.value & ~hostMask(ip.family, cidr.length)) === cidr.base;
}

export function overlaps(a: Cidr, b: Cidr): boolean {
  return a.length <= b.length ? contains(a, firstOf(b)) : contains(b, firstOf(a));
}

/** From 4 or 16 bytes in network order: what netlink carries. */
export function ipFromBytes(bytes: Uint8Array): Ip {
  let value = 0n;
  for (const byte of bytes) value = (value << 8n) | BigInt(byte);
  return { family: bytes.length === 4 ? 4 : 6, value };
}

/** Lower-case, zero-padded, colon-separated; undefined unless the text is six octets. */
export function macOf(text: string): string | undefined {
  return /^[0-9a-f]{2}(:[0-9a-f]{2}){5}$/i.test(text) ? text.toLowerCase() : undefined;
}

/** Canonical MAC of one interface: neither a group's nor all zero. */
export function parseMac(text: string, where: string): string {
  const mac = macOf(text);
  if (mac !== undefined && (Number.parseInt(mac.slice(0, 2), 16) & 1) === 0 && mac !== "00:00:00:00:00:00") return mac;
  throw new Fault("address-invalid", {
    what: `"${text}" is not a unicast MAC`,
    where,
    fix: "write it like 02:00:0a:01:02:03; the first octet is even",
  });
}

/** The number that a canonical MAC is, below 2^48. */
export function macValue(mac: string): bigint {
  return BigInt(Number.parseInt(mac.replaceAll(":", ""), 16));
}

/** The inverse of macValue. */
export function formatMac(value: bigint): string {
  return (value.toString(16).padStart(12, "0").match(/../g) ?? []).join(":");
}

/** The address that SLAAC makes of a MAC in a /64: its EUI-64 with the seventh bit turned (RFC 4291 appendix A). */
export function slaacIp(base: bigint, mac: bigint): Ip {
  const high = (mac >> 24n) ^ 0x02_0000n;
  return { family: 6, value: base | (high << 40n) | 0xff_fe00_0000n | (mac & 0xff_ffffn) };
}

/** The inverse of slaacIp; undefined if the low half of the address was not made of a MAC. */
export function macOfSlaac(ip: bigint): bigint | undefined {
  if (((ip >> 24n) & 0xffffn) !== 0xfffen) return undefined;
  return ((((ip >> 40n) & 0xff_ffffn) ^ 0x02_0000n) << 24n) | (ip & 0xff_ffffn);
}

/** A locally administered unicast MAC: 02:00 and the IPv4 address, or the low 32 bits of an IPv6 one. */
export function macFromIp(ip: Ip): string {
  return formatMac(0x0200_0000_0000n | (ip.value & 0xffff_ffffn));
}

/** The first three octets of `oui` and the low 24 bits of the address: how DC/OS names a VTEP. */
export function vtepMac(oui: string, ip: Ip): string {
  return formatMac((macValue(oui.slice(0, 8)) << 24n) | (ip.value & 0xff_ffffn));
}
