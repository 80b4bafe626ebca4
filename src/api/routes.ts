// Every route of the API, in the order of the OpenAPI document: HTTP in, one call of the control plane, HTTP out.
// Routes decide nothing.
import type { Parts, Route } from "./route.ts";
import { addressRoutes } from "./routes/addresses.ts";
import { clusterRoutes } from "./routes/cluster.ts";
import { hostRoutes } from "./routes/hosts.ts";
import { ipamRoutes } from "./routes/ipam.ts";
import { processRoutes } from "./routes/process.ts";
import { resourceRoutes } from "./routes/resources.ts";
import { workloadRoutes } from "./routes/workloads.ts";

export function routesOf(parts: Parts): readonly Route[] {
  return [processRoutes, resourceRoutes, clusterRoutes, workloadRoutes, addressRoutes, hostRoutes, ipamRoutes].flatMap(
    (routes) => routes(parts),
  );
}
