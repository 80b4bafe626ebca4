// Routes of reservations: pieces of a global network.
import { parseReserve } from "../../model/parse.ts";
import type { Parts } from "../parts.ts";
import { MATCH, type Route, jsonOf, matchOf, putAnswer } from "../route.ts";

export function reservationRoutes({ control }: Parts): Route[] {
  return [
    {
      method: "POST",
      path: "/v1/networks/{name}/reservations",
      summary: "Gives a contiguous piece of a global network to a reservation: a new one, or one that is there.",
      access: "admin",
      query: {},
      headers: { ...MATCH, "If-None-Match": "*: only if there is no such reservation yet." },
      body: "ReserveRequest",
      answers: { 200: "Network", 201: "Network" },
      handle: async (call) =>
        putAnswer(
          await control.write({
            verb: "reserve",
            network: call.params["name"] ?? "",
            request: parseReserve(jsonOf(call)),
            ...matchOf(call),
          }),
        ),
    },
  ];
}
