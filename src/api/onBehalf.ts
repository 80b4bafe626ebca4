// Claims of endpoints that are for a user: a host vouches for the workload, and carries the user's token with each.
// The write is the user's then, so that its rights are asked and the endpoint is its own. The token goes no further.
import type { Control } from "../control/control.ts";
import type { Caller } from "../control/write.ts";
import { Fault } from "../model/fault.ts";
import type { EndpointClaim } from "../model/input.ts";
import { viewerOf } from "./route.ts";

/** Whose write the claims are: the user's of their token, else the caller's; and the claims without the token. */
export function onBehalf(control: Control, caller: Caller, claims: readonly EndpointClaim[]) {
  const [token, ...others] = new Set(claims.map(({ userToken }) => userToken));
  if (others.length > 0)
    throw new Fault("request-invalid", {
      what: "the endpoints have tokens of several users",
      where: "userToken",
      why: "one write is one user's",
      fix: "send each user's endpoints by themselves",
    });
  return {
    caller: token === undefined ? caller : userOf(control, token, caller.from),
    claims: claims.map(({ userToken: _, ...claim }): EndpointClaim => claim),
    by: viewerOf(caller),
  };
}

function userOf(control: Control, token: string, from: string): Caller {
  const caller = control.caller(token, from);
  if (caller.identity.role === "user") return caller;
  throw new Fault("forbidden", {
    what: "the token is no user's",
    where: "userToken",
    why: "an endpoint belongs to a user, or to nobody",
    fix: "leave it out, or make a token for the user: weft token create --user NAME",
  });
}
