// Who a resource can concern, as text: its owner, its group, others, rules for its clusters, whoever manages what it is
// in. The view keeps the names of a kind under each, so that a user's list is made from a few of them instead of a walk
// over all. Only what may be seen: whether it is, rights/sight.ts decides about each.
import { Sorted } from "../../ipam/sorted.ts";
import type { Resource } from "../../model/resource.ts";

export type Audience = "other" | `${"owner" | "group" | "cluster" | "network" | "vrf"}/${string}`;
/** Names in order, under each audience that has some. */
export type Audiences = Map<Audience, Sorted<string>>;

/** In order of names. */
export function sortedNames(): Sorted<string> {
  return new Sorted<string>((a, b) => (a < b ? -1 : a > b ? 1 : 0));
}

/** The group that a resource belongs to; a user's is its primary one, a group's itself. */
export function groupOf(resource: Resource): string | undefined {
  if (resource.kind === "user") return resource.spec.group;
  return resource.kind === "usergroup" ? resource.name : resource.access?.group;
}

/** Clusters of hosts that a resource is for, or is. */
export function clustersOf(resource: Resource): readonly string[] {
  return resource.kind === "hostcluster" ? [resource.name] : clustersIn(resource);
}

/** Clusters of hosts that a resource is for; a template, those of networks that are made from it. */
export function clustersIn({ kind, spec }: Pick<Resource, "kind" | "spec">): readonly string[] {
  const whole = spec as { readonly clusters?: readonly string[]; readonly network?: typeof whole };
  return (kind === "template" ? whole.network : whole)?.clusters ?? [];
}

/** Of everything that lets a user see this resource, other than its name and a right to all of its kind. */
function audiencesOf(resource: Resource): readonly Audience[] {
  const { access } = resource;
  const audiences: Audience[] = clustersOf(resource).map((cluster): Audience => `cluster/${cluster}`);
  if (access?.owner !== undefined) audiences.push(`owner/${access.owner}`);
  for (const group of new Set([access?.group, groupOf(resource)]))
    if (group !== undefined) audiences.push(`group/${group}`);
  if (access !== undefined && !access.mode.endsWith("---")) audiences.push("other");
  if (resource.kind === "membership" && resource.spec.user !== undefined) audiences.push(`owner/${resource.spec.user}`);
  // Of a template this is a part of a network.
  const { network, from, vrf } = resource.spec as {
    readonly network?: unknown;
    readonly from?: unknown;
    readonly vrf?: unknown;
  };
  for (const name of [network, from]) if (typeof name === "string") audiences.push(`network/${name}`);
  if (typeof vrf === "string" && resource.kind !== "network") audiences.push(`vrf/${vrf}`);
  return audiences;
}

/** Takes the resource in, or out again. */
export function indexAudiences(audiences: Audiences, resource: Resource, enters: boolean): void {
  for (const audience of audiencesOf(resource)) {
    let names = audiences.get(audience);
    if (enters) {
      if (names === undefined) audiences.set(audience, (names = sortedNames()));
      names.add(resource.name);
    } else {
      names?.delete(resource.name);
      if (names?.size === 0) audiences.delete(audience);
    }
  }
}
