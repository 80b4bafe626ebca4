// Pools with spaces: a network takes the lowest free subnet of its length, or one that it names. Free is what no
// network of the VRF or, unless the pool lets VRFs use addresses again, of the pool has, no host uses, and the pool
// does not keep. The search goes through trees of used prefixes: ten thousand networks cost it what ten do.
import {
  type Cidr,
  type Family,
  cidrAround,
  cidrOf,
  contains,
  familyOf,
  firstOf,
  formatCidr,
  ipOf,
  overlaps,
  parseCidr,
} from "../../../model/address.ts";
import { type Driver, isPhysical } from "../../../model/driver.ts";
import { Fault } from "../../../model/fault.ts";
import type { NetworkInput } from "../../../model/input.ts";
import type { Network, Pool, Subnet } from "../../../model/resource.ts";
import { UPLINK_CIDRS } from "../../../model/uplink.ts";
import { PrefixTree, freePrefix } from "../../../ipam/prefixTree.ts";
import type { Draft } from "../../state/draft.ts";
import { get } from "../../state/view.ts";
import { cidrsOf } from "../context.ts";
import { NOT_UNICAST, PREFIX_MAX } from "../numbers.ts";
import { isDefaultRoute, isReachedByHosts, subnetCollision } from "./overlap.ts";
import { type Ipam, reservedCollision } from "./poolRules.ts";

/** What is asked of a pool: for which network, in which VRF. */
export type PoolRequest = {
  readonly draft: Draft;
  readonly pool: Pool;
  readonly ipam: Ipam;
  readonly network: string;
  readonly vrf: string;
  readonly driver: Driver;
};
type Space = NonNullable<Pool["spec"]["spaces"]>[number];
type Trees = { readonly [F in Family]: PrefixTree };
type Wish = NonNullable<NetworkInput["pool"]>;

/** The subnets of a network: those it had, those it names, or free ones. */
export function subnetsFromSpaces(
  place: PoolRequest,
  spaces: readonly Space[],
  input: NetworkInput,
  same: Network | undefined,
): readonly Subnet[] {
  const wish: Wish = input.pool ?? { name: place.pool.name };
  if (wish.id !== undefined)
    throw new Fault("request-invalid", {
      what: `pool "${place.pool.name}" has no ids`,
      where: "spec.pool.id",
      why: "it gives subnets out of its spaces",
      fix: "leave it out, or name the subnet",
    });
  const lengths = lengthsIn(place.pool, spaces, wish);
  if (same !== undefined && same.spec.ipam === place.ipam && same.spec.vrf === place.vrf)
    return keptSubnets(same, lengths);
  if (input.subnets !== undefined && input.subnets.length > 0)
    return input.subnets.map((subnet, i) => named(place, spaces, subnet, `spec.subnets[${i}].cidr`));
  return [...lengths].map(([family, length]) => {
    const own = spaces.filter(({ cidr }) => familyOf(cidr) === family);
    return chosen(place, own, length);
  });
}

/** Wanted length by family, in the order of the spaces; undefined where none is wanted. */
function lengthsIn(pool: Pool, spaces: readonly Space[], wish: Wish): ReadonlyMap<Family, number | undefined> {
  const families = [...new Set(spaces.map(({ cidr }) => familyOf(cidr)))];
  const isAlone = families.length === 1;
  const of = (family: Family) => (family === 6 && (!isAlone || wish.prefix === undefined) ? wish.prefix6 : wish.prefix);
  if (wish.prefix6 !== undefined && (!families.includes(6) || (isAlone && wish.prefix !== undefined)))
    throw new Fault("request-invalid", {
      what: `pool "${pool.name}" gives a network no second subnet`,
      where: "spec.pool.prefix6",
      why: "it has spaces of one family",
      fix: "leave it out",
    });
  return new Map(families.map((family) => [family, of(family)]));
}

/** A network keeps its subnets; a Fault `immutable` if it asks for another length. */
function keptSubnets({ name, spec }: Network, lengths: ReadonlyMap<Family, number | undefined>): readonly Subnet[] {
  for (const { cidr: text } of spec.subnets) {
    const cidr = parseCidr(text, `network/${name}`);
    const wanted = lengths.get(cidr.family);
    if (wanted === undefined || wanted === cidr.length) continue;
    throw new Fault("immutable", {
      what: `network "${name}" has ${text} of its pool, and no /${wanted}`,
      where: "spec.pool.prefix",
      why: "a network keeps the subnet that it was given",
      fix: "leave the length out, or make another network",
    });
  }
  return spec.subnets;
}

/** The lowest free subnet of the first space that has one. */
function chosen(place: PoolRequest, spaces: readonly Space[], wanted: number | undefined): Subnet {
  const { draft, pool, vrf, ipam } = place;
  for (const space of spaces) {
    const within = parseCidr(space.cidr, "spec.spaces");
    const length = wanted ?? space.prefix;
    checkLength(pool, within, length);
    const { family } = within;
    const trees = [
      draft.view.vrfs.get(vrf)?.prefixes[family],
      pool.spec.reuse === true ? undefined : draft.view.pooled.get(pool.name)?.[family],
      others(place)[family],
    ];
    const found = freePrefix(
      trees.filter((tree) => tree !== undefined),
      within,
      length,
    );
    if (found !== undefined) return subnetIn(pool, space, ipam, { cidr: formatCidr(found) });
  }
  throw noneFree(pool, spaces, wanted);
}

function noneFree({ name, spec }: Pool, spaces: readonly Space[], wanted: number | undefined): Fault {
  const texts = spaces.map(({ cidr, prefix }) => `/${wanted ?? prefix} in ${cidr}`);
  return new Fault("exhausted", {
    what: `pool "${name}" has no free ${texts.join(", and no ")}`,
    where: "spec.pool",
    why:
      `networks of the ${spec.reuse === true ? "VRF" : "pool or VRF"} have it, or hosts use these addresses, ` +
      "or the pool reserves them",
    fix: "delete networks, ask for a smaller subnet, or give the pool another space",
  });
}

function checkLength(pool: Pool, within: Cidr, length: number): void {
  const most = PREFIX_MAX[within.family];
  if (length >= within.length && length <= most) return;
  throw new Fault("prefix-invalid", {
    what: `pool "${pool.name}" gives no /${length}`,
    where: "spec.pool.prefix",
    why: length < within.length ? `it is more than all of ${formatCidr(within)}` : "it has no room for endpoints",
    fix: `choose a length from ${within.length} to ${most}`,
  });
}

/** The space's subnet as the network is to have it. */
function subnetIn(pool: Pool, { cidr, hostPrefix }: Space, ipam: Ipam, subnet: Subnet): Subnet {
  if (ipam === "global") return subnet;
  const wanted = subnet.hostPrefix ?? hostPrefix;
  if (wanted !== undefined) return { ...subnet, hostPrefix: wanted };
  throw new Fault("request-invalid", {
    what: `pool "${pool.name}" has no subnets for local networks`,
    where: "spec.pool",
    why: `its space ${cidr} has no hostPrefix`,
    fix: "set ipam to global, or give the space a hostPrefix",
  });
}

/** A subnet that the network names must be one that the pool could give. */
function named(place: PoolRequest, spaces: readonly Space[], subnet: Subnet, where: string): Subnet {
  const { pool, network } = place;
  const cidr = parseCidr(subnet.cidr, where);
  const space = spaces.find((each) => isIn(cidr, each));
  if (space === undefined)
    throw new Fault("address-outside", {
      what: `${formatCidr(cidr)} is in no space of pool "${pool.name}"`,
      where,
      why: `its spaces are ${spaces.map((each) => each.cidr).join(", ")}`,
      fix: "choose a subnet of these, leave it out for the lowest free one, or leave out the pool",
    });
  const holder = pool.spec.reuse === true ? undefined : holderOf(place, cidr);
  const met =
    holder === undefined
      ? (reservedCollision(pool.spec, cidr) ??
        subnetCollision(place.draft, { name: network, spec: { vrf: place.vrf, driver: place.driver } }, cidr))
      : { with: `network "${holder}"`, why: "each network of the pool has its own" };
  if (met === undefined) return subnetIn(pool, space, place.ipam, { ...subnet, cidr: formatCidr(cidr) });
  throw new Fault("overlap", {
    what: `pool "${pool.name}" cannot give ${formatCidr(cidr)}`,
    where,
    why: `it overlaps ${met.with}: ${met.why}`,
    fix: "choose another, or leave it out for the lowest free one",
  });
}

function isIn(cidr: Cidr, { cidr: text }: Space): boolean {
  const space = cidrOf(text);
  return space !== undefined && contains(space, firstOf(cidr)) && space.length <= cidr.length;
}

/** The other network of the pool that has some of the prefix. */
function holderOf({ draft, pool, network }: PoolRequest, cidr: Cidr): string | undefined {
  if (draft.view.pooled.get(pool.name)?.[cidr.family].meets(cidr) !== true) return undefined;
  for (const { name, spec } of draft.view.network.values())
    if (name !== network && spec.pool?.name === pool.name && meetsOne(spec.subnets, cidr)) return name;
  return undefined;
}

function meetsOne(subnets: readonly Subnet[], cidr: Cidr): boolean {
  return subnets.some(({ cidr: text }) => {
    const other = cidrOf(text);
    return other !== undefined && overlaps(other, cidr);
  });
}

/** What a subnet must not meet besides networks of its VRF and pool. */
function others({ draft, pool, vrf, driver }: PoolRequest): Trees {
  const trees: Trees = { 4: new PrefixTree(), 6: new PrefixTree() };
  const add = (cidr: Cidr | undefined) => cidr !== undefined && trees[cidr.family].add(cidr);
  for (const cidr of [...NOT_UNICAST, ...UPLINK_CIDRS]) add(cidr);
  for (const text of pool.spec.reserved) add(cidrOf(text));
  const { view } = draft;
  const spec = get(view, "vrf", vrf)?.spec;
  for (const text of spec?.vtepSubnets ?? []) add(cidrOf(text));
  if (!isPhysical({ driver })) for (const cidr of usedByHosts(draft)) add(cidr);
  if (spec === undefined || !isReachedByHosts(spec)) return trees;
  for (const { name, spec: network } of view.network.values()) {
    const other = get(view, "vrf", network.vrf)?.spec;
    if (network.vrf !== vrf && other !== undefined && isReachedByHosts(other))
      cidrsOf({ name, spec: network }).map(add);
  }
  return trees;
}

/** What `hostCollision` refuses, each once: it does not change while a write is decided. */
function usedByHosts(draft: Draft): readonly Cidr[] {
  const known = USED_BY_HOSTS.get(draft);
  if (known !== undefined) return known;
  const used = new Map<string, Cidr>();
  const add = (cidr: Cidr) => used.set(`${cidr.family}/${cidr.base}/${cidr.length}`, cidr);
  for (const { name, spec } of draft.view.host.values()) {
    const underlay = ipOf(spec.underlay);
    if (underlay !== undefined) add(cidrAround(underlay, underlay.family === 4 ? 32 : 128));
    for (const prefix of draft.context.prefixes.get(name) ?? []) if (!isDefaultRoute(prefix)) add(prefix);
  }
  const list = [...used.values()];
  USED_BY_HOSTS.set(draft, list);
  return list;
}
const USED_BY_HOSTS = new WeakMap<Draft, readonly Cidr[]>();

/** VNI of a new network out of the pool's range; undefined where another is given, known or needed. */
export function vniFrom({ draft, pool, ipam, vrf }: PoolRequest, old: Network | undefined): number | undefined {
  const { vnis } = pool.spec;
  if (vnis === undefined || old !== undefined) return undefined;
  // A local network has its VRF's.
  if (ipam === "local" && get(draft.view, "vrf", vrf) !== undefined) return undefined;
  const vni = draft.view.vnis.nextFree(BigInt(vnis.first));
  if (vni <= BigInt(vnis.last)) return Number(vni);
  throw new Fault("exhausted", {
    what: `pool "${pool.name}" has no VNI left`,
    where: "spec.vni",
    why: `all from ${vnis.first} to ${vnis.last} are taken`,
    fix: "delete networks, or give the pool a larger range",
  });
}

/** Refuses spaces out of which no network could get a subnet. */
export function checkSpaces(name: string, { spaces = [], reserved, ipam }: Pool["spec"]): void {
  for (const [i, { cidr: text, prefix, hostPrefix }] of spaces.entries()) {
    const where = `spec.spaces[${i}]`;
    const cidr = parseCidr(text, `${where}.cidr`);
    const most = PREFIX_MAX[cidr.family];
    if (prefix < cidr.length || prefix > most)
      throw new Fault("prefix-invalid", {
        what: `${text} cannot be divided into /${prefix}s`,
        where: `${where}.prefix`,
        why: prefix < cidr.length ? "a subnet is larger than the space" : "such a subnet has no room for endpoints",
        fix: `choose a length from ${cidr.length} to ${most}`,
      });
    if (hostPrefix !== undefined && (hostPrefix < prefix || hostPrefix > most))
      throw new Fault("prefix-invalid", {
        what: `a /${hostPrefix} block does not fit into a /${prefix}`,
        where: `${where}.hostPrefix`,
        why: hostPrefix < prefix ? "it is larger than the subnet" : "it has no room for endpoints",
        fix: `choose a length from ${prefix} to ${most}`,
      });
    const tree = new PrefixTree();
    for (const other of [...NOT_UNICAST, ...UPLINK_CIDRS, ...reserved.map(cidrOf)])
      if (other?.family === cidr.family) tree.add(other);
    if (freePrefix([tree], cidr, prefix) === undefined)
      throw new Fault("overlap", {
        what: `pool "${name}" could give no subnet of ${text}`,
        where,
        why: "all of it is reserved, or not ordinary unicast",
        fix: "reserve less, or choose another space",
      });
  }
  if (ipam === "local" && spaces.every(({ hostPrefix }) => hostPrefix === undefined))
    throw new Fault("request-invalid", {
      what: `pool "${name}" has no subnets for local networks`,
      where: "spec.spaces",
      why: "none of its spaces has a hostPrefix",
      fix: "give them one, or set ipam to global",
    });
}
