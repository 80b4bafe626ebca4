// Elements of a namespace's sets: operations on them in one transaction, reading them, and their text for a transaction
// with a whole table. A transaction fails as a whole, so elements that the kernel refuses are left out and the rest is
// sent again.
import { type Element, elementText, setOf } from "../datapath/kinds/tables.ts";
import { MARK, type Ns } from "../datapath/kinds/kind.ts";
import { keyOf } from "../datapath/state/state.ts";
import { EEXIST, GONE, refusalOf, refusalOfError } from "./errno.ts";
import type { Refusal } from "./kernel.ts";
import * as k from "./netlink/constants.ts";
import { batchBegin, batchEnd, elementMessage, elementsOf, keyText, readElements } from "./netlink/element.ts";
import type { NetlinkSocket } from "./netlink/socket.ts";
import { MessageWriter } from "./netlink/wire.ts";

export type ElementOp = { readonly op: "add" | "set" | "remove"; readonly object: Element };

/** An element takes at most 160 bytes, and a send less than the least default of wmem (212,992). */
const BATCH_ELEMENTS = 600;
const EBUSY = 16;
const writer = new MessageWriter(256 * 1024);

/** One refusal, or none, per operation, in order; and how many transactions the kernel has made of them. */
export function changeElements(
  socket: NetlinkSocket,
  ops: readonly ElementOp[],
): { readonly refusals: (Refusal | undefined)[]; readonly transactions: number } {
  const refusals = new Array<Refusal | undefined>(ops.length).fill(undefined);
  let transactions = 0;
  for (let from = 0; from < ops.length; from += BATCH_ELEMENTS) {
    let places = ops.slice(from, from + BATCH_ELEMENTS).map((_, i) => from + i);
    // Each turn leaves out at least one.
    while (places.length > 0) {
      const refused = sendSome(socket, ops, places, refusals);
      if (refused.size === 0) transactions++;
      if (refused.size === 0) break;
      places = places.filter((at) => !refused.has(at));
    }
  }
  return { refusals, transactions };
}

/** Operations that the kernel, or the text of their keys, refused. If there is one, nothing was done. */
function sendSome(
  socket: NetlinkSocket,
  ops: readonly ElementOp[],
  places: readonly number[],
  refusals: (Refusal | undefined)[],
): Set<number> {
  const refused = new Set<number>();
  const bySeq = new Map<number, { readonly at: number; readonly isDelete: boolean }>();
  writer.reset();
  batchBegin(writer, socket.nextSeq());
  for (const at of places) {
    const op = ops[at];
    if (op === undefined) continue;
    const verbs = op.op === "set" ? (["delete", "add"] as const) : ([op.op === "add" ? "add" : "delete"] as const);
    try {
      for (const verb of verbs) {
        const seq = socket.nextSeq();
        elementMessage(writer, seq, verb, op.object);
        bySeq.set(seq, { at, isDelete: op.op === "remove" });
      }
    } catch (error) {
      refusals[at] = refusalOfError(error);
      refused.add(at);
    }
  }
  if (refused.size > 0) return refused;
  // One acknowledgement shows that there was an answer; refusals are always reported.
  writer.askForAck();
  batchEnd(writer, socket.nextSeq());
  socket.exchange(writer, (seq, errno, text) => {
    const of = bySeq.get(seq);
    // It concerns the batch as a whole: nothing of it was done.
    for (const at of of === undefined ? places : [of.at]) {
      refused.add(at);
      if (of?.isDelete === true && GONE.has(errno)) continue;
      // A map has one value for a key.
      refusals[at] ??= refusalOf(errno === EBUSY ? EEXIST : errno, text);
    }
  });
  return refused;
}

/** What is in these sets, by key of the object. */
export function readSets(socket: NetlinkSocket, ns: Ns, names: readonly string[]): Map<string, Element> {
  const found = new Map<string, Element>();
  for (const set of names) {
    const type = setOf(set);
    if (type === undefined) continue;
    const lists = socket.list(k.NFT_MSG_GETSETELEM, (w) => elementsOf(w, set), readElements);
    for (const { key, data } of lists.flat()) {
      const text = keyText(type.fields, key);
      if (text === undefined) continue;
      const value = data === undefined ? {} : { value: data.readUInt32LE().toString(16).padStart(8, "0") };
      const object: Element = { kind: "element", ns, set, key: text, ...value };
      found.set(keyOf(object), object);
    }
  }
  return found;
}

/** The same in the words of nft(8), for the transaction of a whole table. Adds and changes only. */
export function elementScript(ops: readonly ElementOp[]): string {
  const lines: string[] = [];
  const isOld = (op: ElementOp) => op.op === "set";
  for (const [verb, some] of [
    ["delete", ops.filter(isOld)],
    ["add", ops],
  ] as const) {
    for (const [set, list] of Map.groupBy(some, ({ object }) => object.set)) {
      const type = setOf(set);
      if (type === undefined) continue;
      const texts = list.map(({ object: { value, ...key } }) =>
        elementText(verb === "add" && value !== undefined ? { ...key, value } : key),
      );
      lines.push(`${verb} element bridge ${MARK} ${set} { ${texts.join(", ")} }\n`);
    }
  }
  return lines.join("");
}
