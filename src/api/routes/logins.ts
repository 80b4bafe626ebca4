// Routes by which people prove who they are: log in and out, tokens, passwords.
import type { Control } from "../../control/control.ts";
import type { Asker } from "../../control/logins/logins.ts";
import { Fault, REASONS } from "../../model/fault.ts";
import type { LoggedIn } from "../../model/login.ts";
import { isNarrowed } from "../../model/narrowing.ts";
import { parseLogin, parsePassword, parseTokenRequest } from "../../model/parse.ts";
import type { LoginWay, Metrics } from "../metrics.ts";
import { type Call, type Parts, type Route, jsonOf } from "../route.ts";

/** Of requests that anybody may send. */
const BODY_LIMIT = 4096;
const USER = { user: "Whose: by an administrator, for a user." };

/** What the login gives, counted by how it ended; undefined: it has not ended. */
export async function counted<T extends LoggedIn | undefined>(
  metrics: Metrics,
  way: LoginWay,
  login: () => Promise<T>,
): Promise<T> {
  try {
    const made = await login();
    if (made !== undefined) metrics.login(way, "succeeded");
    return made;
  } catch (error) {
    // A server that cannot tell has not refused.
    if (error instanceof Fault && REASONS[error.reason].status < 500) metrics.login(way, "refused");
    throw error;
  }
}

export function loginRoutes({ control, metrics }: Parts): Route[] {
  return [
    {
      method: "POST",
      path: "/v1/login",
      summary: "A login for a user's password. 429: too many wrong ones, wait as Retry-After says.",
      access: "open",
      body: "LoginRequest",
      bodyLimit: BODY_LIMIT,
      answers: { 200: "LoggedIn" },
      handle: async (call) => ({ body: await counted(metrics, "password", () => login(control, call)) }),
    },
    {
      method: "DELETE",
      path: "/v1/login",
      summary: "Ends the login that it is asked with.",
      access: "any",
      answers: { 200: "Done" },
      async handle(call) {
        const { identity, proof } = askerIn(control, call);
        if (identity.role !== "user" || proof?.kind !== "login") throw noLogin();
        await control.logins.end(call.caller, identity.user, proof.name);
        return { body: { revision: control.revision } };
      },
    },
    {
      method: "GET",
      path: "/v1/whoami",
      summary: "Who the caller is, by what, and how much less it may do than its owner.",
      access: "any",
      answers: { 200: "WhoAmI" },
      handle(call) {
        const { caller } = call;
        const { narrowing: _, ...identity } = { narrowing: undefined, ...caller.identity };
        const more = control.logins.whoIs(askerIn(control, call));
        const { credential, from } = caller;
        return { body: { ...identity, ...more, credential, from, cluster: control.cluster } };
      },
    },
    ...tokenRoutes(control),
    {
      method: "PUT",
      path: "/v1/users/{name}/password",
      summary: "Sets a user's password and ends its logins. A user gives the current one, too.",
      access: "user",
      body: "PasswordRequest",
      bodyLimit: BODY_LIMIT,
      answers: { 200: "Done" },
      async handle(call) {
        await control.logins.setPassword(askerIn(control, call), call.name, parsePassword(jsonOf(call)));
        return { body: { revision: control.revision } };
      },
    },
  ];
}

async function login(control: Control, call: Call) {
  const request = parseLogin(jsonOf(call));
  const { from } = call.caller;
  try {
    return await control.logins.login(request, from);
  } catch (error) {
    // A name that no user has may be a password, typed in the wrong place.
    const user = await control.find("user", request.user, { role: "admin" });
    const asked = { verb: "login", ...(user === undefined ? {} : { object: `user/${user.name}` }) };
    control.audit.refused({ who: "nobody", credential: "password", from }, asked, error);
    throw error;
  }
}

function tokenRoutes(control: Control): Route[] {
  return [
    {
      method: "GET",
      path: "/v1/tokens",
      summary: "Logins and tokens of the caller, without their values.",
      access: "user",
      query: USER,
      answers: { 200: "Credentials" },
      handle(call) {
        checkWhole(call);
        return { body: { items: control.logins.list(ownerIn(call)) } };
      },
    },
    {
      method: "POST",
      path: "/v1/tokens",
      summary: "Makes a token that can do at most what its maker can. Its value is in this answer only.",
      access: "user",
      body: "TokenRequest",
      bodyLimit: BODY_LIMIT,
      answers: { 201: "TokenMade" },
      async handle(call) {
        const asker = askerIn(control, call);
        return { status: 201, body: await control.logins.createToken(asker, parseTokenRequest(jsonOf(call))) };
      },
    },
    {
      method: "DELETE",
      path: "/v1/tokens/{name}",
      summary: "Ends a token or login of the caller, at once.",
      access: "user",
      query: USER,
      answers: { 200: "Done" },
      async handle(call) {
        // What is narrowed may end itself, as anybody who finds it should.
        if (askerIn(control, call).proof?.name !== call.name) checkWhole(call);
        await control.logins.end(call.caller, ownerIn(call), call.name);
        return { body: { revision: control.revision } };
      },
    },
  ];
}

/** The caller with its login or token, if it has shown one. */
function askerIn({ logins }: Control, { caller, shown: { token } }: Call): Asker {
  return { ...caller, proof: token === undefined ? undefined : logins.find(token)?.credential };
}

/** Whose tokens are meant; undefined: the administrator's. */
function ownerIn({ identity, query }: Call): string | undefined {
  const { user } = query;
  if (identity.role !== "user") return user;
  if (user === undefined || user === identity.user) return identity.user;
  throw new Fault("forbidden", { what: `these are the tokens of user "${user}"`, fix: "ask that user" });
}

function checkWhole({ identity }: Call): void {
  if (identity.role !== "user" || !isNarrowed(identity.narrowing)) return;
  const fix = "use a login: weft login";
  throw new Fault("forbidden", { what: "a narrowed token does not show or end others", fix });
}

function noLogin(): Fault {
  const fix = "end a token by its name: weft token delete NAME";
  return new Fault("unsupported", { what: "this was not asked with a login", fix });
}
