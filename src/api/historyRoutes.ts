// Hosts say of which history their revision is, and an administrator says that the server's holds (decision 23).
import type { Control } from "../control/control.ts";
import type { Position } from "../model/resource.ts";
import type { Call, Route } from "./route.ts";

export const HISTORY = {
  "Weft-History": "Of hosts, `history@revision`: what they have followed; 409 if this server never had it.",
};

/** How far a host has followed a server, if it says so. */
export function positionOf(call: Call): Position | undefined {
  const [, history, revision] = /^([\w-]{1,64})@(\d{1,15})$/.exec(call.header("weft-history") ?? "") ?? [];
  return history === undefined ? undefined : { history, revision: Number(revision) };
}

export function historyRoutes(control: Control): Route[] {
  return [
    {
      method: "POST",
      path: "/v1/hosts/{name}/accept-history",
      summary: "The host, which has followed another history than this server's, follows this one from now on.",
      access: "admin",
      query: {},
      answers: { 200: "Done" },
      async handle(call) {
        await control.acceptHistory(call.params["name"] ?? "");
        return { body: { revision: control.revision } };
      },
    },
  ];
}
