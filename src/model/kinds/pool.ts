// Pools: how a network without subnets of its own gets an id, and subnets from it. A change concerns new networks only.
import Type from "typebox";
import { canonicalCidrs, formatCidr, parseCidr } from "../address.ts";
import { defined } from "../defined.ts";
import type { KindRecord } from "../kind.ts";
import { VNI_LAST } from "../limits.ts";
import { FOR_ALL } from "../rights.ts";
import { type Value, Description, Flag, Text, Texts, oneOf, optional, strictObject } from "../schema.ts";
import { NetworkSpec, Subnet } from "./network.ts";

const Space = strictObject({
  cidr: Text("Where subnets are taken from, like 10.64.0.0/10."),
  prefix: Type.Integer({ description: "Length of a subnet for a network that does not say one." }),
  hostPrefix: optional(Type.Integer({ description: "ipam local: length of each host's block." })),
});

const PoolSpec = strictObject({
  driver: NetworkSpec.properties.driver,
  ipam: oneOf(["local", "global"], "Of new networks that do not say which."),
  ids: optional(
    strictObject(
      { first: Type.Integer({ minimum: 0 }), last: Type.Integer({ minimum: 0, maximum: 1_048_575 }) },
      "Both ends included; the lowest free one is taken. Default: 1 to 255, without spaces.",
    ),
  ),
  globalSubnets: optional(
    Type.Array(Subnet, { maxItems: 2, description: "Of a global network; `<id>` in a cidr becomes the id." }),
  ),
  localSubnets: optional(
    Type.Array(Subnet, { maxItems: 2, description: "Of a local network, like 10.<id>.0.0/16 in blocks of /24." }),
  ),
  reserved: Texts(
    "What no network of the pool may meet, like the cluster's own subnet: such ids are passed over.",
    256,
  ),
  overflow: optional(
    strictObject({
      cidr: Text("Networks beyond the last id get the next free part of it."),
      prefix: Type.Integer({ description: "Length of a part." }),
      hostPrefix: optional(Type.Integer({ description: "ipam local: length of each host's block." })),
    }),
  ),
  spaces: optional(
    Type.Array(Space, {
      minItems: 1,
      maxItems: 16,
      description:
        "Instead of ids: a network gets the lowest free subnet of its length, of each family; the first space that " +
        "has one is taken.",
    }),
  ),
  reuse: optional(
    Flag("spaces: whether networks of different VRFs may have the same subnets. Default: false, each has its own."),
  ),
  vnis: optional(
    strictObject(
      {
        first: Type.Integer({ minimum: 1, maximum: VNI_LAST }),
        last: Type.Integer({ minimum: 1, maximum: VNI_LAST }),
      },
      "Where VNIs of new networks are taken from. Default: the lowest free one from 4096 up.",
    ),
  ),
  description: optional(Description),
});

const PoolInput = strictObject(Type.Partial(PoolSpec).properties);
type PoolInput = Value<typeof PoolInput>;

/** Of the template `private-ipv4`: networks that are apart may have the same addresses. */
const PRIVATE_SPEC: Value<typeof PoolSpec> = {
  driver: "vxlan",
  ipam: "global",
  reserved: [],
  spaces: [
    { cidr: "10.64.0.0/10", prefix: 24, hostPrefix: 28 },
    { cidr: "172.16.0.0/12", prefix: 24, hostPrefix: 28 },
    { cidr: "192.168.0.0/16", prefix: 24, hostPrefix: 28 },
  ],
  reuse: true,
  description: "Addresses of networks that are each in a routing domain of its own.",
};

export const pool = {
  spec: PoolSpec,
  unknown: "pool-unknown",
  owned: true,
  seenBy: "none",
  builtIn: { name: "private-ipv4", spec: PRIVATE_SPEC, access: FOR_ALL },
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
  const { reserved, overflow, spaces } = spec;
  const cidrOf = (text: string, field = "overflow") => formatCidr(parseCidr(text, `${where}.${field}.cidr`));
  return {
    ...spec,
    ...defined({
      reserved: reserved && canonicalCidrs(reserved, `${where}.reserved`),
      overflow: overflow && { ...overflow, cidr: cidrOf(overflow.cidr) },
      spaces: spaces?.map((space, i) => ({ ...space, cidr: cidrOf(space.cidr, `spaces[${i}]`) })),
    }),
  };
}
