// Names of kernel devices that a VRF's networks have on hosts. Long names are cut and hashed (model/device.ts), and
// users choose names freely. If two names end in the same device, the second is refused; otherwise hosts would put both
// networks on one segment.
import { PORT_PREFIX, SHAPER_PREFIX, bridgesOf } from "../../../model/device.ts";
import { TUNNEL_DRIVERS, isPeerDevice, routedDevice, switchedDevice } from "../../../model/driver.ts";
import { Fault } from "../../../model/fault.ts";
import type { Network, NetworkSpec, VrfSpec } from "../../../model/resource.ts";
import { UPLINK, uplinkHostDevice } from "../../../model/uplink.ts";
import type { View } from "../../state/view.ts";
import { networksOf } from "../contents.ts";

/** Other devices of a VRF's namespace: its loopback, its uplink, and ports and shapers of endpoints. */
const OTHERS = new RegExp(`^(lo|${UPLINK}|${PORT_PREFIX}.*|${SHAPER_PREFIX}.*)$`);
const isWeftsOwn = (device: string) => OTHERS.test(device) || isPeerDevice(device);
/** The mark of a VRF's namespace, an alias, carries its whole name behind the prefix of the agent. */
const VRF_NAME_MAX = 200;

/** The bridges that hosts have for a network, and its tunnel if it has one of its own. */
function devicesOf({ name, spec }: Pick<Network, "name" | "spec">, vrf: VrfSpec | undefined): readonly string[] {
  if (spec.reservedFrom !== undefined) return [];
  const tunnel = spec.ipam === "global" && spec.vni !== undefined ? [switchedDevice(spec, spec.vni, vrf ?? {})] : [];
  const given = spec.driver === "vlan" && spec.device !== undefined ? [spec.device] : [];
  return [...bridgesOf({ name, spec }), ...tunnel, ...given];
}

/** Which network gives hosts a device of that name, made or taken over, in their own namespace. */
export function hostDeviceOwner(view: View, device: string): string | undefined {
  for (const network of view.network.values()) {
    const { vrf, placement } = network.spec;
    if (placement === "host" && devicesOf(network, view.vrf.get(vrf)?.spec).includes(device))
      return `network "${network.name}"`;
  }
  return undefined;
}

/** The devices that its routed networks have, or would have. */
function tunnelsOf(spec: VrfSpec): readonly string[] {
  return TUNNEL_DRIVERS.map((driver) => routedDevice(driver, spec));
}

/** A Fault `name-taken` if a network that is new, or has other devices than before, would share one in its VRF. */
export function checkNetworkDevices(view: View, name: string, spec: NetworkSpec, old: Network | undefined): void {
  const vrf = view.vrf.get(spec.vrf);
  const own = devicesOf({ name, spec }, vrf?.spec);
  if (old?.spec.vrf === spec.vrf && devicesOf(old, vrf?.spec).join() === own.join()) return;
  const taken = new Map(
    networksOf(view, spec.vrf)
      .filter((network) => network.name !== name)
      .flatMap((network) => devicesOf(network, vrf?.spec).map((device) => [device, `network "${network.name}"`])),
  );
  for (const tunnel of vrf === undefined ? [] : tunnelsOf(vrf.spec))
    taken.set(tunnel, `the tunnel of VRF "${spec.vrf}"`);
  for (const [i, device] of own.entries()) {
    const owner = isWeftsOwn(device) ? "Weft itself" : (taken.get(device) ?? twice(own, i));
    if (owner !== undefined) throw deviceTaken(`network "${name}"`, device, owner);
  }
}

function twice(devices: readonly string[], at: number): string | undefined {
  return devices.indexOf(devices[at] ?? "") < at ? "another slice of it" : undefined;
}

/** The same of a VRF: its end of the uplink among all VRFs', its tunnel among its networks' devices. */
export function checkVrfDevices(view: View, name: string, spec: VrfSpec): void {
  const old = view.vrf.get(name);
  if (old === undefined) checkNewVrf(view, name);
  const had = old === undefined ? [] : tunnelsOf(old.spec);
  for (const tunnel of tunnelsOf(spec)) {
    if (had.includes(tunnel)) continue;
    const met = networksOf(view, name).find((network) => devicesOf(network, spec).includes(tunnel));
    if (isWeftsOwn(tunnel)) throw deviceTaken(`VRF "${name}"`, tunnel, "Weft itself");
    if (met !== undefined) throw deviceTaken(`VRF "${name}"`, tunnel, `network "${met.name}"`);
  }
}

function checkNewVrf(view: View, name: string): void {
  if (name.length > VRF_NAME_MAX) {
    throw new Fault("name-invalid", {
      what: `"${name.slice(0, 40)}…" is too long to be the name of a VRF`,
      where: "name",
      why: `its namespace carries its name, and there is room for ${VRF_NAME_MAX} characters`,
      fix: "choose a shorter one",
    });
  }
  const uplink = uplinkHostDevice(name);
  for (const other of view.vrf.keys())
    if (uplinkHostDevice(other) === uplink) throw deviceTaken(`VRF "${name}"`, uplink, `VRF "${other}"`);
}

function deviceTaken(what: string, device: string, owner: string): Fault {
  return new Fault("name-taken", {
    what: `${what} would have the device ${device}, which is that of ${owner}`,
    where: "name",
    why: "a device has at most 15 characters of the name of its network or VRF, and here they are the same",
    fix: "choose another name",
  });
}
