// VTEPs: addresses of tunnels.
import Type from "typebox";
import type { KindRecord } from "../kind.ts";
import { optional, strictObject } from "../schema.ts";

/** A host's tunnel endpoint in one VRF. */
const VtepSpec = strictObject({
  vrf: Type.String(),
  host: Type.String(),
  ip: optional(Type.String()),
  ip6: optional(Type.String()),
  mac: Type.String(),
});

export const vtep = {
  spec: VtepSpec,
  list: "vteps",
  see: "network show NETWORK",
  seenBy: "all",
} as const satisfies KindRecord;
