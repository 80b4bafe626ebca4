// Elements of nftables sets as netlink messages: transactions and dumps. Keys are concatenations of fixed-size fields;
// the kernel gives them back as they were given.
import { type Field, setOf } from "../../datapath/kinds/tables.ts";
import type { ObjectOf } from "../../datapath/kinds.ts";
import { MARK } from "../../datapath/kinds/kind.ts";
import { ipFromBytes, formatIp } from "../../model/address.ts";
import { EBUSY, EEXIST, EINVAL, Refused, refusalBy, refusalOf } from "../errno.ts";
import type { Refusal } from "../kernel.ts";
import * as k from "./constants.ts";
import type { NetlinkSocket, Question } from "./socket.ts";
import {
  type Layout,
  MessageWriter,
  type Received,
  type Span,
  copyAt,
  eachAttribute,
  fill,
  ipIn,
  macAt,
  textAt,
} from "./wire.ts";

/** An element takes at most 160 bytes, and a send less than the least default of wmem (212,992). */
const BATCH_ELEMENTS = 600;
const writer = new MessageWriter(256 * 1024);

/** Bytes per field; each is padded to a multiple of four. */
const SIZE: Readonly<Record<Field, number>> = { port: 16, mac: 8, ip4: 4, ip6: 16 };

type ElementObject = ObjectOf<"element">;

/** Writes the messages of an item; asks for a sequence number for each. Throws Refused before the first. */
type Write<T> = (w: MessageWriter, item: T, nextSeq: () => number) => void;

/**
 * Transactions of what `write` makes of the items; how many the kernel has made. One fails as a whole, so what the
 * kernel refuses is left out, for `onRefusal` to judge, and the rest is sent again.
 */
export function transactElements<T>(
  socket: NetlinkSocket,
  items: readonly T[],
  write: Write<T>,
  onRefusal: (item: T, refusal: Refusal) => void,
): number {
  let transactions = 0;
  for (let from = 0; from < items.length; from += BATCH_ELEMENTS) {
    let left = items.slice(from, from + BATCH_ELEMENTS);
    // Each turn leaves out at least one.
    while (left.length > 0) {
      const refused = transactSome(socket, left, write);
      for (const [item, refusal] of refused) onRefusal(item, refusal);
      left = refused.size === 0 ? [] : left.filter((item) => !refused.has(item));
      if (refused.size === 0) transactions++;
    }
  }
  return transactions;
}

/** What the kernel, or the text of a key, refused. If there is anything, nothing was done. */
function transactSome<T>(socket: NetlinkSocket, items: readonly T[], write: Write<T>): Map<T, Refusal> {
  const refused = new Map<T, Refusal>();
  const bySeq = new Map<number, T>();
  writer.reset();
  batchMark(k.NFNL_MSG_BATCH_BEGIN, socket.nextSeq());
  for (const item of items) {
    const nextSeq = () => {
      const seq = socket.nextSeq();
      bySeq.set(seq, item);
      return seq;
    };
    const refusal = refusalBy(() => write(writer, item, nextSeq));
    if (refusal !== undefined) refused.set(item, refusal);
  }
  if (refused.size > 0) return refused;
  // One acknowledgement shows that there was an answer; refusals are always reported.
  writer.askForAck();
  batchMark(k.NFNL_MSG_BATCH_END, socket.nextSeq());
  socket.exchange(writer, (seq, errno, text) => {
    const item = bySeq.get(seq);
    // A map has one value for a key.
    const refusal = refusalOf(errno === EBUSY ? EEXIST : errno, text);
    // Of no item: it concerns the batch as a whole.
    for (const one of item === undefined ? items : [item]) if (!refused.has(one)) refused.set(one, refusal);
  });
  return refused;
}

function batchMark(type: number, seq: number): void {
  writer.begin(type, k.NLM_F_REQUEST, seq);
  header(writer, 0, k.NFNL_SUBSYS_NFTABLES);
}

/** Adds or deletes one element. */
export function elementMessage(w: MessageWriter, seq: number, verb: Verb, o: ElementObject): void {
  const type = setOf(o.set);
  if (type === undefined) throw new Refused(refusalOf(EINVAL, `Weft keeps no elements in a set ${o.set}`));
  const parts = o.key.split(" . ");
  if (parts.length !== type.fields.length) throw new Refused(refusalOf(EINVAL, `"${o.key}" is not a key of this set`));
  oneElement(w, seq, { verb, set: o.set }, () => {
    w.nest(k.NFTA_SET_ELEM_KEY, () =>
      w.attr(k.NFTA_DATA_VALUE, () => {
        for (const [i, field] of type.fields.entries()) writeField(w, field, parts[i] ?? "");
      }),
    );
    if (verb !== "add" || o.value === undefined) return;
    const value = Number.parseInt(o.value, 16);
    // A mark is in the byte order of the machine, and Weft runs on little-endian ones.
    w.nest(k.NFTA_SET_ELEM_DATA, () => w.attrU32(k.NFTA_DATA_VALUE, value));
  });
}

/** Deletes the element with this key, as a dump gave it. */
export function keyRemoval(w: MessageWriter, seq: number, set: string, key: Buffer): void {
  oneElement(w, seq, { verb: "delete", set }, () =>
    w.nest(k.NFTA_SET_ELEM_KEY, () => w.attrBytes(k.NFTA_DATA_VALUE, key)),
  );
}

type Verb = "add" | "delete";

/** A message about one element, which `inside` writes. */
function oneElement(w: MessageWriter, seq: number, to: { verb: Verb; set: string }, inside: () => void): void {
  if (to.verb === "add") w.begin(k.NFT_MSG_NEWSETELEM, k.NLM_F_REQUEST | k.NLM_F_CREATE, seq);
  else w.begin(k.NFT_MSG_DELSETELEM, k.NLM_F_REQUEST, seq);
  nameSet(w, to.set);
  w.nest(k.NFTA_SET_ELEM_LIST_ELEMENTS, () => w.nest(k.NFTA_LIST_ELEM, inside));
}

function nameSet(w: MessageWriter, set: string): void {
  header(w, k.NFPROTO_BRIDGE, 0);
  w.attrText(k.NFTA_SET_ELEM_LIST_TABLE, MARK);
  w.attrText(k.NFTA_SET_ELEM_LIST_SET, set);
}

type ReadElement = { readonly key: Buffer; readonly data: Buffer | undefined; readonly packets: number };

/** All elements of a set of `bridge weft`, message by message. */
export function elementsOf(set: string): Question<ReadElement[]> {
  return { type: k.NFT_MSG_GETSETELEM, write: (w) => nameSet(w, set), read: readElements };
}

/** The same for sets of which packets may have filled a hundred thousand: where the key of each is. */
export function keysOf(set: string, visit: Visit): Question<void> {
  return { ...elementsOf(set), read: (message) => eachKey(message, visit) };
}

function readElements({ bytes, start, end }: Received): ReadElement[] {
  const out: ReadElement[] = [];
  eachAttribute(bytes, start + 4, end, (list, from, to) => {
    if (list !== k.NFTA_SET_ELEM_LIST_ELEMENTS) return;
    eachAttribute(bytes, from, to, (_type, a, b) => {
      const none = { key: Buffer.alloc(0), data: undefined, packets: 0 };
      out.push(fill<ReadElement>(none, ELEMENT, { bytes, start: a, end: b }));
    });
  });
  return out;
}

type Visit = (bytes: Buffer, from: number, to: number) => void;

/** The kernel puts an element's key first (nf_tables_fill_setelem). */
function eachKey({ bytes, start, end }: Received, visit: Visit): void {
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

const ELEMENT: Layout<ReadElement> = {
  [k.NFTA_SET_ELEM_KEY]: { [k.NFTA_DATA_VALUE]: ["key", copyAt] },
  [k.NFTA_SET_ELEM_DATA]: { [k.NFTA_DATA_VALUE]: ["data", copyAt] },
  // One is all that elements of Weft's sets have.
  [k.NFTA_SET_ELEM_EXPR]: ["packets", packetsAt],
};

type Expression = { readonly name: string; readonly data: Span | undefined };
const EXPRESSION: Layout<Expression> = {
  [k.NFTA_EXPR_NAME]: ["name", textAt],
  [k.NFTA_EXPR_DATA]: ["data", (bytes, start, end) => ({ bytes, start, end })],
};
const COUNTER: Layout<{ packets: number }> = {
  [k.NFTA_COUNTER_PACKETS]: ["packets", (bytes, start) => Number(bytes.readBigUInt64BE(start))],
};

function packetsAt(bytes: Buffer, start: number, end: number): number {
  const { name, data } = fill<Expression>({ name: "", data: undefined }, EXPRESSION, { bytes, start, end });
  return name === "counter" && data !== undefined ? fill({ packets: 0 }, COUNTER, data).packets : 0;
}

/** struct nfgenmsg. */
function header(w: MessageWriter, family: number, resource: number): void {
  // The resource in network byte order.
  w.u8s(family, 0, resource >> 8, resource & 255);
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
    else if (field === "mac") parts.push(macAt(key, at, at + 6));
    else parts.push(formatIp(ipFromBytes(key.subarray(at, end))));
    at = end;
  }
  return parts.join(" . ");
}
