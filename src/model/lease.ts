// An entry of the lease log, as the store keeps it and the API answers it: who had which address, and when.
import Type from "typebox";
import { type Value, Text, optional, strictObject } from "./schema.ts";

export const LeaseRecord = strictObject({
  network: Type.String(),
  address: Text("Of a lease without any: its MAC."),
  endpoint: Type.String(),
  owner: Type.String(),
  ifname: Type.String(),
  host: Type.String(),
  mac: Type.String(),
  fromMs: Type.Number({ description: "ms since 1970." }),
  untilMs: optional(Type.Number({ description: "Absent while it lasts." })),
});
export type LeaseRecord = Value<typeof LeaseRecord>;
