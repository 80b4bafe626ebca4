// The kernel's nouns as values, in the kernel's own words and units. Desired state (from compile) and actual state
// (from observe) are both a KernelState, so that everything between them is plain arithmetic. Every object names its
// network namespace, because the data plane of a VRF lives in one of its own.
import { createHash } from "node:crypto";

/**
 * Which network namespace an object is in:
 * `host` the host's own; `vrf:<name>` the namespace of a VRF, made and removed by Weft; an absolute path: a workload's.
 */
export type Ns = "host" | `vrf:${string}` | `/${string}`;

/** A link is always up, and always carries its ownership mark as ifalias (`weft:<kind>:<uid>`). */
type Link = {
  readonly ns: Ns;
  readonly name: string;
  readonly mtu: number;
  readonly mac: string;
  readonly alias: string;
};

export type Bridge = Link & {
  readonly kind: "bridge";
  /**
   * Learned MACs are forgotten after five silent minutes. Otherwise they stay until a frame says something else: only a
   * few can be learned, and what is forgotten would not be flooded.
   */
  readonly forgets?: true;
};
/**
 * How a bridge gets to know what is behind a port. Not said: from the control plane alone, in entries that no frame
 * moves, and what it does not know does not go there. `learned`: from frames as well. `flooded`: and what nobody is
 * known to have goes there, too.
 */
export type Macs = "learned" | "flooded";

export type Vxlan = Link & {
  readonly kind: "vxlan";
  readonly vni: number;
  /** Source address of the tunnel packets; its UDP socket stays in the host's namespace. */
  readonly local: string;
  readonly port: number;
  /** The bridge it is a port of (switched networks), with neighbour suppression on. */
  readonly master?: string;
  readonly macs?: Macs;
  /**
   * Neighbour suppression is off: ARP and ND cross to other hosts and are answered there. With it, the bridge keeps
   * every gratuitous ARP and unsolicited advertisement on this host (br_do_proxy_suppress_arp, br_do_suppress_nd).
   */
  readonly floodsArp?: true;
};
/**
 * A veth pair, named by its end in `ns`; the peer is born in its own namespace (a workload's, or the host's for an
 * uplink). With `peer.mac` empty the pair is made ahead of its address: the far end stays down, with whatever MAC the
 * kernel gives it, until a `set` completes it.
 */
export type Veth = Link & {
  readonly kind: "veth";
  readonly master?: string;
  readonly macs?: Macs;
  /**
   * Of an uplink: checksums that a workload left open are written before the packet leaves the near end, so that
   * filters behind the far end see it as it will be.
   */
  readonly makesChecksums?: true;
  readonly peer: { readonly ns: Ns; readonly name: string; readonly mtu: number; readonly mac: string };
};

/** Queues frames that a redirect gives it, and hands them back to where they came in. Its MAC cannot be changed. */
export type Ifb = Link & { readonly kind: "ifb" };

/**
 * A token bucket as the queue of a link (root, handle one of TBF_HANDLES): `rate` bytes per second in the long run,
 * `burst` bytes at once, `limit` bytes may wait. With `peak`, a burst goes at that rate, in pieces of its `burst`
 * bytes. Sizes of buckets are ones that the kernel can keep exactly (shaping.ts, wholeTicks).
 */
export type Tbf = {
  readonly kind: "tbf";
  readonly ns: Ns;
  readonly dev: string;
  readonly rate: number;
  readonly burst: number;
  readonly limit: number;
  readonly peak?: { readonly rate: number; readonly burst: number };
};

export type KernelObject =
  | { readonly kind: "netns"; readonly ns: `vrf:${string}` }
  | {
      readonly kind: "sysctl";
      readonly ns: Ns /** Below /proc/sys/net, like `ipv4/ip_forward`. */;
      readonly key: string;
      readonly value: string;
    }
  /**
   * Weft's own nft tables of a namespace: `inet weft`, and `bridge weft` where there is something to say about frames.
   * `body` and `bridge` are what stands between their braces. The kernel cannot give the text back, so an observed one
   * has its `digest` (or NFT_TAMPERED) and an empty body, and diff compares digests only.
   */
  | {
      readonly kind: "nft";
      readonly ns: Ns;
      readonly digest: string;
      readonly body: string;
      readonly bridge?: string;
    }
  /**
   * An element of a set or map of these tables (sets.ts says which there are): what grows with endpoints, so that one
   * more costs one small transaction. `key` is its fields joined with " . "; a map's has the value as 8 hexadecimal
   * digits.
   */
  | {
      readonly kind: "element";
      readonly ns: Ns;
      readonly set: string;
      readonly key: string;
      readonly value?: string;
    }
  | Bridge
  | Vxlan
  | Veth
  | Ifb
  | Tbf
  /**
   * Everything that comes in on a link goes to an ifb instead: an ingress queue with one filter of priority
   * REDIRECT_PRIORITY. `to` is empty if the ifb is gone; then nothing comes in.
   */
  | { readonly kind: "redirect"; readonly ns: Ns; readonly dev: string; readonly to: string }
  /** `cidr` is address/length with the host bits kept. IPv6 without duplicate address detection. */
  | { readonly kind: "address"; readonly ns: Ns; readonly dev: string; readonly cidr: string }
  /**
   * Main table, protocol WEFT_ROUTE_PROTOCOL, metric WEFT_ROUTE_METRIC. `dst` canonical, `0.0.0.0/0` and `::/0` for
   * default. `onlink` routes have a gateway that no connected route covers.
   */
  | {
      readonly kind: "route";
      readonly ns: Ns;
      readonly dst: string;
      readonly via?: string;
      readonly dev: string;
      readonly onlink: boolean;
      readonly src?: string;
      /** Only of a route that has another, as earlier builds made them in IPv4: nobody wants it. */
      readonly metric?: number;
    }
  /** Permanent: address to MAC, ARP and ND alike. */
  | { readonly kind: "neighbour"; readonly ns: Ns; readonly dev: string; readonly ip: string; readonly mac: string }
  /**
   * A neighbour on a link of the host's own: the next hop towards a peer or the server. The kernel finds its MAC and
   * keeps it, also when its table is full (`extern_learn`, `managed`); with WEFT_ROUTE_PROTOCOL, because the link is
   * not ours.
   */
  | { readonly kind: "hop"; readonly ns: "host"; readonly dev: string; readonly ip: string }
  /**
   * On a VXLAN device (`self`, permanent): MAC to the host behind it. The all-zero MAC is the flood list, one entry per
   * host.
   */
  | { readonly kind: "fdb"; readonly ns: Ns; readonly dev: string; readonly mac: string; readonly dst: string }
  /**
   * On a bridge port (`master`, static, sticky): this MAC is behind that port, whatever frames say. `loose`: as seen
   * where frames could move it, which is never wanted.
   */
  | {
      readonly kind: "bridge-fdb";
      readonly ns: Ns;
      readonly dev: string;
      readonly mac: string;
      readonly loose?: true;
    };

export type ObjectKind = KernelObject["kind"];
export type ObjectOf<K extends ObjectKind> = Extract<KernelObject, { readonly kind: K }>;
export type KernelState = ReadonlyMap<string, KernelObject>;

/** `set` changes in place what `from` already is; anything that cannot be is a remove and an add. */
export type Op =
  | { readonly op: "add"; readonly object: KernelObject }
  | { readonly op: "set"; readonly from: KernelObject; readonly object: KernelObject }
  | { readonly op: "remove"; readonly object: KernelObject };

/**
 * Routes of ours in any table, and next hops, are recognised by this number (rtm_protocol; unassigned in iproute2's
 * rt_protos).
 */
export const WEFT_ROUTE_PROTOCOL = 87;
/**
 * Metric of every route of ours (rtm priority): what the kernel gives an IPv6 route without one. A route that a
 * workload or host has from somebody else (metric 0 in IPv4) wins over it, and neither is refused because of the other.
 */
export const WEFT_ROUTE_METRIC = 1024;
/**
 * Major numbers of our queues (`tc` shows `7766:`), and priority of our filters: what tells them from others'. Two
 * numbers, because a queue is replaced by one of another number.
 */
export const TBF_HANDLES = [0x7766, 0x7767] as const;
export const REDIRECT_PRIORITY = 87;
/** Links, tables and namespaces are recognised by this mark. */
export const MARK = "weft";
/** The digest of a table that somebody else changed, or that has no mark of ours: never that of a body. */
export const NFT_TAMPERED = "tampered";
export const FLOOD_MAC = "00:00:00:00:00:00";
/** For how many seconds a bridge remembers what it learned: as usual, or ten days, which fit any counter of jiffies. */
export const AGEING = { forgets: 300, keeps: 864_000 } as const;
/** What one bridge learns at most, 256 times what one port may teach it: each entry is 128 bytes of the kernel's. */
export const FDB_MAX = 65_536;
/**
 * Groups of bridges (01:80:c2:00:00:00 to 0f) that a port forwards, so that filters see them: all but 01, which the
 * kernel drops. Others go to the stack of the bridge's namespace, past the bridge's hooks (br_handle_frame).
 */
export const GROUPS_SEEN = 0xfffd;

/**
 * What makes two objects "the same one"; everything else is a value that can be changed in place.
 * VNI, port and local address of a VXLAN device and the far end of a veth pair cannot be ("Cannot change VNI.", 6.18).
 */
export function keyOf(o: KernelObject): string {
  switch (o.kind) {
    case "netns":
      return `netns ${o.ns}`;
    case "sysctl":
      return `sysctl ${o.ns} ${o.key}`;
    case "nft":
      return `nft ${o.ns}`;
    case "element":
      return `element ${o.ns} ${o.set} ${o.key}`;
    case "bridge":
      return `bridge ${o.ns} ${o.name}`;
    case "vxlan":
      return `vxlan ${o.ns} ${o.name} ${o.vni} ${o.port} ${o.local}`;
    case "veth":
      return `veth ${o.ns} ${o.name} ${o.peer.ns} ${o.peer.name}`;
    case "ifb":
      return `ifb ${o.ns} ${o.name}`;
    case "tbf":
      return `tbf ${o.ns} ${o.dev}`;
    case "redirect":
      return `redirect ${o.ns} ${o.dev}`;
    case "address":
      return `address ${o.ns} ${o.dev} ${o.cidr}`;
    case "route":
      return `route ${o.ns} ${o.dst} ${o.dev}${o.metric === undefined ? "" : ` metric ${o.metric}`}`;
    case "hop":
      return `hop ${o.dev} ${o.ip}`;
    case "neighbour":
      return `neighbour ${o.ns} ${o.dev} ${o.ip}`;
    // Flood entries are a set (one per remote VTEP); a unicast MAC lives behind exactly one VTEP and may move.
    case "fdb":
      return o.mac === FLOOD_MAC ? `fdb ${o.ns} ${o.dev} ${o.mac} ${o.dst}` : `fdb ${o.ns} ${o.dev} ${o.mac}`;
    case "bridge-fdb":
      return `bridge-fdb ${o.ns} ${o.dev} ${o.mac}`;
    default:
      return unreachable(o);
  }
}

export function stateOf(objects: Iterable<KernelObject>): KernelState {
  const state = new Map<string, KernelObject>();
  for (const object of objects) state.set(keyOf(object), object);
  return state;
}

/** Names the text of tables, short enough to be carried in the name of a chain: 16 hexadecimal digits. */
export function nftDigest(body: string, bridge = ""): string {
  const hash = createHash("sha256").update(body);
  return (bridge === "" ? hash : hash.update("\0").update(bridge)).digest("hex").slice(0, 16);
}

/** The link whose disappearance takes this object along; undefined for what stands alone. */
export function deviceOf(o: KernelObject): string | undefined {
  return o.kind === "tbf" ||
    o.kind === "redirect" ||
    o.kind === "address" ||
    o.kind === "route" ||
    o.kind === "neighbour" ||
    o.kind === "hop" ||
    o.kind === "fdb" ||
    o.kind === "bridge-fdb"
    ? o.dev
    : undefined;
}

/** What is in a namespace by a name of its own, and takes along what is on it. */
export function isLink(o: KernelObject): o is Bridge | Vxlan | Veth | Ifb {
  return o.kind === "bridge" || o.kind === "vxlan" || o.kind === "veth" || o.kind === "ifb";
}

export function unreachable(x: never): never {
  throw new Error(`unreachable: ${JSON.stringify(x)}`);
}
