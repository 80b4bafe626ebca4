// A veth pair, made in two steps: near end, then far end, each in its own namespace. Nothing passes before the far end
// is up. The near end is ours by its ifalias, `weft:<kind>:<name>`; the far one carries `weft:peer:<its namespace>`.
import { type Veth, groupsOf } from "../../datapath/kinds/links.ts";
import { refuse } from "../errno.ts";
import * as k from "../netlink/constants.ts";
import { CREATE, type LinkInfo, ifinfo, newLinkAttributes, setLink } from "../netlink/link.ts";
import { isRouted, isUplink, peerAlias } from "../ownership.ts";
import type { OpOn } from "../../datapath/state/state.ts";
import type { SeenLink, Step, StepContext } from "./kind.ts";
import {
  changeLink,
  describeLink,
  forwarding,
  learningAttributes,
  linkIn,
  linkKind,
  linkOfOurs,
  portOf,
  showsGroups,
} from "./links.ts";

export const veth = linkKind<Veth>({
  create,
  steps,
  decode,
  isExtra: (link, space, { makesChecksums }) => isUplink(link) && makesChecksums(space, link.name),
  fake: {},
});

function steps(op: OpOn<Veth>, at: number): Step[] {
  const { object } = op;
  const { ns, peer } = object;
  const step = { at, isRemoval: op.op === "remove" };
  if (op.op === "add") {
    const near: Step = { ...step, ns, encode: (context) => create(context, object) };
    // Made ahead of its address: an operation to come completes it.
    if (peer.mac === "") return [near];
    return [near, { ...step, ns: peer.ns, encode: (context) => bringUp(context, object) }];
  }
  const isAhead = op.op === "set" && op.from.peer.mac === "";
  // A lease's range may have an MTU of its own, which the answer brought.
  const isNearRight = isAhead && op.from.mtu === object.mtu && op.from.macs === object.macs;
  let near = 0;
  return [
    {
      ...step,
      ns,
      encode(context) {
        // An attach waits for this: what it made a moment ago is not asked for again.
        near = isNearRight ? context.indexOf(object.name) : changeNear(context, object);
      },
    },
    { ...step, ns: peer.ns, encode: (context) => changeFar(context, object, near, isAhead) },
  ];
}

/**
 * A pair in one message: the near end up and in its bridge, the far end born in its namespace. That is brought up
 * later, in there: with IFF_UP here the kernel answers ENOTCONN (6.18). One queue per end: with more, creation waits
 * for an expedited RCU grace period (0.1 ms of 0.5).
 */
function create(context: StepContext, object: Veth): void {
  const { peer } = object;
  const master = object.master === undefined ? undefined : context.indexOf(object.master);
  const nsFd = context.fdOf(peer.ns);
  const index = context.newIndex(object.ns, object.name);
  const farIndex = context.newIndex(peer.ns, peer.name);
  const w = context.begin(k.RTM_NEWLINK, CREATE);
  ifinfo(w, k.AF_UNSPEC, index, k.IFF_UP);
  newLinkAttributes(w, object);
  if (master !== undefined) w.attrU32(k.IFLA_MASTER, master);
  w.nest(k.IFLA_LINKINFO, () => {
    w.attrText(k.IFLA_INFO_KIND, "veth");
    w.nest(k.IFLA_INFO_DATA, () => {
      w.nest(k.VETH_INFO_PEER, () => {
        ifinfo(w, k.AF_UNSPEC, farIndex, 0);
        newLinkAttributes(w, peer);
        w.attrU32(k.IFLA_NET_NS_FD, nsFd);
      });
    });
  });
  if (master === undefined) setLink(w, context.seq(), index, { alias: object.alias, ...forwarding(object) });
  else configurePort(context, object, index);
}

/**
 * As a port of a bridge: its alias, and what the bridge learns from it and gives it. In one message, which is a change
 * of a link that is there (RTM_SETLINK does not look at these).
 */
function configurePort(context: StepContext, object: Veth, index: number): void {
  const w = context.begin(k.RTM_NEWLINK, k.NLM_F_REQUEST);
  ifinfo(w, k.AF_UNSPEC, index, k.IFF_UP);
  w.attrText(k.IFLA_IFALIAS, object.alias);
  w.nest(k.IFLA_LINKINFO, () => {
    w.attrText(k.IFLA_INFO_SLAVE_KIND, "bridge");
    w.nest(k.IFLA_INFO_SLAVE_DATA, () => {
      learningAttributes(w, object);
      w.attrU16(k.IFLA_BRPORT_GROUP_FWD_MASK, groupsOf(object));
    });
  });
}

function bringUp(context: StepContext, object: Veth): void {
  const { peer } = object;
  if (object.makesChecksums === true) {
    context.offload.setMakesChecksums(context.spaceOf(object.ns), object.name, true);
    context.offload.setGathers(context.space, peer.name, true);
  }
  const change = { alias: peerAlias(peer.ns), ...forwarding(object) };
  setLink(context.w, context.seq(), context.indexOf(peer.name), change);
}

function changeNear(context: StepContext, object: Veth): number {
  if (isRouted(object)) {
    const { name } = linkOfOurs(context, object.name);
    context.offload.setMakesChecksums(context.space, name, object.makesChecksums === true);
  }
  return changeLink(context, object, (_context, _object, index) => {
    if (object.master !== undefined) configurePort(context, object, index);
  });
}

function changeFar(context: StepContext, object: Veth, near: number, isAhead: boolean): void {
  const { peer } = object;
  if (isAhead && context.space.indexes.has(peer.name)) {
    // As it was born, down and with a MAC of the kernel's: no question is needed about which link that is. A namespace
    // that is another by now has no link of this index, and then it is asked after all.
    const { mac, mtu } = peer;
    setLink(context.w, context.seq(), context.indexOf(peer.name), { alias: peerAlias(peer.ns), mac, mtu });
    return;
  }
  const link = linkIn(context, peer.name);
  if (link.kind !== "veth" || link.peer !== near) refuse("exists", describeLink(link, peer.ns));
  context.space.indexes.set(peer.name, link.index);
  if (isRouted(object)) context.offload.setGathers(context.space, peer.name, object.makesChecksums === true);
  setLink(context.w, context.seq(), link.index, {
    alias: peerAlias(peer.ns),
    ...(link.mtu === peer.mtu ? {} : { mtu: peer.mtu }),
    ...(link.mac === peer.mac ? {} : { mac: peer.mac }),
    ...(link.inet.forwards || !isRouted(object) ? {} : { forwards: true }),
  });
}

/** Without carrier, a far end whose namespace was not read is not up. */
function decode(link: LinkInfo, seen: SeenLink): Veth {
  const { far } = seen;
  const port = portOf(link, seen);
  const isIntact = showsGroups(link, port) && (far !== undefined || link.hasCarrier);
  return {
    kind: "veth",
    ...seen.common(isIntact),
    ...port,
    ...(seen.isExtra ? { makesChecksums: true } : {}),
    // The far end is in a namespace that was not read: gone for us, so the pair is never desired.
    peer: far === undefined ? { ns: "/", name: `index ${link.peer}`, mtu: 0, mac: "" } : peerOf(link, far),
  };
}

/** Of a pair whose near end is no port of a bridge, both ends are routed through: an uplink. */
function peerOf(near: LinkInfo, { ns, link }: NonNullable<SeenLink["far"]>): Veth["peer"] {
  const isIntact = link.isUp && (link.inet.forwards || !isRouted(near));
  return { ns, name: link.name, mtu: isIntact ? link.mtu : 0, mac: link.mac };
}
