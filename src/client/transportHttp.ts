// An agent's transport over the server's API. In a file of its own, because the command line starts without it.
import type { Clock } from "../model/clock.ts";
import { Fault } from "../model/fault.ts";
import type { Position } from "../model/resource.ts";
import { ClaimLine } from "./claims.ts";
import { askWith, type Call } from "./http.ts";
import { type ServerLocation, httpTo, pathOf, watchOver } from "./server.ts";
import type { Joined, Transport } from "./transport.ts";

type HttpTransport = Transport & {
  /** Continues as a host that has not joined yet. */
  renew(joinToken: string, proposed: string): void;
  close(): void;
};

/**
 * An agent's transport to its server. Starts with the join token or the host's own token, and continues with the one
 * from joining. `proposed` is the credential that the host proposes. It is stored before it is sent, so that a join
 * whose answer was lost can be repeated.
 */
export function httpTransport(
  place: ServerLocation & { readonly token: string; readonly proposed?: string; readonly clock: Clock },
): HttpTransport {
  const http = httpTo(place.url);
  let { token, proposed } = place;
  const ask = askWith(http, () => token);
  const claims = new ClaimLine(http, () => token, place.clock);
  return {
    async join({ host, ...claim }) {
      const body = proposed === undefined ? claim : { ...claim, token: proposed };
      const joined = await ask<Joined>("POST", `${pathOf("host", host)}/join`, { body });
      token = joined.token;
      return joined;
    },
    snapshot: (known) => ask("GET", "/v1/snapshot", shown(known)),
    watch: (from, signal, history) =>
      watchOver(http, from, signal, {
        token,
        ...shown(history === undefined ? undefined : { history, revision: from }),
      }),
    report: (body) => ask("PUT", `${pathOf("host", body.host)}/report`, { body }),
    answer: (body) => ask("POST", `${pathOf("host", body.inventory.host)}/inventory`, { body }),
    attach: async (body, granted = () => undefined) =>
      (await claims.claim(body, granted)) ?? ask("POST", "/v1/endpoints", { body }),
    attachAnywhere: (body) => ask("POST", "/v1/endpoints", { body }),
    detach: (endpoint) => ask<void>("DELETE", pathOf("endpoint", endpoint)).catch(unlessGone),
    renew(joinToken, another) {
      token = joinToken;
      proposed = another;
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
