// For tests: a provider that answers what it is told to, right or wrong.
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { type JWTPayload, SignJWT, exportJWK, generateKeyPair } from "jose";

type Lies = {
  /** Instead of the id token's claims, which are right. */
  readonly claims?: (right: JWTPayload) => JWTPayload;
  /** The id token as it is sent. */
  readonly token?: (right: JWTPayload) => string | Promise<string>;
  /** The whole answer to a request for this path. */
  readonly raw?: Readonly<Record<string, (issuer: string) => string>>;
  readonly status?: number;
};

const CODE = "a-code";
const KEY = { alg: "RS256", kid: "k" } as const;

export async function openHostile() {
  const { privateKey, publicKey } = await generateKeyPair("RS256");
  const stranger = (await generateKeyPair("RS256")).privateKey;
  const state = { lies: {} as Lies, nonce: "", sub: "anna", asked: [] as string[] };
  const server = createServer((request, response) => {
    const path = new URL(request.url ?? "", "http://x").pathname;
    state.asked.push(path);
    void answer(path).then((body) => {
      response.writeHead(state.lies.status ?? 200, { "content-type": "application/json" });
      response.end(body);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const issuer = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;

  async function answer(path: string): Promise<string> {
    const raw = state.lies.raw?.[path];
    if (raw !== undefined) return raw(issuer);
    if (path === "/jwks") return JSON.stringify({ keys: [{ ...(await exportJWK(publicKey)), ...KEY, use: "sig" }] });
    if (path !== "/token") return JSON.stringify(metadataOf(issuer));
    const now = Math.floor(Date.now() / 1000);
    const right = {
      iss: issuer,
      aud: "weft",
      sub: state.sub,
      nonce: state.nonce,
      iat: now,
      exp: now + 60,
      preferred_username: "anna",
      groups: ["ops"],
    };
    const claims = state.lies.claims?.(right) ?? right;
    const token = (await state.lies.token?.(claims)) ?? (await sign(claims));
    return JSON.stringify({ access_token: "an-access-token", token_type: "Bearer", id_token: token });
  }

  const sign = (claims: JWTPayload, key = privateKey) => new SignJWT(claims).setProtectedHeader(KEY).sign(key);
  return {
    issuer,
    state,
    /** Signed by a key that is not the provider's. */
    forged: (claims: JWTPayload) => sign(claims, stranger),
    settings: { issuer, clientId: "weft", clientSecret: "a-secret", redirect: "https://weft.test/callback" },
    /** What a browser would come back with, after it was sent to `url`. */
    comeBack(url: string, more: Record<string, string> = {}): string {
      const asked = new URL(url).searchParams;
      state.nonce = asked.get("nonce") ?? "";
      const said = { code: CODE, state: asked.get("state") ?? "", iss: issuer, ...more };
      return `https://weft.test/callback?${new URLSearchParams(said).toString()}`;
    },
    close() {
      server.closeAllConnections();
      server.close();
    },
  };
}

export function metadataOf(issuer: string): object {
  return {
    issuer,
    authorization_endpoint: `${issuer}/auth`,
    token_endpoint: `${issuer}/token`,
    jwks_uri: `${issuer}/jwks`,
    response_types_supported: ["code"],
    subject_types_supported: ["public"],
    id_token_signing_alg_values_supported: ["RS256"],
    authorization_response_iss_parameter_supported: true,
    code_challenge_methods_supported: ["S256"],
  };
}
