// Several resources in one commit, as a file has them, and the end of networks that are no longer listed.
import type { Family } from "../../model/address.ts";
import { Fault } from "../../model/fault.ts";
import type { ApplyItem } from "../../model/input.ts";
import { KINDS } from "../../model/kinds.ts";
import type { Network } from "../../model/resource.ts";
import type { Draft } from "../state/draft.ts";
import { type View, get } from "../state/view.ts";
import type { Write } from "../write.ts";
import { reservationsText } from "./address/reservation.ts";
import { endpointNames, networksOf } from "./contents.ts";
import { refuseWhile, within } from "./context.ts";
import { vacateVrf } from "./network/allocate.ts";
import { removeNetwork } from "./network/network.ts";
import { putResource } from "./resource.ts";

/**
 * Networks that are no longer listed go before others are put, so that their addresses are free. All is judged by what
 * it comes to: each network against those that are where they will be, so that two may change places.
 */
export function apply(draft: Draft, { items, pruneVrf }: Extract<Write, { readonly verb: "apply" }>): undefined {
  checkDistinct(items);
  const networks = new Set(items.filter((item) => item.kind === "network").map((item) => item.name));
  const pruned = pruneVrf === undefined ? [] : prunable(draft.view, pruneVrf, networks);
  const moving = new Set([...networks, ...pruned.map((network) => network.name)]);
  const keys = new Set(items.map((item) => `${item.kind}/${item.name}`));
  draft.coming = { networks: moving, keys, families: comingFamilies(draft.view, items) };
  const put = ([i, item]: readonly [number, ApplyItem]) => {
    if (item.kind === "network") moving.delete(item.name);
    within(`resources[${i}]`, () => putResource(draft, item));
  };
  const inOrder = [...items.entries()].sort(([, a], [, b]) => orderOf(a) - orderOf(b));
  const isBefore = ([, item]: readonly [number, ApplyItem]) => orderOf(item) < KINDS.network.put.order;
  inOrder.filter(isBefore).forEach(put);
  for (const network of pruned) removeNetwork(draft, network.name);
  inOrder.filter((entry) => !isBefore(entry)).forEach(put);
  // Only now: a VRF that gets a new network must not go with its last old one and come back as another.
  if (pruned.length > 0 && pruneVrf !== undefined) vacateVrf(draft, pruneVrf);
}

function orderOf({ kind }: ApplyItem): number {
  return KINDS[kind].put.order;
}

/** The networks of a VRF that are not listed; a Fault `in-use` if one of them has endpoints or reservations. */
function prunable(view: View, vrf: string, listed: ReadonlySet<string>): readonly Network[] {
  // What is reserved from a network goes with it, or stays.
  const pruned = networksOf(view, vrf).filter(({ name, spec }) => !listed.has(name) && spec.reservedFrom === undefined);
  const blockers = pruned.flatMap(({ name }) => [...endpointNames(view, name), ...reservationsText(view, name)]);
  const have = blockers.some((each) => each.startsWith("reservation ")) ? "reservations" : "endpoints";
  const names = pruned.map((network) => `"${network.name}"`).sort();
  refuseWhile(blockers, {
    what: `networks ${names.join(", ")} of VRF "${vrf}" cannot go`,
    why: `they are not listed, but have ${have}`,
    fix: "detach or delete them first, or list the networks",
  });
  return pruned;
}

/** Families of the local networks of a file, by VRF; what a pool will give to a new one is added when it is put. */
function comingFamilies(view: View, items: readonly ApplyItem[]): ReadonlyMap<string, ReadonlySet<Family>> {
  const families = new Map<string, Set<Family>>();
  for (const item of items) {
    if (item.kind !== "network") continue;
    const old = get(view, "network", item.name)?.spec;
    const subnets = item.spec.subnets ?? old?.subnets ?? [];
    const isLocal = subnets.some(({ hostPrefix }) => hostPrefix !== undefined);
    const vrf = item.spec.vrf ?? item.name;
    const known = families.get(vrf) ?? new Set();
    for (const { cidr } of isLocal ? subnets : []) known.add(cidr.includes(":") ? 6 : 4);
    families.set(vrf, known);
  }
  return families;
}

function checkDistinct(items: readonly ApplyItem[]): void {
  const seen = new Set<string>();
  for (const [i, item] of items.entries()) {
    const key = `${item.kind}/${item.name}`;
    if (seen.has(key))
      throw new Fault("request-invalid", {
        what: `${key} is listed twice`,
        where: `resources[${i}].name`,
        fix: "list each resource once",
      });
    seen.add(key);
  }
}
