// Rights that are given: by ACL rules, by another owner, by a mode. Nobody gives what he has not himself.
import { RIGHTS, modeGives } from "../../model/rights.ts";
import type { InputOf } from "../../model/kinds.ts";
import type { AclRule } from "../../model/resource.ts";
import { get } from "../state/view.ts";
import type { Write } from "../write.ts";
import type { Needs } from "./needs.ts";
import { beyondOwn } from "./refusal.ts";
import { hasRight } from "./rights.ts";

type Rule = AclRule["spec"];
type WriteOf<V extends Write["verb"]> = Extract<Write, { readonly verb: V }>;

/** A rule that a user makes, and one that it changes, gives no more than the user has. */
export function checkRule(needs: Needs, name: string, rule: InputOf<"aclrule">): void {
  if (needs.principal === undefined) return;
  checkGiven(needs, rule);
  const old = get(needs.view, "aclrule", name);
  if (old !== undefined) checkGiven(needs, old.spec);
}

function checkGiven(needs: Needs, rule: Rule): void {
  const { principal } = needs;
  if (principal === undefined) return;
  for (const kind of rule.resource.kinds)
    for (const right of rule.rights) {
      const resource = rule.resource.name === undefined ? undefined : needs.find(kind as never, rule.resource.name);
      const has =
        resource !== undefined && right !== "create"
          ? hasRight(principal, right, resource)
          : principal.narrowing === undefined && principal.rules.some((own) => covers(own, rule, kind, right));
      if (!has) throw beyondOwn(principal.user, `${right} for ${kind}s`, "spec.rights");
    }
}

/** Whether a rule gives the right to all that another is about. */
function covers(own: Rule, wanted: Rule, kind: Rule["resource"]["kinds"][number], right: Rule["rights"][number]) {
  if (!own.rights.includes(right) || !own.resource.kinds.includes(kind)) return false;
  const { all, usergroup, hostcluster } = own.resource;
  if (all === true) return true;
  if (usergroup !== undefined) return usergroup === wanted.resource.usergroup;
  return hostcluster !== undefined && hostcluster === wanted.resource.hostcluster;
}

/** To give a resource to another takes manage of that user; into a group, to be in it or to use it. */
export function checkNewOwner(needs: Needs, { kind, name, owner, group }: WriteOf<"chown">): void {
  needs.right("manage", kind, name);
  const { principal } = needs;
  if (principal === undefined) return;
  const access = needs.find(kind, name)?.access;
  if (owner !== undefined && owner !== access?.owner && owner !== principal.user) needs.right("manage", "user", owner);
  // Who takes what is another's takes it from there.
  if (owner === principal.user && access?.owner !== owner) needs.right("admin", kind, name);
  if (group !== undefined && group !== access?.group && !principal.groups.has(group))
    needs.right("use", "usergroup", group);
  // What counts in the quota of a group leaves it by who manages the group.
  const left = group === access?.group ? undefined : access?.group;
  if (left !== undefined && needs.view.quotas.has(`usergroup/${left}`)) needs.right("manage", "usergroup", left);
}

/** Rights that the mode gives and did not give before are the user's own. */
export function checkMode(needs: Needs, { kind, name, mode }: WriteOf<"chmod">): void {
  needs.right("manage", kind, name);
  const { principal } = needs;
  const resource = needs.find(kind, name);
  if (principal === undefined || resource === undefined) return;
  for (const right of RIGHTS)
    for (const holder of ["owner", "group", "other"] as const) {
      const isNew = modeGives(mode, holder, right) && !modeGives(resource.access?.mode ?? "", holder, right);
      if (isNew && !hasRight(principal, right, resource)) throw beyondOwn(principal.user, right, "mode");
    }
}
