// Elements of nftables sets as netlink messages: batches that are one transaction, and dumps. Keys are concatenations
// of fixed-size fields; the kernel gives them back as they were given.
import { type Field, setOf } from "../../datapath/kinds/tables.ts";
import type { ObjectOf } from "../../datapath/kinds.ts";
import { MARK } from "../../datapath/kinds/kind.ts";
import { ipFromBytes, formatIp } from "../../model/address.ts";
import { EINVAL, Refused, refusalOf } from "../errno.ts";
import * as k from "./constants.ts";
import { type MessageWriter, type Received, eachAttribute, ipIn, macAt, textAt } from "./wire.ts";

/** Bytes per field; each is padded to a multiple of four. */
const SIZE: Readonly<Record<Field, number>> = { port: 16, mac: 8, ip4: 4, ip6: 16 };

type ElementObject = ObjectOf<"element">;

/** struct nfgenmsg: what follows until batchEnd() happens whole or not at all. */
export function batchBegin(w: MessageWriter, seq: number): void {
  w.begin(k.NFNL_MSG_BATCH_BEGIN, k.NLM_F_REQUEST, seq);
  header(w, 0, k.NFNL_SUBSYS_NFTABLES);
  w.end();
}

export function batchEnd(w: MessageWriter, seq: number): void {
  w.begin(k.NFNL_MSG_BATCH_END, k.NLM_F_REQUEST, seq);
  header(w, 0, k.NFNL_SUBSYS_NFTABLES);
  w.end();
}

/** Adds or deletes one element. */
export function elementMessage(w: MessageWriter, seq: number, verb: "add" | "delete", o: ElementObject): void {
  const type = setOf(o.set);
  if (type === undefined) throw new Refused(refusalOf(EINVAL, `Weft keeps no elements in a set ${o.set}`));
  const parts = o.key.split(" . ");
  if (parts.length !== type.fields.length) throw new Refused(refusalOf(EINVAL, `"${o.key}" is not a key of this set`));
  const flags = k.NLM_F_REQUEST | (verb === "add" ? k.NLM_F_CREATE : 0);
  w.begin(verb === "add" ? k.NFT_MSG_NEWSETELEM : k.NFT_MSG_DELSETELEM, flags, seq);
  elementsOf(w, o.set);
  w.nest(k.NFTA_SET_ELEM_LIST_ELEMENTS, () =>
    w.nest(k.NFTA_LIST_ELEM, () => {
      w.nest(k.NFTA_SET_ELEM_KEY, () =>
        w.attr(k.NFTA_DATA_VALUE, () => {
          for (const [i, field] of type.fields.entries()) writeField(w, field, parts[i] ?? "");
        }),
      );
      if (verb === "add" && o.value !== undefined) {
        const value = Number.parseInt(o.value, 16);
        // A mark is in the byte order of the machine, and Weft runs on little-endian ones.
        w.nest(k.NFTA_SET_ELEM_DATA, () => w.attrU32(k.NFTA_DATA_VALUE, value));
      }
    }),
  );
  w.end();
}

/** Deletes the element with this key, as a dump gave it. */
export function keyRemoval(w: MessageWriter, seq: number, set: string, key: Buffer): void {
  w.begin(k.NFT_MSG_DELSETELEM, k.NLM_F_REQUEST, seq);
  elementsOf(w, set);
  w.nest(k.NFTA_SET_ELEM_LIST_ELEMENTS, () =>
    w.nest(k.NFTA_LIST_ELEM, () => w.nest(k.NFTA_SET_ELEM_KEY, () => w.attrBytes(k.NFTA_DATA_VALUE, key))),
  );
  w.end();
}

/** Names a set of `bridge weft`; as a request, all its elements. */
export function elementsOf(w: MessageWriter, set: string): void {
  header(w, k.NFPROTO_BRIDGE, 0);
  w.attrText(k.NFTA_SET_ELEM_LIST_TABLE, MARK);
  w.attrText(k.NFTA_SET_ELEM_LIST_SET, set);
}

export type ReadElement = { readonly key: Buffer; readonly data: Buffer | undefined; readonly packets: number };

/** The elements in one message of a dump. */
export function readElements({ bytes, start, end }: Received): ReadElement[] {
  const out: ReadElement[] = [];
  eachAttribute(bytes, start + 4, end, (list, from, to) => {
    if (list !== k.NFTA_SET_ELEM_LIST_ELEMENTS) return;
    eachAttribute(bytes, from, to, (_type, a, b) => out.push(readElement(bytes, a, b)));
  });
  return out;
}

/**
 * Where the keys in one message of a dump are, for sets of which packets may have filled a hundred thousand: the kernel
 * puts an element's key first (nf_tables_fill_setelem).
 */
export function eachKey(
  { bytes, start, end }: Received,
  visit: (bytes: Buffer, from: number, to: number) => void,
): void {
  eachAttribute(bytes, start + 4, end, (list, from, to) => {
    if (list !== k.NFTA_SET_ELEM_LIST_ELEMENTS) return;
    for (let at = from; at + 12 <= to; ) {
      // An element, in it its key, in it the value: 4 bytes each before what they hold.
      const size = bytes.readUInt16LE(at);
      if (size < 12 || (bytes.readUInt16LE(at + 6) & k.NLA_TYPE_MASK) !== k.NFTA_SET_ELEM_KEY) return;
      visit(bytes, at + 12, at + 8 + bytes.readUInt16LE(at + 8));
      at += (size + 3) & ~3;
    }
  });
}

function readElement(bytes: Buffer, from: number, to: number): ReadElement {
  let key: Buffer = Buffer.alloc(0);
  let data: Buffer | undefined;
  let packets = 0;
  eachAttribute(bytes, from, to, (type, a, b) => {
    if (type === k.NFTA_SET_ELEM_KEY) key = valueIn(bytes, a, b);
    else if (type === k.NFTA_SET_ELEM_DATA) data = valueIn(bytes, a, b);
    else if (type === k.NFTA_SET_ELEM_EXPR) packets += packetsIn(bytes, a, b);
    else if (type === k.NFTA_SET_ELEM_EXPRESSIONS)
      eachAttribute(bytes, a, b, (_item, c, d) => {
        packets += packetsIn(bytes, c, d);
      });
  });
  return { key, data, packets };
}

/** A copy: the buffer is the next dump's. */
function valueIn(bytes: Buffer, from: number, to: number): Buffer {
  let value: Buffer = Buffer.alloc(0);
  eachAttribute(bytes, from, to, (type, a, b) => {
    if (type === k.NFTA_DATA_VALUE) value = Buffer.from(bytes.subarray(a, b));
  });
  return value;
}

function packetsIn(bytes: Buffer, from: number, to: number): number {
  let name = "";
  let packets = 0;
  eachAttribute(bytes, from, to, (type, a, b) => {
    if (type === k.NFTA_EXPR_NAME) name = textAt(bytes, a, b);
    if (type !== k.NFTA_EXPR_DATA || name !== "counter") return;
    eachAttribute(bytes, a, b, (field, c) => {
      if (field === k.NFTA_COUNTER_PACKETS) packets = Number(bytes.readBigUInt64BE(c));
    });
  });
  return packets;
}

function header(w: MessageWriter, family: number, resource: number): void {
  w.u8(family);
  w.u8(0);
  // Network byte order.
  w.u8(resource >> 8);
  w.u8(resource & 255);
}

function writeField(w: MessageWriter, field: Field, text: string): void {
  if (field === "port") return w.text(text, SIZE.port);
  if (field !== "mac") return w.ip(ipIn(text));
  w.mac(text);
  w.text("", SIZE.mac - 6);
}

/** The key as objects carry it; undefined if it has not the size that its fields take. */
export function keyText(fields: readonly Field[], key: Buffer): string | undefined {
  const parts: string[] = [];
  let at = 0;
  for (const field of fields) {
    const end = at + SIZE[field];
    // The padding behind the last field may be left out.
    if (end > ((key.length + 3) & ~3)) return undefined;
    if (field === "port") parts.push(key.toString("utf8", at, end).replace(/\0.*$/s, ""));
    else if (field === "mac") parts.push(macAt(key, at));
    else parts.push(formatIp(ipFromBytes(key.subarray(at, end))));
    at = end;
  }
  return parts.join(" . ");
}
