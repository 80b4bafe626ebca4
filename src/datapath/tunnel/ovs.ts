// Open vSwitch: a network keeps its Linux bridge with all its ports and filters, and a bridge of Open vSwitch is joined
// to it by one internal port, in the network's VLAN. Frames between workloads of one host never get there.
//
//   wb-blue ===wo7=== wob7 ===wt7-2=== h2          tunnel vxlan, gre: a bridge for the network, a tunnel per peer
//   wb-blue ===wo7=== wop-lan ===eth1              tunnel none: the bridge of a physical network
//   wb-blue ===wo7=== br-int                       a bridge that is there
//
// A tunnel port is protected: what comes from one peer never goes on to another, which has got it already.
import { familyOf } from "../../model/address.ts";
import { deviceName } from "../../model/device.ts";
import { OVS_TUNNEL_PORT, peerDevice, switchedDevice } from "../../model/driver.ts";
import type { Network } from "../../model/resource.ts";
import type { KernelObject, ObjectOf } from "../kinds.ts";
import { alias, hashedMac } from "../state/names.ts";
import type { PhysicalDriver } from "./physical.ts";
import type { Peer, TunnelDriver } from "./tunnel.ts";

/** Tunnels to the other hosts of the network. */
export const ovsTunnel: Pick<TunnelDriver, "switched"> = {
  switched({ network, bridge, peers, vni, local, port: _, isolated: _isolated, ...device }) {
    const tunnel = { key: vni, local };
    return {
      devices: [
        ...joined(network, device),
        ...peers.map((peer) => tunnelTo(network, tunnel, peer)),
        { kind: "openvswitch", ...device, master: bridge },
      ],
      portTo: () => device.name,
      ports: [device.name],
    };
  },
};

/** A physical network: a device of the host is a port of the bridge, unless the bridge is another's. */
export const ovsOnPhysical: PhysicalDriver = {
  hasForeignPort: () => false,
  name: (network, device) => (device === undefined && network.spec.parent !== undefined ? undefined : portOf(network)),
  port({ host, ns, network, link, bridge, mtu }) {
    const { parent } = network.spec;
    if (parent !== undefined && link === undefined) return [];
    const name = portOf(network);
    const uplink = parent === undefined || link === undefined ? [] : [uplinkOf(network, parent, link.name)];
    const own = alias("network", network.name);
    // Machines out there ask and answer as well, so ARP and ND cross.
    const port = {
      name,
      mtu,
      mac: hashedMac(name, host),
      alias: own,
      master: bridge,
      macs: "flooded",
      floodsArp: true,
    } as const;
    return [...joined(network, port), ...uplink, { kind: "openvswitch", ns, ...port }];
  },
};

function portOf({ spec: { vni } }: Network): string {
  return switchedDevice({ driver: "ovs" }, vni ?? 0, {});
}

/** All VLANs pass. */
function uplinkOf(network: Network, parent: string, device: string): ObjectOf<"ovs-port"> {
  const of = `physical:${parent}`;
  return { kind: "ovs-port", ns: "host", name: device, of, bridge: bridgeOf(network), type: "system", trunks: "all" };
}

/** The bridge of Open vSwitch that a network is on. */
function bridgeOf({ spec }: Network): string {
  const { bridge, parent, vni } = spec;
  return bridge ?? (parent === undefined ? `wob${vni}` : deviceName("wop", parent));
}

/** What joins the network's bridge to one of Open vSwitch: that bridge, unless it is another's, and the port. */
function joined(network: Network, { name, mtu }: { readonly name: string; readonly mtu: number }): KernelObject[] {
  const { bridge, parent } = network.spec;
  const own = bridgeOf(network);
  const of = parent === undefined ? ofNetwork(network) : `physical:${parent}`;
  return [
    ...(bridge === undefined ? [{ kind: "ovs-bridge", ns: "host", name: own, of } as const] : []),
    {
      kind: "ovs-port",
      ns: "host",
      name,
      of: ofNetwork(network),
      bridge: own,
      type: "internal",
      ...vlansOf(network),
      mtu,
    },
  ];
}

type End = { readonly key: number; readonly local: string };

function tunnelTo(network: Network, { key, local }: End, { dst, order }: Peer): ObjectOf<"ovs-port"> {
  const ends = { local, remote: dst, key };
  const isGre = network.spec.tunnel === "gre";
  return {
    kind: "ovs-port",
    ns: "host",
    name: peerDevice(`wt${key}`, order),
    of: ofNetwork(network),
    bridge: bridgeOf(network),
    type: isGre ? (familyOf(dst) === 4 ? "gre" : "ip6gre") : "vxlan",
    ...vlansOf(network),
    tunnel: isGre ? ends : { ...ends, port: OVS_TUNNEL_PORT },
  };
}

function vlansOf({ spec: { vlan, trunks } }: Network): Pick<ObjectOf<"ovs-port">, "vlan" | "trunks"> {
  return {
    ...(vlan === undefined ? {} : { vlan }),
    ...(trunks === undefined ? {} : { trunks: trunks.join(",") }),
  };
}

function ofNetwork({ name }: Network): string {
  return `network:${name}`;
}
