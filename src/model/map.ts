// A network's address space as intervals, one state each: the server's answer that `weft ipam map` draws. More states
// may be added; a client shows an unknown state by its name.
import Type from "typebox";
import { type Value, Text, oneOf, optional, strictObject } from "./schema.ts";

const SpaceInterval = strictObject({
  first: Type.String(),
  last: Type.String(),
  state: Text(
    "used: an endpoint's. free: an endpoint's to have. held. reserved: of another network that is " +
      "a piece of this one. quarantined: given back a moment ago. gateway. " +
      "excluded: never an endpoint's, as the subnet's own and its broadcast address, and what is in none of a " +
      "network's ranges. uncarved: in nobody's block yet.",
  ),
  host: optional(Text("Whose block it is in.")),
});
const BlockUse = strictObject({
  host: Type.String(),
  cidr: Type.String(),
  used: Type.Number(),
  total: Type.Number({ description: "Addresses that endpoints could have; beyond 2^53 rounded." }),
});
export const SpaceMap = strictObject({
  network: Type.String(),
  ipam: oneOf(["local", "global"]),
  revision: Type.Integer({ minimum: 0 }),
  subnets: Type.Array(
    strictObject({
      cidr: Type.String(),
      intervals: Type.Array(SpaceInterval, { description: "In order, without gaps, all of the subnet." }),
      blocks: Type.Array(BlockUse, { description: "ipam local: in order of their addresses." }),
    }),
  ),
});

export type SpaceInterval = Value<typeof SpaceInterval>;
export type BlockUse = Value<typeof BlockUse>;
export type SpaceMap = Value<typeof SpaceMap>;
