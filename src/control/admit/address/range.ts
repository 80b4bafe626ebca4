// A network's address ranges, each alone and against the others: only fields of the type, no wrapping, addresses inside
// a subnet, nothing given twice. A range without a MAC of its own gets one here, once.
import {
  type Cidr,
  type Family,
  type Ip,
  cidrAround,
  contains,
  formatCidr,
  formatIp,
  formatMac,
  lastOf,
  macValue,
  overlaps,
  parseCidr,
  parseIp,
  parseMac,
} from "../../../model/address.ts";
import { defined } from "../../../model/defined.ts";
import { Fault } from "../../../model/fault.ts";
import { checkName } from "../../../model/parse.ts";
import { parseQos, patched } from "../../../model/qos.ts";
import type { AddressRange, RangeInput } from "../../../model/range.ts";
import type { Network, Subnet } from "../../../model/resource.ts";
import { isAllocatable } from "../../../ipam/allocate.ts";
import { type Plan, macRoom, planOf, spansOf } from "../../../ipam/range.ts";
import type { Draft } from "../../state/draft.ts";
import type { Space } from "../../state/networkIndex.ts";
import { type Context, chance, checkSome, textOf, within } from "../context.ts";
import { MAC_BASE, MAC_BITS } from "../numbers.ts";
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
/** How many random MACs are tried; after that, the range is too large to find one. */
const DRAWS = 64;

/** Ranges in canonical text with their MACs; throws the Fault that names the wrong one. */
export function rangesOf(
  { context }: Draft,
  wanted: readonly RangeInput[],
  subnets: readonly Subnet[],
  old: Network | undefined,
): AddressRange[] {
  checkSome(wanted, "spec.ranges", "leave the list out, and all of the subnets are given");
  const cidrs = subnets.map((subnet) => parseCidr(subnet.cidr, "spec.subnets"));
  const ranges: AddressRange[] = [];
  for (const [i, each] of wanted.entries()) {
    within(`spec.ranges[${i}]`, () => {
      checkName("network", each.name, "name");
      if (ranges.some(({ name }) => name === each.name)) {
        const what = `two ranges have the name "${each.name}"`;
        throw new Fault("name-taken", { what, where: "name", fix: "give each its own" });
      }
      const before = old?.spec.ranges?.find(({ name, type }) => name === each.name && type === each.type);
      const range = withMac(canonical(each, cidrs), before?.mac, ranges, context);
      checkApart(range, ranges);
      ranges.push(range);
    });
  }
  return ranges;
}

function canonical(given: RangeInput, cidrs: readonly Cidr[]): AddressRange {
  const { qos: limits, ...range } = given;
  const qos = patched(undefined, parseQos(limits ?? {}, "qos"));
  checkFields(range);
  const first = addressIn(range, "first", 4);
  const first6 = addressIn(range, "first6", 6);
  const subnet4 = first && subnetOf(first, range.name, cidrs, "first");
  const subnet6 = first6 && subnetOf(first6, range.name, cidrs, "first6");
  const prefix = slaacPrefix(range, "prefix", cidrs);
  const ula = slaacPrefix(range, "ula", cidrs);
  const canonicalRange: AddressRange = {
    ...range,
    ...defined({
      qos,
      first: first && formatIp(first),
      first6: first6 && formatIp(first6),
      prefixLength: first6 && prefixLengthOf(range, first6, subnet6),
      prefix: prefix && formatCidr(prefix),
      ula: ula && formatCidr(ula),
      mac: range.mac === undefined ? undefined : looseMac(range.mac),
      gateway: gatewayIn(range, "gateway", [subnet4]),
      gateway6: gatewayIn(range, "gateway6", [subnet6, prefix, ula]),
      dns: range.dns?.map((text, i) => formatIp(parseIp(text, `dns[${i}]`))),
    }),
  };
  checkEnd(canonicalRange, subnet4, subnet6);
  return canonicalRange;
}

function checkFields(range: AddressRange): void {
  const { needs, may } = FIELDS[range.type];
  const missing = needs.find((field) => range[field] === undefined);
  if (missing !== undefined) {
    throw new Fault("request-invalid", {
      what: `${missing}: expected a value, got nothing`,
      where: missing,
      why: `a range of type ${range.type} needs ${needs.join(" and ")}`,
      fix: "give it one",
    });
  }
  const stray = PLACE.find((field) => range[field] !== undefined && !needs.includes(field) && !may.includes(field));
  if (stray !== undefined) {
    throw new Fault("request-invalid", {
      what: `a range of type ${range.type} has no ${stray}`,
      where: stray,
      fix: `leave it out, or choose a type that has one`,
    });
  }
  if (!may.includes("prefix") || range.prefix !== undefined || range.ula !== undefined) return;
  throw new Fault("request-invalid", {
    what: `a range of type ${range.type} has neither prefix nor ula`,
    where: "prefix",
    why: "its leases would have no IPv6 address but the link's own",
    fix: `give a /64 like fd00:1::/64, or choose the type ${range.type === "ip6" ? "ether" : "ip4"}`,
  });
}

function addressIn(range: AddressRange, where: "first" | "first6", family: Family): Ip | undefined {
  const text = range[where];
  if (text === undefined) return undefined;
  const ip = parseIp(text, where);
  if (ip.family === family) return ip;
  throw new Fault("family-wrong", {
    what: `${formatIp(ip)} is not an IPv${family} address`,
    where,
    fix: `give an IPv${family} address`,
  });
}

function subnetOf(first: Ip, range: string, cidrs: readonly Cidr[], where: string): Cidr {
  const cidr = cidrs.find((each) => contains(each, first));
  if (cidr !== undefined) return cidr;
  throw new Fault("address-outside", {
    what: `range "${range}" begins at ${formatIp(first)}, outside every subnet of the network`,
    where,
    why: "mask and gateway come from the subnet",
    fix: cidrs.length === 0 ? "give the network a subnet" : `begin in ${cidrs.map(formatCidr).join(" or ")}`,
  });
}

function slaacPrefix(range: AddressRange, where: "prefix" | "ula", cidrs: readonly Cidr[]): Cidr | undefined {
  const text = range[where];
  if (text === undefined) return undefined;
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
  if (where === "ula" && !contains(ULA, { family: 6, value: cidr.base })) {
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

function prefixLengthOf(range: AddressRange, first6: Ip, subnet: Cidr | undefined): number {
  const least = subnet?.length ?? 0;
  const length = range.prefixLength ?? least;
  if (length >= least && length <= 128) return length;
  throw new Fault("prefix-invalid", {
    what: `prefixLength ${length} does not fit range "${range.name}"`,
    where: "prefixLength",
    why: `${formatIp(first6)} lies in a /${least}, and an address has 128 bits`,
    fix: `choose ${least} to 128, or leave it out`,
  });
}

function gatewayIn(
  range: AddressRange,
  where: "gateway" | "gateway6",
  around: readonly (Cidr | undefined)[],
): string | undefined {
  const text = range[where];
  if (text === undefined || text === "none") return text;
  const ip = parseIp(text, where);
  const cidrs = around.filter((cidr) => cidr !== undefined);
  if (cidrs.some((cidr) => isAllocatable(cidr, undefined, ip))) return formatIp(ip);
  throw new Fault("address-outside", {
    what: `gateway ${formatIp(ip)} is not a usable address of ${cidrs.map(formatCidr).join(" or ")}`,
    where,
    fix: "choose one inside, leave it out, or write none",
  });
}

/** Nothing wraps: the last address is in the same subnet and prefix as the first, and the last MAC has one, too. */
function checkEnd(range: AddressRange, subnet4: Cidr | undefined, subnet6: Cidr | undefined): void {
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
      where: "size",
      why: `from ${formatIp({ family: cidr.family, value: span.first })} on it has ${last - span.first + 1n} addresses`,
      fix: `choose a size of at most ${last - span.first + 1n}, or begin lower`,
    });
  }
  const needsMacs = range.type !== "ip6-static";
  if (plan.mac === undefined || !needsMacs || plan.macs === plan.size) return;
  throw new Fault("address-outside", {
    what: `range "${range.name}" has ${plan.size} leases and ${macRoom(plan.mac)} MACs`,
    where: "size",
    why: `MACs end at ${formatMac(plan.mac + macRoom(plan.mac) - 1n)}: the first octet must stay as it is`,
    fix: `choose a size of at most ${macRoom(plan.mac)}, or begin with a lower MAC`,
  });
}

/** One or two digits per octet, as people write them. */
function looseMac(text: string): string {
  const isLoose = /^[0-9a-f]{1,2}(:[0-9a-f]{1,2}){5}$/i.test(text);
  const padded = text.split(":").map((octet) => octet.padStart(2, "0"));
  return parseMac(isLoose ? padded.join(":") : text, "mac");
}

/** A range without an IPv4 address to make MACs from gets a random first MAC and keeps it. */
function withMac(
  range: AddressRange,
  known: string | undefined,
  others: readonly AddressRange[],
  context: Context,
): AddressRange {
  if (range.mac !== undefined || range.first !== undefined) return range;
  const { size } = planOf(range);
  if (known !== undefined && size <= macRoom(macValue(known))) return { ...range, mac: known };
  const isFree = (mac: bigint) => meeting(planOf({ ...range, mac: formatMac(mac) }), others) === undefined;
  const mac = size > MAC_BITS / 2n ? undefined : drawnMacs(context, size, isFree);
  if (mac !== undefined) return { ...range, mac: formatMac(mac) };
  // There are not enough MACs for so many addresses; each is made from the address.
  if (range.type === "ip6-static") return range;
  throw new Fault("address-outside", {
    what: `range "${range.name}" has ${size} leases, and not so many MACs in a row are free`,
    where: "size",
    fix: "choose a smaller size, or give the first MAC",
  });
}

/** The first of so many free MACs in a row, by chance; undefined if none was found. */
export function drawnMacs(context: Context, size: bigint, isFree: (first: bigint) => boolean): bigint | undefined {
  for (let draw = 0; draw < DRAWS; draw++) {
    const mac = MAC_BASE + chance(context, MAC_BITS - size + 1n);
    if (isFree(mac)) return mac;
  }
  return undefined;
}

function checkApart(range: AddressRange, others: readonly AddressRange[]): void {
  const met = meeting(planOf(range), others);
  if (met === undefined) return;
  throw new Fault("overlap", {
    what: `range "${range.name}" overlaps range "${met.other}"`,
    why: `both would give ${textOf(met.space, met.value)}`,
    fix: met.space === "mac" ? "give it another first MAC" : "choose another first address or size",
  });
}

type Meeting = { readonly other: string; readonly space: Space; readonly value: bigint };
function meeting(plan: Plan, others: readonly AddressRange[]): Meeting | undefined {
  const own = spansOf(plan);
  for (const each of others) {
    const spans = spansOf(planOf(each));
    for (const space of [4, 6, "mac"] as const) {
      const [a, b] = [own[space], spans[space]];
      if (a === undefined || b === undefined || a.first > b.last || b.first > a.last) continue;
      return { other: each.name, space, value: a.first > b.first ? a.first : b.first };
    }
  }
  return undefined;
}
