// Whether hosts have what a network's driver needs. Hosts say in their claims what their kernels have; a network on a
// host that could only fail to make it is refused.
import type { Feature } from "../../../model/features.ts";
import { lackedBy, lackingFault } from "../../../model/lacking.ts";
import type { Network } from "../../../model/resource.ts";
import { type View, get } from "../../state/view.ts";

/**
 * Hosts that carry a network and lack something of its driver, with what. A routed network is on every host that has
 * a block, a switched one where it has endpoints; both where `hosts` names them. Of `*` those are meant that can.
 */
export function lackingOn(view: View, network: Network): ReadonlyMap<string, readonly Feature[]> {
  const members = [...(view.networks.get(network.name)?.members.keys() ?? []), ...(network.spec.hosts ?? [])];
  const lacking = new Map<string, readonly Feature[]>();
  for (const name of new Set(members.sort())) {
    const host = get(view, "host", name);
    const lacked = host === undefined ? [] : lackedBy(host, network.spec.driver);
    if (lacked.length > 0) lacking.set(name, lacked);
  }
  return lacking;
}

/** Throws a Fault `feature-missing` if hosts would come to carry a network that they cannot. */
export function checkFeatures(view: View, old: Network | undefined, network: Network): void {
  const { driver, ipam, hosts } = network.spec;
  const isAsBefore = old?.spec.driver === driver && old.spec.ipam === ipam;
  const known = isAsBefore
    ? new Set([...(old.spec.hosts ?? []), ...(view.networks.get(old.name)?.members.keys() ?? [])])
    : new Set<string>();
  const lacking = new Map([...lackingOn(view, network)].filter(([host]) => !known.has(host)));
  if (lacking.size === 0) return;
  const isNamed = [...lacking.keys()].some((host) => hosts?.includes(host) === true);
  throw lackingFault(network, lacking, isNamed ? "spec.hosts" : "spec.driver");
}
