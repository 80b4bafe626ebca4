// Drivers: how frames of a network cross between hosts. One row says what server, CLI and compiler need to know of a
// driver; what it makes in the kernel is datapath/tunnel/<driver>.ts.
import { type Family, familyOf } from "./address.ts";
import { Fault } from "./fault.ts";
import type { Feature } from "./features.ts";
import { oneOf } from "./schema.ts";

/** `own`: each VRF has a namespace of its own on a host. `host`: in the host's own namespace. */
export const PLACEMENTS = ["own", "host"] as const;
export type Placement = (typeof PLACEMENTS)[number];

type DriverFacts = {
  /** As people read it. */
  readonly title: string;
  /** Bytes that a tunnel adds to a packet of an endpoint, by family of the underlay. */
  readonly overhead: Readonly<Record<Family, number>>;
  /** Protocol of its packets on the underlay. */
  readonly protocol: string;
  /** Whether they go to the tunnel port of the VRF. */
  readonly hasPort: boolean;
  /** Whether a switched network has a VNI of its own. */
  readonly hasVni: boolean;
  /** Whether a switched network can send to a multicast group. */
  readonly hasGroups?: true;
  /** What its devices are called before the VNI. */
  readonly device: string;
  /** Where its networks are on a host unless they say otherwise. */
  readonly placement: Placement;
  /** What a host must have, by family of the underlay. */
  readonly needs: Readonly<Record<Family, readonly Feature[]>>;
  /**
   * Of one that has a device for each peer, and so no device that could have a given name: for how many peers in a VRF
   * or switched network that is cheap. GRE, measured on Linux 6.1 with 1,000 peers: 80 MB and six seconds.
   */
  readonly peersMost?: number;
  /**
   * Frames cross on a physical network, as they are, and not in packets on the underlay. So there are machines on the
   * segment that Weft does not know, and the gateway is one of them. Networks are global.
   */
  readonly isPhysical?: true;
  /**
   * The device that leads to the physical network becomes a port of a bridge: the host itself can have nothing on it.
   */
  readonly takesDevice?: true;
};

/** What a VRF's filters need, whatever crosses between hosts. */
const FILTERS = ["nftinet", "nftbridge"] as const satisfies readonly Feature[];

/** A row keeps its place: hosts number drivers by it (datapath/network/paths.ts). */
const ROWS = {
  vxlan: {
    title: "VXLAN",
    // Outer IP, UDP, VXLAN and inner Ethernet headers (RFC 7348).
    overhead: { 4: 20 + 8 + 8 + 14, 6: 40 + 8 + 8 + 14 },
    protocol: "UDP",
    hasPort: true,
    hasVni: true,
    hasGroups: true,
    device: "wx",
    placement: "own",
    needs: { 4: ["vxlan", ...FILTERS], 6: ["vxlan", ...FILTERS] },
  },
  gre: {
    title: "GRE",
    // Outer IP, GRE with key (RFC 2890) and inner Ethernet headers.
    overhead: { 4: 20 + 8 + 14, 6: 40 + 8 + 14 },
    protocol: "GRE",
    hasPort: false,
    hasVni: true,
    device: "gt",
    placement: "own",
    needs: { 4: ["gre", "isolated", ...FILTERS], 6: ["gre6", "isolated", ...FILTERS] },
    peersMost: 100,
  },
  vlan: {
    title: "VLAN",
    // Not of the packet: a frame may be longer by its tag (802.3, 3.2.7).
    overhead: { 4: 0, 6: 0 },
    protocol: "802.1Q",
    hasPort: false,
    hasVni: false,
    device: "wv",
    placement: "host",
    needs: { 4: ["vlan", ...FILTERS], 6: ["vlan", ...FILTERS] },
    isPhysical: true,
  },
  bridge: {
    title: "bridge",
    overhead: { 4: 0, 6: 0 },
    protocol: "Ethernet",
    hasPort: false,
    hasVni: false,
    device: "wb",
    placement: "host",
    needs: { 4: [...FILTERS], 6: [...FILTERS] },
    isPhysical: true,
    takesDevice: true,
  },
  ovs: {
    title: "Open vSwitch",
    // Of a tunnel, that tunnel's.
    overhead: { 4: 0, 6: 0 },
    protocol: "802.1Q",
    hasPort: false,
    hasVni: true,
    device: "wo",
    placement: "host",
    // It has a datapath of its own, outside the kernel.
    needs: { 4: ["ovsdb", ...FILTERS], 6: ["ovsdb", ...FILTERS] },
    isPhysical: true,
    takesDevice: true,
  },
} as const satisfies Readonly<Record<string, DriverFacts>>;

type Rows = typeof ROWS;
export type Driver = keyof Rows;
export type PhysicalDriverName = { [D in Driver]: Rows[D] extends { isPhysical: true } ? D : never }[Driver];
export type TunnelDriverName = Exclude<Driver, PhysicalDriverName>;
export const DRIVERS: Readonly<Record<Driver, DriverFacts>> = ROWS;
export const DRIVER_NAMES = Object.keys(ROWS) as readonly Driver[];
/** Of networks and pools that do not say which. */
export const DEFAULT_DRIVER: Driver = "vxlan";
export const DriverName = oneOf(DRIVER_NAMES);

/** A driver of other systems, or of a later Weft, is not a spelling mistake: a Fault `unsupported` says so. */
export function checkDriver(name: string, where: string): void {
  if (Object.hasOwn(DRIVERS, name)) return;
  throw new Fault("unsupported", {
    what: `driver "${name}" is not supported`,
    where,
    fix: `leave it out, or write ${DRIVER_NAMES.map((driver) => `"${driver}"`).join(" or ")}`,
  });
}

type Underlay = { readonly underlay: string; readonly underlayMtu: number };
type OfVrf = { readonly alternate?: boolean };
type RoutedVrf = OfVrf & { readonly vni: number; readonly vtepName?: string };

/** Largest packet of an endpoint that crosses a host's underlay in one piece. */
export function tunnelMtu(driver: Driver, host: Underlay): number {
  return host.underlayMtu - DRIVERS[driver].overhead[familyOf(host.underlay)];
}

/**
 * The tunnel device of a switched network; its second name, which is never a given one, if the VRF says so
 * (VrfSpec.alternate).
 */
export function switchedDevice({ driver, device }: Way, vni: number, { alternate }: OfVrf): string {
  const { device: prefix, hasPort } = DRIVERS[driver];
  const isSecond = alternate === true && hasPort;
  return isSecond ? `${prefix}${vni}b` : (device ?? `${prefix}${vni}`);
}

/** The tunnel device of a VRF's routed networks. A given name is that of the one device that is for all peers. */
export function routedDevice(driver: Driver, vrf: RoutedVrf): string {
  return (hasDevicePerPeer(driver) ? undefined : vrf.vtepName) ?? switchedDevice({ driver }, vrf.vni, vrf);
}

/** Whether a tunnel is a device for each peer, which takes packets of that peer alone. */
export function hasDevicePerPeer(driver: Driver): boolean {
  return DRIVERS[driver].peersMost !== undefined;
}

/** The device to one peer, of a driver that has one for each; `order` is the number of the peer in the cluster. */
export function peerDevice(tunnel: string, order: number): string {
  return `${tunnel}-${order.toString(36)}`;
}

/** Whether a device of that name could be one to a peer. */
export function isPeerDevice(name: string): boolean {
  return PEER_DEVICE.test(name);
}

const PER_PEER = DRIVER_NAMES.filter(hasDevicePerPeer).map((driver) => DRIVERS[driver].device);
const PEER_DEVICE = new RegExp(`^(${PER_PEER.join("|")})[0-9]+-`);

/** What Open vSwitch is told to carry frames in; `none`: as they are. */
export const OVS_TUNNELS = ["vxlan", "gre", "none"] as const;
type OvsTunnel = (typeof OVS_TUNNELS)[number];

/** How a network's frames cross: what decides of its spec. */
export type Way = { readonly driver: Driver; readonly tunnel?: OvsTunnel; readonly device?: string };

/** Whether they cross a physical network, and not in packets on the underlay. */
export function isPhysical({ driver, tunnel = "none" }: Way): boolean {
  return DRIVERS[driver].isPhysical === true && tunnel === "none";
}

/** Whose packets they are in on the underlay; undefined if in none. */
export function encapsulationOf({ driver, tunnel = "none" }: Way): TunnelDriverName | undefined {
  if (driver === "ovs") return tunnel === "none" ? undefined : tunnel;
  return driver === "vlan" || driver === "bridge" ? undefined : driver;
}

/** The tunnel port of a network's VRF does not count for Open vSwitch: the kernel lets one of two have a UDP port. */
export function tunnelPortOf({ driver }: Way, vrfPort: number): number {
  return driver === "ovs" ? OVS_TUNNEL_PORT : vrfPort;
}

/** UDP port of the VXLAN tunnels of Open vSwitch. No VRF with VXLAN networks of Weft's may have it. */
export const OVS_TUNNEL_PORT = 4790;

/** Drivers whose frames cross in packets on the underlay. */
export const TUNNEL_DRIVERS = DRIVER_NAMES.filter((driver): driver is TunnelDriverName => !isPhysical({ driver }));

/** For people: what passes between hosts, like `UDP 4789`. */
export function packetsText(driver: Driver, port: number): string {
  const { protocol, hasPort } = DRIVERS[driver];
  return hasPort ? `${protocol} ${port}` : `IP protocol ${protocol}`;
}

/** By which its packets are known in rules of nftables: their port or the protocol, in nft's words. */
export function packetsWord(driver: Driver, port: number): string {
  const { protocol, hasPort } = DRIVERS[driver];
  return hasPort ? String(port) : protocol.toLowerCase();
}

/** For people: `VXLAN, UDP port 4789`; of Open vSwitch, what it carries frames in. `port` is the VRF's. */
export function tunnelText(way: Way, port: number): string {
  const { title, protocol, hasPort } = DRIVERS[encapsulationOf(way) ?? way.driver];
  const text = hasPort ? `${title}, ${protocol} port ${tunnelPortOf(way, port)}` : title;
  return way.driver === "ovs" ? `${text} (by ${DRIVERS.ovs.title})` : text;
}
