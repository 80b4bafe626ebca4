// The end of users and of groups of users. A name that is made again must not get what the one before had, so nothing
// that names them stays.
import { OWNED_KINDS } from "../../../model/kinds.ts";
import type { Access } from "../../../model/rights.ts";
import { type Resource, keyOfResource } from "../../../model/resource.ts";
import type { Draft } from "../../state/draft.ts";
import { type View, listOf } from "../../state/view.ts";
import type { Delete } from "../../write.ts";
import { refuseWhile } from "../context.ts";

/** With `force` what it owns becomes the administrators', and ACL rules for it go. */
export function deleteUser(draft: Draft, { name, force }: Delete): void {
  const owned = ownedBy(draft.view, ({ owner }) => owner === name);
  const rules = listOf(draft.view, "aclrule").filter(({ spec }) => spec.subject.user === name);
  const memberships = listOf(draft.view, "membership").filter(({ spec }) => spec.user === name);
  if (force !== true)
    refuseWhile([...owned, ...rules, ...memberships].map(keyOfResource), {
      what: `user "${name}" cannot go`,
      why: "these belong to the user, or give it something",
      fix: "give them to others with chown, or use force: then they are the administrators'",
    });
  for (const resource of owned) draft.grant(resource, without(resource.access, "owner"));
  for (const resource of OWNED_KINDS.flatMap((kind): readonly Resource[] => listOf(draft.view, kind)))
    if (resource.lockedBy === name) draft.lock(resource, resource.lock, undefined);
  for (const { name: rule } of rules) draft.remove("aclrule", rule);
  for (const membership of memberships) draft.remove("membership", membership.name);
  draft.remove("user", name);
}

/** With `force` what is in the group is in none, and its ACL rules go; not while it is the primary group of a user. */
export function deleteUsergroup(draft: Draft, { name, force }: Delete): void {
  const { view } = draft;
  const users = listOf(view, "user");
  refuseWhile(users.filter(({ spec }) => spec.group === name).map(keyOfResource), {
    what: `user group "${name}" cannot go`,
    why: "it is the primary group of these users",
    fix: "put them into another group, or delete them first",
  });
  const members = users.filter(({ spec }) => spec.groups?.includes(name) === true);
  const owned = ownedBy(view, ({ group }) => group === name);
  const rules = listOf(view, "aclrule").filter(
    ({ spec }) => spec.subject.usergroup === name || spec.resource.usergroup === name,
  );
  if (force !== true)
    refuseWhile([...members, ...owned, ...rules].map(keyOfResource), {
      what: `user group "${name}" cannot go`,
      why: "these are in it, or name it",
      fix: "change them first, or use force",
    });
  for (const { name: user, spec } of members)
    draft.put("user", user, { ...spec, groups: spec.groups?.filter((group) => group !== name) ?? [] });
  for (const resource of owned) draft.grant(resource, without(resource.access, "group"));
  for (const { name: rule } of rules) draft.remove("aclrule", rule);
  draft.remove("usergroup", name);
}

function ownedBy(view: View, isMeant: (access: Access) => boolean): Resource[] {
  return OWNED_KINDS.flatMap((kind): readonly Resource[] => listOf(view, kind)).filter(
    ({ access }) => access !== undefined && isMeant(access),
  );
}

function without(access: Access | undefined, part: "owner" | "group"): Access | undefined {
  if (access === undefined) return undefined;
  const { [part]: _, ...left } = access;
  const rest: Access = left;
  return rest.owner === undefined && rest.group === undefined && !rest.mode.slice(6).includes("u") ? undefined : rest;
}
