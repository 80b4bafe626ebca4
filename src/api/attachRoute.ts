// An endpoint is made. A host may ask for an answer in two lines of JSON: what is decided, while the disk is still busy
// with it, and what is durable. It tells nobody before the second line, and undoes what it did if that is a problem or
// never comes (docs/decisions/0016).
import type { ServerResponse } from "node:http";
import type { Control } from "../control/control.ts";
import type { Outcome } from "../control/write.ts";
import { problemOf } from "../model/fault.ts";
import { parseEndpointClaim } from "../model/parse.ts";
import { type Answer, type Route, jsonOf, putAnswer, viewerOf } from "./route.ts";

const LINES = "application/x-ndjson";

export function attachRoute(control: Control): Route {
  return {
    method: "POST",
    path: "/v1/endpoints",
    summary: "Makes an endpoint, or confirms the one of the same owner and interface.",
    access: "viewer",
    query: {},
    headers: { Accept: `${LINES}: first {granted}, not durable yet, then the endpoint or a problem.` },
    body: "EndpointClaim",
    answers: { 200: "Endpoint", 201: "Endpoint" },
    async handle(call) {
      const write = { verb: "attach", claim: parseEndpointClaim(jsonOf(call)), by: viewerOf(call) } as const;
      if (call.header("accept") !== LINES) return putAnswer(await control.write(write));
      return inLines((decided) => control.write(write, { decided }));
    },
  };
}

/** `write` calls `decided` at most once, before it resolves; what it rejects with before that is an answer as ever. */
function inLines(write: (decided: (outcome: Outcome) => void) => Promise<Outcome>): Answer {
  return {
    async begun(begin) {
      let response: ServerResponse | undefined;
      const decided = ({ resource, created }: Outcome) => {
        response = begin();
        response.writeHead(created ? 201 : 200, { "content-type": LINES });
        response.write(`${JSON.stringify({ granted: resource })}\n`);
        // Otherwise it waits for the end of this turn, and with it for the disk.
        response.socket?.uncork();
      };
      const last = await write(decided).then(
        ({ resource }) => resource,
        (error: unknown) => {
          if (response === undefined) throw error;
          return problemOf(error);
        },
      );
      response?.end(`${JSON.stringify(last)}\n`);
    },
  };
}
