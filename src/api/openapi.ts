// The OpenAPI 3.1 document, computed from the routes and schemas that the server runs with.
import type { Route } from "./route.ts";
import { SCHEMAS, type SchemaName } from "./schemas.ts";

const PROBLEM = {
  description: "Refused; `reason` says why.",
  content: contentOf("application/problem+json", "Problem"),
};

/** The document of these routes, ready to be sent as JSON. */
export function openApiOf(routes: readonly Route[], version: string): object {
  const paths: Record<string, Record<string, object>> = {};
  for (const route of routes) (paths[route.path] ??= {})[route.method.toLowerCase()] = operationOf(route);
  return {
    openapi: "3.1.0",
    info: { title: "Weft", version, description: "Virtual networks for clusters." },
    security: [{ token: [] }],
    paths,
    components: { securitySchemes: { token: { type: "http", scheme: "bearer" } }, schemas: SCHEMAS },
  };
}

function operationOf(route: Route): object {
  const answers = Object.entries(route.answers).map(([status, answer]) => [
    status,
    {
      description: "Done.",
      content: typeof answer === "string" ? contentOf("application/json", answer) : { [answer.type]: {} },
    },
  ]);
  return {
    summary: route.summary,
    operationId: operationId(route),
    ...(route.access === "open" ? { security: [] } : {}),
    parameters: [
      ...[...route.path.matchAll(/\{(\w+)\}/g)].map(([, name]) => ({
        name,
        in: "path",
        required: true,
        schema: { type: "string" },
      })),
      ...parameters("query", route.query === "any" ? {} : route.query),
      ...parameters("header", route.headers),
    ],
    ...(route.body === undefined
      ? {}
      : { requestBody: { required: true, content: contentOf("application/json", route.body) } }),
    responses: { ...Object.fromEntries(answers), default: PROBLEM },
  };
}

/** `putNetworksName`: unique, because method and path are. */
function operationId({ method, path }: Route): string {
  const words = path.split(/[^a-zA-Z0-9]+/).filter((word) => word !== "v1");
  return method.toLowerCase() + words.map((word) => word.charAt(0).toUpperCase() + word.slice(1)).join("");
}

function parameters(place: "query" | "header", described: Readonly<Record<string, string>> | undefined): object[] {
  return Object.entries(described ?? {}).map(([name, description]) => ({
    name,
    in: place,
    description,
    schema: { type: "string" },
  }));
}

function contentOf(type: string, schema: SchemaName): object {
  return { [type]: { schema: { $ref: `#/components/schemas/${schema}` } } };
}
