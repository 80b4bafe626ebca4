// What the server allocates and remembers of networks: blocks and VTEPs of hosts, holds, freed leases, cursors.
import Type from "typebox";
import type { KindRecord } from "../kind.ts";
import { Text, optional, strictObject } from "../schema.ts";

/** The piece of a local network's address space that one host owns. One per network, host and family. */
export const block = {
  spec: strictObject({ network: Type.String(), host: Type.String(), cidr: Type.String() }),
  see: "network show NETWORK",
  seenBy: "all",
} as const satisfies KindRecord;

/** A host's tunnel endpoint in one VRF. */
export const vtep = {
  spec: strictObject({
    vrf: Type.String(),
    host: Type.String(),
    ip: optional(Type.String()),
    ip6: optional(Type.String()),
    mac: Type.String(),
  }),
  see: "network show NETWORK",
  seenBy: "all",
} as const satisfies KindRecord;

/** Addresses that no endpoint gets until they are released. */
export const hold = {
  spec: strictObject({
    network: Type.String(),
    first: Text("An IPv4 or IPv6 address, or a MAC."),
    last: Text("Of the same kind; the same for a single address."),
    reason: Type.String(),
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
    network: Type.String(),
    endpoint: Text("Name of the endpoint that had it."),
    addresses: Type.Array(Type.String()),
    mac: Type.String(),
    range: optional(Type.String()),
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
  spec: strictObject({ network: Type.String(), range: Type.String(), last: Type.Array(Type.String()) }),
  see: "network show NETWORK",
  seenBy: "none",
} as const satisfies KindRecord;
