// Which workloads are in which networks. Hosts carry a membership out for every instance that they have.
import type { EndpointClaim, MembershipClaim } from "../../../model/input.ts";
import { type Membership, membershipName } from "../../../model/resource.ts";
import { defined } from "../../../model/defined.ts";
import { Fault } from "../../../model/fault.ts";
import type { Draft } from "../../state/draft.ts";
import { type View, get, residentsOf } from "../../state/view.ts";
import { checkEnabled, existing } from "../context.ts";

/**
 * Every instance of the workload is to have an interface in the network: those of one user, by default who asks, or
 * those that no user owns. Repeating it changes nothing.
 */
export function joinNetwork(draft: Draft, { network, workload, user: given }: MembershipClaim): Membership {
  const { view, asking } = draft;
  const found = existing(view, "network", network, "network");
  const user = given ?? (asking?.role === "user" ? asking.user : undefined);
  if (user !== undefined) existing(view, "user", user, "user");
  if (user !== undefined && found.spec.ipam === "local") throw usersOfLocal(network);
  const spec = { network, workload, ...defined({ user }) };
  const name = membershipName(spec);
  const old = get(view, "membership", name);
  if (old !== undefined) return old;
  checkEnabled(found, "network");
  return draft.put("membership", name, spec);
}

/** A local network's endpoints are the host's: it makes them without the server, which would ask for rights. */
export function usersOfLocal(network: string): Fault {
  return new Fault("unsupported", {
    what: `no user's workload can be in network "${network}"`,
    where: "network",
    why: "hosts allocate in a local network by themselves, and do not know who may use it",
    fix: "choose a global network",
  });
}

/** What stands behind a host that says whose an endpoint is. */
export type Vouched = { readonly user: string; readonly by: "membership" | "move" };

/**
 * The user of a claim, if the host may say so: the user's instance is there, and a membership of the user's asks for
 * the endpoint, or a move of one of its endpoints. Of anything else the host speaks for itself.
 */
export function vouchedUser(view: View, claim: EndpointClaim): Vouched | undefined {
  const { network, host, owner, netns, workload, user } = claim;
  if (user === undefined) return undefined;
  const isOwn = (name: string) => {
    const endpoint = get(view, "endpoint", name);
    const isSame = endpoint?.spec.owner === owner && endpoint.spec.netns === netns && endpoint.spec.host === host;
    return isSame && endpoint.access?.owner === user ? endpoint : undefined;
  };
  for (const { spec } of view.moving.values())
    if (spec.to === network && spec.host === host && isOwn(spec.endpoint) !== undefined) return { user, by: "move" };
  if (workload === undefined || !view.membership.has(membershipName({ network, workload, user }))) return undefined;
  const isThere = [...residentsOf(view, host)].some((name) => isOwn(name)?.spec.workload === workload);
  return isThere ? { user, by: "membership" } : undefined;
}
