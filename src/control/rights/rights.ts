// Whether a user has a right to a resource: by whose it is, or by an ACL rule. Pure, of values alone. What is asked
// about a verb is in verbs.ts.
import { Fault } from "../../model/fault.ts";
import { type Narrowing, lets } from "../../model/narrowing.ts";
import type { Access, AclKind, Right } from "../../model/rights.ts";
import { RIGHTS, modeGives } from "../../model/rights.ts";
import { membersOf } from "../../model/cluster.ts";
import type { AclRule, Resource } from "../../model/resource.ts";
import { clustersOf, groupOf } from "../state/audience.ts";
import type { Principal } from "../state/principal.ts";
import { type View, get, listOf } from "../state/view.ts";

/** A user who asks, and by what its token is narrowed. */
export type Asking = { readonly user: string; readonly narrowing?: Narrowing };

/** A Fault `forbidden` for a user that is not there any more, or disabled. */
export function principalOf(view: View, { user, narrowing }: Asking): Principal {
  const principal = wholePrincipalOf(view, user);
  return narrowing === undefined ? principal : { ...principal, narrowing };
}

function wholePrincipalOf(view: View, user: string): Principal {
  const known = view.principals.get(user);
  if (known !== undefined) return known;
  const resource = get(view, "user", user);
  if (resource?.spec.enabled !== true)
    throw new Fault("forbidden", {
      what: `user "${user}" may do nothing`,
      why: resource === undefined ? "there is no such user" : "the user is disabled",
      fix: "ask an administrator",
    });
  const { group, groups: others = [] } = resource.spec;
  const groups = new Set([group, ...others]);
  const rules = listOf(view, "aclrule")
    .map(({ spec }) => spec)
    .filter(({ subject }) => isSubject(subject, user, groups));
  const principal = { user, group, groups, rules, hosts: hostsOf(view, rules) };
  view.principals.set(user, principal);
  return principal;
}

/** Hosts of the clusters whose hosts the rules are about. */
function hostsOf(view: View, rules: Principal["rules"]): Principal["hosts"] {
  const clusters = rules.flatMap(({ resource: { kinds, hostcluster } }) =>
    hostcluster !== undefined && kinds.includes("host") ? [hostcluster] : [],
  );
  return new Map(
    [...new Set(clusters)].map((name) => {
      const spec = get(view, "hostcluster", name)?.spec;
      return [name, new Set(spec === undefined ? [] : membersOf(spec, view.host.values()))];
    }),
  );
}

/** Whether the rule's subject is this user. */
export function isSubject(subject: AclRule["spec"]["subject"], user: string, groups: ReadonlySet<string>): boolean {
  if (subject.all === true) return true;
  return subject.user === undefined ? groups.has(subject.usergroup ?? "") : subject.user === user;
}

/** Whether the principal has the right to the resource. */
export function hasRight(principal: Principal, right: Right, resource: Resource): boolean {
  const { access } = resource;
  if (principal.narrowing !== undefined && !lets(principal.narrowing, right, networkOf(resource))) return false;
  if (access !== undefined && isGivenByMode(principal, access, right)) return true;
  return isGiven(principal, right, resource);
}

/** Whether an ACL rule gives the right to the resource. */
export function isGiven(principal: Principal, right: Right, resource: Resource): boolean {
  return principal.rules.some(
    ({ rights, resource: selector }) =>
      rights.includes(right) &&
      selector.kinds.includes(resource.kind as AclKind) &&
      selects(principal, selector, resource),
  );
}

/** Whether the principal has any right to the resource. */
export function isAble(principal: Principal, resource: Resource): boolean {
  return RIGHTS.some((right) => hasRight(principal, right, resource));
}

/** Whether ACL rules give the right to these clusters of hosts; of none, to all that there are. */
export function clusterRights({ rules, narrowing }: Principal, right: Right, clusters: readonly string[]): boolean {
  if (narrowing !== undefined && !lets(narrowing, right, undefined)) return false;
  const given = rules.filter(
    ({ rights, resource }) => rights.includes(right) && resource.kinds.includes("hostcluster"),
  );
  if (given.some(({ resource }) => resource.all === true)) return true;
  const isAbout = (cluster: string) =>
    given.some(({ resource }) => resource.name === cluster || resource.hostcluster === cluster);
  return clusters.length > 0 && clusters.every(isAbout);
}

/** The network that a resource is, or is in: a narrowing names networks. */
function networkOf({ kind, name, spec }: Resource): string | undefined {
  if (kind === "network") return name;
  // A template has a network's fields under this name.
  return kind === "template" ? undefined : (spec as { readonly network?: string }).network;
}

/** Whether it is given to the owner, the group or others, as the user is one of them. */
function isGivenByMode({ user, groups }: Principal, { owner, group, mode }: Access, right: Right): boolean {
  if (modeGives(mode, "other", right)) return true;
  if (owner === user && modeGives(mode, "owner", right)) return true;
  return group !== undefined && groups.has(group) && modeGives(mode, "group", right);
}

/** Whether an ACL rule's selector is about the resource. */
function selects({ hosts }: Principal, selector: AclRule["spec"]["resource"], resource: Resource): boolean {
  if (selector.all === true) return true;
  if (selector.name !== undefined) return selector.name === resource.name;
  if (selector.usergroup !== undefined) return groupOf(resource) === selector.usergroup;
  const { hostcluster } = selector;
  if (hostcluster === undefined) return false;
  if (resource.kind === "host") return hosts.get(hostcluster)?.has(resource.name) === true;
  return clustersOf(resource).includes(hostcluster);
}
