// An agent's transport over the server's API. In a file of its own, because the command line starts without it.
import type { Clock } from "../model/clock.ts";
import { Fault, problemOf } from "../model/fault.ts";
import type { Position } from "../model/resource.ts";
import { ClaimLine } from "./claims.ts";
import { type Ask, askWith, type Call } from "./http.ts";
import type { HostCredential, Proof } from "./hostCredential.ts";
import { httpTo, pathOf, watchOver } from "./server.ts";
import type { Heard, Joined, Transport } from "./transport.ts";

type HttpTransport = Transport & {
  /** Continues as a host that has not joined yet, with another key. */
  renew(key: string): void;
  close(): void;
};
/** What a transport needs of a host's credential. */
export type TransportCredential = Pick<
  HostCredential,
  "proof" | "bearer" | "tls" | "isDue" | "request" | "take" | "refused" | "heardSigner" | "begin"
>;
type Place = { readonly url: string; readonly credential: TransportCredential; readonly clock: Clock };

/**
 * An agent's transport to its server. Joins with the join token, and continues with the certificate from joining. The
 * host's key is stored before it is used, so that a join whose answer was lost can be repeated.
 */
export function httpTransport({ url, credential, clock }: Place): HttpTransport {
  const { http, door, asking, refused } = linesTo(url, credential);
  const bearer = () => credential.bearer("certificate");
  const ask = asking("certificate");
  const claims = new ClaimLine(http, bearer, clock);
  return {
    isDue: () => credential.isDue(clock.nowMs()),
    async join({ host, ...claim }) {
      const csr = credential.isDue(clock.nowMs()) ? await credential.request(host) : undefined;
      const body = csr === undefined ? claim : { ...claim, csr };
      try {
        const joined = await asking(credential.proof)<Joined>("POST", `${pathOf("host", host)}/join`, { body });
        const { certificate, ca } = joined;
        if (certificate === undefined || ca === undefined) return joined;
        credential.take({ certificate, ca }, clock.nowMs());
        http.renew();
        claims.renew();
        return joined;
      } finally {
        // The next token may name another CA.
        door.close();
      }
    },
    snapshot: (known) => ask("GET", "/v1/snapshot", shown(known)),
    async *watch(from, signal, history) {
      const token = bearer();
      const as = {
        ...(token === undefined ? {} : { token }),
        ...shown(history === undefined ? undefined : { history, revision: from }),
      };
      try {
        yield* watchOver(http, from, signal, as);
      } catch (error) {
        refused("certificate", error);
      }
    },
    async report(body) {
      const heard = await ask<Heard>("PUT", `${pathOf("host", body.host)}/report`, { body });
      credential.heardSigner(heard.ca);
      return heard;
    },
    answer: (body) => ask("POST", `${pathOf("host", body.inventory.host)}/inventory`, { body }),
    attach: async (body, granted = () => undefined) =>
      (await claims.claim(body, granted)) ?? ask("POST", "/v1/endpoints", { body }),
    attachAnywhere: (body) => ask("POST", "/v1/endpoints", { body }),
    detach: (endpoint) => ask<void>("DELETE", pathOf("endpoint", endpoint)).catch(unlessGone),
    renew(key) {
      credential.begin(key);
      http.renew();
      // It is another host now.
      claims.close();
    },
    moved: (move, body) => ask("PUT", pathOf("move", move), { body }),
    reconnect() {
      claims.close();
      http.close();
    },
    close() {
      claims.close();
      http.close();
    },
  };
}

function linesTo(url: string, credential: TransportCredential) {
  const http = httpTo(url, () => credential.tls("certificate"));
  // Only joins show a join token, over connections of their own.
  const door = httpTo(url, () => credential.tls("token"));
  const refused = (proof: Proof, error: unknown): never => {
    credential.refused(proof, problemOf(error).reason);
    // What the server knows of a connection it has learned when that began.
    if (problemOf(error).reason === "certificate-refused") http.renew();
    throw error;
  };
  const asking = (proof: Proof): Ask => {
    const ask = askWith(proof === "token" ? door : http, () => credential.bearer(proof));
    return <T>(...call: Parameters<Ask>) => ask<T>(...call).catch((error: unknown) => refused(proof, error));
  };
  return { http, door, asking, refused };
}

function shown(known: Position | undefined): Pick<Call, "headers"> {
  return known === undefined ? {} : { headers: { "weft-history": `${known.history}@${known.revision}` } };
}

/** Succeeds also if nothing of that name is attached. */
function unlessGone(error: unknown): void {
  if (!(error instanceof Fault) || error.reason !== "endpoint-unknown") throw error;
}
