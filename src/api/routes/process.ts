// Routes about the server itself.
import type { Parts, Route } from "../route.ts";

export function processRoutes({ control, metrics, watches, version }: Parts): Route[] {
  const plain = { query: "any", answers: { 200: { type: "text/plain" } } } as const;
  const ok = { type: "text/plain", text: "ok\n" };
  return [
    {
      method: "GET",
      path: "/livez",
      summary: "Whether the process answers.",
      access: "open",
      ...plain,
      handle: () => ok,
    },
    {
      method: "GET",
      path: "/readyz",
      summary: "Whether the store can be read.",
      access: "open",
      ...plain,
      handle: () => control.ready().then(() => ok),
    },
    {
      method: "GET",
      path: "/metrics",
      summary: "Metrics for Prometheus.",
      // They name every network, and say how full it is.
      access: "admin",
      ...plain,
      handle: async () => ({ type: metrics.type, text: await metrics.render(control, watches.count) }),
    },
    {
      method: "GET",
      path: "/v1/version",
      summary: "Version of the server, and its cluster.",
      access: "any",
      query: "any",
      answers: { 200: "Version" },
      handle: () => ({ body: { version, cluster: control.cluster } }),
    },
  ];
}
