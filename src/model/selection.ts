// What may be said of a network instead of its name: `auto`, with what it has to be and which is best. The server
// selects it when it takes the lease (control/select).
import Type from "typebox";
import { parseRank, parseRequirement } from "./expression/parse.ts";
import { EXPRESSION_MAX } from "./expression/tokens.ts";
import { Fault } from "./fault.ts";
import { type Value, AnyText, Flag, Name, Text, oneOf, optional, strictObject } from "./schema.ts";

/** In place of a network's name; no network has it. */
export const AUTO_NETWORK = "auto";

/** packing: fewest free leases first. striping: most. rank: greatest rank. fixed: greatest label `priority`. */
export const POLICIES = ["packing", "striping", "rank", "fixed"] as const;
export type Policy = (typeof POLICIES)[number];

const WISHES = {
  requires: optional(Text('network auto: what it has to be, like `zone = "east" & FREE_LEASES > 10`.', EXPRESSION_MAX)),
  rank: optional(
    Text("network auto: arithmetic over its fields; the network with the greatest comes first.", EXPRESSION_MAX),
  ),
  policy: optional(
    oneOf(
      POLICIES,
      "network auto: which of several. packing: with the fewest free leases. striping (default): with the most. " +
        "rank: with the greatest rank (default with a rank). fixed: with the greatest label `priority`.",
    ),
  ),
};

/** Of an attach. */
export const SELECTION = {
  ...WISHES,
  differentNetworks: optional(Flag("network auto: none in which another interface of its owner is.")),
  passOver: optional(Type.Array(Name, { maxItems: 64, description: "network auto: networks that are not selected." })),
};

/** The body of POST /v1/networks/select. */
export const SelectRequest = strictObject({
  ...WISHES,
  host: optional(Text("Where the endpoint is to be. Without it, what hosts carry is not asked.")),
});
export type SelectRequest = Value<typeof SelectRequest>;

/** The order in which networks would be selected, and why each of the others would not. */
export const Selected = strictObject({
  networks: Type.Array(
    strictObject({
      network: Name,
      ipam: oneOf(["local", "global"]),
      free: Type.Number({ description: "Free leases; of a local network, in the host's block." }),
      score: optional(Type.Number({ description: "What its policy orders by. Absent: it has none, and is last." })),
    }),
    { description: "The first is the one that an attach would get." },
  ),
  passedOver: Type.Array(strictObject({ network: Name, why: AnyText("The first reason.") })),
});
export type Selected = Value<typeof Selected>;

type Wishes = {
  readonly network?: string;
  readonly requires?: string;
  readonly rank?: string;
  readonly policy?: Policy;
  readonly differentNetworks?: boolean;
  readonly passOver?: readonly string[];
  readonly addresses?: readonly string[];
  readonly range?: string;
  readonly slice?: string;
};

/** Refuses expressions that cannot be read, wishes about a network that is named, and parts of one that is not. */
export function checkSelection(wishes: Wishes, where = ""): void {
  const isAuto = wishes.network === undefined || wishes.network === AUTO_NETWORK;
  const given = (fields: readonly (keyof Wishes)[]) => fields.find((field) => wishes[field] !== undefined);
  const useless = given(
    isAuto ? ["addresses", "range", "slice"] : ["requires", "rank", "policy", "differentNetworks", "passOver"],
  );
  if (useless !== undefined)
    throw new Fault("request-invalid", {
      what: isAuto ? `${useless} is part of a network, and none is named` : `${useless} is for network ${AUTO_NETWORK}`,
      where: `${where}${useless}`,
      fix: isAuto ? "leave it out, or name the network" : `leave it out, or write ${AUTO_NETWORK} for the network`,
    });
  if (wishes.requires !== undefined) parseRequirement(wishes.requires, `${where}requires`);
  if (wishes.rank !== undefined) parseRank(wishes.rank, `${where}rank`);
  if ((wishes.policy === "rank") === (wishes.rank !== undefined) || wishes.policy === undefined) return;
  throw new Fault("request-invalid", {
    what: wishes.rank === undefined ? "policy rank has no rank" : `policy ${wishes.policy} does not ask for a rank`,
    where: `${where}${wishes.rank === undefined ? "rank" : "policy"}`,
    fix: wishes.rank === undefined ? "give one, like FREE_LEASES" : "leave one of the two out",
  });
}

/** A claim or request on this network, without what was to be selected. */
export function onNetwork<T extends Wishes & { readonly network: string }>(claim: T, network: string) {
  const { requires: _, rank: __, policy: ___, differentNetworks: ____, passOver: _____, ...rest } = claim;
  return { ...rest, network };
}

export function policyOf({ policy, rank }: Wishes): Policy {
  return policy ?? (rank === undefined ? "striping" : "rank");
}
