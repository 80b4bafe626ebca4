// Networks whose frames cross between hosts by a multicast group: which settings they have, and what fits to the hosts.
import {
  type Cidr,
  type Family,
  BITS,
  addressCount,
  cidrAround,
  cidrOf,
  familyOf,
  formatCidr,
  formatIp,
  interfaceOf,
} from "../../../model/address.ts";
import { cleanText } from "../../../model/cleanText.ts";
import { defined } from "../../../model/defined.ts";
import { DRIVERS } from "../../../model/driver.ts";
import { Fault } from "../../../model/fault.ts";
import type { NetworkInput } from "../../../model/input.ts";
import { GROUP_BASE, derivedGroup, isMulticast, parseGroup } from "../../../model/multicast.ts";
import { deviceFor, isDeviceName } from "../../../model/physical.ts";
import type { NetworkSpec } from "../../../model/resource.ts";
import type { Draft } from "../../state/draft.ts";
import { type View, hostsInOrder } from "../../state/view.ts";

type Chosen = Pick<NetworkSpec, "driver" | "ipam"> & { readonly vni: number | undefined };
type PeersSpec = Pick<NetworkSpec, "peers" | "group" | "ttl" | "underlayDevice" | "outsiders">;

const FIELDS = ["group", "ttl", "underlayDevice", "outsiders"] as const;

/** The fields of a spec that say how its frames get to many hosts; none for unicast. */
export function peersOf(draft: Draft, input: NetworkInput, chosen: Chosen): PeersSpec {
  const isMany = input.peers === "multicast";
  if (isMany) checkChoice(chosen);
  if (!isMany || chosen.vni === undefined) {
    const field = FIELDS.find((name) => input[name] !== undefined);
    if (field !== undefined) throw onlyMulticast(field);
    return {};
  }
  const { ttl, underlayDevice, outsiders } = input;
  const family = familyFor(draft.view, input);
  const group =
    input.group === undefined
      ? derivedGroup(draft.context.groupBase ?? GROUP_BASE, family ?? 4, chosen.vni)
      : parseGroup(input.group, "spec.group");
  if (family !== undefined && familyOf(group) !== family) throw otherFamily(group, family, underlayDevice);
  return {
    peers: "multicast",
    group,
    ...defined({
      ttl,
      underlayDevice: underlayDevice === undefined ? undefined : deviceName(underlayDevice),
      outsiders: outsiders?.length ? outsidersOf(outsiders, group) : undefined,
    }),
  };
}

function checkChoice({ driver, ipam }: Chosen): void {
  const where = "spec.peers";
  if (DRIVERS[driver].hasGroups !== true) {
    const what = `networks of driver "${driver}" cannot have multicast peers`;
    const fix = "set peers to unicast (--peers unicast)";
    throw new Fault("request-invalid", { what, where, why: "only VXLAN can send to a group", fix });
  }
  if (ipam === "global") return;
  throw new Fault("request-invalid", {
    what: "a local network cannot have multicast peers",
    where,
    why: "its hosts route to each other's blocks, and nothing goes to all of them",
    fix: "leave it out, or set ipam to global",
  });
}

function onlyMulticast(field: (typeof FIELDS)[number]): Fault {
  return new Fault("request-invalid", {
    what: `only a network with multicast peers has ${field}`,
    where: `spec.${field}`,
    fix: `leave it out, or set peers to multicast`,
  });
}

/** Of the hosts' underlay; undefined if either may be right. */
function familyFor(view: View, { group, underlayDevice, parent }: NetworkInput): Family | undefined {
  const families = hostsInOrder(view).flatMap(({ spec }) => {
    const wanted = parent === undefined ? (underlayDevice ?? spec.underlayDevice) : deviceFor(spec, parent);
    if (wanted === spec.underlayDevice) return [familyOf(spec.underlay)];
    const { addresses = [], onBridge = [] } = spec.devices?.find(({ name }) => name === wanted) ?? {};
    return [...addresses, ...onBridge].map(familyOf);
  });
  const wanted = group === undefined ? undefined : familyOf(group);
  return families.find((family) => family === wanted) ?? families[0];
}

function otherFamily(group: string, family: Family, device: string | undefined): Fault {
  return new Fault("family-wrong", {
    what: `group ${group} is IPv${familyOf(group)}, and no host has ${device ?? "an underlay"} with such an address`,
    where: "spec.group",
    why: `the hosts' addresses there are IPv${family}`,
    fix: `choose a group of IPv${family}, or leave it out`,
  });
}

function deviceName(text: string): string {
  if (isDeviceName(text)) return text;
  throw new Fault("name-invalid", {
    what: `"${cleanText(text.slice(0, 80))}" cannot be the name of a device`,
    where: "spec.underlayDevice",
    fix: "write it as `ip link` does: at most 15 letters, digits, dots, dashes and underscores",
  });
}

/** In canonical form, each once, and none that is in another. */
function outsidersOf(texts: readonly string[], group: string): string[] {
  const cidrs = texts.map((text, i) => outsider(text, group, `spec.outsiders[${i}]`));
  const isIn = (a: Cidr, b: Cidr) =>
    a.length > b.length && cidrAround({ ...a, value: a.base }, b.length).base === b.base;
  const most = cidrs.filter((cidr) => !cidrs.some((other) => isIn(cidr, other)));
  checkTogether(most, familyOf(group));
  const written = most.map(({ family, base, length }) => {
    const ip = formatIp({ family, value: base });
    return length === BITS[family] ? ip : `${ip}/${length}`;
  });
  return [...new Set(written)].sort();
}

/** The shortest prefix that an outsider may be: 10.0.0.0/8 is one, and what a site has of IPv6. */
const WIDEST = { 4: 8, 6: 32 } as const;
/** How many such there may be at most, in addresses: all private ranges of IPv4 together are fewer. */
const WIDEST_MOST = 2n;

/** Many narrow ones must not come to what one may not be: what they send into the group is believed. */
function checkTogether(cidrs: readonly Cidr[], family: Family): void {
  const own = new Map(cidrs.map((cidr) => [formatCidr(cidr), addressCount(cidr)]));
  const sum = [...own.values()].reduce((all, count) => all + count, 0n);
  if (sum <= WIDEST_MOST << BigInt(BITS[family] - WIDEST[family])) return;
  throw new Fault("address-invalid", {
    what: "these outsiders are too many addresses",
    where: "spec.outsiders",
    why: `they are more than ${WIDEST_MOST} times a /${WIDEST[family]}, and what any of them sends is believed`,
    fix: "name the machines, or the networks that they are in",
  });
}

function outsider(text: string, group: string, where: string): Cidr {
  const whole = text.includes("/") ? text : `${text}/${BITS[familyOf(text)]}`;
  const cidr = cidrOf(whole);
  const why = cidr === undefined ? unreadable(whole) : unfit(cidr, group);
  if (cidr !== undefined && why === undefined) return cidr;
  throw new Fault("address-invalid", {
    what: `"${text.slice(0, 80)}" cannot be an outsider`,
    where,
    ...defined({ why }),
    fix: "write it like 172.29.0.7 or 172.29.0.0/24",
  });
}

function unreadable(text: string): string {
  return interfaceOf(text) === undefined ? "it is no address or network" : "host bits are set";
}

function unfit({ family, base, length }: Cidr, group: string): string | undefined {
  if (family !== familyOf(group)) return `the group is IPv${familyOf(group)}`;
  if (length === 0 || isMulticast(formatIp({ family, value: base }))) return "packets from any address would pass";
  return length < WIDEST[family]
    ? `it is wider than a /${WIDEST[family]}, and what any machine of it sends would be believed`
    : undefined;
}
