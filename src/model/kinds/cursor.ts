// Cursors: where the next address is looked for.
import Type from "typebox";
import type { KindRecord } from "../kind.ts";
import { strictObject } from "../schema.ts";

/** Where `strategy: next` goes on in one range ("" for subnets). */
const CursorSpec = strictObject({ network: Type.String(), range: Type.String(), last: Type.Array(Type.String()) });

export const cursor = {
  spec: CursorSpec,
  list: "cursors",
  see: "network show NETWORK",
  seenBy: "none",
} as const satisfies KindRecord;
