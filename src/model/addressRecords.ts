// Schemas of what is kept of a network's addresses besides leases: held back, given back a moment ago, and where to go
// on. They are resources like all others; resource.ts says what those are.
import Type from "typebox";
import { optional, strict, Text } from "./schema.ts";

/** Addresses that nobody gets, because somebody said so. */
export const HoldSpec = Type.Object(
  {
    network: Type.String(),
    first: Text("An IPv4 or IPv6 address, or a MAC."),
    last: Text("Of the same kind; the same for a single address."),
    reason: Type.String(),
    owner: Text("Who holds it: a name for people."),
    expiresAtMs: optional(Type.Number({ description: "When it ends by itself, ms since 1970." })),
  },
  strict,
);

/** A lease that was given back: kept from others for a while, and remembered for its owner. */
export const FreedSpec = Type.Object(
  {
    network: Type.String(),
    endpoint: Text("Name of the endpoint that had it."),
    addresses: Type.Array(Type.String()),
    mac: Type.String(),
    range: optional(Type.String()),
    sinceMs: Type.Number({ description: "When it was given back, ms since 1970." }),
    untilMs: optional(
      Type.Number({ description: "Quarantined until then; absent: only remembered (`sticky`), and free for others." }),
    ),
  },
  strict,
);

/** Where `strategy: next` goes on in one range ("" for subnets). */
export const CursorSpec = Type.Object(
  { network: Type.String(), range: Type.String(), last: Type.Array(Type.String()) },
  strict,
);
