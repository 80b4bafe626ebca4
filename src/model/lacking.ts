// Which hosts cannot carry networks of a driver, because they lack a feature. Server and agent refuse alike.
import { familyOf } from "./address.ts";
import { DRIVERS, type Driver } from "./driver.ts";
import { Fault } from "./fault.ts";
import { FEATURES, type Feature } from "./features.ts";
import type { Host, Network } from "./resource.ts";

/** What a host lacks of what a driver needs between hosts of its family; of one that has not said, nothing. */
export function lackedBy(host: Pick<Host, "spec">, driver: Driver): readonly Feature[] {
  const { features, lacks, underlay } = host.spec;
  const isLacked = (feature: Feature) =>
    lacks?.includes(feature) ?? (FEATURES[feature].isLater !== true && features?.includes(feature) === false);
  return DRIVERS[driver].needs[familyOf(underlay)].filter(isLacked);
}

/** Throws a Fault `feature-missing` if an endpoint cannot be on that host. */
export function checkAble(host: Host, network: Network): void {
  const lacked = lackedBy(host, network.spec.driver);
  if (lacked.length > 0) throw lackingFault(network, new Map([[host.name, lacked]]), `host/${host.name}`);
}

/** For people: `VLAN devices (kernel module 8021q)`. */
export function lackingText(features: readonly Feature[]): string {
  return features.map((feature) => `${FEATURES[feature].title} (${FEATURES[feature].from})`).join(" and ");
}

/** Of hosts that should carry a network, with what each lacks. */
export function lackingFault(
  network: Pick<Network, "name" | "spec">,
  hosts: ReadonlyMap<string, readonly Feature[]>,
  where: string,
): Fault {
  const names = [...hosts.keys()].sort();
  const lacked = [...new Set([...hosts.values()].flat())];
  const which = names.length === 1 ? `host "${names[0]}"` : `${names.length} hosts`;
  return new Fault("feature-missing", {
    what: `${which} cannot carry network "${network.name}"`,
    where,
    why: `driver ${network.spec.driver} needs ${lackingText(lacked)}`,
    fix: `${lackingRemedy(lacked)}, or leave these hosts out, or choose another driver`,
    blockers: names,
  });
}

/** What to do on a host that lacks these. */
export function lackingRemedy(lacked: readonly Feature[]): string {
  if (lacked.every((feature) => FEATURES[feature].isProgram === true))
    return "install and start it there: the agent notices within ten seconds";
  return "load or install it there and start the agent again";
}
