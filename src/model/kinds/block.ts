// Blocks: what each host has of a local network's addresses.
import Type from "typebox";
import type { KindRecord } from "../kind.ts";
import { strictObject } from "../schema.ts";

/** The piece of a local network's address space that one host owns. One per network, host and family. */
const BlockSpec = strictObject({ network: Type.String(), host: Type.String(), cidr: Type.String() });

export const block = {
  spec: BlockSpec,
  list: "blocks",
  see: "network show NETWORK",
  seenBy: "all",
} as const satisfies KindRecord;
