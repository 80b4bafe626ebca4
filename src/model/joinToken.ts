// What is asked and answered about join tokens, as schemas: what lets new hosts in. The value of one is in one answer
// only: that to the request which made it.
import Type from "typebox";
import { type Value, Text, oneOf, optional, strictObject } from "./schema.ts";

const Time = Type.Number({ description: "In milliseconds since 1970." });
const Uses = Type.Integer({ minimum: 1, maximum: 1000 });

/** The token in the server's `join.token`: it is there from the first start on, and lets in any number of hosts. */
export const FILE_TOKEN = "default";

/** The body of POST /v1/jointokens. */
export const JoinTokenRequest = strictObject({
  name: Type.String({ pattern: "^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$" }),
  expiresInSeconds: optional(
    Type.Integer({ minimum: 60, maximum: 31_622_400, description: "Default: a day; a year at most." }),
  ),
  uses: optional(Type.Integer({ ...Uses, description: "How many new keys of hosts it lets in. Default: any number." })),
});
export const JoinToken = strictObject({
  name: Type.String(),
  state: oneOf(["valid", "expired", "used up"]),
  createdMs: Time,
  expiresMs: optional(Time),
  uses: optional(Uses),
  used: Type.Integer({ minimum: 0, description: "How many new keys of hosts it has let in." }),
  hosts: Type.Array(strictObject({ host: Type.String(), atMs: Time }), {
    description: "Which hosts those were, the latest 20.",
  }),
  ca: optional(
    oneOf(
      ["current", "previous", "dropped"],
      "What became of the CA that it names. With one that was dropped it lets nobody in.",
    ),
  ),
});
export const JoinTokens = strictObject({ items: Type.Array(JoinToken, { description: "In order of their names." }) });
export const JoinTokenMade = strictObject({ ...JoinToken.properties, token: Text("It is not shown again.") });

export type JoinTokenRequest = Value<typeof JoinTokenRequest>;
export type JoinToken = Value<typeof JoinToken>;
export type JoinTokenMade = Value<typeof JoinTokenMade>;
