// What the server allocates and remembers of networks: blocks and VTEPs of hosts, holds, freed leases, cursors.
import Type from "typebox";
import type { KindRecord } from "../kind.ts";
import { ADDRESSES_MAX, Name, Text, optional, strictObject } from "../schema.ts";

/** Of one lease. */
const Addresses = Type.Array(Name, { maxItems: ADDRESSES_MAX });

/** The piece of a local network's address space that one host owns. One per network, host and family. */
export const block = {
  spec: strictObject({ network: Name, host: Name, cidr: Name }),
  see: "network show NETWORK",
  seenBy: "all",
} as const satisfies KindRecord;

/** A host's tunnel endpoint in one VRF. */
export const vtep = {
  spec: strictObject({
    vrf: Name,
    host: Name,
    ip: optional(Name),
    ip6: optional(Name),
    mac: Name,
  }),
  see: "network show NETWORK",
  seenBy: "all",
} as const satisfies KindRecord;

/** Addresses that no endpoint gets until they are released. */
export const hold = {
  spec: strictObject({
    network: Name,
    first: Text("An IPv4 or IPv6 address, or a MAC."),
    last: Text("Of the same kind; the same for a single address."),
    reason: Text(),
    owner: Text("Who holds it: a name for people."),
    expiresAtMs: optional(Type.Number({ description: "When it ends by itself, ms since 1970." })),
  }),
  see: "lease list --state held",
  unknown: "hold-unknown",
  seenBy: "none",
} as const satisfies KindRecord;

/** A lease that was given back: kept from others for a while, and remembered for its owner. */
export const freed = {
  spec: strictObject({
    network: Name,
    endpoint: Text("Name of the endpoint that had it."),
    addresses: Addresses,
    mac: Name,
    range: optional(Name),
    sinceMs: Type.Number({ description: "When it was given back, ms since 1970." }),
    untilMs: optional(
      Type.Number({ description: "Quarantined until then; absent: only remembered (`sticky`), and free for others." }),
    ),
  }),
  list: "freed",
  called: "freed lease",
  see: "lease list --state quarantined",
  seenBy: "none",
} as const satisfies KindRecord;

/** Where `strategy: next` goes on in one range ("" for subnets). */
export const cursor = {
  spec: strictObject({ network: Name, range: Name, last: Addresses }),
  see: "network show NETWORK",
  seenBy: "none",
} as const satisfies KindRecord;
