// Pools: how a network without subnets of its own gets an id, and subnets from it. A change concerns new networks only.
import Type from "typebox";
import { canonicalCidrs, formatCidr, parseCidr } from "../address.ts";
import { defined } from "../defined.ts";
import type { KindRecord } from "../kind.ts";
import { type Value, Text, Texts, oneOf, optional, strictObject } from "../schema.ts";
import { NetworkSpec, Subnet } from "./network.ts";

const PoolSpec = strictObject({
  driver: NetworkSpec.properties.driver,
  ipam: oneOf(["local", "global"], "Of new networks that do not say which."),
  ids: strictObject(
    { first: Type.Integer({ minimum: 0 }), last: Type.Integer({ minimum: 0, maximum: 1_048_575 }) },
    "Both ends included; the lowest free one is taken.",
  ),
  globalSubnets: optional(
    Type.Array(Subnet, { maxItems: 2, description: "Of a global network; `<id>` in a cidr becomes the id." }),
  ),
  localSubnets: optional(
    Type.Array(Subnet, { maxItems: 2, description: "Of a local network, like 10.<id>.0.0/16 in blocks of /24." }),
  ),
  reserved: Texts("What no network of the pool may meet, like the cluster's own subnet: such ids are passed over."),
  overflow: optional(
    strictObject({
      cidr: Text("Networks beyond the last id get the next free part of it."),
      prefix: Type.Integer({ description: "Length of a part." }),
      hostPrefix: optional(Type.Integer({ description: "ipam local: length of each host's block." })),
    }),
  ),
  description: optional(Type.String()),
});

const PoolInput = strictObject(Type.Partial(PoolSpec).properties);
type PoolInput = Value<typeof PoolInput>;

export const pool = {
  spec: PoolSpec,
  unknown: "pool-unknown",
  seenBy: "none",
  put: {
    input: PoolInput,
    own: true,
    order: 2,
    canonical: canonicalPool,
    summary: "Makes or changes a pool; networks that came from it stay as they are.",
  },
  remove: "own",
} as const satisfies KindRecord;

function canonicalPool(spec: PoolInput, where: string): PoolInput {
  const { reserved, overflow } = spec;
  const cidrOf = (text: string) => formatCidr(parseCidr(text, `${where}.overflow.cidr`));
  return {
    ...spec,
    ...defined({
      reserved: reserved && canonicalCidrs(reserved, `${where}.reserved`),
      overflow: overflow && { ...overflow, cidr: cidrOf(overflow.cidr) },
    }),
  };
}
