// How much of a network a tenant may have.
import Type from "typebox";
import { type Value, strict } from "./schema.ts";

export const Quota = Type.Object(
  {
    tenant: Type.String({ description: "Whose." }),
    leases: Type.Integer({
      minimum: 0,
      description: "Addresses reserved from the network for the tenant, and its endpoints in it, together.",
    }),
  },
  strict,
);
export type Quota = Value<typeof Quota>;
