// Which workloads are in which networks. A membership is a wish; hosts fulfil it for every instance they have.
import { Fault } from "../../../model/fault.ts";
import { unknownFault } from "../../../model/kinds.ts";
import type { MembershipClaim } from "../../../model/input.ts";
import { type Membership, membershipName } from "../../../model/resource.ts";
import type { Draft } from "../../state/draft.ts";
import { type View, get } from "../../state/view.ts";

/** Every instance of the workload is to have an interface in the network. Repeating it changes nothing. */
export function joinNetwork(draft: Draft, { network, workload }: MembershipClaim): Membership {
  const { view } = draft;
  const found = get(view, "network", network);
  if (found === undefined) throw unknownFault("network", network, "network");
  const old = get(view, "membership", membershipName(network, workload));
  if (old !== undefined) return old;
  if (!found.spec.enabled) {
    throw new Fault("network-disabled", {
      what: `network "${network}" is disabled`,
      where: "network",
      why: "it takes no new endpoints",
      fix: "enable it, or choose another network",
    });
  }
  return draft.put("membership", membershipName(network, workload), { network, workload });
}

export function membershipsOf(view: View, network: string): Membership[] {
  return [...view.membership.values()].filter((membership) => membership.spec.network === network);
}
