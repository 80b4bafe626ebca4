// Quotas: how much users and groups of users may own at most. What is counted of each resource: owning.ts.
import Type from "typebox";
import { QUOTAS_MAX } from "./limits.ts";
import { type Value, Name, optional, strictObject } from "./schema.ts";

const Most = optional(Type.Integer({ minimum: 0 }));

/** What a user or a group may own at most; what is left out has no limit. */
export const OwnedQuota = strictObject(
  {
    networks: Most,
    reservations: Most,
    vrfs: Most,
    securityGroups: Most,
    templates: Most,
    endpoints: Most,
    leases: optional(
      Type.Integer({ minimum: 0, description: "In all networks: endpoints, and what reservations have." }),
    ),
    leasesIn: optional(
      Type.Array(strictObject({ network: Name, leases: Type.Integer({ minimum: 0 }) }), {
        maxItems: QUOTAS_MAX,
        description: "In one network: its endpoints, and what is reserved from it.",
      }),
    ),
    bandwidth: optional(
      Type.Integer({
        minimum: 0,
        description:
          "Bits per second: the averages of its endpoints' own limits together, in each direction. Then endpoints " +
          "need limits of their own.",
      }),
    ),
  },
  "What it may own at most. What is left out has no limit, but for users the server's own. Lowering it takes nothing " +
    "away; it stops growth.",
);
export type OwnedQuota = Value<typeof OwnedQuota>;

/** What a user may own of things that all share, unless its quota says otherwise: a cluster has 4,095 VRFs. */
export const USER_QUOTA = {
  networks: 100,
  reservations: 1000,
  vrfs: 100,
  securityGroups: 500,
  templates: 100,
} as const satisfies OwnedQuota;
