// What hosts may have already of a network in their own namespace: the device that leads out of its bridge, under a
// given name, and the permission to take bridge and device over from the program that made them.
import { bridgeOfOthers } from "../../../model/bridges.ts";
import { defined } from "../../../model/defined.ts";
import { DRIVERS, type Driver, type Placement } from "../../../model/driver.ts";
import { Fault } from "../../../model/fault.ts";
import type { NetworkInput } from "../../../model/input.ts";
import type { NetworkSpec } from "../../../model/resource.ts";
import { checkBridge } from "./placement.ts";

type Given = Pick<NetworkSpec, "bridge" | "device" | "takeOver" | "stp" | "forwardDelay">;
type Where = { readonly driver: Driver; readonly placement: Placement | undefined };

/** Drivers with one device on each host that leads out of the bridge, so that it can have a name that is given. */
const NAMED: ReadonlySet<Driver> = new Set(["vxlan", "vlan"]);
const TAKEN_OVER: ReadonlySet<Driver> = new Set([...NAMED, "bridge"]);

/** Names of its bridge and device, and what goes with them. */
export function givenParts(input: NetworkInput, { driver, placement }: Where): Given {
  const { bridge, device, takeOver, stp, forwardDelay } = input;
  if (device !== undefined && !NAMED.has(driver))
    throw refused("device", `the device of a network with driver ${driver} has no given name`, whyUnnamed(driver));
  if (takeOver === true && placement !== "host")
    throw refused("takeOver", "nothing can be taken over for a network with a namespace of its own", OWN);
  if (takeOver === true && !TAKEN_OVER.has(driver))
    throw refused("takeOver", `devices of driver ${driver} cannot be taken over`, whyUnnamed(driver));
  if (takeOver === true && bridgeOfOthers({ ...input, driver }) !== undefined)
    throw refused("takeOver", "a bridge that hosts have already is not taken over", "without a parent it stays theirs");
  if (stp === true && forwardDelay !== undefined && forwardDelay < 2)
    throw refused("forwardDelay", `a forward delay of ${forwardDelay} s is too short`, "802.1D allows 2 to 30 seconds");
  return defined({
    // Of Open vSwitch it is another kind of bridge.
    bridge: bridge === undefined || driver === "ovs" ? undefined : checkBridge(bridge, placement),
    device: device === undefined ? undefined : checkBridge(device, placement, "device"),
    takeOver: takeOver === true ? takeOver : undefined,
    stp: stp === true ? stp : undefined,
    forwardDelay,
  });
}

const OWN = "other programs make their devices in the hosts' own namespace";

function whyUnnamed(driver: Driver): string {
  if (driver === "bridge") return "it is the device of its physical network";
  return DRIVERS[driver].peersMost === undefined ? "Open vSwitch makes it" : "hosts have one for each peer";
}

function refused(field: keyof Given, what: string, why: string): Fault {
  return new Fault("request-invalid", { what, where: `spec.${field}`, why, fix: "leave it out" });
}
