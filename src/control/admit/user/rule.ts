// ACL rules follow what they name: a rule is about a thing, and not about a later one of its name.
import { keyOfResource, type AclRule, type Resource } from "../../../model/resource.ts";
import type { Draft } from "../../state/draft.ts";
import { get, listOf } from "../../state/view.ts";

/** After a write: rules are no longer about what it removed, and go if they are about nothing else. */
export function alignRules(draft: Draft): void {
  if (draft.view.ruled.size === 0) return;
  for (const gone of draft.removed()) {
    const names = [...(draft.view.ruled.get(keyOfResource(gone)) ?? [])];
    for (const name of names) {
      const rule = get(draft.view, "aclrule", name);
      if (rule !== undefined) endFor(draft, rule, gone);
    }
  }
}

function endFor(draft: Draft, { name, spec }: AclRule, gone: Resource): void {
  const { resource } = spec;
  const kinds = resource.kinds.filter((kind) => kind !== gone.kind);
  const renamed = listOf(draft.view, gone.kind).find(({ uid }) => uid === gone.uid);
  if (resource.name === undefined) draft.remove("aclrule", name);
  else if (renamed !== undefined && kinds.length === 0)
    draft.put("aclrule", name, { ...spec, resource: { ...resource, name: renamed.name } });
  else if (kinds.length === 0) draft.remove("aclrule", name);
  else draft.put("aclrule", name, { ...spec, resource: { ...resource, kinds } });
}
