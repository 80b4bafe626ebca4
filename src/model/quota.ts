// How much of a network a tenant may have.
import Type from "typebox";
import { type Value, Text, strictObject } from "./schema.ts";

export const Quota = strictObject({
  tenant: Text("Whose."),
  leases: Type.Integer({
    minimum: 0,
    description: "Addresses reserved from the network for the tenant, and its endpoints in it, together.",
  }),
});
export type Quota = Value<typeof Quota>;
