// Values about devices that were taken over from the host: which ones there are to be, and what a round makes of them.
// The device, what the host had on it, and the bridge that has that now are one record on the agent's disk.
import type { ObjectOf } from "../../datapath/kinds.ts";
import { type KernelState, keyOf } from "../../datapath/state/state.ts";
import { networksOn } from "../../datapath/world/placement.ts";
import { worldOf } from "../../datapath/world/world.ts";
import type { HostUse } from "../../kernel/takeOver/types.ts";
import { networkBridge } from "../../model/device.ts";
import { type DeviceFacts, physicalOf } from "../../model/physical.ts";
import type { Host, Snapshot } from "../../model/resource.ts";

export type TakeOver = {
  /** The physical network. */
  readonly parent: string;
  readonly bridge: string;
  /** What the host had on the device. */
  readonly use: HostUse;
  /** The kernel that it is true of. */
  readonly bootId: string;
  /** Whether the server was reached afterwards. One that is not confirmed is undone. */
  readonly isConfirmed: boolean;
};

type Port = ObjectOf<"port">;

/** Ports of the desired state, with the physical network if their device may be taken over. */
export function portsIn(desired: KernelState, self: Host | undefined): readonly [Port, string | undefined][] {
  const may = new Map(
    physicalOf(self?.spec ?? {}).flatMap((one) => (one.takeOver === true ? [[one.device, one.name]] : [])),
  );
  const ports: [Port, string | undefined][] = [];
  for (const object of desired.values()) if (object.kind === "port") ports.push([object, may.get(object.dev)]);
  return ports;
}

/** Whether the host is still to have what was taken over so. */
export function mustStay(snapshot: Snapshot, host: string, { parent, bridge, use }: TakeOver): boolean {
  const world = worldOf(snapshot, host);
  if (world === undefined) return false;
  const setting = physicalOf(world.self.spec).find(({ name }) => name === parent);
  if (setting?.device !== use.device || setting.takeOver !== true) return false;
  return world.vrfs
    .flatMap((vrf) => networksOn(world, vrf))
    .some(
      (network) =>
        network.spec.driver === "bridge" && network.spec.parent === parent && networkBridge(network) === bridge,
    );
}

/**
 * The snapshot with the host's devices as they are: what was taken over stays so, whatever the server says by now,
 * until it is given back. Else the host's addresses would be on a bridge whose rules are for workloads.
 */
export function withTakeOvers(snapshot: Snapshot, host: string, all: readonly TakeOver[]): Snapshot {
  if (all.length === 0 || !snapshot.hosts.some(({ name }) => name === host)) return snapshot;
  const parents = new Set(all.map(({ parent }) => parent));
  const devices = new Set(all.map(({ use }) => use.device));
  const set = all.map(({ parent, use }) => ({ name: parent, device: use.device, takeOver: true }));
  return {
    ...snapshot,
    hosts: snapshot.hosts.map((one) => {
      if (one.name !== host) return one;
      const { physicalSet = [], devices: known = [] } = one.spec;
      const others = physicalSet.filter(({ name, device }) => !parents.has(name) && !devices.has(device));
      const unknown = all.filter(({ use }) => !known.some(({ name }) => name === use.device)).map(factsIn);
      const fit = known.map((facts) => (devices.has(facts.name) ? withoutFaults(facts) : facts));
      return { ...one, spec: { ...one.spec, physicalSet: [...set, ...others], devices: [...fit, ...unknown] } };
    }),
  };
}

/** What would keep a device from being taken over does not take it away from the bridge that the host is reached by. */
function withoutFaults({ leased: _, master: __, bridge: ___, ...facts }: DeviceFacts): DeviceFacts {
  return facts;
}

/** The largest MTU there is: that of the bridge is another's to say. */
const NO_MTU = 65_535;

function factsIn({ use }: TakeOver): DeviceFacts {
  return { name: use.device, mtu: NO_MTU, mac: use.mac };
}

export const bridgeKey = (name: string) => keyOf({ kind: "bridge", ns: "host", name, mtu: 0, mac: "", alias: "" });
export const portKey = (dev: string) => keyOf({ kind: "port", ns: "host", dev, master: "", macs: "flooded" });

/** Whether the device is to be a port of the bridge that has what the host had on it. */
export function isPortIn(desired: KernelState, { bridge, use }: TakeOver): boolean {
  const port = desired.get(portKey(use.device));
  return port?.kind === "port" && port.master === bridge && desired.has(bridgeKey(bridge));
}

/** What the host has on a device that is a port of a bridge: nothing comes in for that. */
export function strayUseText({ parent, bridge, use }: TakeOver, now: HostUse | undefined, host: string): string[] {
  const found = [...(now?.addresses ?? []).map(({ cidr }) => cidr), ...(now?.routes ?? []).map(({ dst }) => dst)];
  if (found.length === 0) return [];
  const { device } = use;
  return [
    `device ${device} stays a port of ${bridge}, but has ${found.join(", ")} of the host's own, which ${bridge} ` +
      `should have: let no DHCP client or other program give ${device} addresses, remove them ` +
      `(ip address flush dev ${device}), and add to ${bridge} what the host needs; or give the device back: ` +
      `weft host set ${host} --physical ${parent}=${device}`,
  ];
}

/** The desired state with these objects as they are. */
export function unchanged(desired: KernelState, actual: KernelState, keys: readonly string[]): KernelState {
  const kept = new Map(desired);
  for (const key of keys) {
    const there = actual.get(key);
    if (there === undefined) kept.delete(key);
    else kept.set(key, there);
  }
  return kept;
}
