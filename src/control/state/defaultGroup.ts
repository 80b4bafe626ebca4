// The group `default`, which is there before anybody has written it, and the cluster's setting of groups for new
// networks.
import { DEFAULT_GROUP, DEFAULT_GROUP_SPEC } from "../../model/group.ts";
import type { Kind, ResourceOf, SecurityGroup } from "../../model/resource.ts";
import type { Context } from "../admit/context.ts";

/** A page of groups, in order of names. */
export function pageWithDefault<K extends Kind>(
  revision: number,
  kind: K,
  written: readonly ResourceOf<K>[],
  after: string,
  limit: number,
): { readonly revision: number; readonly items: readonly ResourceOf<K>[]; readonly hasMore: boolean } {
  const rest = withDefaultGroup(kind, written)
    .filter(({ name }) => name > after)
    .toSorted((a, b) => (a.name < b.name ? -1 : 1));
  return { revision, items: rest.slice(0, limit), hasMore: rest.length > limit };
}

export function groupsFor({
  newNetworkGroups,
}: {
  readonly newNetworkGroups?: readonly string[];
}): Pick<Context, "newNetworkGroups"> {
  return newNetworkGroups === undefined ? {} : { newNetworkGroups };
}

/** The group that is always there is shown like any other, at revision 0 until somebody writes it. */
export function withDefaultGroup<K extends Kind>(kind: K, items: readonly ResourceOf<K>[]): readonly ResourceOf<K>[] {
  if (kind !== "securitygroup" || items.some(({ name }) => name === DEFAULT_GROUP)) return items;
  // An envelope of kind K, which is "securitygroup" here; TypeScript cannot relate the two by itself.
  return [...items, builtIn() as unknown as ResourceOf<K>];
}

/** The group as it is until somebody writes it. */
export function builtIn(): SecurityGroup {
  return { kind: "securitygroup", name: DEFAULT_GROUP, uid: DEFAULT_GROUP, revision: 0, spec: DEFAULT_GROUP_SPEC };
}
