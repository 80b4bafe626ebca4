// An agent's transport over the server's API. In a file of its own, because the command line starts without it.
import type { Clock } from "../model/clock.ts";
import { Fault } from "../model/fault.ts";
import type { Position } from "../model/resource.ts";
import { ClaimLine } from "./claims.ts";
import { askWith, type Call } from "./http.ts";
import type { HostCredential } from "./hostCredential.ts";
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
  "bearer" | "tls" | "isDue" | "request" | "take" | "refused" | "heardSigner" | "begin"
>;
type Place = { readonly url: string; readonly credential: TransportCredential; readonly clock: Clock };

/**
 * An agent's transport to its server. Joins with the join token, and continues with the certificate from joining. The
 * host's key is stored before it is used, so that a join whose answer was lost can be repeated.
 */
export function httpTransport({ url, credential, clock }: Place): HttpTransport {
  const http = httpTo(url, () => credential.tls());
  const bearer = () => credential.bearer;
  const ask = askWith(http, bearer);
  const claims = new ClaimLine(http, bearer, clock);
  return {
    isDue: () => credential.isDue(clock.nowMs()),
    async join({ host, ...claim }) {
      const csr = credential.isDue(clock.nowMs()) ? await credential.request(host) : undefined;
      const body = csr === undefined ? claim : { ...claim, csr };
      try {
        const joined = await ask<Joined>("POST", `${pathOf("host", host)}/join`, { body });
        const { certificate, ca } = joined;
        if (certificate === undefined || ca === undefined) return joined;
        credential.take({ certificate, ca });
        http.renew();
        claims.renew();
        return joined;
      } catch (error) {
        const isRefused = error instanceof Fault && error.reason === "certificate-refused";
        if (isRefused && credential.refused()) http.renew();
        throw error;
      }
    },
    snapshot: (known) => ask("GET", "/v1/snapshot", shown(known)),
    watch: (from, signal, history) =>
      watchOver(http, from, signal, {
        ...(credential.bearer === undefined ? {} : { token: credential.bearer }),
        ...shown(history === undefined ? undefined : { history, revision: from }),
      }),
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

function shown(known: Position | undefined): Pick<Call, "headers"> {
  return known === undefined ? {} : { headers: { "weft-history": `${known.history}@${known.revision}` } };
}

/** Succeeds also if nothing of that name is attached. */
function unlessGone(error: unknown): void {
  if (!(error instanceof Fault) || error.reason !== "endpoint-unknown") throw error;
}
