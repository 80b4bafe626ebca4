// An entry of the lease log, as the store keeps it and the API answers it: who had which address, and when.
import Type from "typebox";
import { type Value, optional, strict } from "./schema.ts";

export const LeaseRecord = Type.Object(
  {
    network: Type.String(),
    address: Type.String({ description: "Of a lease without any: its MAC." }),
    endpoint: Type.String(),
    owner: Type.String(),
    ifname: Type.String(),
    host: Type.String(),
    mac: Type.String(),
    fromMs: Type.Number({ description: "ms since 1970." }),
    untilMs: optional(Type.Number({ description: "Absent while it lasts." })),
  },
  strict,
);
export type LeaseRecord = Value<typeof LeaseRecord>;
