// What a user sees. Of owned kinds what it may use; what a network, a VRF or its hosts consist of, whoever manages
// that; an endpoint also who may use it itself, so that the leases of others stay hidden. A kind without a row is seen
// by nobody.
import type { Kind, Resource, ResourceOf } from "../../model/resource.ts";
import { builtInOf } from "../../model/kinds.ts";
import type { Principal } from "../state/principal.ts";
import { type Before, type View, getKey } from "../state/view.ts";
import { hasRight, isSubject } from "./rights.ts";

/** Whose eyes, and where other resources are looked up. */
export type Sight = {
  readonly principal: Principal;
  readonly get: (kind: "network" | "vrf" | "conversion", name: string) => Resource | undefined;
};

export function sightOf(view: View, principal: Principal): Sight {
  return { principal, get: (kind, name) => getKey(view, `${kind}/${name}`) };
}

/** As it was before a commit that replaced these. */
export function sightBefore(view: View, principal: Principal, before: Before): Sight {
  return {
    principal,
    get(kind, name) {
      const key = `${kind}/${name}` as const;
      return before.has(key) ? before.get(key) : getKey(view, key);
    },
  };
}

export function isSeenBy(sight: Sight, resource: Resource): boolean {
  // Each row is under the kind whose resources it takes; of a kind without one nothing is seen.
  const row = SEEN[resource.kind] as ((sight: Sight, resource: Resource) => boolean) | undefined;
  return row?.(sight, resource) ?? false;
}

type Row<K extends Kind> = (sight: Sight, resource: ResourceOf<K>) => boolean;

const SEEN: { readonly [K in Kind]: Row<K> } = {
  network: isUsed,
  vrf: isUsed,
  pool: isUsed,
  physicalnetwork: isUsed,
  template: isUsed,
  // The one that is built in is everybody's: networks have it.
  securitygroup: (sight, group) => builtInOf("securitygroup", group.name) !== undefined || isUsed(sight, group),
  endpoint: (sight, endpoint) => isUsed(sight, endpoint) || managesNetwork(sight, endpoint.spec.network),
  host: isUsed,
  hostcluster: isUsed,
  block: (sight, { spec }) => managesNetwork(sight, spec.network),
  vtep: (sight, { spec }) => managesVrf(sight, spec.vrf),
  membership: (sight, { spec }) => managesNetwork(sight, spec.network),
  migration: (sight, { spec }) => managesNetwork(sight, spec.from) && managesNetwork(sight, spec.to),
  move: (sight, { spec }) => managesNetwork(sight, spec.from) && managesNetwork(sight, spec.to),
  hold: (sight, { spec }) => managesNetwork(sight, spec.network),
  freed: (sight, { spec }) => managesNetwork(sight, spec.network),
  cursor: (sight, { spec }) => managesNetwork(sight, spec.network),
  conversion: (sight, { spec }) =>
    spec.network === undefined ? managesVrf(sight, spec.vrf) : managesNetwork(sight, spec.network),
  user: (sight, user) => user.name === sight.principal.user || isUsed(sight, user),
  usergroup: (sight, group) => sight.principal.groups.has(group.name) || isUsed(sight, group),
  aclrule: (sight, rule) =>
    isSubject(rule.spec.subject, sight.principal.user, sight.principal.groups) || isUsed(sight, rule),
};

function isUsed({ principal }: Sight, resource: Resource): boolean {
  return hasRight(principal, "use", resource);
}

function managesNetwork({ principal, get }: Sight, name: string): boolean {
  const network = get("network", name);
  return network !== undefined && hasRight(principal, "manage", network);
}

function managesVrf({ principal, get }: Sight, name: string): boolean {
  const vrf = get("vrf", name);
  return vrf !== undefined && hasRight(principal, "manage", vrf);
}
