// Operations on links and table entries as netlink messages. A step is what one operation does in one namespace; making
// a veth pair takes two: the pair in the namespace of the near end, and bringing up the far end in its own. Indexes of
// new links are chosen here, not asked back: so a link, its mark and all that hangs on it go out in one send per
// namespace.
import type { KernelObject, ObjectOf } from "../datapath/kinds.ts";
import type { Bridge } from "../datapath/kinds/bridge.ts";
import { FLOOD_MAC } from "../datapath/kinds/fdb.ts";
import type { Ifb } from "../datapath/kinds/ifb.ts";
import type { Ns } from "../datapath/kinds/kind.ts";
import type { Veth } from "../datapath/kinds/veth.ts";
import type { Vxlan } from "../datapath/kinds/vxlan.ts";
import type { Op } from "../datapath/state/state.ts";
import { interfaceOf } from "../model/address.ts";
import { EINVAL, Refused, refusalOf } from "./errno.ts";
import type { Space } from "./namespaces.ts";
import * as k from "./netlink/constants.ts";
import {
  type RouteRequest,
  type Verb,
  address,
  bridgeFdb,
  neighbour,
  nextHop,
  oneNeighbour,
  readNeighbour,
  route,
  tunnelFdb,
} from "./netlink/entry.ts";
import { newBridge, setBridge, setPort, setTunnelPort } from "./netlink/bridge.ts";
import { type LinkInfo, newIfb, newVeth, newVxlan, setLink } from "./netlink/link.ts";
import {
  type QueueInfo,
  addIngress,
  addRedirect,
  addTbf,
  changeTbf,
  deleteIngress,
  deleteTbf,
  ownQueue,
  readQueue,
} from "./netlink/tc.ts";
import { type MessageWriter, ipIn } from "./netlink/wire.ts";
import { setGathers, setMakesChecksums } from "./offload.ts";
import { isKeptByOthers, isOurHop, isOurs, isRouted, peerAlias } from "./ownership.ts";

/** What a step may ask for while it is written. */
export type Desk = {
  readonly w: MessageWriter;
  readonly space: Space;
  /** Sequence number for one more message of this step. */
  seq(): number;
  /**
   * Index of a link of ours in this namespace; Refused if there is none, or a foreign one. Remembered ones may be
   * stale.
   */
  indexOf(name: string): number;
  /** Notes the index of a link that is ours, whatever its mark says at the moment. */
  remember(name: string, index: number): void;
  /** The link as it is now. */
  link(name: string): LinkInfo | undefined;
  /** An index for a new link, and the note that it will have that name. */
  newIndex(ns: Ns, name: string): number;
  /** A descriptor of a namespace, valid until the batch is sent; Refused `missing` if there is none. */
  fdOf(ns: Ns): number;
  /** The namespace of a VRF or the host while it is open; Refused `missing` if there is none. */
  spaceOf(ns: Ns): Space;
  /** Id of the host's namespace in this one. */
  hostNsid(): number;
};

export type Step = {
  /** Place of its operation in the list. */
  readonly at: number;
  readonly ns: Ns;
  readonly isRemoval: boolean;
  /** Writes the messages, or throws Refused having written none. */
  encode(desk: Desk): void;
};

/** Kinds that are made, changed or removed by messages of these steps; removing links is sweep.ts. */
export type SteppedOp = Op & {
  readonly object: Exclude<KernelObject, ObjectOf<"netns" | "sysctl" | "nft" | "element">>;
};

export function stepsOf(op: SteppedOp, at: number): Step[] {
  const { object } = op;
  const step = (encode: (desk: Desk) => void): Step => ({ at, ns: object.ns, isRemoval: op.op === "remove", encode });
  switch (object.kind) {
    case "bridge":
      return [step((desk) => (op.op === "add" ? addBridge(desk, object) : change(desk, object)))];
    case "vxlan":
      return [step((desk) => (op.op === "add" ? addVxlan(desk, object) : change(desk, object)))];
    case "veth":
      return vethSteps(object, op, at, step);
    case "ifb":
      return [step((desk) => (op.op === "add" ? addIfb(desk, object) : change(desk, object)))];
    case "tbf":
      return [step((desk) => tbfMessage(desk, op.op, object))];
    case "redirect":
      return [step((desk) => (op.op === "remove" ? removeRedirect(desk, object) : putRedirect(desk, object)))];
    case "address":
      return [step((desk) => addressMessage(desk, op.op === "remove" ? "delete" : "create", object))];
    case "route":
      return [step((desk) => routeMessage(desk, verbOf(op, "create"), object))];
    // What the kernel learns by itself may be there already and must give way: never an exclusive create.
    case "neighbour":
      return [
        step((desk) =>
          neighbour(desk.w, desk.seq(), verbOf(op, "replace"), desk.indexOf(object.dev), ipIn(object.ip), object.mac),
        ),
      ];
    case "hop":
      return [step((desk) => hopMessage(desk, op.op === "remove" ? "delete" : "create", object))];
    case "fdb": {
      const verb = verbOf(op, object.mac === FLOOD_MAC ? "append" : "replace");
      return [
        step((desk) => tunnelFdb(desk.w, desk.seq(), verb, desk.indexOf(object.dev), object.mac, ipIn(object.dst))),
      ];
    }
    case "bridge-fdb":
      return [
        step((desk) => bridgeFdb(desk.w, desk.seq(), verbOf(op, "replace"), desk.indexOf(object.dev), object.mac)),
      ];
  }
}

function verbOf(op: Op, add: Verb): Verb {
  if (op.op === "remove") return "delete";
  return op.op === "set" ? "replace" : add;
}

function addBridge(desk: Desk, o: Bridge): void {
  const index = desk.newIndex(o.ns, o.name);
  newBridge(desk.w, desk.seq(), { ...o, index });
  setLink(desk.w, desk.seq(), index, { alias: o.alias, mtu: o.mtu, forwards: true });
}

function addIfb(desk: Desk, o: Ifb): void {
  const index = desk.newIndex(o.ns, o.name);
  newIfb(desk.w, desk.seq(), { index, name: o.name, mac: o.mac, mtu: o.mtu });
  setLink(desk.w, desk.seq(), index, { alias: o.alias });
}

/**
 * A link's queue as it is now: changing and removing it needs the number it has at the moment. Without an echo the
 * kernel answers only to whoever listens for events.
 */
export function queueOf(space: Space, index: number): QueueInfo | undefined {
  return space.socket.ask(k.RTM_GETQDISC, (w) => ownQueue(w, index), readQueue, k.NLM_F_ECHO);
}

function tbfMessage(desk: Desk, verb: Op["op"], o: ObjectOf<"tbf">): void {
  const index = desk.indexOf(o.dev);
  if (verb === "add") return addTbf(desk.w, desk.seq(), index, o);
  const there = queueOf(desk.space, index);
  if (there?.isOurTbf !== true)
    throw new Refused({ class: "missing", message: `${o.dev} in ${o.ns} has no queue of ours` });
  if (verb === "set") changeTbf(desk.w, desk.seq(), there, o);
  else deleteTbf(desk.w, desk.seq(), there);
}

/** Whatever else was on the way in of a port of ours gives way. */
function putRedirect(desk: Desk, o: ObjectOf<"redirect">): void {
  const index = desk.indexOf(o.dev);
  const target = desk.indexOf(o.to);
  // Mostly there is none, and the kernel says so: not this step's error.
  deleteIngress(desk.w, desk.space.socket.nextSeq(), index);
  addIngress(desk.w, desk.seq(), index);
  addRedirect(desk.w, desk.seq(), index, target);
}

function removeRedirect(desk: Desk, o: ObjectOf<"redirect">): void {
  deleteIngress(desk.w, desk.seq(), desk.indexOf(o.dev));
}

function addVxlan(desk: Desk, o: Vxlan): void {
  const master = o.master === undefined ? undefined : desk.indexOf(o.master);
  const local = ipIn(o.local);
  const socketNsid = o.ns === "host" ? undefined : desk.hostNsid();
  const index = desk.newIndex(o.ns, o.name);
  newVxlan(desk.w, desk.seq(), {
    index,
    name: o.name,
    mac: o.mac,
    mtu: o.mtu,
    vni: o.vni,
    local,
    port: o.port,
    ...(master === undefined ? {} : { master }),
    ...(socketNsid === undefined ? {} : { socketNsid }),
  });
  setLink(desk.w, desk.seq(), index, { alias: o.alias, forwards: true });
  if (master !== undefined) setTunnelPort(desk.w, desk.seq(), index, o);
}

function vethSteps(o: Veth, op: Op, at: number, step: (encode: (desk: Desk) => void) => Step): Step[] {
  const isRemoval = op.op === "remove";
  if (op.op === "add" && o.peer.mac === "") return [step((desk) => addVeth(desk, o))];
  if (op.op === "add") {
    const up = (desk: Desk) => bringUp(desk, o);
    return [step((desk) => addVeth(desk, o)), { at, ns: o.peer.ns, isRemoval, encode: up }];
  }
  const isAhead = op.op === "set" && op.from.kind === "veth" && op.from.peer.mac === "";
  // A lease's range may have an MTU of its own, which the answer brought.
  const isNearRight = isAhead && op.from.mtu === o.mtu && op.from.macs === o.macs;
  let near = 0;
  return [
    step((desk) => {
      // An attach waits for this: what it made a moment ago is not asked for again.
      near = isNearRight ? desk.indexOf(o.name) : change(desk, o);
    }),
    { at, ns: o.peer.ns, isRemoval, encode: (desk) => changePeer(desk, o, near, isAhead) },
  ];
}

/** The near end is there by now, and nothing passes before the far one is up. */
function bringUp(desk: Desk, o: Veth): void {
  if (o.makesChecksums === true) {
    setMakesChecksums(desk.spaceOf(o.ns), o.name, true);
    setGathers(desk.space, o.peer.name, true);
  }
  setLink(desk.w, desk.seq(), desk.indexOf(o.peer.name), { alias: peerAlias(o.peer.ns), ...forwarding(o) });
}

function forwarding(o: Veth): { readonly forwards?: true } {
  return isRouted(o) ? { forwards: true } : {};
}

function addVeth(desk: Desk, o: Veth): void {
  const master = o.master === undefined ? undefined : desk.indexOf(o.master);
  const nsFd = desk.fdOf(o.peer.ns);
  const index = desk.newIndex(o.ns, o.name);
  const peer = {
    index: desk.newIndex(o.peer.ns, o.peer.name),
    name: o.peer.name,
    mac: o.peer.mac,
    mtu: o.peer.mtu,
    nsFd,
  };
  newVeth(desk.w, desk.seq(), {
    index,
    name: o.name,
    mac: o.mac,
    mtu: o.mtu,
    ...(master === undefined ? {} : { master }),
    peer,
  });
  if (master === undefined) setLink(desk.w, desk.seq(), index, { alias: o.alias, ...forwarding(o) });
  else setPort(desk.w, desk.seq(), index, o.alias, o.macs);
}

/** Brings a link of ours to what it should be, by its mark as it is now and not as it was observed. Gives its index. */
function change(desk: Desk, o: Bridge | Vxlan | Veth | Ifb): number {
  const link = desk.link(o.name);
  if (link === undefined) throw new Refused({ class: "missing", message: `there is no link ${o.name} in ${o.ns}` });
  if (!isOurs(link)) throw new Refused({ class: "exists", message: describeLink(link, o.ns) });
  if (o.kind === "veth" && isRouted(o)) setMakesChecksums(desk.space, o.name, o.makesChecksums === true);
  const mayHaveMaster = o.kind !== "bridge" && o.kind !== "ifb";
  const master = !mayHaveMaster ? undefined : o.master === undefined ? 0 : desk.indexOf(o.master);
  setLink(desk.w, desk.seq(), link.index, {
    alias: o.alias,
    ...(link.mtu === o.mtu ? {} : { mtu: o.mtu }),
    ...(link.mac === o.mac ? {} : { mac: o.mac }),
    ...(master === undefined || master === link.master ? {} : { master }),
    ...(link.forwards || !isRouted(o) ? {} : { forwards: true }),
  });
  if (o.kind === "vxlan" && o.master !== undefined) setTunnelPort(desk.w, desk.seq(), link.index, o);
  if (o.kind === "veth" && o.master !== undefined) setPort(desk.w, desk.seq(), link.index, o.alias, o.macs);
  if (o.kind === "bridge") setBridge(desk.w, desk.seq(), link.index, o);
  return link.index;
}

function changePeer(desk: Desk, { peer, ...own }: Veth, near: number, isAhead: boolean): void {
  if (isAhead && desk.space.indexes.has(peer.name)) {
    // As it was born, down and with a MAC of the kernel's: nobody has to be asked which link that is. A namespace that
    // is another by now has no link of this index, and then it is asked after all.
    const { mac, mtu } = peer;
    setLink(desk.w, desk.seq(), desk.indexOf(peer.name), { alias: peerAlias(peer.ns), mac, mtu });
    return;
  }
  const link = desk.link(peer.name);
  if (link === undefined)
    throw new Refused({ class: "missing", message: `there is no link ${peer.name} in ${peer.ns}` });
  if (link.kind !== "veth" || link.peer !== near)
    throw new Refused({ class: "exists", message: describeLink(link, peer.ns) });
  desk.remember(peer.name, link.index);
  if (isRouted(own)) setGathers(desk.space, peer.name, own.makesChecksums === true);
  setLink(desk.w, desk.seq(), link.index, {
    alias: peerAlias(peer.ns),
    ...(link.mtu === peer.mtu ? {} : { mtu: peer.mtu }),
    ...(link.mac === peer.mac ? {} : { mac: peer.mac }),
    ...(link.forwards || !isRouted(own) ? {} : { forwards: true }),
  });
}

/** What the kernel has learned by itself is taken over; what somebody else keeps stays theirs. */
function hopMessage(desk: Desk, verb: "create" | "delete", o: ObjectOf<"hop">): void {
  const link = desk.link(o.dev);
  const ip = ipIn(o.ip);
  if (link === undefined) throw new Refused({ class: "missing", message: `there is no link ${o.dev} in ${o.ns}` });
  const there = desk.space.socket.ask(k.RTM_GETNEIGH, (w) => oneNeighbour(w, link.index, ip), readNeighbour);
  const isTheirs = there !== undefined && (verb === "delete" ? !isOurHop(there) : isKeptByOthers(there));
  if (isTheirs) throw new Refused({ class: "exists", message: `the neighbour ${o.ip} on ${o.dev} is not ours` });
  nextHop(desk.w, desk.seq(), verb, link.index, ip);
}

function addressMessage(desk: Desk, verb: Verb, o: ObjectOf<"address">): void {
  const spread = interfaceIn(o.cidr);
  address(desk.w, desk.seq(), verb, desk.indexOf(o.dev), spread.ip, spread.length);
}

function routeMessage(desk: Desk, verb: Verb, o: ObjectOf<"route">): void {
  const spread = interfaceIn(o.dst);
  const request: RouteRequest = {
    index: desk.indexOf(o.dev),
    dst: spread.ip,
    length: spread.length,
    onlink: o.onlink,
    ...(o.metric === undefined ? {} : { metric: o.metric }),
    ...(o.via === undefined ? {} : { via: ipIn(o.via) }),
    ...(o.src === undefined ? {} : { src: ipIn(o.src) }),
  };
  route(desk.w, desk.seq(), verb, request);
}

function interfaceIn(text: string) {
  const spread = interfaceOf(text);
  if (spread === undefined) throw new Refused(refusalOf(EINVAL, `"${text}" is not an address with a length`));
  return spread;
}

/** What stands in the way, for a refusal. */
export function describeLink(link: LinkInfo, ns: Ns): string {
  const kind = link.kind === "" ? "device" : link.kind;
  const whose = isOurs(link) ? `ours (${link.alias})` : "not ours";
  return `${link.name} in ${ns} is a ${kind} that is ${whose}`;
}
