// What one commit changes for a user that watches.
import { isDeepStrictEqual } from "node:util";
import type { Change, Key, Resource } from "../../model/resource.ts";
import { labelsOf } from "../../model/labels.ts";
import { type Before, type View, getKey } from "../state/view.ts";
import { type Asking, hasRight, isSubject, principalOf } from "./rights.ts";
import { type Sight, isSeenBy, sightBefore, sightOf } from "./sight.ts";

/**
 * What takes this user's mirror along the commit, of which `before` is what it replaced. Undefined if the user may see
 * other things than before, although they did not change: it has to list again. Throws as principalOf().
 */
export function changesForUser(view: View, before: Before, asking: Asking): readonly Change[] | undefined {
  const sight = sightOf(view, principalOf(view, asking));
  const past = sightBefore(view, sight.principal, before);
  const changes: Change[] = [];
  for (const [key, old] of before) {
    const now = getKey(view, key);
    if (concernsRights(sight, old, now)) return undefined;
    if (now !== undefined && isSeenBy(sight, now)) changes.push({ put: now });
    else if (old !== undefined && isSeenBy(past, old)) changes.push({ remove: key satisfies Key });
  }
  return changes;
}

/** Whether the change may show or hide resources that did not change themselves. */
function concernsRights({ principal }: Sight, old: Resource | undefined, now: Resource | undefined): boolean {
  return [old, now].some((resource) => {
    if (resource?.kind === "user") return resource.name === principal.user;
    // Whose hosts the rules are about, the principal knows.
    if (resource?.kind === "hostcluster") return principal.hosts.has(resource.name);
    if (resource?.kind === "host" && principal.hosts.size > 0)
      return now === undefined || (old !== undefined && !isDeepStrictEqual(labelsOf(old), labelsOf(now)));
    if (resource?.kind === "aclrule") return isSubject(resource.spec.subject, principal.user, principal.groups);
    const isHolder = resource?.kind === "network" || resource?.kind === "vrf";
    if (!isHolder || old === undefined || now === undefined) return false;
    return hasRight(principal, "manage", old) !== hasRight(principal, "manage", now);
  });
}
