// Checksums of packets that enter a tunnel (`offload` of networks). What a workload's kernel left open, the device that
// carries the tunnel writes, or, if the tunnel's own device says so, the kernel before. A tunnel that several networks
// use says so as soon as one of them needs it: the others are only slower by it.
import type { Vrf } from "../../model/resource.ts";
import type { KernelObject, ObjectOf } from "../kinds.ts";
import { waysIn } from "../tunnel/drivers.ts";
import { deviceOf } from "../world/ways.ts";
import type { World } from "../world/world.ts";

export type TunnelDevice = ObjectOf<"vxlan" | "gretap" | "ip6gretap">;
/** Whether checksums inside a tunnel are wrong if they are left to what carries it. */
export type IsFaulty = (tunnel: TunnelDevice) => boolean;

/** `objects`: of the VRF. */
export function compileOffload(
  world: World,
  vrf: Vrf,
  objects: readonly KernelObject[],
  isFaulty: IsFaulty,
): KernelObject[] {
  const users = Map.groupBy(waysIn(world, vrf), deviceOf);
  return objects.flatMap((tunnel): KernelObject[] => {
    if (!isTunnelDevice(tunnel)) return [];
    const { ns, name: dev } = tunnel;
    const isOff = (users.get(tunnelOf(tunnel)) ?? []).some(({ network: { spec } }) => {
      const { offload = "auto" } = spec;
      return offload === "off" || (offload === "auto" && isFaulty(tunnel));
    });
    return isOff ? [{ kind: "checksums", ns, dev }] : [];
  });
}

function isTunnelDevice(object: KernelObject): object is TunnelDevice {
  return object.kind === "vxlan" || object.kind === "gretap" || object.kind === "ip6gretap";
}

/** The name of the whole, of which there may be a device for each peer. */
function tunnelOf({ kind, name }: TunnelDevice): string {
  return kind === "vxlan" ? name : name.replace(/-[^-]*$/, "");
}
