// The uplink: a veth pair that joins a VRF's namespace to the host's, for the way out and for the host's own access.
// Its addresses never leave the host: the VRF's table masquerades to them, the host's table to the host's own address.
import { familyOf, formatMac } from "../../model/address.ts";
import { UPLINK, uplinkEnds, uplinkHostDevice } from "../../model/uplink.ts";
import { prefixesOf } from "../../model/carrying.ts";
import type { Network, Vrf } from "../../model/resource.ts";
import { alias } from "../state/names.ts";
import { subnetsOf } from "../world/reach.ts";
import type { KernelObject } from "../kinds.ts";
import { DEFAULT_ROUTE } from "../kinds/entries.ts";
import { isInHost, nsOf } from "../world/placement.ts";
import type { World } from "../world/world.ts";

/**
 * There is an uplink only if a network of the VRF masquerades, or the VRF has hostAccess; none out of the host's own
 * namespace.
 */
export function usesUplink(vrf: Vrf, networks: readonly Network[]): boolean {
  if (isInHost(vrf)) return false;
  return vrf.spec.hostAccess || networks.some((network) => network.spec.masquerade);
}

export function compileUplink(world: World, vrf: Vrf, networks: readonly Network[]): KernelObject[] {
  const ns = nsOf(vrf);
  const hostDev = uplinkHostDevice(vrf.name);
  const mtu = world.self.spec.underlayMtu;
  const [hostMac, innerMac] = [macOf(1, vrf.spec.index), macOf(2, vrf.spec.index)];
  const families = new Set(networks.flatMap((network) => prefixesOf(network.spec).map(familyOf)));
  const objects: KernelObject[] = [
    {
      kind: "veth",
      ns,
      name: UPLINK,
      mtu,
      mac: innerMac,
      alias: alias("uplink", vrf.name),
      // A checksum is two bytes of the workload's choice, anywhere in the packet. If they were written later, they
      // could become the port of a tunnel where hosts are open. Elsewhere that port is closed whatever the packet says.
      ...(vrf.spec.hostAccess ? { makesChecksums: true as const } : {}),
      peer: { ns: "host", name: hostDev, mtu, mac: hostMac },
    },
    // The host routes what leaves the uplink. IPv6 forwarding is left to the operator: with it, the host would ignore
    // the router advertisements that may give it its own default route.
    { kind: "sysctl", ns: "host", key: "ipv4/ip_forward", value: "1" },
  ];
  for (const family of families) {
    const { host, vrf: inner, length } = uplinkEnds(vrf.spec.index, family);
    objects.push(
      { kind: "address", ns, dev: UPLINK, cidr: `${inner}/${length}` },
      { kind: "address", ns: "host", dev: hostDev, cidr: `${host}/${length}` },
      // Each end knows the other permanently, so that a full table of learned neighbours does not matter: all
      // namespaces share one table.
      { kind: "neighbour", ns, dev: UPLINK, ip: host, mac: hostMac },
      { kind: "neighbour", ns: "host", dev: hostDev, ip: inner, mac: innerMac },
      { kind: "route", ns, dst: DEFAULT_ROUTE[family], via: host, dev: UPLINK, onlink: false },
    );
    if (!vrf.spec.hostAccess) continue;
    for (const dst of subnetsOf(world, vrf, family))
      objects.push({ kind: "route", ns: "host", dst, via: inner, dev: hostDev, onlink: false });
  }
  return objects;
}

function macOf(end: 1 | 2, index: number): string {
  return formatMac(0x0a59_00_00_0000n + BigInt(end * 0x1_0000 + index));
}
