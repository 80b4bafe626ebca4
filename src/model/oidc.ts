// Logging in by an OpenID provider: what is asked and answered, and what the server needs of whoever talks to the
// provider (src/oidc).
import Type from "typebox";
import { type Value, AnyText, optional, strictObject } from "./schema.ts";

const Handle = Type.String({
  minLength: 1,
  maxLength: 4096,
  description: "What the answer that began it gave: sealed, and good for ten minutes.",
});
export const OidcBegun = strictObject({
  url: AnyText("Where the browser goes. The provider sends it back to the server's setting oidc-redirect."),
  handle: Handle,
});
/** The body of POST /v1/login/oidc/finish. */
export const OidcFinish = strictObject({
  handle: Handle,
  callback: Type.String({
    minLength: 1,
    maxLength: 4096,
    description: "The address at which the browser came back, whole.",
  }),
});
export const DeviceBegun = strictObject({
  handle: Handle,
  userCode: AnyText("What the person enters there."),
  verificationUri: AnyText("Where the person goes, with any browser."),
  verificationUriComplete: optional(AnyText("The same with the code in it.")),
  intervalSeconds: Type.Number({ description: "How long to wait between two questions." }),
  expiresInSeconds: Type.Number(),
});
/** The body of POST /v1/login/device/finish. */
export const DeviceFinish = strictObject({ handle: Handle });
export const DevicePending = strictObject({
  pending: Type.Literal(true, { description: "The person has not finished: ask again after the interval." }),
});

export type OidcBegun = Value<typeof OidcBegun>;
export type OidcFinish = Value<typeof OidcFinish>;
export type DeviceBegun = Value<typeof DeviceBegun>;
export type DevicePending = Value<typeof DevicePending>;
export type DeviceFinish = Value<typeof DeviceFinish>;

/** Whom a provider has vouched for, as the settings say it. */
export type Vouched = {
  readonly issuer: string;
  /** The provider's own id of the person; it never changes, unlike names. */
  readonly subject: string;
  readonly user: string;
  /** The primary one first. Absent: groups are not the provider's to say. */
  readonly groups?: readonly string[];
};

/** Talks to one provider. Each method throws a Fault that says what was not accepted. */
export type OidcLogin = {
  begin(): Promise<OidcBegun>;
  finish(asked: OidcFinish): Promise<Vouched>;
  beginDevice(): Promise<DeviceBegun>;
  /** Undefined: not yet. */
  finishDevice(asked: DeviceFinish): Promise<Vouched | undefined>;
};
