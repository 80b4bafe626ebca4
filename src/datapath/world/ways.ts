// Ways: how the frames of a network cross between hosts. There is one, or two while a conversion goes from one to the
// other; then a host takes frames both ways, and the conversion's phase says which way it sends.
import { changesMtu, changesWay, converts, groupsBetween, wayBefore } from "../../model/conversion.ts";
import { DRIVERS, encapsulationOf, routedDevice, switchedDevice, tunnelPortOf } from "../../model/driver.ts";
import { ETHERNET_MTU, leastMtu } from "../../model/mtu.ts";
import type { Conversion, Network, Vrf } from "../../model/resource.ts";
import { tunnelEnd } from "../../model/multicast.ts";
import { networksOn } from "./placement.ts";
import { type World, vrfMtu } from "./world.ts";

/** A network and its VRF with the settings of one side of a conversion. */
export type Way = { readonly vrf: Vrf; readonly network: Network };

/** The way that this host sends; behind it another one that it only receives, if there is one. */
export function waysOf(world: World, vrf: Vrf, network: Network): readonly [Way, ...Way[]] {
  const now = { vrf, network };
  const conversion = conversionOf(world, now);
  if (conversion === undefined) return [now];
  const before = wayBefore(conversion, vrf, network);
  const { phase } = conversion.spec;
  if (phase === "narrow") return [before];
  // One device is changed in place: it cannot be there twice.
  if (isSameTunnel(before, now)) return phase === "send" || !changesWay(conversion.spec) ? [now] : [before];
  return phase === "send" ? [now, before] : [before, now];
}

/** A network with each group that may be sent to: its own, and the other one of a conversion. */
export function waysByGroup(world: World, vrf: Vrf, network: Network): readonly Network[] {
  const now = { vrf, network };
  const conversion = conversionOf(world, now);
  if (conversion === undefined || groupsBetween(conversion.spec).length === 0) return [network];
  return [network, wayBefore(conversion, vrf, network).network];
}

/** Groups of conversions that this host has to be in, with its own address towards each. */
export function groupsToJoin(world: World): readonly JoinedGroup[] {
  const held = world.vrfs.flatMap((vrf) =>
    networksOn(world, vrf).flatMap((network) => {
      const conversion = conversionOf(world, { vrf, network });
      if (conversion === undefined || groupsBetween(conversion.spec).length === 0) return [];
      return waysByGroup(world, vrf, network).flatMap(({ spec }): readonly JoinedGroup[] => {
        const end = tunnelEnd(spec, world.self.spec);
        return spec.group === undefined || end?.device === undefined
          ? []
          : [{ group: spec.group, local: end.underlay, device: end.device }];
      });
    }),
  );
  return held;
}

/** A multicast group, this host's address and device towards it. */
export type JoinedGroup = { readonly group: string; readonly local: string; readonly device: string };

function conversionOf({ conversions }: World, { vrf, network }: Way): Conversion | undefined {
  const conversion = conversions.get(vrf.name);
  return conversion !== undefined && converts(conversion, network) ? conversion : undefined;
}

/** What its tunnel is called: each way has a device of its own. */
export function deviceOf({ vrf, network: { spec } }: Way): string {
  if (spec.ipam === "local") return routedDevice(spec.driver, vrf.spec);
  return spec.vni === undefined ? "" : switchedDevice(spec, spec.vni, vrf.spec);
}

function isSameTunnel(a: Way, b: Way): boolean {
  return a.network.spec.driver === b.network.spec.driver && deviceOf(a) === deviceOf(b);
}

/** The port of its packets on the underlay; 0 where the driver has none. */
export function portOf({ vrf, network }: Way): number {
  const driver = encapsulationOf(network.spec);
  return driver !== undefined && DRIVERS[driver].hasPort ? tunnelPortOf(network.spec, vrf.spec.tunnelPort) : 0;
}

/** The network's own MTU, never more than the tunnel carries; while packets are narrowed, still the former one. */
export function networkMtu(world: World, vrf: Vrf, network: Network): number {
  const conversion = conversionOf(world, { vrf, network });
  const isBefore = conversion?.spec.phase === "narrow";
  return mtuOf(world, isBefore ? wayBefore(conversion, vrf, network) : { vrf, network });
}

export function mtuOf(world: World, { vrf, network: { spec } }: Way): number {
  const driver = encapsulationOf(spec);
  const most = driver === undefined ? physicalMtu(world, vrf, spec) : vrfMtu(world, vrf, driver, spec);
  return Math.min(spec.mtu ?? Number.POSITIVE_INFINITY, most);
}

function physicalMtu({ carriers, parents }: World, { name }: Vrf, spec: Network["spec"]): number {
  return leastMtu(spec, carriers.get(name) ?? [], parents) ?? ETHERNET_MTU;
}

/** The largest packet that workloads send while a conversion changes the MTU: both MTUs allow it. */
export function narrowMtu(world: World, vrf: Vrf, network: Network): number | undefined {
  const conversion = conversionOf(world, { vrf, network });
  if (conversion === undefined || !changesMtu(conversion.spec)) return undefined;
  return Math.min(mtuOf(world, wayBefore(conversion, vrf, network)), mtuOf(world, { vrf, network }));
}
