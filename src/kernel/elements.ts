// Elements of a namespace's sets: operations on them in one transaction, reading them, and their text for a transaction
// with a whole table.
import { setOf, type Element, elementText } from "../datapath/kinds/tables.ts";
import { type Ns, MARK } from "../datapath/kinds/kind.ts";
import { keyOf } from "../datapath/state/state.ts";
import type { Refusal } from "./kernel.ts";
import { elementMessage, elementsOf, keyText, transactElements } from "./netlink/element.ts";
import type { NetlinkSocket } from "./netlink/socket.ts";

/** An operation, and its place in the list. */
export type ElementOp = { readonly op: "add" | "set" | "remove"; readonly object: Element; readonly at: number };
export type ElementRefusals = ReadonlyMap<ElementOp, Refusal>;

const VERBS = { add: ["add"], set: ["delete", "add"], remove: ["delete"] } as const;

/** What is refused; and how many transactions the kernel has made of the rest. */
export function changeElements(
  socket: NetlinkSocket,
  ops: readonly ElementOp[],
): { readonly refusals: ElementRefusals; readonly transactions: number } {
  const refusals = new Map<ElementOp, Refusal>();
  const transactions = transactElements(
    socket,
    ops,
    (w, { op, object }, nextSeq) => {
      for (const verb of VERBS[op]) elementMessage(w, nextSeq(), verb, object);
    },
    (op, refusal) => {
      if (op.op !== "remove" || refusal.class !== "missing") refusals.set(op, refusal);
    },
  );
  return { refusals, transactions };
}

/** What is in these sets, by key of the object. */
export function readSets(socket: NetlinkSocket, ns: Ns, names: readonly string[]): Map<string, Element> {
  const found = new Map<string, Element>();
  for (const set of names) {
    const type = setOf(set);
    if (type === undefined) continue;
    for (const { key, data } of socket.list(elementsOf(set)).flat()) {
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
  const changed = ops.filter(({ op }) => op === "set");
  const deleted = commands("delete", changed, ({ object: { value: _, ...key } }) => elementText(key));
  return deleted + commands("add", ops, ({ object }) => elementText(object));
}

function commands(verb: string, ops: readonly ElementOp[], textOf: (op: ElementOp) => string): string {
  return [...Map.groupBy(ops, ({ object }) => object.set)]
    .filter(([set]) => setOf(set) !== undefined)
    .map(([set, some]) => `${verb} element bridge ${MARK} ${set} { ${some.map(textOf).join(", ")} }\n`)
    .join("");
}
