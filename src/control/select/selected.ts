// What people are shown of a selection before they attach: every network in its place, or why it has none.
import { unknownFault } from "../../model/kinds.ts";
import type { Host } from "../../model/resource.ts";
import type { SelectRequest, Selected } from "../../model/selection.ts";
import { existing } from "../admit/context.ts";
import { hasRight, principalOf } from "../rights/rights.ts";
import { isSeenBy, sightOf } from "../rights/sight.ts";
import type { View } from "../state/view.ts";
import type { Viewer } from "../write.ts";
import { type Asked, type PassedOver, bestFirst, choicesOf } from "./order.ts";

/** As this viewer would be served: a user is told of networks that it may use. */
export function selectedIn(view: View, { host: name, ...asked }: SelectRequest, viewer: Viewer): Selected {
  const host = name === undefined ? {} : { host: hostFor(view, name, viewer) };
  const passed: PassedOver[] = [];
  // An agent would ask for it, so local networks take part.
  const whole = { ...asked, ...host, ...usableBy(view, viewer), isLocalPossible: true };
  const choices = choicesOf(view, whole, (network) => passed.push(network));
  return {
    networks: [...bestFirst(choices)].map(({ network, leases, score }) => ({
      network: network.name,
      ipam: network.spec.ipam,
      free: leases.free,
      ...(Number.isNaN(score) ? {} : { score }),
    })),
    passedOver: passed
      .toSorted((a, b) => (a.network < b.network ? -1 : 1))
      .map(({ network, why }) => ({ network, why: why() })),
  };
}

/** Of a host that a user does not see, as of none. */
function hostFor(view: View, name: string, viewer: Viewer): Host {
  const host = existing(view, "host", name, "host");
  if (viewer.role !== "user" || isSeenBy(sightOf(view, principalOf(view, viewer)), host)) return host;
  throw unknownFault("host", name, "host");
}

/** Which networks are the viewer's to use; of an administrator and of hosts, all. */
export function usableBy(view: View, viewer: Viewer): Pick<Asked, "isUsable"> {
  if (viewer.role !== "user") return {};
  const principal = principalOf(view, viewer);
  return { isUsable: (network) => hasRight(principal, "use", network) };
}
