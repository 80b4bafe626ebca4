// Connection tracking's entries as netlink messages: what goes from where to where, and how to end it.
import * as k from "./constants.ts";
import { type MessageWriter, type Received, eachAttribute, ipTextAt } from "./wire.ts";

/** A flow in its original direction. */
export type FlowInfo = {
  readonly family: number;
  readonly source: string;
  readonly destination: string;
  readonly protocol: number;
  /** TCP, UDP and others with ports. */
  readonly destinationPort?: number;
  readonly icmpType?: number;
  /** CTA_TUPLE_ORIG as the kernel gave it, and the entry's id: together they name exactly this entry. */
  readonly tuple: Buffer;
  readonly id: Buffer | undefined;
};

export function allFlows(w: MessageWriter): void {
  header(w, k.AF_UNSPEC);
}

export function deleteFlow(w: MessageWriter, seq: number, { family, tuple, id }: FlowInfo): void {
  w.begin(k.CTNL_MSG_CT_DELETE, k.NLM_F_REQUEST | k.NLM_F_ACK, seq);
  header(w, family);
  w.attrBytes(k.CTA_TUPLE_ORIG | k.NLA_F_NESTED, tuple);
  if (id !== undefined) w.attrBytes(k.CTA_ID, id);
  w.end();
}

export function readFlow({ bytes, start, end }: Received): FlowInfo {
  let flow: FlowInfo = {
    family: bytes.readUInt8(start),
    source: "",
    destination: "",
    protocol: 0,
    tuple: Buffer.alloc(0),
    id: undefined,
  };
  eachAttribute(bytes, start + 4, end, (type, from, to) => {
    if (type === k.CTA_ID) flow = { ...flow, id: Buffer.from(bytes.subarray(from, to)) };
    if (type === k.CTA_TUPLE_ORIG)
      flow = { ...flow, ...tupleAt(bytes, from, to), tuple: Buffer.from(bytes.subarray(from, to)) };
  });
  return flow;
}

function tupleAt(bytes: Buffer, from: number, to: number): Partial<FlowInfo> {
  const found: { -readonly [K in keyof FlowInfo]?: FlowInfo[K] } = {};
  eachAttribute(bytes, from, to, (part, a, b) => {
    eachAttribute(bytes, a, b, (type, c, d) => {
      if (part === k.CTA_TUPLE_IP) {
        if (type === k.CTA_IP_V4_SRC || type === k.CTA_IP_V6_SRC) found.source = ipTextAt(bytes, c, d);
        if (type === k.CTA_IP_V4_DST || type === k.CTA_IP_V6_DST) found.destination = ipTextAt(bytes, c, d);
      } else if (part === k.CTA_TUPLE_PROTO) {
        if (type === k.CTA_PROTO_NUM) found.protocol = bytes.readUInt8(c);
        if (type === k.CTA_PROTO_DST_PORT) found.destinationPort = bytes.readUInt16BE(c);
        if (type === k.CTA_PROTO_ICMP_TYPE || type === k.CTA_PROTO_ICMPV6_TYPE) found.icmpType = bytes.readUInt8(c);
      }
    });
  });
  return found;
}

/** struct nfgenmsg. */
function header(w: MessageWriter, family: number): void {
  w.u8(family);
  w.u8(0);
  w.u8(0);
  w.u8(0);
}
