// The form of an address range: a contiguous piece of a global network's address space. ipam/range.ts has its
// arithmetic; admission decides whether it is allowed.
import Type from "typebox";
import { GROUPS_MAX } from "./group.ts";
import { optionalLabels } from "./labels.ts";
import { NETWORK_MTU } from "./limits.ts";
import { type Value, Text, Texts, oneOf, optional, strictObject } from "./schema.ts";
import { Qos, QosInput } from "./qos.ts";

const RangeType = oneOf(
  ["ip4", "ip6", "ip6-static", "ip4-6", "ip4-6-static", "ether"],
  "What a lease of it has, besides a MAC. ip6 and the 6 of ip4-6: SLAAC addresses, made from the MAC (EUI-64). " +
    "ether: nothing.",
);

/** Lease i of it has first + i, first6 + i and mac + i. */
export const AddressRange = strictObject({
  name: Text("Unique in the network: what leases and changes of the range go by."),
  type: RangeType,
  first: optional(Text("First IPv4 address; all of them lie in one of the network's subnets.")),
  first6: optional(Text("First static IPv6 address; all of them lie in one of the network's subnets.")),
  prefixLength: optional(
    Type.Integer({
      description: "Of static IPv6: a range without size ends with this prefix. Default: the subnet's own length.",
    }),
  ),
  prefix: optional(Text("SLAAC: a /64 that addresses are made in.")),
  ula: optional(Text("SLAAC: a /64 of fc00::/7 for a second, unique local address.")),
  size: optional(
    Type.Integer({
      minimum: 1,
      maximum: Number.MAX_SAFE_INTEGER,
      description: "How many leases; only static IPv6 alone may leave it out, and then ends with its prefix.",
    }),
  ),
  mac: optional(Text("First MAC. Default: 02:00 and the IPv4 address; without IPv4, 32 random bits after 02:00.")),
  gateway: optional(Text("IPv4 gateway of its leases, or `none`. Default: the subnet's.")),
  gateway6: optional(
    Text(
      "IPv6 gateway of its leases, or `none`. Default: the subnet's; SLAAC has none. With one in a SLAAC prefix, " +
        "the other prefix has its ::1.",
    ),
  ),
  dns: optional(Texts("Name servers of its leases. Default: the network's.", 64)),
  mtu: optional(Type.Integer({ ...NETWORK_MTU, description: "At most the network's is used." })),
  qos: optional(Qos),
  securityGroups: optional(Texts("Names of security groups of its leases.", GROUPS_MAX)),
  labels: optionalLabels,
  from: optional(
    Text("Of a reservation: the parent's range that it is a piece of, whose overrides it has unless it has its own."),
  ),
});

/** A range in a request: its limits may be texts with units. */
export const RangeInput = strictObject({ ...AddressRange.properties, qos: optional(QosInput) });

export type AddressRange = Value<typeof AddressRange>;
export type RangeInput = Value<typeof RangeInput>;

/** The default quarantine of a network. */
const QUARANTINE_SECONDS = 60;

export function quarantineMs({ quarantine }: { readonly quarantine?: number }): number {
  return (quarantine ?? QUARANTINE_SECONDS) * 1000;
}
