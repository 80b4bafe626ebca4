// The MTU that a network, or a range of it, is to have: not more than its hosts carry.
import { bridgeOfOthers } from "../../../model/bridges.ts";
import { prefixesOf } from "../../../model/carrying.ts";
import { isPhysical } from "../../../model/driver.ts";
import { Fault } from "../../../model/fault.ts";
import { IPV6_MTU_MIN } from "../../../model/limits.ts";
import { mtuOn } from "../../../model/mtu.ts";
import { tunnelEnd } from "../../../model/multicast.ts";
import type { Host, NetworkSpec } from "../../../model/resource.ts";
import type { View } from "../../state/view.ts";

/** A Fault `mtu-invalid` if it is too small for IPv6, or too large for a host. */
export function checkMtu(view: View, spec: NetworkSpec, mtu: number | undefined, where: string): void {
  if (mtu === undefined) return;
  if (mtu < IPV6_MTU_MIN && prefixesOf(spec).some((cidr) => cidr.includes(":"))) {
    throw new Fault("mtu-invalid", {
      what: `MTU ${mtu} is too small for IPv6`,
      where,
      why: `IPv6 needs ${IPV6_MTU_MIN} bytes`,
      fix: `choose ${IPV6_MTU_MIN} or more`,
    });
  }
  const refuse = (most: number, why: string): never => {
    const what = `MTU ${mtu} does not fit through the ${wayText(spec)}`;
    throw new Fault("mtu-invalid", { what, where, why, fix: `choose ${most} or less, or leave it out` });
  };
  // Also before there is a host with a device that leads there.
  const parent = isPhysical(spec) ? view.physicalnetwork.get(spec.parent ?? "")?.spec.mtu : undefined;
  if (parent !== undefined && mtu > parent) refuse(parent, `its own MTU is ${parent}`);
  for (const host of view.host.values()) {
    const most = mtuOn(spec, host.spec, view.physicalnetwork);
    if (most !== undefined && mtu > most) refuse(most, whyLess(spec, host, most));
  }
}

function wayText(spec: NetworkSpec): string {
  const bridge = bridgeOfOthers(spec);
  if (bridge !== undefined) return `bridge ${bridge}`;
  return isPhysical(spec) ? `physical network "${spec.parent}"` : "underlay";
}

function whyLess(spec: NetworkSpec, { name, spec: host }: Host, most: number): string {
  if (bridgeOfOthers(spec) !== undefined) return `that of host "${name}" carries ${most}, and is not Weft's to change`;
  if (isPhysical(spec)) return `it, or the device of host "${name}" that leads there, carries ${most}`;
  const underlay = tunnelEnd(spec, host)?.underlayMtu;
  return `host "${name}" has an underlay MTU of ${underlay}, which leaves ${most} inside a tunnel`;
}
