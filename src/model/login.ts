// What is asked and answered about logins and tokens, as schemas. The value of a login or token is in one answer only:
// that to the request which made it.
import Type from "typebox";
import { Narrowing } from "./narrowing.ts";
import { type Value, AnyTexts, Name, Text, oneOf, optional, strictObject } from "./schema.ts";

const Secret = Type.String({ minLength: 1, maxLength: 1024 });
const User = Type.String({ minLength: 1, maxLength: 253 });
const Expires = Type.Number({ description: "When it ends: milliseconds since 1970." });

/** The body of POST /v1/login. */
export const LoginRequest = strictObject({ user: User, password: Secret });
export const LoggedIn = strictObject({
  token: Text("What to send from now on; it is not shown again."),
  user: Name,
  name: Text("Of this login, among the user's logins and tokens."),
  expiresMs: Expires,
});
/** The body of POST /v1/tokens. */
export const TokenRequest = strictObject({
  name: Type.String({ pattern: "^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$", description: "Unique among its owner's." }),
  expiresInSeconds: optional(
    Type.Integer({ minimum: 60, maximum: 31_622_400, description: "Default: 90 days; a year at most." }),
  ),
  ...Narrowing.properties,
  user: optional(Text("Whose: by an administrator, for a user. Default: the caller's own.")),
});
export const Credential = strictObject({
  kind: oneOf(["login", "token"]),
  name: Name,
  user: optional(Text("Absent: the administrator.")),
  createdMs: Type.Number(),
  expiresMs: Expires,
  narrowing: optional(Narrowing),
});
export const TokenMade = strictObject({ ...Credential.properties, token: Text("It is not shown again.") });
export const Credentials = strictObject({ items: Type.Array(Credential, { description: "In order of their names." }) });
/** The body of PUT /v1/users/{name}/password. */
export const PasswordRequest = strictObject({
  password: Secret,
  current: optional(Type.String({ ...Secret, description: "The one before; administrators need it not." })),
});
export const WhoAmI = strictObject({
  role: oneOf(["admin", "user", "host", "join"]),
  user: optional(Name),
  host: optional(Name),
  group: optional(Text("The user's primary group.")),
  groups: optional(AnyTexts("All groups of the user.")),
  credential: Text("By what the caller has proved that."),
  expiresMs: optional(Expires),
  narrowing: optional(Narrowing),
  from: Text("The address that the server sees; `unix`: its socket."),
  cluster: Name,
});

export type LoginRequest = Value<typeof LoginRequest>;
export type LoggedIn = Value<typeof LoggedIn>;
export type TokenRequest = Value<typeof TokenRequest>;
export type TokenMade = Value<typeof TokenMade>;
export type Credential = Value<typeof Credential>;
export type PasswordRequest = Value<typeof PasswordRequest>;
export type WhoAmI = Value<typeof WhoAmI>;
