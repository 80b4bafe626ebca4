// Links: devices with a name, which carry other objects. What all of them have in common, what a link is as a port of a
// bridge, and the kinds: bridge, VXLAN device, veth pair, ifb.
import { type Kind, type Ns, type Print, type Role, type Shell, defineKind, isEqual } from "./kind.ts";
import { TABLES_LAYER } from "./tables.ts";

/** A link is always up, and always carries its ownership mark as ifalias (`weft:<kind>:<name>`). */
export type Link = {
  readonly kind: string;
  readonly ns: Ns;
  readonly name: string;
  readonly mtu: number;
  readonly mac: string;
  readonly alias: string;
};

/**
 * How a bridge gets to know which MACs are behind a port. Absent: from the control plane alone, in entries that no
 * frame moves, and frames to unknown MACs do not go there. `learned`: from frames as well. `flooded`: frames to unknown
 * MACs go there, too.
 */
export type Macs = "learned" | "flooded";

/** A link that may be a port of a bridge. */
export type PortOfBridge = { readonly master?: string; readonly macs?: Macs };

/** A bridge: the segment of a network on this host. */
export type Bridge = Link & {
  readonly kind: "bridge";
  /**
   * Learned MACs are forgotten after five silent minutes. Otherwise they stay until a frame says something else: only a
   * few can be learned, and frames to a forgotten one would not be flooded.
   */
  readonly forgets?: true;
  readonly stp?: true;
  /** Seconds, if not FORWARD_DELAY. */
  readonly forwardDelay?: number;
};

/** What the kernel gives a new bridge. */
export const FORWARD_DELAY = 15;

/** A tunnel as a port of a bridge. */
export type TunnelPort = PortOfBridge & {
  /**
   * Neighbour suppression is off: ARP and ND cross to other hosts and are answered there. With it, the bridge keeps
   * every gratuitous ARP and unsolicited advertisement on this host (br_do_proxy_suppress_arp, br_do_suppress_nd).
   */
  readonly floodsArp?: true;
};

/**
 * A multicast group, which the kernel joins and leaves with the device, on a device of the host's namespace. With it,
 * the VXLAN device learns the host behind a MAC from packets; FDB entries of the control plane are not moved by these.
 */
export type VxlanGroup = {
  readonly address: string;
  /** Its end is the end of the VXLAN device. */
  readonly dev: string;
  /** Of all packets. Absent: 1 to the group, and as usual to one host. */
  readonly ttl?: number;
};

/** A VXLAN device: the tunnel of a routed VRF, or of one switched network as a port of its bridge. */
export type Vxlan = Link &
  TunnelPort & {
    readonly kind: "vxlan";
    readonly vni: number;
    /** Source address of the tunnel packets; its UDP socket stays in the host's namespace. */
    readonly local: string;
    readonly port: number;
    /** Where broadcasts and frames to unknown MACs go: one packet for all. Absent: to each host of the flood list. */
    readonly group?: VxlanGroup;
    /** Without a group: it learns the host behind a MAC from packets, as with one. */
    readonly learns?: true;
    /** As a port of a bridge: what comes in goes to no other isolated port. */
    readonly isolated?: true;
  };

/**
 * A veth pair: the port of an endpoint, the uplink of a VRF, or what plugs a network's bridge into another. Named by
 * its end in `ns`; the peer is born in its own namespace (a workload's, or the host's for an uplink or a plug). With
 * `peer.mac` empty the pair is made ahead of its address: the far end stays down, with whatever MAC the kernel gives
 * it, until a `set` completes it.
 */
export type Veth = Link &
  PortOfBridge & {
    readonly kind: "veth";
    /**
     * Of an uplink: checksums that a workload left open are written before the packet leaves the near end, so that
     * filters behind the far end see it as it will be.
     */
    readonly makesChecksums?: true;
    readonly peer: { readonly ns: Ns; readonly name: string; readonly mtu: number; readonly mac: string };
  };

/**
 * A device for shaping what an endpoint sends: it queues frames that a redirect gives it, and hands them back to where
 * they came in. Its MAC cannot be changed.
 */
export type Ifb = Link & { readonly kind: "ifb" };

/** For how many seconds a bridge remembers what it learned: as usual, or ten days, which fit any counter of jiffies. */
export const AGEING = { forgets: 300, keeps: 864_000 } as const;
/** What one bridge learns at most, 256 times what one port may teach it: each entry is 128 bytes of the kernel's. */
export const FDB_MAX = 65_536;

/** In hundredths of a second, as `ip` takes it. */
const ageing = ({ forgets }: Bridge) => 100 * (forgets === true ? AGEING.forgets : AGEING.keeps);

/**
 * Groups of bridges (01:80:c2:00:00:00 to 0f) that a port forwards, so that filters see them: all but 01, which the
 * kernel drops. Others go to the stack of the bridge's namespace, past the bridge's hooks (br_handle_frame).
 */
const GROUPS_SEEN = 0xfffd;

/** Groups that a port of a bridge forwards, as a mask. */
export function groupsOf({ macs }: PortOfBridge): number {
  return macs === "flooded" ? 0 : GROUPS_SEEN;
}

/** Whether a bridge learns MACs behind a port, in the words of `bridge link`. */
export function learningText({ macs }: PortOfBridge): string {
  return `learning ${macs === undefined ? "off" : "on"} flood ${macs === "flooded" ? "on" : "off"}`;
}

/** A port that is not isolated says nothing of it when it is made. */
const isolation = ({ isolated }: Vxlan): readonly Field[] => [
  ["type bridge_slave isolated", isolated === true ? "on" : "off"],
];

/** `more`: what else is set. */
export function bringUp({ name, alias }: Link, { ip }: Shell, more = ""): string {
  return `${ip} link set ${name} ${more}alias ${alias} up`;
}

/** A word of `ip link set`, and its value. */
type Field = readonly [word: string, value: string];

export const portFields = (o: PortOfBridge, ...more: readonly Field[]): readonly Field[] =>
  o.master === undefined ? [] : [["master", o.master], ["type bridge_slave", learningText(o)], ...more];

/** Of the fields of `to`, those that `from` does not have, set one by one. */
function setFields(where: string, from: readonly Field[], to: readonly Field[]): readonly string[] {
  const before = new Map(from);
  const changed = to.filter(([word, value]) => before.get(word) !== value);
  const isFreed = before.has("master") && !to.some(([word]) => word === "master");
  return [...changed.map(([word, value]) => `${where} ${word} ${value}`), ...(isFreed ? [`${where} nomaster`] : [])];
}

type LinkKind<T extends Link> = Pick<Kind<T>, "layer" | "key" | "leadsTo"> &
  Pick<Print<T>, "add"> &
  Partial<Pick<Print<T>, "remove">> & {
    readonly devices?: Kind<T>["devices"];
    readonly below?: Kind<T>["below"];
    readonly changeLayer?: Kind<T>["changeLayer"];
    /** What can be changed in place besides MTU, MAC and alias. */
    readonly fields?: (object: T) => readonly Field[];
    /** The commands of changes that no field says. */
    readonly setMore?: Print<T>["set"];
  };

export function defineLink<T extends Link>(link: LinkKind<T>): Kind<T> {
  const { fields = () => [], setMore = () => [], ...kind } = link;
  const allFields = (o: T): readonly Field[] => [
    ["mtu", String(o.mtu)],
    ["address", o.mac],
    ["alias", o.alias],
    ...fields(o),
  ];
  return defineKind<T>({
    role: "link" as Role<T>,
    devices: ({ ns, name }) => [{ ns, name }],
    remove: ({ name }, { ip }) => [`${ip} link delete ${name}`],
    ...kind,
    set: (from, to, shell) => [
      ...setFields(`${shell.ip} link set ${to.name}`, allFields(from), allFields(to)),
      ...setMore(from, to, shell),
    ],
  });
}

/** `where`: what stands for a device of the host's namespace, in the words of `ip`. */
function groupWords({ address, dev, ttl }: VxlanGroup, where: (dev: string) => string): string {
  return `group ${address} dev ${where(dev)} ttl ${ttl ?? "auto"}`;
}

/** Whether a VXLAN device learns the host behind a MAC from packets. */
export function learnsHosts({ group, learns }: Pick<Vxlan, "group" | "learns">): boolean {
  return group !== undefined || learns === true;
}

/** From the namespace of the device no name leads to one of the host's: by its number there. */
function setGroup({ ns, name, group, local, learns }: Vxlan, { ip }: Shell): string {
  const where = (dev: string) => (ns === "host" ? dev : `if$(ip -o link show dev ${dev} | cut -d: -f1)`);
  const none = `remote ${local.includes(":") ? "::" : "0.0.0.0"} ttl auto ${learns === true ? "" : "no"}learning`;
  return `${ip} link set ${name} type vxlan ${group === undefined ? none : `${groupWords(group, where)} learning`}`;
}

export function suppression({ name, floodsArp }: Link & TunnelPort, { bridge }: Shell, more = ""): string {
  return `${bridge} link set dev ${name} ${more}neigh_suppress ${floodsArp === true ? "off" : "on"}`;
}

/** Off: nothing behind the device has to write them. */
function checksums({ name, makesChecksums }: Veth, { inside }: Shell): string {
  return `${inside}ethtool -K ${name} tx ${makesChecksums === true ? "off" : "on"}`;
}

/** From the host's namespace where one end is there, because that may have no name. */
function createPair(o: Veth, { at }: Shell): string {
  const isWithin = o.ns === o.peer.ns;
  const [near, far] = o.peer.ns === "host" && !isWithin ? [o.peer, o] : [o, o.peer];
  const end = ({ name, mac, mtu }: Veth["peer"], inside = "") => `${name}${inside} address ${mac} mtu ${mtu}`;
  const master = o.master === undefined ? "" : ` master ${o.master}`;
  const peer = end(far, isWithin ? "" : ` netns ${at(far.ns).name}`);
  return `${at(near.ns).ip} link add ${end(near)}${master} type veth peer name ${peer}`;
}

const farFields = ({ peer }: Veth): readonly Field[] => [
  ["mtu", String(peer.mtu)],
  ["address", peer.mac],
];

const VETH_LAYER = 5;
/** That of entries (entries.ts). */
const FLOOD_LIST_LAYER = 7;

export const LINK_KINDS = {
  bridge: defineLink<Bridge>({
    layer: 3,
    leadsTo: "ports",
    key: ({ ns, name }) => `bridge ${ns} ${name}`,
    fields: (o) => [
      ["type bridge ageing_time", String(ageing(o))],
      ["type bridge stp_state", o.stp === true ? "1" : "0"],
      ["type bridge forward_delay", String(100 * (o.forwardDelay ?? FORWARD_DELAY))],
    ],
    add: (o, shell) => [
      `${shell.ip} link add ${o.name} address ${o.mac} type bridge` +
        (o.stp === true ? " stp_state 1" : "") +
        (o.forwardDelay === undefined ? "" : ` forward_delay ${100 * o.forwardDelay}`) +
        ` ageing_time ${ageing(o)} mcast_snooping 0 no_linklocal_learn 1 fdb_max_learned ${FDB_MAX}`,
      // Beside other devices of the host it answers for itself alone; a name may have dots.
      ...(o.ns === "host" ? [`${shell.inside}sysctl -w net/ipv4/conf/${o.name}/arp_ignore=1`] : []),
      // Only an MTU that was changed stays when ports come and go.
      bringUp(o, shell, `mtu ${o.mtu} `),
    ],
  }),
  vxlan: defineLink<Vxlan>({
    layer: 4,
    leadsTo: "hosts",
    // VNI, port and local address cannot be changed ("Cannot change VNI.", 6.18).
    key: ({ ns, name, vni, port, local }) => `vxlan ${ns} ${name} ${vni} ${port} ${local}`,
    // Away from a group, the flood list is there before the group goes: for a moment frames come twice, none is lost.
    changeLayer: (from, to) => (from.group !== undefined && to.group === undefined ? FLOOD_LIST_LAYER + 0.5 : 4),
    fields: (o) => portFields(o, ...isolation(o)),
    add: (o, shell) => [
      `ip link add ${o.name}${o.ns === "host" ? "" : ` netns ${shell.name}`} address ${o.mac} mtu ${o.mtu}` +
        ` type vxlan id ${o.vni}${o.group === undefined ? "" : ` ${groupWords(o.group, (dev) => dev)}`}` +
        ` local ${o.local} dstport ${o.port} ${learnsHosts(o) ? "" : "no"}learning` +
        (learnsHosts(o) ? ` maxaddress ${FDB_MAX}` : ""),
      ...(o.master === undefined
        ? []
        : [
            `${shell.ip} link set ${o.name} master ${o.master}`,
            suppression(o, shell, `${learningText(o)} ${o.isolated === true ? "isolated on " : ""}`),
          ]),
      bringUp(o, shell),
    ],
    setMore: (from, to, shell) => [
      ...(from.floodsArp === to.floodsArp ? [] : [suppression(to, shell)]),
      ...(isEqual(from.group ?? {}, to.group ?? {}) && from.learns === to.learns ? [] : [setGroup(to, shell)]),
    ],
  }),
  veth: defineLink<Veth>({
    layer: VETH_LAYER,
    leadsTo: "namespace",
    // An uplink writes checksums before the host's table lets more out of it, if nothing else of it changes.
    changeLayer: (from, to) =>
      to.makesChecksums === true && isEqual({ ...from, makesChecksums: true }, to) ? TABLES_LAYER - 0.5 : VETH_LAYER,
    key: ({ ns, name, peer }) => `veth ${ns} ${name} ${peer.ns} ${peer.name}`,
    devices: ({ ns, name, peer }) => [{ ns, name }, peer],
    fields: (o) => portFields(o, ["type bridge_slave group_fwd_mask", String(groupsOf(o))]),
    add: (o, shell) => [
      createPair(o, shell),
      bringUp(o, shell),
      ...(o.master === undefined
        ? []
        : [`${shell.ip} link set ${o.name} type bridge_slave ${learningText(o)} group_fwd_mask ${groupsOf(o)}`]),
      ...(o.makesChecksums === true ? [checksums(o, shell)] : []),
      `${shell.at(o.peer.ns).ip} link set ${o.peer.name} up`,
    ],
    setMore: (from, to, shell) => [
      ...(from.makesChecksums === to.makesChecksums ? [] : [checksums(to, shell)]),
      ...setFields(`${shell.at(to.peer.ns).ip} link set ${to.peer.name}`, farFields(from), farFields(to)),
    ],
  }),
  ifb: defineLink<Ifb>({
    // Limits before addresses, and a shaper's queue before anything is sent to it.
    layer: 5.2,
    leadsTo: "nowhere",
    key: ({ ns, name }) => `ifb ${ns} ${name}`,
    add: (o, shell) => [`${shell.ip} link add ${o.name} address ${o.mac} mtu ${o.mtu} type ifb`, bringUp(o, shell)],
  }),
};
