// Routes of logging in by an OpenID provider: browsers with a code, the command line with a device code. The server
// talks to the provider; whoever logs in holds a sealed handle in between.
import { Fault } from "../../model/fault.ts";
import type { OidcLogin } from "../../model/oidc.ts";
import { parseDeviceFinish, parseOidcFinish } from "../../model/parse.ts";
import { type Parts, type Route, jsonOf } from "../route.ts";
import { counted } from "./logins.ts";

const BODY_LIMIT = 10_240;
const OPEN = { method: "POST", access: "open", bodyLimit: BODY_LIMIT } as const;

export function oidcRoutes({ control, oidc, metrics }: Parts): Route[] {
  return [
    {
      ...OPEN,
      path: "/v1/login/oidc",
      summary: "Begins a login of a browser by the OpenID provider.",
      answers: { 200: "OidcBegun" },
      handle: async () => ({ body: await the(oidc).begin() }),
    },
    {
      ...OPEN,
      path: "/v1/login/oidc/finish",
      summary: "The login for the address at which the browser came back from the provider. Once.",
      body: "OidcFinish",
      answers: { 200: "LoggedIn" },
      async handle(call) {
        const provider = the(oidc);
        const login = async () => {
          const vouched = await provider.finish(parseOidcFinish(jsonOf(call)));
          return control.logins.loginVouched(vouched, call.caller.from);
        };
        return { body: await counted(metrics, "browser", login) };
      },
    },
    {
      ...OPEN,
      path: "/v1/login/device",
      summary: "Begins a login without a browser: a person enters the code at the provider, with any device.",
      answers: { 200: "DeviceBegun" },
      handle: async () => ({ body: await the(oidc).beginDevice() }),
    },
    {
      ...OPEN,
      path: "/v1/login/device/finish",
      summary: "The login when the person has entered the code; 202 until then.",
      body: "DeviceFinish",
      answers: { 200: "LoggedIn", 202: "DevicePending" },
      async handle(call) {
        const provider = the(oidc);
        const made = await counted(metrics, "device", async () => {
          const vouched = await provider.finishDevice(parseDeviceFinish(jsonOf(call)));
          return vouched === undefined ? undefined : control.logins.loginVouched(vouched, call.caller.from);
        });
        return made === undefined ? { status: 202, body: { pending: true } } : { body: made };
      },
    },
  ];
}

function the(oidc: OidcLogin | undefined): OidcLogin {
  if (oidc !== undefined) return oidc;
  const fix = "log in with a password: weft login; or an administrator sets --oidc-issuer";
  throw new Fault("unsupported", { what: "this server has no OpenID provider", fix });
}
