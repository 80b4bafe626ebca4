// What a user sees. Of owned kinds what it may use; what a network, a VRF or its hosts consist of, whoever manages
// that; an endpoint also who may use it itself, so that the leases of others stay hidden. A kind without a row is seen
// by nobody.
import type { Kind, Resource, ResourceOf } from "../../model/resource.ts";
import { merged } from "../../ipam/sorted.ts";
import { builtInOf, recordOf } from "../../model/kinds.ts";
import { ACL_KINDS, type AclKind, type Right } from "../../model/rights.ts";
import { allNamesOf } from "../state/builtIn.ts";
import type { Audience } from "../state/audience.ts";
import { lets } from "../../model/narrowing.ts";
import type { Principal } from "../state/principal.ts";
import { type Before, type View, audiencesIn, get, getKey } from "../state/view.ts";
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

/** Kinds of which a right to one itself is what counts; the others, and endpoints, also by what they are in. */
const OWN_RIGHTS: ReadonlySet<Kind> = new Set(ACL_KINDS.filter((kind) => kind !== "endpoint"));

/** Names above `after` of all of the kind that the principal may see, and of some that it may not, in order. */
export function namesFor(view: View, kind: Kind, principal: Principal, after: string): Iterable<string> {
  const reach = kind === "aclrule" ? undefined : reachOf(principal, kind, "use");
  const inside = OWN_RIGHTS.has(kind) ? [] : heldBy(view, principal);
  if (reach === undefined || inside === undefined) return allNamesOf(view, kind, after);
  return namesUnder(view, kind, { ...reach, audiences: [...reach.audiences, ...inside] }, after);
}

function namesUnder(view: View, kind: Kind, { audiences, names }: Reach, after: string): Iterable<string> {
  const known = audiencesIn(view, kind);
  const streams = [...new Set(audiences)].flatMap((each) => known.get(each)?.after(after) ?? []);
  return merged([[...new Set(names)].filter((name) => name > after).sort(), ...streams]);
}

/** By what the principal may have the right to resources of a kind; undefined: it may have it to all. */
function reachOf({ user, groups, rules, hosts }: Principal, kind: Kind, right: Right): Reach | undefined {
  const audiences: Audience[] = ["other", `owner/${user}`, ...[...groups].map((group): Audience => `group/${group}`)];
  const { builtIn } = recordOf(kind);
  const names = [...(kind === "user" ? [user] : []), ...(builtIn === undefined ? [] : [builtIn.name])];
  for (const { rights, resource } of rules) {
    if (!rights.includes(right) || !resource.kinds.includes(kind as AclKind)) continue;
    if (resource.all === true) return undefined;
    if (resource.name !== undefined) names.push(resource.name);
    if (resource.usergroup !== undefined) audiences.push(`group/${resource.usergroup}`);
    if (resource.hostcluster !== undefined) audiences.push(`cluster/${resource.hostcluster}`);
    if (kind === "host") names.push(...(hosts.get(resource.hostcluster ?? "") ?? []));
  }
  return { audiences, names };
}
type Reach = { readonly audiences: readonly Audience[]; readonly names: readonly string[] };

/** Audiences of what is in networks and VRFs that the principal manages; undefined: of all of them. */
function heldBy(view: View, principal: Principal): readonly Audience[] | undefined {
  const held: Audience[] = [];
  for (const kind of ["network", "vrf"] as const) {
    const reach = reachOf(principal, kind, "manage");
    if (reach === undefined) return undefined;
    for (const name of namesUnder(view, kind, reach, "")) {
      const resource = get(view, kind, name);
      if (resource !== undefined && hasRight(principal, "manage", resource)) held.push(`${kind}/${name}`);
    }
  }
  return held;
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
  membership: (sight, { spec }) => isOwnMembership(sight.principal, spec) || managesNetwork(sight, spec.network),
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

/** Of its own workload. */
function isOwnMembership({ user, narrowing }: Principal, spec: ResourceOf<"membership">["spec"]): boolean {
  return spec.user === user && lets(narrowing, "use", spec.network);
}

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
