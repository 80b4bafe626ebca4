// Makes a user of whom a provider has vouched for, and keeps its groups as the provider says.
import type { Vouched } from "../../model/oidc.ts";
import type { Committer } from "../commit/committer.ts";
import { get } from "../state/view.ts";
import { SERVER } from "../write.ts";

/** Without groups of the provider nothing changes: the user has to be there. What else is said of it here stays. */
export async function putVouched(committer: Committer, { user: name, groups }: Vouched): Promise<void> {
  const [group, ...others] = groups ?? [];
  if (group === undefined) return;
  const user = get(committer.view, "user", name);
  const spec = { ...user?.spec, group, groups: others };
  const isSame = user?.spec.group === group && JSON.stringify(user.spec.groups ?? []) === JSON.stringify(others);
  if (isSame) return;
  const ifRevision = user?.revision ?? 0;
  await committer.submit({ write: { verb: "put", kind: "user", name, spec, ifRevision }, caller: SERVER });
}
