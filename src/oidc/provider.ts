// The OpenID provider that a server trusts: authorization code with PKCE for browsers, device code for the command
// line. openid-client does the protocol; here are the settings, what is kept in between, and what a refusal tells a
// person. Every id token must be signed by the provider, for this client, in time, and for the request that was made.
import * as client from "openid-client";
import { cleanText } from "../model/cleanText.ts";
import type { Clock } from "../model/clock.ts";
import { Fault } from "../model/fault.ts";
import type { DeviceBegun, DeviceFinish, OidcBegun, OidcFinish, OidcLogin, Vouched } from "../model/oidc.ts";
import { type ClaimSettings, type Claims, vouchedIn } from "./claims.ts";
import { limitedFetch } from "./limitedFetch.ts";
import { Sealer } from "./sealed.ts";

export type OidcSettings = ClaimSettings & {
  readonly issuer: string;
  readonly clientId: string;
  readonly clientSecret?: string;
  /** Where the provider sends browsers back. Absent: only the command line can log in. */
  readonly redirect?: string;
  readonly scopes: string;
};

const DEVICE_GRANT = "urn:ietf:params:oauth:grant-type:device_code";
const AT_ONCE = 20;

export class OidcProvider implements OidcLogin {
  readonly #settings: OidcSettings;
  readonly #sealer: Sealer;
  #config: Promise<client.Configuration> | undefined;
  #running = 0;

  constructor(settings: OidcSettings, clock: Clock) {
    this.#settings = settings;
    this.#sealer = new Sealer(clock);
  }

  begin(): Promise<OidcBegun> {
    const { redirect, scopes } = this.#settings;
    if (redirect === undefined) return Promise.reject(noRedirect());
    return this.#ask(async (config) => {
      const [verifier, state, nonce] = [client.randomPKCECodeVerifier(), client.randomState(), client.randomNonce()];
      const url = client.buildAuthorizationUrl(config, {
        redirect_uri: redirect,
        scope: scopes,
        state,
        nonce,
        code_challenge: await client.calculatePKCECodeChallenge(verifier),
        code_challenge_method: "S256",
      });
      return { url: url.href, handle: await this.#sealer.seal("code", { verifier, state, nonce }) };
    });
  }

  async finish({ handle, callback }: OidcFinish): Promise<Vouched> {
    const { redirect } = this.#settings;
    if (redirect === undefined) throw noRedirect();
    const { verifier = "", state = "", nonce = "" } = await this.#sealer.open("code", handle);
    // Only what the provider has added counts: the rest is what the server has asked for.
    const url = new URL(redirect);
    url.search = URL.canParse(callback) ? new URL(callback).search : "";
    // Whatever comes of it: a second try with the same request is not the person's.
    this.#sealer.use(handle);
    return this.#ask(async (config) => {
      const checks = { pkceCodeVerifier: verifier, expectedState: state, expectedNonce: nonce, idTokenExpected: true };
      return this.#vouched(config, await client.authorizationCodeGrant(config, url, checks));
    });
  }

  beginDevice(): Promise<DeviceBegun> {
    return this.#ask(async (config) => {
      const begun = await client.initiateDeviceAuthorization(config, { scope: this.#settings.scopes });
      const complete = begun.verification_uri_complete;
      return {
        handle: await this.#sealer.seal("device", { code: begun.device_code }),
        userCode: begun.user_code,
        verificationUri: begun.verification_uri,
        ...(complete === undefined ? {} : { verificationUriComplete: complete }),
        intervalSeconds: begun.interval ?? 5,
        expiresInSeconds: begun.expires_in,
      };
    });
  }

  async finishDevice({ handle }: DeviceFinish): Promise<Vouched | undefined> {
    const { code = "" } = await this.#sealer.open("device", handle);
    return this.#ask(async (config) => {
      try {
        const answer = await client.genericGrantRequest(config, DEVICE_GRANT, { device_code: code });
        this.#sealer.use(handle);
        return await this.#vouched(config, answer);
      } catch (error) {
        if (isPending(error)) return undefined;
        throw error;
      }
    });
  }

  async #vouched(config: client.Configuration, answer: Answer): Promise<Vouched> {
    const claims = answer.claims();
    if (claims === undefined) throw new Error("it has no id token");
    const { userClaim, groupsClaim, groups } = this.#settings;
    const isWhole = userClaim in claims && (groups === undefined || groupsClaim in claims);
    // Many providers say names and groups only there.
    const isAsked = !isWhole && config.serverMetadata().userinfo_endpoint !== undefined;
    const more = isAsked ? await client.fetchUserInfo(config, answer.access_token, claims.sub) : {};
    const all: Claims = { ...more, ...claims };
    return vouchedIn(all, this.#settings);
  }

  async #ask<T>(work: (config: client.Configuration) => Promise<T>): Promise<T> {
    if (this.#running >= AT_ONCE) {
      const what = "too many people log in by the OpenID provider";
      throw new Fault("unavailable", { what, fix: "try again in a moment" });
    }
    this.#running++;
    try {
      return await work(await this.#discovered());
    } catch (error) {
      throw faultOf(error, this.#settings.issuer);
    } finally {
      this.#running--;
    }
  }

  /** Asked for when it is first needed, and again after a failure: a provider may start later than the server. */
  #discovered(): Promise<client.Configuration> {
    const found = (this.#config ??= discover(this.#settings));
    found.catch(() => (this.#config = undefined));
    return found;
  }
}

type Answer = client.TokenEndpointResponse & client.TokenEndpointResponseHelpers;

function discover({ issuer, clientId, clientSecret }: OidcSettings): Promise<client.Configuration> {
  const url = new URL(issuer);
  const execute = [client.enableNonRepudiationChecks];
  // In the clear only to this machine.
  if (url.protocol === "http:" && isLoopback(url.hostname)) execute.push(client.allowInsecureRequests);
  const auth = clientSecret === undefined ? client.None() : client.ClientSecretBasic(clientSecret);
  return client.discovery(url, clientId, {}, auth, { execute, [client.customFetch]: limitedFetch });
}

function isLoopback(host: string): boolean {
  return host === "localhost" || host === "[::1]" || /^127\.\d+\.\d+\.\d+$/.test(host);
}

function isPending(error: unknown): boolean {
  return error instanceof client.ResponseBodyError && /^(authorization_pending|slow_down)$/.test(error.error);
}

function noRedirect(): Fault {
  const fix = "use weft login --oidc; or an administrator sets --oidc-redirect";
  return new Fault("unsupported", { what: "browsers cannot log in at this server", fix });
}

/** The library says the reason one error deeper, in its own words; what is deeper still may show the answer. */
function whyOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return error.cause instanceof Error ? `${error.message}: ${error.cause.message}` : error.message;
}

/** Nothing of an answer is repeated but the provider's own reason, cut and without control characters. */
function faultOf(error: unknown, issuer: string): Fault {
  if (error instanceof Fault) return error;
  const said =
    error instanceof client.ResponseBodyError || error instanceof client.AuthorizationResponseError
      ? `it says ${error.error}${error.error_description === undefined ? "" : `: ${error.error_description}`}`
      : undefined;
  if (said !== undefined)
    return new Fault("token-wrong", {
      what: "the OpenID provider has not let you in",
      where: issuer,
      why: cleanText(said.slice(0, 200)),
      fix: "begin again; if that does not help, ask whoever runs the provider",
    });
  const why = whyOf(error);
  const isAway = error instanceof TypeError || (error instanceof Error && error.name === "TimeoutError");
  if (isAway)
    return new Fault(
      "unavailable",
      {
        what: "the OpenID provider cannot be reached",
        where: issuer,
        why: cleanText(why.slice(0, 200)),
        fix: "try again later",
      },
      { cause: error },
    );
  return new Fault("token-wrong", {
    what: "the answer of the OpenID provider is not accepted",
    where: issuer,
    why: cleanText(why.slice(0, 200)),
    fix: "begin again; an administrator checks the settings --oidc-issuer and --oidc-client-id",
  });
}
