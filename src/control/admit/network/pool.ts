// Pools: how a network without subnets of its own gets an id, and subnets made from it. When the server chooses, it
// skips an id whose subnets overlap something; a requested one is refused with the reason. The network records its id
// and subnets, so a pool may change at any time: only new networks are affected.
import { isDeepStrictEqual } from "node:util";
import { cidrOf } from "../../../model/address.ts";
import { DEFAULT_DRIVER } from "../../../model/driver.ts";
import { defined } from "../../../model/defined.ts";
import { Fault } from "../../../model/fault.ts";
import type { NetworkInput, PoolInput } from "../../../model/input.ts";
import { checkName } from "../../../model/parse.ts";
import type { Network, Pool, Subnet } from "../../../model/resource.ts";
import type { Draft } from "../../state/draft.ts";
import { builtIn } from "../../state/builtIn.ts";
import type { View } from "../../state/view.ts";
import type { Delete, Put } from "../../write.ts";
import { existing, refuseWhile } from "../context.ts";
import { subnetCollision } from "./overlap.ts";
import { vrfAndPlacement } from "./placement.ts";
import {
  type Ipam,
  checkRules,
  checkSort,
  checkVnis,
  idsOf,
  overflowParts,
  reservedCollision,
  subnetsAt,
} from "./poolRules.ts";
import { type PoolRequest, checkSpaces, subnetsFromSpaces, vniFrom } from "./space.ts";
import { subnetsOf } from "./subnet.ts";

/** Makes or changes a pool; networks that came from it stay as they are. */
export function putPool(draft: Draft, { name, spec: input }: Put<PoolInput>): Pool {
  checkName("pool", name, "name");
  const { globalSubnets, localSubnets, overflow, spaces, reuse, vnis, description } = input;
  const { driver = DEFAULT_DRIVER, reserved = [] } = input;
  const ipam = input.ipam ?? (globalSubnets === undefined && localSubnets !== undefined ? "local" : "global");
  const ids = spaces === undefined ? idsOf(input) : input.ids;
  const subnets = { ids, globalSubnets, localSubnets, reserved, overflow, spaces, reuse };
  const spec = defined({ driver, ipam, ...subnets, vnis, description });
  checkSort(name, spec);
  checkVnis(spec);
  if (spaces === undefined) checkRules(name, spec);
  else checkSpaces(name, spec);
  // The built-in pool need not be written; a list of pools has it, and can be applied.
  const own = draft.view.pool.has(name) ? undefined : builtIn("pool", name);
  if (own !== undefined && isDeepStrictEqual(spec, own.spec)) return own;
  return draft.put("pool", name, spec);
}

/** Removes a pool that no network names; with `force` its networks keep their subnets and have no pool. */
export function deletePool(draft: Draft, { name, force }: Delete): void {
  const networks = [...draft.view.network.values()].filter((network) => network.spec.pool?.name === name);
  const names = networks.map((network) => network.name);
  if (force !== true) {
    refuseWhile(names, {
      what: `pool "${name}" has networks`,
      why: "their ids are counted in it",
      fix: "delete them first, or use force: they keep their subnets",
    });
  }
  for (const network of networks) {
    const { pool: _, ...spec } = network.spec;
    draft.put("network", network.name, spec);
  }
  draft.remove("pool", name);
}

export type WithSubnets = NetworkInput & { readonly subnets: readonly Subnet[] };
type Drawn = { readonly input: WithSubnets; readonly pool?: { readonly name: string; readonly id?: number } };

/** The input with its subnets: its own, or those of its pool, with the id that gave them. */
export function drawn(draft: Draft, { name, spec: input }: Put<NetworkInput>, old: Network | undefined): Drawn {
  if (input.pool === undefined) {
    if (input.subnets !== undefined) return { input: { ...input, subnets: input.subnets } };
    throw new Fault("request-invalid", {
      what: "spec.subnets: expected a value, got nothing",
      where: "spec.subnets",
      fix: "give the network addresses, or a pool to take them from",
    });
  }
  const pool = poolNamed(draft.view, input.pool.name);
  const same = old?.spec.pool?.name === pool.name ? old : undefined;
  const ipam = input.ipam ?? same?.spec.ipam ?? pool.spec.ipam;
  const wanted = input.pool.id ?? same?.spec.pool?.id;
  const isAsWas = same !== undefined && wanted === same.spec.pool?.id && ipam === same.spec.ipam;
  const driver = input.driver ?? same?.spec.driver ?? pool.spec.driver;
  const { vrf } = vrfAndPlacement(draft.view, name, { ...input, driver, ipam }, old);
  const place: PoolRequest = { draft, pool, ipam, network: name, vrf, driver };
  if (pool.spec.spaces !== undefined) {
    const subnets = subnetsFromSpaces(place, pool.spec.spaces, input, same);
    return { input: { ...input, driver, ipam, subnets, ...vniPart(place, input, old) }, pool: { name: pool.name } };
  }
  refuseLengths(pool, input.pool);
  const { id, subnets } =
    isAsWas && wanted !== undefined
      ? { id: wanted, subnets: same.spec.subnets }
      : wanted === undefined
        ? lowestFree(place)
        : asked(place, wanted);
  const whole = { ...input, driver, ipam, subnets, ...vniPart(place, input, old) };
  checkGiven(input, whole, pool);
  return { input: whole, pool: { name: pool.name, id } };
}

/** One that is built in need not have been written. */
function poolNamed(view: View, name: string): Pool {
  return view.pool.get(name) ?? builtIn("pool", name) ?? existing(view, "pool", name, "spec.pool.name");
}

function vniPart(place: PoolRequest, input: NetworkInput, old: Network | undefined): Pick<NetworkInput, "vni"> {
  const vni = input.vni ?? vniFrom(place, old);
  return vni === undefined ? {} : { vni };
}

/** What is said of a pool with spaces. */
function refuseLengths({ name }: Pool, wish: NonNullable<NetworkInput["pool"]>): void {
  const field = (["prefix", "prefix6"] as const).find((each) => wish[each] !== undefined);
  if (field === undefined) return;
  throw new Fault("request-invalid", {
    what: `pool "${name}" gives no subnets of a wanted length`,
    where: `spec.pool.${field}`,
    why: "an id makes its subnets",
    fix: "leave it out, or choose a pool with spaces",
  });
}

type Choice = { readonly id: number; readonly subnets: readonly Subnet[] };

function lowestFree(place: PoolRequest): Choice {
  const { pool, ipam } = place;
  const taken = takenIds(place);
  const { first, last } = idsOf(pool.spec);
  let met: string | undefined;
  let free = 0;
  for (let id = first; id <= last + overflowParts(pool.spec); id++) {
    if (taken.has(id)) continue;
    const subnets = subnetsAt(pool.spec, ipam, id);
    if (subnets === undefined) continue;
    const collision = collisionOf(place, subnets);
    if (collision === undefined) return { id, subnets };
    free++;
    met ??= `id ${id} would be ${collision}`;
  }
  throw noneLeft(pool, ipam, free, met);
}

function noneLeft({ name, spec }: Pool, ipam: Ipam, free: number, met: string | undefined): Fault {
  const ids = idsOf(spec);
  const range = `${ids.first} to ${ids.last}`;
  const beyond = spec.overflow === undefined ? "" : `, and ${spec.overflow.cidr} beyond`;
  if (met === undefined) {
    return new Fault("exhausted", {
      what: `pool "${name}" has no ${ipam} network left`,
      where: "spec.pool",
      why: `all ids (${range}${beyond}) are taken`,
      fix: "delete networks, or give the pool an overflow or a larger one",
    });
  }
  return new Fault("overlap", {
    what: `pool "${name}" has no ${ipam} network left that meets nothing`,
    where: "spec.pool",
    why: `${met}; so it is with all ${free} free ids (${range}${beyond})`,
    fix: "give the pool an overflow elsewhere, choose the other --ipam, or give the network subnets of its own",
  });
}

/** The requested id, or the reason why not. */
function asked(place: PoolRequest, id: number): Choice {
  const { pool, ipam } = place;
  const where = "spec.pool.id";
  const holder = takenIds(place).get(id);
  if (holder !== undefined) {
    throw new Fault("id-taken", {
      what: `id ${id} of pool "${pool.name}" is taken`,
      where,
      why: `network "${holder}" has it`,
      fix: "choose another, or leave it out for the lowest free one",
    });
  }
  const subnets = subnetsAt(pool.spec, ipam, id);
  if (subnets === undefined) {
    const { first, last } = idsOf(pool.spec);
    throw new Fault("request-invalid", {
      what: `pool "${pool.name}" has no id ${id} for a ${ipam} network`,
      where,
      why: `its ids are ${first} to ${last + overflowParts(pool.spec)}`,
      fix: "choose one of these, or leave it out",
    });
  }
  const collision = collisionOf(place, subnets);
  if (collision === undefined) return { id, subnets };
  throw new Fault("overlap", {
    what: `id ${id} of pool "${pool.name}" cannot be used`,
    where,
    why: `it would be ${collision}`,
    fix: "choose another, or leave it out and such ids are passed over",
  });
}

/** Networks of the pool by their ids; not the one that asks. */
function takenIds({ draft, pool, network }: PoolRequest): Map<number, string> {
  const taken = new Map<number, string>();
  for (const { name, spec } of draft.view.network.values())
    if (spec.pool?.name === pool.name && spec.pool.id !== undefined && name !== network) taken.set(spec.pool.id, name);
  return taken;
}

/** What an id's subnets meet, as in `10.3.0.0/16, which overlaps …`. */
function collisionOf(
  { draft, pool, vrf, network, driver }: PoolRequest,
  subnets: readonly Subnet[],
): string | undefined {
  for (const { cidr: text } of subnets) {
    const cidr = cidrOf(text);
    if (cidr === undefined) return `${text}, which is not a network`;
    const met =
      reservedCollision(pool.spec, cidr) ?? subnetCollision(draft, { name: network, spec: { vrf, driver } }, cidr);
    if (met !== undefined) return `${text}, which overlaps ${met.with}: ${met.why}`;
  }
  return undefined;
}

/** Subnets that come with a pool must be the pool's: then a network that was read can be written again. */
function checkGiven(input: NetworkInput, whole: WithSubnets & { readonly ipam: Ipam }, pool: Pool): void {
  if (input.subnets === undefined) return;
  const given = subnetsOf({ ...whole, subnets: input.subnets }, whole.ipam);
  const own = subnetsOf(whole, whole.ipam);
  if (isDeepStrictEqual(given, own)) return;
  throw new Fault("request-invalid", {
    what: `the subnets are not those of pool "${pool.name}": ${own.map(({ cidr }) => cidr).join(", ")}`,
    where: "spec.subnets",
    fix: "leave the subnets out, or the pool",
  });
}
