// A switched network: one L2 segment over all its hosts. Its VXLAN device is a port of the bridge and learns nothing;
// the control plane says where each endpoint is.
//
// Per remote endpoint (here 10.7.0.9, 02:00:0a:07:00:09 on h2):
//   bridge fdb  02:00:0a:07:00:09 dev wx7 dst 172.31.77.12 self   the host behind the MAC
//   bridge fdb  02:00:0a:07:00:09 dev wx7 master static sticky    the port behind it: unicast is never flooded
//   ip neigh    10.7.0.9 lladdr 02:00:0a:07:00:09 dev wb-blue     the answer to ARP and ND, which never cross
// Per host with endpoints of the network, an all-zero FDB entry: where broadcast and multicast go (head-end
// replication). Where an endpoint has allowed addresses (virtual IPs), whose holder nobody but the workloads knows, ARP
// and ND cross after all: the holder announces itself, and answers. With learning on, a learned entry would survive its
// endpoint and shadow the true one (the stale entry of every peer).
import type { Network, Vrf } from "../../model/resource.ts";
import { deviceName } from "../../model/device.ts";
import { hasVirtualMac } from "./endpoint.ts";
import { macsOf } from "../world/layout.ts";
import { floodElements } from "../policy/learning.ts";
import { alias } from "../state/names.ts";
import type { KernelObject } from "../kinds.ts";
import { FLOOD_MAC } from "../kinds/fdb.ts";
import type { Ns } from "../kinds/kind.ts";
import { type World, tunnelTo } from "../world/world.ts";

export function compileSwitched(world: World, vrf: Vrf, network: Network, mtu: number): KernelObject[] {
  const vni = network.spec.vni;
  if (vni === undefined) return [];
  const ns: Ns = `vrf:${vrf.name}`;
  const dev = `wx${vni}`;
  const bridge = deviceName("wb", network.name);
  const endpoints = world.endpoints.get(network.name) ?? [];
  const macs = macsOf(network) ?? (endpoints.some(({ spec }) => hasVirtualMac(spec)) ? "learned" : undefined);
  const objects: KernelObject[] = [
    {
      kind: "vxlan",
      ns,
      name: dev,
      vni,
      local: world.self.spec.underlay,
      port: vrf.spec.tunnelPort,
      mtu,
      mac: tunnelMac(vni),
      alias: alias("network", network.name),
      master: bridge,
      ...(macs === undefined ? {} : { macs }),
      ...(hasVirtualIps(world, network) ? { floodsArp: true } : {}),
    },
  ];
  const flood = new Set<string>();
  const remote: string[] = [];
  for (const { spec } of endpoints) {
    const dst = tunnelTo(world, spec.host);
    if (dst === undefined) continue;
    flood.add(dst);
    remote.push(spec.mac);
    objects.push({ kind: "fdb", ns, dev, mac: spec.mac, dst }, { kind: "bridge-fdb", ns, dev, mac: spec.mac });
    for (const ip of spec.addresses) objects.push({ kind: "neighbour", ns, dev: bridge, ip, mac: spec.mac });
  }
  objects.push(...floodElements(vrf, network, dev, remote));
  for (const dst of flood) objects.push({ kind: "fdb", ns, dev, mac: FLOOD_MAC, dst });
  return objects;
}

/** Whether addresses of the network may go from one endpoint to another without the control plane. */
function hasVirtualIps(world: World, { name }: Network): boolean {
  return (world.endpoints.get(name) ?? []).some(({ spec }) => (spec.allowedAddresses ?? []).length > 0);
}

/** No frame ever has it as source or destination; it is given so that nothing else chooses one later. */
function tunnelMac(vni: number): string {
  return `0a:58:00:${[16, 8, 0].map((shift) => ((vni >>> shift) & 255).toString(16).padStart(2, "0")).join(":")}`;
}
