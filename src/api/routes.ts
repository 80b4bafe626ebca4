// Every route of the API, in the order of the OpenAPI document: HTTP in, one call of the control plane, HTTP out.
// Routes decide nothing.
import type { Parts } from "./parts.ts";
import type { Route } from "./route.ts";
import { clusterRoutes } from "./routes/cluster.ts";
import { endpointRoutes } from "./routes/endpoints.ts";
import { hostRoutes } from "./routes/hosts.ts";
import { ipamRoutes } from "./routes/ipam.ts";
import { leaseRoutes } from "./routes/leases.ts";
import { processRoutes } from "./routes/process.ts";
import { reservationRoutes } from "./routes/reservations.ts";
import { resourceRoutes } from "./routes/resources.ts";
import { groupRoutes } from "./routes/securitygroups.ts";
import { workloadRoutes } from "./routes/workloads.ts";

export function routesOf(parts: Parts): readonly Route[] {
  return [
    processRoutes,
    resourceRoutes,
    clusterRoutes,
    workloadRoutes,
    endpointRoutes,
    leaseRoutes,
    reservationRoutes,
    groupRoutes,
    hostRoutes,
    ipamRoutes,
  ].flatMap((routes) => routes(parts));
}
