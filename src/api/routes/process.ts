// Routes about the server itself.
import type { Parts } from "../parts.ts";
import type { Route } from "../route.ts";

export function processRoutes({ control, metrics, watches, version }: Parts): Route[] {
  const plain = { 200: { type: "text/plain" } };
  return [
    {
      method: "GET",
      path: "/livez",
      summary: "Whether the process answers.",
      access: "open",
      answers: plain,
      handle: () => ({ type: "text/plain", text: "ok\n" }),
    },
    {
      method: "GET",
      path: "/readyz",
      summary: "Whether the store can be read.",
      access: "open",
      answers: plain,
      async handle() {
        await control.ready();
        return { type: "text/plain", text: "ok\n" };
      },
    },
    {
      method: "GET",
      path: "/metrics",
      summary: "Metrics for Prometheus.",
      access: "viewer",
      answers: plain,
      handle: async () => ({ type: metrics.type, text: await metrics.render(control, watches.count) }),
    },
    {
      method: "GET",
      path: "/v1/version",
      summary: "Version of the server, and its cluster.",
      access: "any",
      answers: { 200: "Version" },
      handle: () => ({ body: { version, cluster: control.cluster } }),
    },
  ];
}
