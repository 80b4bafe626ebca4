// Routes of endpoints: attach, change, detach.
import { parseEndpointClaim, parseEndpointClaims, parseEndpointPatch } from "../../model/parse.ts";
import type { Parts } from "../parts.ts";
import { FORCE, MATCH, type Route, flagIn, jsonOf, matchOf, putAnswer, viewerOf } from "../route.ts";

export function endpointRoutes({ control }: Parts): Route[] {
  return [
    {
      method: "POST",
      path: "/v1/endpoints",
      summary: "Makes an endpoint, or confirms the one of the same owner and interface.",
      access: "viewer",
      query: {},
      body: "EndpointClaim",
      answers: { 200: "Endpoint", 201: "Endpoint" },
      handle: async (call) =>
        putAnswer(await control.write({ verb: "attach", claim: parseEndpointClaim(jsonOf(call)), by: viewerOf(call) })),
    },
    {
      method: "POST",
      path: "/v1/endpoint-sets",
      summary: "Makes or confirms several endpoints: all in one commit or none.",
      access: "viewer",
      query: {},
      body: "EndpointClaims",
      answers: { 200: "Applied" },
      async handle(call) {
        const claims = parseEndpointClaims(jsonOf(call));
        const { revision, changes } = await control.write({ verb: "attach-all", claims, by: viewerOf(call) });
        return { body: { revision, changes } };
      },
    },
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
    {
      method: "DELETE",
      path: "/v1/endpoints/{name}",
      summary: "By its host: removes it. By an administrator: asks its host to detach it; force removes it at once.",
      access: "viewer",
      query: FORCE,
      headers: MATCH,
      answers: { 200: "Done" },
      async handle(call) {
        const { revision } = await control.write({
          verb: "detach",
          endpoint: call.params["name"] ?? "",
          by: viewerOf(call),
          force: flagIn(call, "force"),
          ...matchOf(call),
        });
        return { body: { revision } };
      },
    },
  ];
}
