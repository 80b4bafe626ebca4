// A network's address ranges, each alone and against the others: only fields of the type, no wrapping, addresses inside
// a subnet, nothing given twice. A range without a MAC of its own gets one here, once.
import {
  type Cidr,
  type Ip,
  cidrAround,
  contains,
  formatCidr,
  formatIp,
  formatMac,
  lastOf,
  overlaps,
  parseCidr,
  parseIp,
  parseMac,
} from "../../../model/address.ts";
import { Fault } from "../../../model/fault.ts";
import { checkName } from "../../../model/parse.ts";
import { parseQos, patched } from "../../../model/qos.ts";
import type { AddressRange, RangeInput } from "../../../model/range.ts";
import type { Network, Subnet } from "../../../model/resource.ts";
import { usableRange } from "../../../ipam/assign.ts";
import { type Plan, macRoom, planOf, spansOf } from "../../../ipam/range.ts";
import { type Context, chance } from "../context.ts";
import { checkUsable } from "../network/overlap.ts";

type Type = AddressRange["type"];
type Field = keyof AddressRange;

/** Fields that say where a range is: which a type needs, and which it may have. */
const FIELDS: { readonly [T in Type]: { readonly needs: readonly Field[]; readonly may: readonly Field[] } } = {
  ip4: { needs: ["first", "size"], may: ["gateway"] },
  ip6: { needs: ["size"], may: ["prefix", "ula", "gateway6"] },
  "ip6-static": { needs: ["first6"], may: ["prefixLength", "size", "gateway6"] },
  "ip4-6": { needs: ["first", "size"], may: ["prefix", "ula", "gateway", "gateway6"] },
  "ip4-6-static": { needs: ["first", "first6", "size"], may: ["prefixLength", "gateway", "gateway6"] },
  ether: { needs: ["size"], may: [] },
};
const PLACE: readonly Field[] = ["first", "first6", "prefixLength", "prefix", "ula", "size", "gateway", "gateway6"];

const ULA: Cidr = { family: 6, base: 0xfcn << 120n, length: 7 };
/** MACs that Weft makes up: 02:00 and 32 bits. */
const MAC_BASE = 0x0200_0000_0000n;
const MAC_BITS = 1n << 32n;
/** How many random MACs are tried; after that, the range is too large to find one. */
const DRAWS = 64;

/** Ranges in canonical text with their MACs; throws the Fault that names the wrong one. */
export function rangesOf(
  wanted: readonly RangeInput[],
  subnets: readonly Subnet[],
  old: Network | undefined,
  context: Context,
): AddressRange[] {
  if (wanted.length === 0) {
    throw new Fault("request-invalid", {
      what: "spec.ranges: expected at least one",
      where: "spec.ranges",
      fix: "leave the list out, and all of the subnets are given",
    });
  }
  const cidrs = subnets.map((subnet) => parseCidr(subnet.cidr, "spec.subnets"));
  const ranges: AddressRange[] = [];
  for (const [i, each] of wanted.entries()) {
    const where = `spec.ranges[${i}]`;
    checkName("network", each.name, `${where}.name`);
    if (ranges.some((other) => other.name === each.name)) {
      throw new Fault("name-taken", {
        what: `two ranges have the name "${each.name}"`,
        where: `${where}.name`,
        fix: "give each its own",
      });
    }
    const range = withMac(canonical(each, cidrs, where), old, ranges, context, where);
    checkApart(range, ranges, where);
    ranges.push(range);
  }
  return ranges;
}

function canonical(given: RangeInput, cidrs: readonly Cidr[], where: string): AddressRange {
  const { qos: said, ...range } = given;
  const qos = patched(undefined, parseQos(said ?? {}, `${where}.qos`));
  checkFields(range, where);
  const first = addressIn(range.first, 4, `${where}.first`);
  const first6 = addressIn(range.first6, 6, `${where}.first6`);
  const subnet4 = subnetOf(first, range, cidrs, `${where}.first`);
  const subnet6 = subnetOf(first6, range, cidrs, `${where}.first6`);
  const slaac = (["prefix", "ula"] as const).flatMap((field) => {
    const text = range[field];
    return text === undefined ? [] : [slaacPrefix(text, field, cidrs, `${where}.${field}`)];
  });
  const rooms6 = subnet6 === undefined ? slaac : [subnet6];
  const gateway = gatewayIn(range.gateway, subnet4 === undefined ? [] : [subnet4], `${where}.gateway`);
  const gateway6 = gatewayIn(range.gateway6, rooms6, `${where}.gateway6`);
  const length = first6 === undefined ? undefined : prefixLengthOf(range, first6, subnet6, where);
  const canonicalRange: AddressRange = {
    ...range,
    ...(qos === undefined ? {} : { qos }),
    ...(first === undefined ? {} : { first: formatIp(first) }),
    ...(first6 === undefined ? {} : { first6: formatIp(first6) }),
    ...(length === undefined ? {} : { prefixLength: length }),
    ...(range.prefix === undefined ? {} : { prefix: formatCidr(parseCidr(range.prefix, `${where}.prefix`)) }),
    ...(range.ula === undefined ? {} : { ula: formatCidr(parseCidr(range.ula, `${where}.ula`)) }),
    ...(range.mac === undefined ? {} : { mac: looseMac(range.mac, `${where}.mac`) }),
    ...(gateway === undefined ? {} : { gateway }),
    ...(gateway6 === undefined ? {} : { gateway6 }),
    ...(range.dns === undefined
      ? {}
      : { dns: range.dns.map((text, i) => formatIp(parseIp(text, `${where}.dns[${i}]`))) }),
  };
  checkEnd(canonicalRange, subnet4, subnet6, where);
  return canonicalRange;
}

function checkFields(range: AddressRange, where: string): void {
  const { needs, may } = FIELDS[range.type];
  const missing = needs.find((field) => range[field] === undefined);
  if (missing !== undefined) {
    throw new Fault("request-invalid", {
      what: `${where}.${missing}: expected a value, got nothing`,
      where: `${where}.${missing}`,
      why: `a range of type ${range.type} needs ${needs.join(" and ")}`,
      fix: "give it one",
    });
  }
  const stray = PLACE.find((field) => range[field] !== undefined && !needs.includes(field) && !may.includes(field));
  if (stray !== undefined) {
    throw new Fault("request-invalid", {
      what: `a range of type ${range.type} has no ${stray}`,
      where: `${where}.${stray}`,
      fix: `leave it out, or choose a type that has one`,
    });
  }
  if (!may.includes("prefix") || range.prefix !== undefined || range.ula !== undefined) return;
  throw new Fault("request-invalid", {
    what: `a range of type ${range.type} has neither prefix nor ula`,
    where: `${where}.prefix`,
    why: "its leases would have no IPv6 address but the link's own",
    fix: `give a /64 like fd00:1::/64, or choose the type ${range.type === "ip6" ? "ether" : "ip4"}`,
  });
}

function addressIn(text: string | undefined, family: 4 | 6, where: string): Ip | undefined {
  if (text === undefined) return undefined;
  const ip = parseIp(text, where);
  if (ip.family === family) return ip;
  throw new Fault("family-wrong", {
    what: `${formatIp(ip)} is not an IPv${family} address`,
    where,
    fix: `give an IPv${family} address`,
  });
}

function subnetOf(
  first: Ip | undefined,
  { name }: AddressRange,
  cidrs: readonly Cidr[],
  where: string,
): Cidr | undefined {
  if (first === undefined) return undefined;
  const cidr = cidrs.find((each) => contains(each, first));
  if (cidr !== undefined) return cidr;
  throw new Fault("address-outside", {
    what: `range "${name}" begins at ${formatIp(first)}, outside every subnet of the network`,
    where,
    why: "mask and gateway come from the subnet",
    fix: cidrs.length === 0 ? "give the network a subnet" : `begin in ${cidrs.map(formatCidr).join(" or ")}`,
  });
}

function slaacPrefix(text: string, field: "prefix" | "ula", cidrs: readonly Cidr[], where: string): Cidr {
  const cidr = parseCidr(text, where);
  if (cidr.family !== 6 || cidr.length !== 64) {
    throw new Fault("prefix-invalid", {
      what: `${formatCidr(cidr)} is not an IPv6 /64`,
      where,
      why: "SLAAC fills the last 64 bits of an address from the MAC",
      fix: "give a /64 like fd00:1::/64",
    });
  }
  checkUsable(cidr, where);
  if (field === "ula" && !contains(ULA, { family: 6, value: cidr.base })) {
    throw new Fault("prefix-invalid", {
      what: `${formatCidr(cidr)} is not unique local`,
      where,
      fix: "give one of fc00::/7, like fd00:1::/64, or give it as prefix",
    });
  }
  const met = cidrs.find((other) => overlaps(other, cidr) && other.length > cidr.length);
  if (met === undefined) return cidr;
  throw new Fault("overlap", {
    what: `${formatCidr(cidr)} overlaps the subnet ${formatCidr(met)}`,
    where,
    why: "a SLAAC address could be one of the subnet's",
    fix: "choose another prefix, or make the subnet a /64",
  });
}

function prefixLengthOf(range: AddressRange, first6: Ip, subnet: Cidr | undefined, where: string): number {
  const least = subnet?.length ?? 0;
  const length = range.prefixLength ?? least;
  if (length >= least && length <= 128) return length;
  throw new Fault("prefix-invalid", {
    what: `prefixLength ${length} does not fit range "${range.name}"`,
    where: `${where}.prefixLength`,
    why: `${formatIp(first6)} lies in a /${least}, and an address has 128 bits`,
    fix: `choose ${least} to 128, or leave it out`,
  });
}

function gatewayIn(text: string | undefined, rooms: readonly Cidr[], where: string): string | undefined {
  if (text === undefined || text === "none") return text;
  const ip = parseIp(text, where);
  const isUsable = rooms.some((cidr) => {
    const { first, last } = usableRange(cidr);
    return cidr.family === ip.family && ip.value >= first && ip.value <= last;
  });
  if (isUsable) return formatIp(ip);
  throw new Fault("address-outside", {
    what: `gateway ${formatIp(ip)} is not a usable address of ${rooms.map(formatCidr).join(" or ")}`,
    where,
    fix: "choose one inside, leave it out, or write none",
  });
}

/** Nothing wraps: the last address is in the same subnet and prefix as the first, and the last MAC has one, too. */
function checkEnd(range: AddressRange, subnet4: Cidr | undefined, subnet6: Cidr | undefined, where: string): void {
  const plan = planOf(range);
  const spans = spansOf(plan);
  for (const [span, cidr] of [
    [spans[4], subnet4],
    [spans[6], subnet6],
  ] as const) {
    if (span === undefined || cidr === undefined) continue;
    const prefix =
      cidr.family === 4 ? cidr : cidrAround({ family: 6, value: span.first }, range.prefixLength ?? cidr.length);
    const last = lastOf(prefix).value;
    if (span.last <= last) continue;
    throw new Fault("address-outside", {
      what: `range "${range.name}" ends outside ${formatCidr(prefix)}`,
      where: `${where}.size`,
      why: `from ${formatIp({ family: cidr.family, value: span.first })} on it has ${last - span.first + 1n} addresses`,
      fix: `choose a size of at most ${last - span.first + 1n}, or begin lower`,
    });
  }
  const needsMacs = range.type !== "ip6-static";
  if (plan.mac === undefined || !needsMacs || plan.macs === plan.size) return;
  throw new Fault("address-outside", {
    what: `range "${range.name}" has ${plan.size} leases and ${macRoom(plan.mac)} MACs`,
    where: `${where}.size`,
    why: `MACs end at ${formatMac(plan.mac + macRoom(plan.mac) - 1n)}: the first octet must stay as it is`,
    fix: `choose a size of at most ${macRoom(plan.mac)}, or begin with a lower MAC`,
  });
}

/** One or two digits per octet, as people write them. */
function looseMac(text: string, where: string): string {
  const isLoose = /^[0-9a-f]{1,2}(:[0-9a-f]{1,2}){5}$/i.test(text);
  const padded = text.split(":").map((octet) => octet.padStart(2, "0"));
  return parseMac(isLoose ? padded.join(":") : text, where);
}

/** A range without an IPv4 address to make MACs from gets a random first MAC and keeps it. */
function withMac(
  range: AddressRange,
  old: Network | undefined,
  others: readonly AddressRange[],
  context: Context,
  where: string,
): AddressRange {
  if (range.mac !== undefined || range.first !== undefined) return range;
  const known = old?.spec.ranges?.find((each) => each.name === range.name && each.type === range.type)?.mac;
  const { size } = planOf(range);
  if (known !== undefined && size <= macRoom(BigInt(`0x${known.replaceAll(":", "")}`))) return { ...range, mac: known };
  for (let draw = 0; size <= MAC_BITS / 2n && draw < DRAWS; draw++) {
    const mac = MAC_BASE + chance(context, MAC_BITS - size + 1n);
    const drawn = { ...range, mac: formatMac(mac) };
    if (meeting(planOf(drawn), others) === undefined) return drawn;
  }
  // There are not enough MACs for so many addresses; each is made from the address.
  if (range.type === "ip6-static") return range;
  throw new Fault("address-outside", {
    what: `range "${range.name}" has ${size} leases, and not so many MACs in a row are free`,
    where: `${where}.size`,
    fix: "choose a smaller size, or give the first MAC",
  });
}

function checkApart(range: AddressRange, others: readonly AddressRange[], where: string): void {
  const plan = planOf(range);
  const met = meeting(plan, others);
  if (met === undefined) return;
  throw new Fault("overlap", {
    what: `range "${range.name}" overlaps range "${met.other}"`,
    where,
    why: `both would give ${met.text}`,
    fix: met.space === "mac" ? "give it another first MAC" : "choose another first address or size",
  });
}

type Meeting = { readonly other: string; readonly text: string; readonly space: 4 | 6 | "mac" };
function meeting(plan: Plan, others: readonly AddressRange[]): Meeting | undefined {
  const own = spansOf(plan);
  for (const each of others) {
    const spans = spansOf(planOf(each));
    for (const space of [4, 6, "mac"] as const) {
      const [a, b] = [own[space], spans[space]];
      if (a === undefined || b === undefined || a.first > b.last || b.first > a.last) continue;
      const value = a.first > b.first ? a.first : b.first;
      return {
        other: each.name,
        space,
        text: space === "mac" ? formatMac(value) : formatIp({ family: space, value }),
      };
    }
  }
  return undefined;
}
