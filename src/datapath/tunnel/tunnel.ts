// What a tunnel driver is to the compiler: the devices and entries that carry frames between hosts, and how its packets
// are told on the underlay. One file per driver beside this one; drivers.ts is the table. How many bytes a driver adds,
// and what else the server has to know, is model/driver.ts.
import type { Network } from "../../model/resource.ts";
import type { KernelObject } from "../kinds.ts";
import type { Ns } from "../kinds/kind.ts";
import type { Macs, VxlanGroup } from "../kinds/links.ts";

/** Multicast group of a tunnel, and the host's device towards it. */
export type TunnelGroup = VxlanGroup;

/** One tunnel of a host, in the namespace of a VRF. */
export type Tunnel = {
  readonly ns: Ns;
  /** Of its device. */
  readonly name: string;
  readonly vni: number;
  /** Source address of its packets on the underlay. */
  readonly local: string;
  /** The VRF's, for drivers that have one. */
  readonly port: number;
  readonly mac: string;
  readonly mtu: number;
  readonly alias: string;
};

/** A tunnel that the namespace routes into. */
type RoutedTunnel = Tunnel & {
  /** This host's own in the tunnel, with the length of their prefix. */
  readonly addresses: readonly string[];
  readonly peers: readonly RoutedPeer[];
};
/** Another host in the tunnel: its address on the underlay, and its number in the cluster. */
export type Peer = { readonly dst: string; readonly order: number };
/** With its addresses and MAC in the tunnel. */
export type RoutedPeer = Peer & { readonly ips: readonly string[]; readonly mac: string };

/** A tunnel that is part of a bridge: one segment over all hosts. */
type SwitchedTunnel = Tunnel & {
  readonly network: Network;
  readonly bridge: string;
  /** Its bridge has another tunnel as well, which gets nothing from this one. */
  readonly isolated?: true;
  readonly macs?: Macs;
  readonly floodsArp?: true;
  /** Without a group: it learns which host is behind a MAC all the same. Of VXLAN alone. */
  readonly learns?: true;
  /** Where broadcasts and frames to unknown MACs go; absent: to each peer. */
  readonly group?: TunnelGroup;
  /** The other hosts with endpoints of the network. */
  readonly peers: readonly Peer[];
};

export type TunnelDriver = {
  /** What matches the devices that a tunnel of this name has, as nft compares names of interfaces. */
  readonly pattern: (name: string) => string;
  readonly routed: (tunnel: RoutedTunnel) => RoutedDevices;
  readonly switched: (tunnel: SwitchedTunnel) => SwitchedDevices;
  /** Its packets on the underlay, in the words of nft. */
  readonly underlay: {
    /** To a tunnel. Only hosts of the VRF may send them, and no workload to any host. */
    readonly to: (used: Used) => string;
    /**
     * What matches, in packets that `to` would match, those that a preflight sends (kernel/trials.ts); absent if `to`
     * matches none of them.
     */
    readonly trials?: string;
    /** As a tunnel answers: what a workload sends must not look like it. */
    readonly from?: (used: Used) => string;
  };
};

/** What tunnels of a driver are told apart by: the ports and VNIs that VRFs of this host have. */
export type Used = { readonly ports: readonly number[]; readonly vnis: readonly number[] };

type RoutedDevices = {
  /** Devices with their addresses, and for each peer what leads to it. */
  readonly objects: readonly KernelObject[];
  /** The device that routes through a peer leave by. */
  readonly deviceTo: (peer: RoutedPeer) => string;
};

export type SwitchedDevices = {
  readonly devices: readonly KernelObject[];
  /** The port of the bridge that leads to a peer, and all of them. */
  readonly portTo: (peer: Peer) => string;
  readonly ports: readonly string[];
  /** Where a port leads to several peers: the peer that has a MAC, and one more that gets each broadcast. */
  readonly unicast?: (mac: string, peer: Peer) => KernelObject;
  readonly broadcast?: (peer: Peer) => KernelObject;
};
