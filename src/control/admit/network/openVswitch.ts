// Networks that Open vSwitch carries: what may be said of them together, and with other networks. Two networks on one
// bridge of Open vSwitch, or on one physical network, must not be one segment.
import { defined } from "../../../model/defined.ts";
import { isReservedDevice } from "../../../model/device.ts";
import { type Driver, DRIVERS, OVS_TUNNEL_PORT, encapsulationOf } from "../../../model/driver.ts";
import { Fault } from "../../../model/fault.ts";
import type { NetworkInput } from "../../../model/input.ts";
import { isDeviceName } from "../../../model/physical.ts";
import type { NetworkSpec } from "../../../model/resource.ts";
import { parseVlans, vlansText } from "../../../model/vlan.ts";
import type { View } from "../../state/view.ts";
import { ofBridgeAlone } from "./bridge.ts";
import { physicalPart, refuseRouting } from "./physical.ts";

const FIELDS = ["tunnel", "trunks"] as const;
type WayPart = Pick<NetworkSpec, "parent" | "vlan" | "outerVlan" | "isolated" | "bridge" | (typeof FIELDS)[number]>;

/** How a network's frames cross, beside its driver: as it was asked for, with the default of what was not. */
export function wayPart(view: View, name: string, input: NetworkInput, driver: Driver): WayPart {
  if (driver !== "bridge" && input.isolated === true) throw ofBridgeAlone(driver);
  if (driver !== "ovs") {
    const field = FIELDS.find((each) => input[each] !== undefined);
    if (field !== undefined) throw ofOvsAlone(field, driver);
    return physicalPart(view, name, input, { driver });
  }
  const { bridge, parent, vlan, tunnel = bridge === undefined && parent === undefined ? "vxlan" : "none" } = input;
  checkFields(input, tunnel);
  refuseLocal(input);
  const ranges = input.trunks?.flatMap((text, i) => parseVlans(text, `spec.trunks[${i}]`));
  const trunks = ranges === undefined || ranges.length === 0 ? undefined : vlansText(ranges);
  if (parent !== undefined)
    return { ...physicalPart(view, name, input, { driver, tunnel }), ...defined({ tunnel, trunks }) };
  if (tunnel === "none") refuseRouting(input, driver);
  return defined({ bridge, vlan, tunnel, trunks });
}

function ofOvsAlone(field: string, driver: Driver): Fault {
  return new Fault("request-invalid", {
    what: `a network with driver ${driver} has no ${field}`,
    where: `spec.${field}`,
    why: `it is for ${DRIVERS.ovs.title}`,
    fix: "leave it out, or set driver to ovs",
  });
}

function checkFields({ bridge, parent, outerVlan }: NetworkInput, tunnel: NonNullable<NetworkSpec["tunnel"]>): void {
  const refuse = (field: string, what: string, why: string, fix: string) => {
    throw new Fault("request-invalid", { what, where: `spec.${field}`, why, fix });
  };
  if (bridge !== undefined && !isDeviceName(bridge))
    refuse(
      "bridge",
      `"${bridge}" cannot be the name of a bridge`,
      "Linux allows 15 characters",
      "see ovs-vsctl list-br",
    );
  if (bridge !== undefined && isReservedDevice(bridge))
    refuse(
      "bridge",
      `"${bridge}" cannot be the name of a bridge that is there`,
      "Weft, or the kernel, names its own like this, and the network would be on the segment of another",
      "choose another bridge, or name a parent",
    );
  if (bridge !== undefined && parent !== undefined)
    refuse(
      "bridge",
      "a network has either a parent or a bridge",
      "where an existing bridge leads, its administrator decides",
      "leave one of them out",
    );
  if (outerVlan !== undefined)
    refuse(
      "outerVlan",
      "Open vSwitch gets no outer VLAN",
      "its ports have one tag",
      "leave it out, or set driver to vlan",
    );
  if (tunnel !== "none" && parent !== undefined)
    refuse(
      "parent",
      `frames in ${tunnel} cross no physical network`,
      "they cross the hosts' underlay",
      "leave one out",
    );
  if (tunnel === "none" && parent === undefined && bridge === undefined)
    refuse(
      "tunnel",
      "frames without a tunnel have no way to other hosts",
      "the network has neither a parent nor a bridge",
      "name one of them, or set tunnel to vxlan or gre",
    );
}

function refuseLocal({ ipam, subnets }: NetworkInput): void {
  if (ipam !== "local" && subnets?.some(({ hostPrefix }) => hostPrefix !== undefined) !== true) return;
  throw new Fault("unsupported", {
    what: "a local network cannot have driver ovs",
    where: "spec.ipam",
    why: "Open vSwitch carries segments, and hosts route between their blocks by tunnels of Weft's own",
    fix: "set ipam to global, without hostPrefix; or take driver vxlan or gre",
  });
}

/** Refuses a network that would share a segment, or a UDP port of the kernel's, with another. */
export function checkOvs(view: View, name: string, spec: NetworkSpec): void {
  const own = vlansOf(spec);
  for (const other of view.network.values()) {
    if (other.name === name || own.size === 0 || !isTogether(spec, other.spec)) continue;
    const shared = [...vlansOf(other.spec)].find((vlan) => own.has(vlan));
    if (shared === undefined) continue;
    const place = spec.bridge === undefined ? `physical network "${spec.parent}"` : `bridge ${spec.bridge}`;
    const what = shared === 0 ? `the frames without a tag on ${place} belong` : `VLAN ${shared} on ${place} belongs`;
    throw new Fault("vlan-taken", {
      what: `${what} to network "${other.name}"`,
      where: spec.vlan === shared || shared === 0 ? "spec.vlan" : "spec.trunks",
      why: "two networks would be on one segment",
      fix: "choose another",
    });
  }
  if (spec.driver === "ovs" && encapsulationOf(spec) === "vxlan") checkPort(view);
}

/** Networks on one physical network count where one of them has trunks: else vlanOwners says it. */
function isTogether(a: NetworkSpec, b: NetworkSpec): boolean {
  const byBridge = a.driver === "ovs" && a.bridge !== undefined;
  if (byBridge) return b.driver === "ovs" && a.bridge === b.bridge;
  return a.parent !== undefined && a.parent === b.parent && (a.trunks ?? b.trunks) !== undefined;
}

/** VLANs whose frames pass; 0 is what has no tag. Of networks that are alone on their bridge, none. */
function vlansOf({ driver, bridge, parent, vlan, outerVlan, trunks = [] }: NetworkSpec): ReadonlySet<number> {
  if ((driver !== "ovs" || bridge === undefined) && parent === undefined) return new Set();
  const own = outerVlan ?? vlan ?? 0;
  const ranges = trunks.flatMap((text) => parseVlans(text, "spec.trunks"));
  return new Set([
    own,
    ...ranges.flatMap(({ first, last }) => Array.from({ length: last - first + 1 }, (_, i) => first + i)),
  ]);
}

function checkPort(view: View): void {
  for (const { name, spec } of view.vrf.values())
    if (spec.tunnelPort === OVS_TUNNEL_PORT) throw portTaken(`VRF "${name}"`);
  // Hosts still have the port that a conversion leaves, and a cancel may bring it back.
  for (const { spec } of view.conversion.values())
    if (spec.from.tunnelPort === OVS_TUNNEL_PORT) throw portTaken(`the conversion of VRF "${spec.vrf}"`);
}

/** Refuses a VRF with the tunnel port of Open vSwitch, while that is in use. */
export function checkTunnelPort(view: View, tunnelPort: number): void {
  if (tunnelPort !== OVS_TUNNEL_PORT) return;
  for (const { name, spec } of view.network.values())
    if (spec.driver === "ovs" && encapsulationOf(spec) === "vxlan") throw portTaken(`network "${name}"`);
}

function portTaken(owner: string): Fault {
  return new Fault("in-use", {
    what: `UDP port ${OVS_TUNNEL_PORT} would have two kinds of tunnels`,
    where: "spec.tunnelPort",
    why: `${owner} uses it, and a UDP port is given to the VXLAN of Open vSwitch or to other VXLAN, not to both`,
    fix: `give the VRF another tunnel port than ${OVS_TUNNEL_PORT}, or let Open vSwitch use GRE`,
  });
}
