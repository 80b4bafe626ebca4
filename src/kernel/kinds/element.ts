// An element is ours by the set that it is in.
import type { Element } from "../../datapath/kinds/tables.ts";
import { refuse } from "../errno.ts";
import { fakeAlone, hasSet } from "./fake.ts";
import { aloneKind } from "./kind.ts";

const fake = fakeAlone<Element>("element", {
  check(space, { op, object }, isThere) {
    if (!hasSet(space, object.set)) refuse("missing", `there is no set ${object.set}`);
    if (op === "set" && !isThere) refuse("missing", `${object.set} has no ${object.key}`);
  },
});

export const element = aloneKind<Element>({
  way: { put: "transaction", remove: "transaction" },
  standing: (space, { nft }) => [...nft(space).elements()],
  fake: { ...fake, standing: (space) => (space.table?.isOurs === true ? (fake.standing?.(space) ?? []) : []) },
});
