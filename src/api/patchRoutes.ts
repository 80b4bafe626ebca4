// What may change of an endpoint while it is attached, over HTTP.
import type { Control } from "../control/control.ts";
import { parseEndpointPatch } from "../model/parse.ts";
import { MATCH, type Route, jsonOf, matchOf, putAnswer } from "./route.ts";

export function patchRoutes(control: Control): Route[] {
  return [
    {
      method: "PATCH",
      path: "/v1/endpoints/{name}",
      summary: "Changes limits, groups and further addresses of an attached endpoint; what is not given stays.",
      access: "admin",
      query: {},
      headers: MATCH,
      body: "EndpointPatch",
      answers: { 200: "Endpoint" },
      handle: async (call) =>
        putAnswer(
          await control.write({
            verb: "patch-endpoint",
            name: call.params["name"] ?? "",
            patch: parseEndpointPatch(jsonOf(call)),
            ...matchOf(call),
          }),
        ),
    },
  ];
}
