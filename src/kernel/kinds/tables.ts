// nftables: tables, and elements of their sets.
import { type Element, type Nft, NFT_TAMPERED } from "../../datapath/kinds/tables.ts";
import type { OpOn } from "../../datapath/state/state.ts";
import { refuse } from "../errno.ts";
import type { FakeSpace } from "../fakeMachine.ts";
import { fakeAlone, hasSet } from "./fake.ts";
import { aloneKind } from "./kind.ts";

/** Weft's tables are ours by their name, and by a chain whose name holds two hashes (../nft.ts). */
export const nft = aloneKind<Nft>({
  way: { put: "transaction", remove: "transaction" },
  standing(space, tools) {
    const table = tools.nft(space).observed();
    return table === undefined ? [] : [table];
  },
  fake: {
    run: (machine, op) => setTable(machine.space(op.object.ns), op),
    plant: (machine, { ns, ...table }) => void (machine.space(ns).table = { ...table, isOurs: false }),
    disturb(machine, { ns }) {
      const space = machine.space(ns);
      space.table = { body: "", ...space.table, digest: NFT_TAMPERED, isOurs: true };
    },
    has: (space, { digest }) => space?.table?.digest === digest,
    standing({ ns, table }) {
      if (table?.isOurs !== true) return [];
      const { digest, bridge } = table;
      return [{ kind: "nft", ns, digest, body: "", ...(bridge === undefined ? {} : { bridge: "" }) }];
    },
  },
});

function setTable(space: FakeSpace, { op, object }: OpOn<Nft>): void {
  const { table } = space;
  if (table !== undefined && !table.isOurs) {
    if (op === "remove") return;
    refuse("exists", "the table is another's");
  }
  if (op === "add" && table !== undefined) refuse("exists", `the table is ours, with body ${table.digest}`);
  if (op === "remove") delete space.table;
  else space.table = { ...object, isOurs: true };
  // Sets that the new text does not have go with their elements.
  for (const [key, { object: one }] of space.alone)
    if (one.kind === "element" && !hasSet(space, one.set)) space.alone.delete(key);
}

const fake = fakeAlone<Element>("element", {
  check(space, { op, object }, isThere) {
    if (!hasSet(space, object.set)) refuse("missing", `there is no set ${object.set}`);
    if (op === "set" && !isThere) refuse("missing", `${object.set} has no ${object.key}`);
  },
});

/** An element is ours by the set that it is in. */
export const element = aloneKind<Element>({
  way: { put: "transaction", remove: "transaction" },
  standing: (space, { nft }) => [...nft(space).elements()],
  fake: { ...fake, standing: (space) => (space.table?.isOurs === true ? (fake.standing?.(space) ?? []) : []) },
});
