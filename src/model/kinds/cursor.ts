// Cursors: where the next address is looked for.
import Type from "typebox";
import type { KindRecord } from "../kind.ts";
import { strict } from "../schema.ts";

/** Where `strategy: next` goes on in one range ("" for subnets). */
const CursorSpec = Type.Object(
  { network: Type.String(), range: Type.String(), last: Type.Array(Type.String()) },
  strict,
);

export const cursor = {
  spec: CursorSpec,
  list: "cursors",
  see: "network show NETWORK",
  seenBy: "none",
} as const satisfies KindRecord;
