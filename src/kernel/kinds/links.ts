// What all kinds of links do alike, and those that are one device: bridge, VXLAN, IFB. One message makes or changes a
// link, another puts the mark on it, its ifalias, `weft:<kind>:<name>`. A link that is not as Weft leaves links is read
// with MTU 0, which is never desired: so the next diff sets it again, and setting a link restores all of that.
import { kindOf } from "../../datapath/kinds.ts";
import type { Ns } from "../../datapath/kinds/kind.ts";
import {
  type Bridge,
  type Ifb,
  type Macs,
  type PortOfBridge,
  type TunnelPort,
  type Vxlan,
  AGEING,
  FDB_MAX,
  FORWARD_DELAY,
  groupsOf,
  learnsHosts,
} from "../../datapath/kinds/links.ts";
import type { LinkObject } from "../../datapath/state/state.ts";
import { EEXIST, refusalOf, refuse } from "../errno.ts";
import { type LinkHooks, masterOf } from "../fakeMachine.ts";
import * as k from "../netlink/constants.ts";
import {
  type LinkInfo,
  type NewLink,
  CREATE,
  ifinfo,
  linkByName,
  newLinkAttributes,
  setLink,
} from "../netlink/link.ts";
import { type Layout, type MessageWriter, fill, flagAt, ipIn, ipTextAt, u32At, u8At } from "../netlink/wire.ts";
import { isOurs, isRouted } from "../ownership.ts";
import { LINK_EVENTS } from "./events.ts";
import { fakeLink } from "./fake.ts";
import { type KernelKind, type Observe, type SeenLink, type StepContext, kernelKind, oneStep } from "./kind.ts";

type LinkKind<T extends LinkObject> = {
  readonly create: (context: StepContext, object: T) => void;
  /** Sends what setLink() does not change of a link that is there. */
  readonly configure?: (context: StepContext, object: T, index: number) => void;
  /** Whether it cannot be up for now, and comes up by itself. */
  readonly staysDown?: (context: StepContext, object: T) => boolean;
  /** Where an operation takes more than one step. */
  readonly steps?: KernelKind<T>["steps"];
  readonly decode: (link: LinkInfo, seen: SeenLink) => T;
  readonly isExtra?: Observe<T>["isExtra"];
  readonly fake: LinkHooks<T>;
};

export function linkKind<T extends LinkObject>({ create, configure, staysDown, ...kind }: LinkKind<T>) {
  const { steps, decode, isExtra, fake } = kind;
  return kernelKind<T>({
    way: { put: "messages", remove: "links" },
    steps:
      steps ??
      oneStep((context, { op, object }) => {
        if (op === "add") create(context, object);
        else changeLink(context, object, configure, staysDown?.(context, object));
      }),
    explain(existing, object, said) {
      const devices = kindOf(object as LinkObject).devices(object);
      const texts = [said, ...devices.map(({ ns, name }) => existing.linkText(ns, name))];
      return refusalOf(EEXIST, texts.filter((text) => text !== "").join("; "));
    },
    observe: { link: decode, ...(isExtra === undefined ? {} : { isExtra }) },
    events: LINK_EVENTS,
    fake: fakeLink(fake),
  });
}

/** Brings a link of ours to what it should be, by its mark as it is now and not as it was observed. Gives its index. */
export function changeLink<T extends LinkObject>(
  context: StepContext,
  object: T,
  configure: LinkKind<T>["configure"],
  staysDown = false,
): number {
  const link = linkOfOurs(context, object.name);
  const bridge = masterOf(object);
  const master = bridge === undefined ? 0 : context.indexOf(bridge);
  setLink(context.w, context.seq(), link.index, {
    alias: object.alias,
    ...(link.mtu === object.mtu ? {} : { mtu: object.mtu }),
    ...(link.mac === object.mac ? {} : { mac: object.mac }),
    ...(master === link.master ? {} : { master }),
    ...(link.inet.forwards || !isRouted(object) ? {} : { forwards: true }),
    ...(link.inet.ownArp ? {} : arp(object)),
    ...(staysDown ? { staysDown } : {}),
  });
  configure?.(context, object, link.index);
  return link.index;
}

/** The link as it is now. Throws Refused if there is none, or another's. */
export function linkOfOurs(context: StepContext, name: string): LinkInfo {
  const link = linkIn(context, name);
  return isOurs(link) ? link : refuse("exists", describeLink(link, context.space.ns));
}

/** The same, whoever made it. */
export function linkIn(context: StepContext, name: string): LinkInfo {
  return context.link(name) ?? refuse("missing", `there is no link ${name} in ${context.space.ns}`);
}

/** What a link is, for a refusal. */
export function describeLink(link: LinkInfo, ns: Ns): string {
  const kind = link.kind === "" ? "device" : link.kind;
  const whose = isOurs(link) ? `ours (${link.alias})` : "not ours";
  return `${link.name} in ${ns} is a ${kind} that is ${whose}`;
}

/** What makes packets be routed through a link, where they are. */
export function forwarding(object: LinkObject): { readonly forwards?: true } {
  return isRouted(object) ? { forwards: true } : {};
}

/**
 * A host answers ARP on each link for all of its addresses. On a bridge of a network it answers for those of the bridge
 * alone: where other devices of the host lead to the segment as well, what is sent to the host would else come in here.
 */
function arp({ kind, ns }: LinkObject): { readonly ownArp?: true } {
  return kind === "bridge" && ns === "host" ? { ownArp: true } : {};
}

/** How a bridge learns MACs behind a port, and whether frames to unknown MACs go there: attributes of the port. */
export function learningAttributes(w: MessageWriter, { macs }: PortOfBridge): void {
  w.attrU8(k.IFLA_BRPORT_LEARNING, macs === undefined ? 0 : 1);
  w.attrU8(k.IFLA_BRPORT_UNICAST_FLOOD, macs === "flooded" ? 1 : 0);
}

/** The port of a bridge that a link is. */
export function portOf(link: LinkInfo, { master }: SeenLink): PortOfBridge {
  if (master === undefined) return {};
  // No port of ours floods what it does not learn. Another value is never desired, so it is set again.
  if (link.floods && !link.learning) return { master: "" };
  const macs: Macs | undefined = link.floods ? "flooded" : link.learning ? "learned" : undefined;
  return { master, ...(macs === undefined ? {} : { macs }) };
}

/** Whether a port shows groups of bridges to the hooks, as its kind of learning demands. */
export function showsGroups(link: LinkInfo, port: PortOfBridge): boolean {
  return port.master === undefined || link.groups === groupsOf(port);
}

export const bridge = linkKind<Bridge>({
  create: createBridge,
  configure(context, object, index) {
    const w = context.begin(k.RTM_NEWLINK, k.NLM_F_REQUEST);
    ifinfo(w, k.AF_UNSPEC, index, k.IFF_UP);
    bridgeInfo(w, object);
  },
  decode(link, seen) {
    const info = fill<BridgeInfo>(NO_INFO, BRIDGE, link.data);
    const passesHooks = info.calls4 || info.calls6 || info.callsArp;
    const hasOwnArp = seen.ns !== "host" || link.inet.ownArp;
    const common = seen.common(!info.snoops && !info.learnsGroups && !passesHooks && hasOwnArp);
    return {
      kind: "bridge",
      ...common,
      ...(info.ageing === AGEING.keeps ? {} : { forgets: true }),
      ...(info.stp ? { stp: true } : {}),
      ...(info.delay === FORWARD_DELAY ? {} : { forwardDelay: info.delay }),
    };
  },
  fake: {},
});

/**
 * A bridge that is up. Its MTU is not given here but set afterwards: only a bridge whose MTU was *changed* keeps it
 * when ports come and go (BROPT_MTU_SET_BY_USER), any other takes the least of its ports, and 1500 when the last one
 * leaves.
 */
function createBridge(context: StepContext, object: Bridge): void {
  const index = context.newIndex(object.ns, object.name);
  const w = context.begin(k.RTM_NEWLINK, CREATE);
  ifinfo(w, k.AF_UNSPEC, index, k.IFF_UP);
  w.attrText(k.IFLA_IFNAME, object.name);
  w.attrMac(k.IFLA_ADDRESS, object.mac);
  bridgeInfo(w, object);
  setLink(w, context.seq(), index, { alias: object.alias, mtu: object.mtu, forwards: true, ...arp(object) });
}

/**
 * Its frames pass no hooks of IP and ARP, unless the namespace says so for all bridges (br_netfilter asks for either).
 * The bridge never becomes the querier whose word decides where multicast goes; frames that never pass the hooks teach
 * it nothing; and what it learns has an end (6.7; older kernels skip the attribute).
 */
function bridgeInfo(w: MessageWriter, { forgets, stp, forwardDelay = FORWARD_DELAY }: Bridge): void {
  w.nest(k.IFLA_LINKINFO, () => {
    w.attrText(k.IFLA_INFO_KIND, "bridge");
    w.nest(k.IFLA_INFO_DATA, () => {
      w.attrU32(k.IFLA_BR_AGEING_TIME, k.USER_HZ * (forgets === true ? AGEING.forgets : AGEING.keeps));
      w.attrU8(k.IFLA_BR_MCAST_SNOOPING, 0);
      // struct br_boolopt_multi: values, mask.
      w.attrBytes(k.IFLA_BR_MULTI_BOOLOPT, NO_LL_LEARN);
      w.attrU32(k.IFLA_BR_FDB_MAX_LEARNED, FDB_MAX);
      w.attrU32(k.IFLA_BR_FORWARD_DELAY, k.USER_HZ * forwardDelay);
      w.attrU32(k.IFLA_BR_STP_STATE, stp === true ? 1 : 0);
      for (const attribute of NF_CALLS) w.attrU8(attribute, 0);
    });
  });
}

const NO_LL_LEARN = Buffer.from([k.BR_BOOLOPT_NO_LL_LEARN, 0, 0, 0, k.BR_BOOLOPT_NO_LL_LEARN, 0, 0, 0]);

const NF_CALLS = [k.IFLA_BR_NF_CALL_IPTABLES, k.IFLA_BR_NF_CALL_IP6TABLES, k.IFLA_BR_NF_CALL_ARPTABLES];

/** For how many seconds it remembers MACs; whether it looks at multicast, and at frames to the groups of bridges. */
type BridgeInfo = {
  readonly ageing: number;
  readonly snoops: boolean;
  readonly learnsGroups: boolean;
  /** In seconds. */
  readonly delay: number;
  readonly stp: boolean;
  /** Whether its frames pass hooks of IP. */
  readonly calls4: boolean;
  readonly calls6: boolean;
  readonly callsArp: boolean;
};
const NO_INFO: BridgeInfo = {
  ageing: 0,
  snoops: false,
  learnsGroups: false,
  delay: FORWARD_DELAY,
  stp: false,
  calls4: false,
  calls6: false,
  callsArp: false,
};
const BRIDGE: Layout<BridgeInfo> = {
  [k.IFLA_BR_FORWARD_DELAY]: ["delay", (bytes, start) => Math.round(u32At(bytes, start) / k.USER_HZ)],
  [k.IFLA_BR_STP_STATE]: ["stp", (bytes, start) => u32At(bytes, start) !== 0],
  [k.IFLA_BR_NF_CALL_IPTABLES]: ["calls4", flagAt],
  [k.IFLA_BR_NF_CALL_IP6TABLES]: ["calls6", flagAt],
  [k.IFLA_BR_NF_CALL_ARPTABLES]: ["callsArp", flagAt],
  [k.IFLA_BR_AGEING_TIME]: ["ageing", (bytes, start) => Math.round(u32At(bytes, start) / k.USER_HZ)],
  [k.IFLA_BR_MCAST_SNOOPING]: ["snoops", flagAt],
  [k.IFLA_BR_MULTI_BOOLOPT]: ["learnsGroups", (bytes, at) => (u8At(bytes, at) & k.BR_BOOLOPT_NO_LL_LEARN) === 0],
};

/** A device for redirected frames. */
export const ifb = linkKind<Ifb>({
  create(context, object) {
    const index = context.newIndex(object.ns, object.name);
    newIfb(context.w, context.seq(), { ...object, index });
    setLink(context.w, context.seq(), index, { alias: object.alias });
  },
  decode: (_link, seen) => ({ kind: "ifb", ...seen.common(true) }),
  fake: { isTarget: true },
});

/** Up, with one queue. */
export function newIfb(w: MessageWriter, seq: number, link: NewLink): void {
  w.begin(k.RTM_NEWLINK, CREATE, seq);
  ifinfo(w, k.AF_UNSPEC, link.index, k.IFF_UP);
  newLinkAttributes(w, link);
  w.nest(k.IFLA_LINKINFO, () => w.attrText(k.IFLA_INFO_KIND, "ifb"));
}

export const vxlan = linkKind<Vxlan>({
  create: createVxlan,
  configure(context, object, index) {
    const group = groupAttributes(context, object);
    const w = context.begin(k.RTM_NEWLINK, k.NLM_F_REQUEST);
    ifinfo(w, k.AF_UNSPEC, index, 0);
    vxlanInfo(w, group);
    if (object.master !== undefined) configureVxlanPort(context, object, index);
  },
  decode(link, seen) {
    const read = { vni: 0, local: "", port: 0, address: "", dev: 0, ttl: 0, learns: false };
    const { address, dev, ttl, learns, ...own } = fill<VxlanInfo>(read, VXLAN, link.data);
    const group = address === "" ? undefined : { address, dev: seen.hostLink(dev), ...(ttl === 0 ? {} : { ttl }) };
    const common = seen.common(learns || group === undefined);
    const alone = {
      ...(learns && group === undefined ? { learns: true as const } : {}),
      ...(link.isolated ? { isolated: true as const } : {}),
    };
    return { kind: "vxlan", ...common, ...own, ...(group && { group }), ...tunnelPortOf(link, seen), ...alone };
  },
  // Their sockets are all in the host's namespace.
  fake: { claim: ({ vni, port, local }) => `vxlan ${vni} ${port} ${local.includes(":") ? 6 : 4}` },
});

/**
 * A VXLAN device that is up, born in the namespace of the netlink socket, its own UDP socket in the host's:
 * IFLA_LINK_NETNSID names that, and the device of a group is looked up there. It learns only with a group. So creation
 * and mark are one send, in one namespace, that nothing can interrupt.
 */
function createVxlan(context: StepContext, object: Vxlan): void {
  const master = object.master === undefined ? undefined : context.indexOf(object.master);
  const local = ipIn(object.local);
  const socketNsid = object.ns === "host" ? undefined : context.hostNsid();
  const group = groupAttributes(context, object);
  const index = context.newIndex(object.ns, object.name);
  const w = context.begin(k.RTM_NEWLINK, CREATE);
  ifinfo(w, k.AF_UNSPEC, index, k.IFF_UP);
  w.attrText(k.IFLA_IFNAME, object.name);
  w.attrMac(k.IFLA_ADDRESS, object.mac);
  w.attrU32(k.IFLA_MTU, object.mtu);
  if (master !== undefined) w.attrU32(k.IFLA_MASTER, master);
  if (socketNsid !== undefined) w.attrU32(k.IFLA_LINK_NETNSID, socketNsid);
  vxlanInfo(w, () => {
    w.attrU32(k.IFLA_VXLAN_ID, object.vni);
    w.attrIp(local.family === 4 ? k.IFLA_VXLAN_LOCAL : k.IFLA_VXLAN_LOCAL6, local);
    // In network byte order.
    w.attrU16(k.IFLA_VXLAN_PORT, (object.port >>> 8) | (object.port << 8));
    // It cannot be set later.
    if (learnsHosts(object)) w.attrU32(k.IFLA_VXLAN_LIMIT, FDB_MAX);
    if (object.group === undefined) w.attrU8(k.IFLA_VXLAN_LEARNING, object.learns === true ? 1 : 0);
    else group();
  });
  setLink(w, context.seq(), index, { alias: object.alias, forwards: true });
  if (master !== undefined) configureVxlanPort(context, object, index);
}

function configureVxlanPort(context: StepContext, object: Vxlan, index: number): void {
  configureTunnelPort(context, object, index, (w) =>
    w.attrU8(k.IFLA_BRPORT_ISOLATED, object.isolated === true ? 1 : 0),
  );
}

/** As a port of a bridge it answers ARP and ND from the bridge's neighbours, or floods them. `more` of its port. */
export function configureTunnelPort(
  context: StepContext,
  object: TunnelPort,
  index: number,
  more: (w: MessageWriter) => void = () => undefined,
): void {
  const w = context.begin(k.RTM_SETLINK, k.NLM_F_REQUEST);
  ifinfo(w, k.AF_BRIDGE, index, 0);
  w.nest(k.IFLA_PROTINFO, () => {
    learningAttributes(w, object);
    w.attrU8(k.IFLA_BRPORT_NEIGH_SUPPRESS, object.floodsArp === true ? 0 : 1);
    more(w);
  });
}

/** The port of a bridge that a tunnel is. */
export function tunnelPortOf(link: LinkInfo, seen: SeenLink): TunnelPort {
  return { ...portOf(link, seen), ...(seen.master !== undefined && !link.neighSuppress ? { floodsArp: true } : {}) };
}

function vxlanInfo(w: MessageWriter, attributes: () => void): void {
  w.nest(k.IFLA_LINKINFO, () => {
    w.attrText(k.IFLA_INFO_KIND, "vxlan");
    w.nest(k.IFLA_INFO_DATA, attributes);
  });
}

/** Writes the group with all that depends on it, or that there is none. Refused `missing` without the host's device. */
function groupAttributes(context: StepContext, object: Vxlan): () => void {
  const { local, group } = object;
  const is6 = local.includes(":");
  const address = ipIn(group?.address ?? (is6 ? "::" : "0.0.0.0"));
  const lower = group && context.spaceOf("host").socket.ask(linkByName(group.dev));
  if (group !== undefined && lower === undefined) refuse("missing", `this host has no device ${group.dev}`);
  const { w } = context;
  return () => {
    w.attrIp(is6 ? k.IFLA_VXLAN_GROUP6 : k.IFLA_VXLAN_GROUP, address);
    if (lower !== undefined) w.attrU32(k.IFLA_VXLAN_LINK, lower.index);
    w.attrU8(k.IFLA_VXLAN_TTL, group?.ttl ?? 0);
    w.attrU8(k.IFLA_VXLAN_LEARNING, learnsHosts(object) ? 1 : 0);
  };
}

type VxlanInfo = Pick<Vxlan, "vni" | "local" | "port"> & {
  readonly address: string;
  /** An index in the host's namespace. */
  readonly dev: number;
  readonly ttl: number;
  readonly learns: boolean;
};
const VXLAN: Layout<VxlanInfo> = {
  [k.IFLA_VXLAN_ID]: ["vni", u32At],
  [k.IFLA_VXLAN_LOCAL]: ["local", ipTextAt],
  [k.IFLA_VXLAN_LOCAL6]: ["local", ipTextAt],
  [k.IFLA_VXLAN_GROUP]: ["address", ipTextAt],
  [k.IFLA_VXLAN_GROUP6]: ["address", ipTextAt],
  [k.IFLA_VXLAN_LINK]: ["dev", u32At],
  [k.IFLA_VXLAN_TTL]: ["ttl", u8At],
  [k.IFLA_VXLAN_LEARNING]: ["learns", flagAt],
  [k.IFLA_VXLAN_PORT]: ["port", (bytes, start) => bytes.readUInt16BE(start)],
};
