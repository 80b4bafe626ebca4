// Whose a resource is, what its mode says, and its lock.
import { Fault } from "../../../model/fault.ts";
import { type OwnedKind, calledOf } from "../../../model/kinds.ts";
import type { Resource } from "../../../model/resource.ts";
import { NEW_MODE } from "../../../model/rights.ts";
import { builtIn } from "../../state/builtIn.ts";
import type { Draft } from "../../state/draft.ts";
import { get } from "../../state/view.ts";
import type { Write } from "../../write.ts";
import { existing } from "../context.ts";

type WriteOf<V extends Write["verb"]> = Extract<Write, { readonly verb: V }>;

/** Gives it to a user, or into a group; with a first owner comes its primary group. */
export function chown(draft: Draft, { kind, name, owner, group }: WriteOf<"chown">): Resource {
  const resource = owned(draft, kind, name);
  const { view } = draft;
  const user = owner === undefined ? undefined : existing(view, "user", owner, "owner");
  if (group !== undefined) existing(view, "usergroup", group, "group");
  const { access } = resource;
  return draft.grant(resource, {
    mode: NEW_MODE,
    ...(user === undefined ? {} : { group: user.spec.group }),
    ...access,
    ...(owner === undefined ? {} : { owner }),
    ...(group === undefined ? {} : { group }),
  });
}

export function chmod(draft: Draft, { kind, name, mode }: WriteOf<"chmod">): Resource {
  const resource = owned(draft, kind, name);
  return draft.grant(resource, { ...resource.access, mode });
}

/** Without a level it is unlocked. */
export function lock(draft: Draft, { kind, name, level }: WriteOf<"lock">): Resource {
  const { asking } = draft;
  return draft.lock(owned(draft, kind, name), level, asking?.role === "user" ? asking.user : undefined);
}

function owned(draft: Draft, kind: OwnedKind, name: string): Resource {
  const own = get(draft.view, kind, name) === undefined ? builtIn(kind, name) : undefined;
  // The administrators', like the template that every cluster has: it is written as it is.
  if (own?.access !== undefined) return draft.put(kind, name, own.spec);
  if (own !== undefined)
    throw new Fault("unsupported", {
      what: `${calledOf(kind)} "${name}" is built in`,
      where: "name",
      why: "it is everybody's",
      fix: `put it first, then it has an owner`,
    });
  return existing(draft.view, kind, name);
}
