// The interface to the kernel. Two implementations, one contract suite: linux.ts (rtnetlink and libnftables through
// FFI) and fake.ts (in memory, with the kernel's habits: cascades, refusals, drift). This folder is the only one that
// touches Linux.
import type { Feature } from "../model/features.ts";
import type { DeviceFacts } from "../model/physical.ts";
import type { Direction } from "../model/qos.ts";
import { type KernelObject, type ObjectOf, isTunnel, kindOf } from "../datapath/kinds.ts";
import type { Ns } from "../datapath/kinds/kind.ts";
import type { Veth } from "../datapath/kinds/links.ts";
import type { KernelState, Op } from "../datapath/state/state.ts";
import type { GivenBack, HostUse } from "./takeOver/types.ts";
import type { FlowView } from "../datapath/policy/verdict.ts";

/** Why the kernel said no; what the loop does about it depends on the class, never on the text. */
export type Refusal = {
  /**
   * missing, exists: our view was stale, look again. busy: back off. stale: never tried, because the caller's
   * `isStale` said so. awaited: another program has to bring something first, which a condition tells. The others: do
   * not repeat until the desired state changes.
   */
  readonly class: "missing" | "exists" | "busy" | "stale" | "awaited" | "denied" | "unsupported" | "invalid";
  /** What the kernel itself said, with the errno's name: `EEXIST: file already exists`. */
  readonly message: string;
};
export type OpResult = { readonly op: Op; readonly refusal?: Refusal };
/** What a link is refused with where a table or an element was: it would carry packets that nothing looks at. */
export const UNGUARDED: Refusal = { class: "denied", message: "the policy of its namespace was refused" };
/**
 * The namespaces whose policy has to be in the kernel first: of a workload's port its VRF's, of a way out the host's as
 * well, of a tunnel the host's, where its packets arrive.
 */
export function guardsOf({ op, object }: Op): readonly Ns[] {
  if (op === "remove") return [];
  if (isTunnel(object.kind)) return ["host"];
  const { leadsTo, devices } = kindOf(object);
  return leadsTo === "namespace" ? devices(object).map(({ ns }) => ns) : [];
}
export const STALE: Refusal = { class: "stale", message: "something else was done to it meanwhile" };

/** What identifies a namespace however it is reached: the inode behind its path. Paths of processes are reused. */
export type NetnsId = string;

/**
 * What an Echo received: an answer, a peer's request (the kernel has answered it), or that a peer's kernel refused a
 * datagram, with as much of its payload as fits.
 */
export type EchoSeen = {
  readonly kind: "answer" | "request" | "refusal";
  readonly from: string;
  readonly payload: Buffer;
};
/** Who writes the checksum of a datagram: the device that it leaves by, if that says that it can, or the kernel. */
export type ChecksumBy = "device" | "kernel";
/** Echo requests over ICMPv6 from a namespace of ours. */
export interface Echo {
  /** False if the kernel did not take it. The answer brings the payload back. */
  send(to: string, payload: Uint8Array): boolean;
  /**
   * A UDP datagram to a port at which nothing listens. The peer's kernel refuses it if its checksum is right when it
   * arrives, and drops it otherwise. False if the kernel here did not take it.
   */
  sendDatagram(to: string, payload: Uint8Array, by: ChecksumBy): boolean;
  /** What has come, without waiting. */
  receive(): EchoSeen | undefined;
}

/** How trial packets go: like a tunnel's over UDP or GRE, or as echo requests, which the peer's kernel answers. */
export type TrialChannel =
  | { readonly kind: "udp"; readonly port: number }
  | { readonly kind: "gre" }
  | { readonly kind: "ping" };
export type TrialSeen = { readonly channel: TrialChannel; readonly from: string; readonly payload: Buffer };
/** Trial packets of the host, from one address, over some channels. */
export interface Trials {
  /**
   * A packet with this payload, padded to an IP packet of `size` bytes, that routers must not cut. The channel is one
   * that was asked for. False if the kernel did not take it.
   */
  send(channel: TrialChannel, to: string, payload: Uint8Array, size: number): boolean;
  /** What has come, without waiting; payloads with their padding. */
  receive(): TrialSeen | undefined;
  close(): void;
}

/** What the host itself has, without Weft's own objects. */
export type HostFacts = {
  /** Addresses with prefix length, and destinations of routes, in canonical text. */
  readonly prefixes: readonly string[];
  readonly bootId: string;
};

/** What a take-over came to. */
export type Inherited = {
  /** Devices that were others' and are ours now. */
  readonly taken: readonly string[];
  /** What differs from what is wanted and cannot be changed under traffic, a line each; then nothing was taken over. */
  readonly differs: readonly string[];
};

/** A group and a UDP port, and how packets leave the host for it: device, source address, TTL. */
export type GroupWay = {
  readonly group: string;
  readonly port: number;
  readonly device: string;
  readonly local: string;
  readonly ttl: number;
};

/** A group that this host is in, by one of its devices. */
export type GroupMembership = Pick<GroupWay, "group" | "device">;

/** The port of an endpoint in its VRF's namespace, whether or not the journal has it. */
export type PortSeen = {
  readonly ns: Ns;
  readonly name: string;
  /** By its mark: the endpoint's name, of which a very long one lacks the end. */
  readonly endpoint: string;
  /** The path under which its far end was made; a very long one lacks the end, and it may lead elsewhere by now. */
  readonly netns?: string;
  /** The workload's end, with all its addresses; absent if it cannot be read. */
  readonly far?: { readonly ifname: string; readonly mac: string; readonly addresses: readonly string[] };
};
/** What the ports of a namespace have carried, and what was dropped there. */
export type Counted = {
  /** The reason is a number of DROP_REASONS. */
  readonly drops: readonly { readonly port: string; readonly reason: number; readonly packets: number }[];
  readonly ports: readonly Traffic[];
};
/** Seen from the workload. */
export type Traffic = {
  readonly name: string;
  readonly sentPackets: number;
  readonly sentBytes: number;
  readonly receivedPackets: number;
  readonly receivedBytes: number;
};
/** In the direction in which it began, and whose rules allowed it: its sender's (`out`) or its receiver's. */
export type Flow = FlowView & { readonly side: "out" | "in" };

/** Totals since the queue was made; `backlog` is what waits now, in bytes. */
export type Counters = {
  readonly bytes: number;
  readonly packets: number;
  readonly drops: number;
  readonly backlog: number;
};

type ForwardFilters = { readonly drops: readonly string[]; readonly seesFrames: boolean };

export interface Kernel {
  /** What the names of VRF namespaces begin with, below /run/netns: for lines that a user may run. */
  readonly netnsPrefix: string;
  /**
   * Everything on this host that is ours: marked objects of the host's namespace, all namespaces of VRFs, and in the
   * given workload namespaces the links of ours and what hangs on them. Never another program's object, never what
   * the kernel makes by itself (link-local addresses, connected routes, learned entries). A dump that the kernel marks
   * interrupted is repeated. A workload namespace that is gone is simply not there. Throws if the kernel cannot be
   * read. A link that is there but not as Weft leaves every link (down, say) has an MTU of 0, so that it differs. Of a
   * pair whose workload's namespace is not given, the peer's `ns` is "/", and the MTU is 0 if the far end is down, too.
   */
  observe(workloads: readonly Ns[]): Promise<KernelState>;
  /**
   * Runs the ops in order, even after a refusal; one result per op, in order. Adding what is there with other values is
   * a refusal (`exists`), never a success; but neighbours and FDB entries, which the kernel also learns by itself, are
   * replaced, and so is whatever else takes what comes in on a port of ours. Adding an entry that is there exactly so,
   * and removing what is not there, are successes. A sysctl is set and never removed. `unsupported` is what could never
   * be observed: a sysctl that Weft does not know, an entry for which the namespace or the link is the wrong place.
   *
   * Nothing fails open: once a table or an element of a namespace is refused, no port is made or changed there in the
   * rest of the list (`denied`).
   *
   * A long list lets others have their turn, and removing links waits; `isStale` is asked about an operation right
   * before it is done.
   */
  apply(ops: readonly Op[], isStale?: (op: Op) => boolean): Promise<OpResult[]>;
  /**
   * Takes ports down before it returns (0.15 ms): they carry nothing more, and wait to be removed, which takes the
   * kernel a hundred times as long. One result per port; not there, or not ours, is as good as down.
   */
  cutOff(ports: readonly Veth[]): readonly (Refusal | undefined)[];
  /**
   * Calls `poke` after the kernel said that something of ours may have changed. Carries no data on purpose. If `poke`
   * gives a promise, there may be silence until it resolves, and whatever happened meanwhile pokes once. Ends with the
   * signal. `moved` is called when an address of the host's own comes or goes, link-local ones aside, or one of its own
   * links gets another MTU.
   */
  watch(poke: () => unknown, signal: AbortSignal, moved?: () => void): void;
  /**
   * Takes over the links and addresses of the host's namespace among `wanted` that other programs made: the next
   * observation has them, as they are. No packet is lost. What is not there, or ours already, is left to apply().
   */
  inherit(wanted: readonly KernelObject[]): Inherited;
  /**
   * From now on, watch() calls both as well when a link of one of these names comes or goes in the host's namespace,
   * whoever makes it: what Weft waits for, or what is in its way.
   */
  heed(names: readonly string[]): void;
  /**
   * Every port of an endpoint that the kernel has, with what its far end carries, in whatever namespace that is, also
   * ports that the agent does not know. Throws if the kernel cannot be read.
   */
  ports(): Promise<readonly PortSeen[]>;
  /** Identity of the namespace behind a path; undefined if there is none. */
  netnsId(path: string): NetnsId | undefined;
  /**
   * Whether a namespace is no workload's: the host's own, or one of a VRF that this port has made or seen. From memory.
   */
  ownNetns(id: NetnsId): Ns | undefined;
  /** Interface names in use in a namespace: what an attach must not clash with. */
  linkNames(ns: Ns): readonly string[];
  facts(): HostFacts;
  /**
   * The neighbours of the host's own by which packets to these addresses leave, each once: gateways, or the addresses
   * themselves. Without those that others keep known, and those on links without neighbours.
   */
  nextHops(addresses: readonly string[]): readonly ObjectOf<"hop">[];
  /** MTU of the link that carries this address of the host; undefined if the host does not have the address. */
  underlayMtu(address: string): number | undefined;
  /** Name of that link. */
  underlayDevice(address: string): string | undefined;
  /** What there is of these devices of the host that others made; `servers` are addresses that the host must reach. */
  devices(names: readonly string[], servers?: readonly string[]): readonly DeviceFacts[];
  /** What the host itself has on one of its devices; undefined if it is not there. */
  hostUse(device: string): HostUse | undefined;
  /**
   * Makes the device a port of a bridge of ours that is up, and puts onto the bridge what the host has on it. Packets
   * to and from the host go on. If the kernel refuses something, that is the answer, and all is as it was.
   */
  takeOver(use: HostUse, bridge: string): Promise<Refusal | undefined>;
  /**
   * The way back: what others have on the bridge goes onto the device, which is no port any more. What of `use` is on
   * neither is put onto the device as well, if the bridge is gone, or `isSure` is false. To be repeated at will.
   */
  giveBack(given: GivenBack): Promise<Refusal | undefined>;
  /** Sends one datagram to a multicast group. False if it could not be sent; true says nothing about its arrival. */
  sendToGroup(way: GroupWay, datagram: Uint8Array): boolean;
  /** From now on this host is in these groups, also if no tunnel of it is. Throws Refused if it cannot join one. */
  holdGroups(wanted: readonly GroupMembership[]): void;
  /** Directions in which this kernel can limit an endpoint's traffic; tried once, in a namespace of its own. */
  shaping(): readonly Direction[];
  /** What this host has of what drivers need: what is of the kernel is found out once, programs are looked for anew. */
  features(): Promise<readonly Feature[]>;
  /** What went through the queues of ours in a namespace, by the link they are on. */
  queues(ns: Ns): ReadonlyMap<string, Counters>;
  /** Packets and drops, read on demand. Nothing for a namespace that is not there. */
  counters(ns: Ns): Counted;
  /**
   * Ends the flows of a namespace that groups have allowed, for which `isAllowed` says no; how many. A packet on its
   * way through the tables may bring one back: packetsPassed() says when none can any more.
   */
  cutFlows(ns: Ns, isAllowed: (flow: Flow) => boolean): number;
  /**
   * Makes room where flows of a kind fill more than half of their set: the owners with most flows lose some, until half
   * is left; returns how many. `ownerOf` names the owner of a flow by the address of its end on this side.
   */
  thinFlows(ns: Ns, ownerOf: (address: string) => string): number;
  /**
   * Resolves when every packet that was on its way through tables when this was called has left them: what it did to
   * their sets by rules or elements that are gone since, it has done. Some 20 ms.
   */
  packetsPassed(): Promise<void>;
  /** To be asked for anew for each use; undefined while the namespace is not there. */
  echo(ns: Ns): Echo | undefined;
  /** From the host's namespace, until closed. Undefined if this kernel sends nothing. Throws if it cannot now. */
  trials(local: string, channels: readonly TrialChannel[]): Trials | undefined;
  /**
   * Filters of others in the host's namespace that drop what these words of nft name (ports, protocols), or may, in
   * words for people. Nothing if they cannot be read.
   */
  blockingFilters(words: readonly string[]): readonly string[];
  /**
   * Of others in the host's namespace: chains that drop what is forwarded and no rule accepts, where their table does
   * not name all of these bridges, in words for people; and whether they see what a bridge itself forwards
   * (br_netfilter). Nothing if they cannot be read.
   */
  forwardFilters(bridges: readonly string[]): ForwardFilters;
  /** VXLAN devices of others in the host's namespace. */
  otherVxlans(): readonly { readonly name: string; readonly port: number }[];
  /** What is wrong with programs that it works with (Open vSwitch), where it uses them; a line each. */
  troubles(): readonly string[];
  /** Ends what watch() began and lets go of every descriptor; what is in the kernel stays. */
  close(): void;
}
