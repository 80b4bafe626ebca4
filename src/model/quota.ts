// What a tenant may have of a network at most.
import Type, { type Static } from "typebox";

export const Quota = Type.Object(
  {
    tenant: Type.String({ description: "Whose." }),
    leases: Type.Integer({
      minimum: 0,
      description: "Addresses reserved from the network for the tenant, and its endpoints in it, together.",
    }),
  },
  { additionalProperties: false },
);
export type Quota = Readonly<Static<typeof Quota>>;
