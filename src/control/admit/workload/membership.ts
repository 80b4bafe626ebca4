// Which workloads are in which networks. A membership is a wish; hosts make it true for every instance they have.
import { Fault } from "../../../model/fault.ts";
import type { MembershipClaim } from "../../../model/input.ts";
import { type Membership, membershipName } from "../../../model/resource.ts";
import type { Draft } from "../../state/draft.ts";
import { type View, get } from "../../state/view.ts";
import { unknown } from "./endpoint.ts";

/** Every instance of the workload is to have an interface in the network. Repeating it changes nothing. */
export function joinNetwork(draft: Draft, { network, workload }: MembershipClaim): Membership {
  const { view } = draft;
  const found = get(view, "network", network);
  if (found === undefined) throw unknown("network", network, "network");
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

/** Interfaces that the membership made go, those made by hand stay. */
export function leaveNetwork(draft: Draft, name: string): void {
  draft.remove("membership", name);
}

export function membershipsOf(view: View, network: string): Membership[] {
  return [...view.membership.values()].filter((membership) => membership.spec.network === network);
}
