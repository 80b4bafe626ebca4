// An element is ours by the set that it is in.
import type { Element } from "../../datapath/kinds/element.ts";
import { keyOf } from "../../datapath/state/state.ts";
import { type FakeSpace, hasSet, refuse } from "./fake.ts";
import { aloneKind } from "./kind.ts";
import type { OpOn } from "../../datapath/state/state.ts";

export const element = aloneKind<Element>({
  way: { put: "transaction", remove: "transaction" },
  standing: (space, { nft }) => [...nft.elements(space)],
  fake: {
    run: (machine, op) => change(machine.space(op.object.ns), op),
    plant: (machine, object) => void machine.space(object.ns).elements.set(keyOf(object), object),
    disturb: (machine, object) => void machine.space(object.ns).elements.delete(keyOf(object)),
    has: (space, object) => space?.elements.get(keyOf(object))?.value === object.value,
    standing: ({ table, elements }) => (table?.isOurs === true ? [...elements.values()] : []),
  },
});

function change(space: FakeSpace, { op, object }: OpOn<Element>): void {
  const key = keyOf(object);
  if (op === "remove") {
    space.elements.delete(key);
    return;
  }
  if (!hasSet(space, object.set)) refuse("missing", `there is no set ${object.set}`);
  const there = space.elements.get(key);
  if (op === "set" && there === undefined) refuse("missing", `${object.set} has no ${object.key}`);
  if (op === "add" && there !== undefined && there.value !== object.value)
    refuse("exists", `${object.set} has ${object.key} with another value`);
  space.elements.set(key, object);
}
