// Which workloads are in which networks. Hosts carry a membership out for every instance that they have.
import type { MembershipClaim } from "../../../model/input.ts";
import { type Membership, membershipName } from "../../../model/resource.ts";
import type { Draft } from "../../state/draft.ts";
import { get } from "../../state/view.ts";
import { checkEnabled, existing } from "../context.ts";

/** Every instance of the workload is to have an interface in the network. Repeating it changes nothing. */
export function joinNetwork(draft: Draft, { network, workload }: MembershipClaim): Membership {
  const found = existing(draft.view, "network", network, "network");
  const name = membershipName(network, workload);
  const old = get(draft.view, "membership", name);
  if (old !== undefined) return old;
  checkEnabled(found, "network");
  return draft.put("membership", name, { network, workload });
}
