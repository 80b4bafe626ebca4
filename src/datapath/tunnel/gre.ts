// GRE with a key (RFC 2784, 2890): Ethernet frames in IP protocol 47, the VNI as key. One device for each peer
// (kinds/gre.ts), so there is nothing to look up: what leads to a device leads to its peer.
//
// Per peer of a VRF's routed networks (here number 2, VTEP 44.128.0.2, VNI 4096):
//   gretap      gt4096-2 local 172.31.77.11 remote 172.31.77.12 key 4096
//   ip address  44.128.0.1/32 dev gt4096-2          this host's VTEP, on each of the devices
//   ip neigh    44.128.0.2 lladdr 70:b3:d5:80:00:02 dev gt4096-2
//   ip route    44.128.0.2/32 dev gt4096-2          one subnet on all devices would lead to the first of them
// In a switched network each is a port of the bridge, which floods to all of them and from none to another.
import { BITS, familyOf } from "../../model/address.ts";
import { peerDevice } from "../../model/driver.ts";
import type { KernelObject, ObjectOf } from "../kinds.ts";
import type { Peer, Tunnel, TunnelDriver } from "./tunnel.ts";

export const gre: TunnelDriver = {
  pattern: (name) => `${name}-*`,

  routed({ addresses, peers, ...tunnel }) {
    const { ns } = tunnel;
    const objects = peers.flatMap((peer): KernelObject[] => {
      const dev = peerDevice(tunnel.name, peer.order);
      return [
        deviceTo(tunnel, peer),
        ...addresses.map((cidr): KernelObject => ({ kind: "address", ns, dev, cidr: alone(cidr) })),
        ...peer.ips.flatMap((ip): KernelObject[] => [
          { kind: "neighbour", ns, dev, ip, mac: peer.mac },
          { kind: "route", ns, dst: alone(ip), dev, onlink: false },
        ]),
      ];
    });
    return { objects, deviceTo: (peer) => peerDevice(tunnel.name, peer.order) };
  },

  switched({ bridge, peers, isolated: _, network: _network, ...tunnel }) {
    const devices = peers.map((peer) => ({ ...deviceTo(tunnel, peer), master: bridge }));
    return {
      devices,
      portTo: ({ order }) => peerDevice(tunnel.name, order),
      ports: devices.map(({ name }) => name),
    };
  },

  underlay: {
    // Frames with one of our keys, and no checksum before it: a host may have other GRE tunnels, and those are not ours
    // to open or to close. The protocol comes last: libnftables (1.0.6) aborts when it lists raw bytes behind it.
    to: ({ vnis }) => `@th,0,32 & 0xa007ffff == 0x20006558 @th,32,32 { ${vnis.join(", ")} } meta l4proto gre`,
  },
};

function deviceTo({ vni, port: _, ...tunnel }: Tunnel, { dst, order }: Peer): ObjectOf<"gretap" | "ip6gretap"> {
  const kind = familyOf(dst) === 4 ? "gretap" : "ip6gretap";
  return { kind, ...tunnel, name: peerDevice(tunnel.name, order), key: vni, remote: dst };
}

/** The address alone, without the subnet that it may be in. */
function alone(text: string): string {
  return `${text.replace(/\/.*/, "")}/${BITS[familyOf(text)]}`;
}
