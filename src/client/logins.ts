// Typed calls about logins and tokens. Logging in needs no token; everything else shows one, unless it is asked on the
// server's own socket.
import type { Credential, LoggedIn, TokenMade, TokenRequest, WhoAmI } from "../model/login.ts";
import type { DeviceBegun, DevicePending } from "../model/oidc.ts";
import { askWith, itemsAt } from "./http.ts";
import { type ServerLocation, httpTo } from "./server.ts";

export type LoginClient = ReturnType<typeof loginClient>;

export function loginClient({ url, token, trust = {} }: ServerLocation) {
  const http = httpTo(url, () => ({ trust }));
  const ask = askWith(http, token === undefined ? undefined : () => token);
  return {
    login: (user: string, password: string) =>
      askWith(http)<LoggedIn>("POST", "/v1/login", { body: { user, password } }),
    beginDevice: () => askWith(http)<DeviceBegun>("POST", "/v1/login/device"),
    /** Undefined until the person has entered the code. */
    async finishDevice(handle: string): Promise<LoggedIn | undefined> {
      const answer = await askWith(http)<LoggedIn | DevicePending>("POST", "/v1/login/device/finish", {
        body: { handle },
      });
      return "pending" in answer ? undefined : answer;
    },
    /** Ends the login that the token is. */
    logout: () => ask<unknown>("DELETE", "/v1/login"),
    whoAmI: () => ask<WhoAmI>("GET", "/v1/whoami"),
    tokens: (user: string | undefined) => itemsAt<Credential>(ask, `/v1/tokens${whose(user)}`),
    createToken: (body: TokenRequest) => ask<TokenMade>("POST", "/v1/tokens", { body }),
    endToken: (name: string, user: string | undefined) =>
      ask<unknown>("DELETE", `/v1/tokens/${encodeURIComponent(name)}${whose(user)}`),
    setPassword: (user: string, body: { readonly password: string; readonly current?: string }) =>
      ask<unknown>("PUT", `/v1/users/${encodeURIComponent(user)}/password`, { body }),
  };
}

function whose(user: string | undefined): string {
  return user === undefined ? "" : `?user=${encodeURIComponent(user)}`;
}
