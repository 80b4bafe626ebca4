// Steps of a move as messages of rtnetlink.
import { PORT_PRIORITY } from "../../datapath/kinds/entries.ts";
import { Refused, isGone, refusalOf, refuse } from "../errno.ts";
import { learningAttributes } from "../kinds/links.ts";
import type { Refusal } from "../kernel.ts";
import * as k from "../netlink/constants.ts";
import { familyNumber, interfaceIn, ndmsg } from "../netlink/entry.ts";
import { ifinfo, linkByName, setLink } from "../netlink/link.ts";
import type { NetlinkSocket } from "../netlink/socket.ts";
import { MessageWriter, eachAttribute, ipIn, spanOf, u32At } from "../netlink/wire.ts";
import { eachNexthop } from "./hostUse.ts";
import type { Step } from "./plan.ts";
import { FOREVER_S, type UsedAddress } from "./types.ts";

const REPLACE = k.NLM_F_REQUEST | k.NLM_F_CREATE | k.NLM_F_REPLACE;
const ADDRESS_FLAGS =
  k.IFA_F_NODAD | k.IFA_F_HOMEADDRESS | k.IFA_F_MANAGETEMPADDR | k.IFA_F_NOPREFIXROUTE | k.IFA_F_MCAUTOJOIN;
/** Bytes of a step without what it carries. */
const STEP_BYTES = 512;

/**
 * Sends them in one batch; the first refusal, or undefined. The kernel does the others all the same. `mayLack`: what is
 * not there to be removed is no refusal.
 */
export function sendSteps(socket: NetlinkSocket, steps: readonly Step[], mayLack = false): Refusal | undefined {
  if (steps.length === 0) return undefined;
  const size = steps.reduce((sum, step) => sum + STEP_BYTES + ("route" in step ? step.route.body.length : 0), 0);
  const w = new MessageWriter(size);
  const indexes = new Map<string, number>();
  const indexOf = (name: string) => {
    const index = indexes.get(name) ?? socket.ask(linkByName(name))?.index;
    if (index === undefined) return refuse("missing", `there is no link ${name}`);
    indexes.set(name, index);
    return index;
  };
  const bySeq = new Map<number, Step>();
  try {
    for (const step of steps) {
      const seq = socket.nextSeq();
      bySeq.set(seq, step);
      write({ w, indexOf, nextSeq: () => socket.nextSeq() }, seq, step);
    }
  } catch (error) {
    if (error instanceof Refused) return error.refusal;
    throw error;
  }
  let first: Refusal | undefined;
  socket.transact(w, (seq, errno, text) => {
    if (mayLack && isGone(errno)) return;
    const step = bySeq.get(seq);
    first ??= refusalOf(errno, `${step === undefined ? "" : textOf(step)}${text === "" ? "" : `: ${text}`}`);
  });
  return first;
}

function textOf(step: Step): string {
  const what = "address" in step ? ` ${step.address.cidr}` : "route" in step ? ` ${step.route.dst}` : "";
  return `${step.do}${what} on ${step.device}`;
}

type Writing = {
  readonly w: MessageWriter;
  readonly indexOf: (name: string) => number;
  readonly nextSeq: () => number;
};

function write({ w, indexOf, nextSeq }: Writing, seq: number, step: Step): void {
  const index = indexOf(step.device);
  switch (step.do) {
    case "rp-filter":
      return rpFilter(w, seq, index, step.value);
    case "address":
    case "no-address":
      return address(w, seq, index, step);
    case "neighbour":
      return neighbour(w, seq, index, step);
    case "route":
    case "no-route": {
      const isGoing = step.do === "no-route";
      w.begin(isGoing ? k.RTM_DELROUTE : k.RTM_NEWROUTE, isGoing ? k.NLM_F_REQUEST : REPLACE, seq);
      w.raw(movedBody(step.route.body, step.from, index));
      return;
    }
    case "enslave":
      setLink(w, seq, index, { master: indexOf(step.bridge), staysDown: true });
      w.begin(k.RTM_SETLINK, k.NLM_F_REQUEST, nextSeq());
      ifinfo(w, k.AF_BRIDGE, index, 0);
      w.nest(k.IFLA_PROTINFO, () => {
        learningAttributes(w, { macs: "flooded" });
        w.attrU16(k.IFLA_BRPORT_PRIORITY, PORT_PRIORITY);
      });
      return;
    case "free":
      return setLink(w, seq, index, { master: 0, staysDown: true });
  }
}

function rpFilter(w: MessageWriter, seq: number, index: number, value: number): void {
  w.begin(k.RTM_SETLINK, k.NLM_F_REQUEST, seq);
  ifinfo(w, k.AF_UNSPEC, index, 0);
  const conf = () => w.attrU32(k.IPV4_DEVCONF_RP_FILTER, value);
  w.nest(k.IFLA_AF_SPEC, () => w.nest(k.AF_INET, () => w.nest(k.IFLA_INET_CONF, conf)));
}

type AddressStep = Extract<Step, { readonly address: UsedAddress }>;

function address(w: MessageWriter, seq: number, index: number, step: AddressStep): void {
  const { cidr, peer, broadcast, label, flags, scope, metric, protocol, preferredS, validS } = step.address;
  const { ip, length } = interfaceIn(cidr);
  const isRemoval = step.do === "no-address";
  const isFinal = step.do === "address" && step.isFinal === true;
  const family = familyNumber(ip);
  // Until then the other device has it as well, on the same segment.
  const nodad = ip.family === 6 && !isFinal ? k.IFA_F_NODAD : 0;
  w.begin(isRemoval ? k.RTM_DELADDR : k.RTM_NEWADDR, isRemoval ? k.NLM_F_REQUEST : REPLACE, seq);
  w.u8s(family, length, 0, scope);
  w.u32(index);
  w.attrIp(k.IFA_LOCAL, ip);
  w.attrIp(k.IFA_ADDRESS, peer === "" ? ip : ipIn(peer));
  if (isRemoval) return;
  if (broadcast !== "") w.attrIp(k.IFA_BROADCAST, ipIn(broadcast));
  if (label !== "") w.attrText(k.IFA_LABEL, label);
  w.attrU32(k.IFA_FLAGS, (flags & ADDRESS_FLAGS) | nodad);
  if (metric !== 0) w.attrU32(k.IFA_RT_PRIORITY, metric);
  if (protocol !== 0) w.attrU8(k.IFA_PROTO, protocol);
  if (validS === FOREVER_S && preferredS === FOREVER_S) return;
  w.attr(k.IFA_CACHEINFO, () => {
    for (const value of [preferredS, validS, 0, 0]) w.u32(value);
  });
}

function neighbour(w: MessageWriter, seq: number, index: number, step: Extract<Step, { do: "neighbour" }>): void {
  const { ip: text, mac, isPermanent } = step.neighbour;
  const ip = ipIn(text);
  w.begin(k.RTM_NEWNEIGH, REPLACE, seq);
  // Stale: it is used, and asked for again.
  ndmsg(w, { family: familyNumber(ip), index, state: isPermanent ? k.NUD_PERMANENT : k.NUD_STALE });
  w.attrIp(k.NDA_DST, ip);
  w.attrMac(k.NDA_LLADDR, mac);
}

const ROUTE_FLAGS = k.RTNH_F_ONLINK | k.RTNH_F_PERVASIVE;
const USER_HZ = k.USER_HZ;

/**
 * The body of a message that tells a route, as one that makes it by another link: what was by `from` is by `to`. What
 * is only told (states of next hops, statistics) is left out, and what was told as a time that is left is an end again.
 */
export function movedBody(hex: string, from: number, to: number): Buffer {
  const told = spanOf(Buffer.from(hex, "hex"));
  const w = new MessageWriter(told.bytes.length + 64);
  told.bytes.copy(w.bytes, 0, 0, 8);
  w.length = 8;
  w.u32(u32At(told.bytes, 8) & ROUTE_FLAGS);
  eachAttribute(told.bytes, 12, told.end, (type, start, end) => {
    const value = Buffer.from(told.bytes.subarray(start, end));
    if (type === k.RTA_CACHEINFO) {
      // struct rta_cacheinfo: references, last use, expires.
      const ticks = value.length >= 12 ? value.readInt32LE(8) : 0;
      if (ticks > 0) w.attrU32(k.RTA_EXPIRES, Math.ceil(ticks / USER_HZ));
      return;
    }
    if (type === k.RTA_OIF && value.readInt32LE(0) === from) value.writeInt32LE(to, 0);
    if (type === k.RTA_MULTIPATH)
      eachNexthop(value, 0, value.length, (at) => {
        value[at + 2] = (value[at + 2] ?? 0) & ROUTE_FLAGS;
        if (value.readInt32LE(at + 4) === from) value.writeInt32LE(to, at + 4);
      });
    w.attrBytes(type, value);
  });
  return Buffer.from(w.bytes.subarray(0, w.length));
}
