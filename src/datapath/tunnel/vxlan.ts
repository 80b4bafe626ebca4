// VXLAN (RFC 7348): frames in UDP. One device for all peers: its FDB maps the MAC of a frame's target to the underlay
// address of the host behind it. Broadcasts go to each host of the flood list, and it learns nothing; or they go to a
// multicast group, and it learns MACs that are not in its FDB.
import { PATHS_VNI } from "../../model/paths.ts";
import type { KernelObject } from "../kinds.ts";
import { FLOOD_MAC } from "../kinds/entries.ts";
import type { Peer, TunnelDriver } from "./tunnel.ts";

export const vxlan: TunnelDriver = {
  pattern: (name) => name,

  routed({ addresses, peers, ...device }) {
    const { ns, name: dev } = device;
    const objects: KernelObject[] = [
      { kind: "vxlan", ...device },
      ...addresses.map((cidr): KernelObject => ({ kind: "address", ns, dev, cidr })),
    ];
    for (const { ips, mac, dst } of peers) {
      objects.push({ kind: "fdb", ns, dev, mac, dst });
      for (const ip of ips) objects.push({ kind: "neighbour", ns, dev, ip, mac });
    }
    return { objects, deviceTo: () => dev };
  },

  switched({ bridge, peers: _, network: _network, ...device }) {
    const { ns, name: dev } = device;
    return {
      devices: [{ kind: "vxlan", ...device, master: bridge }],
      portTo: () => dev,
      ports: [dev],
      unicast: (mac, { dst }) => ({ kind: "fdb", ns, dev, mac, dst }),
      ...(device.group === undefined
        ? { broadcast: ({ dst }: Peer): KernelObject => ({ kind: "fdb", ns, dev, mac: FLOOD_MAC, dst }) }
        : {}),
    };
  },

  underlay: {
    to: ({ ports }) => `udp dport ${oneOf(ports)}`,
    // The VNI.
    trials: `@th,96,24 ${PATHS_VNI}`,
    from: ({ ports }) => `udp sport ${oneOf(ports)}`,
  },
};

function oneOf(ports: readonly number[]): string {
  return ports.length === 1 ? `${ports[0]}` : `{ ${ports.join(", ")} }`;
}
