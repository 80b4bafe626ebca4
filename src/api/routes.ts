// Every route of the API: HTTP in, one call of the control plane, HTTP out. Judges nothing.
import type { Control } from "../control/control.ts";
import { Fault } from "../model/fault.ts";
import {
  parseApply,
  parseEndpointClaim,
  parseJoin,
  parseNetworkPut,
  parseReport,
  parseVrfPut,
} from "../model/parse.ts";
import { HISTORY, historyRoutes, positionOf } from "./historyRoutes.ts";
import { KINDS } from "./kinds.ts";
import { leaseRoutes, reservationRoutes } from "./leaseRoutes.ts";
import { memberRoutes } from "./memberRoutes.ts";
import type { Metrics } from "./metrics.ts";
import { ipamRoutes } from "./ipamRoutes.ts";
import { patchRoutes } from "./patchRoutes.ts";
import { PAGE_DEFAULT, PAGE_MAX, pageOf } from "./page.ts";
import { policyRoutes } from "./groupRoutes.ts";
import {
  MATCH,
  type Route,
  adminOnly,
  flagIn,
  jsonOf,
  matchOf,
  numberIn,
  putAnswer,
  viewerOf,
  withEtag,
} from "./route.ts";
import type { Watches } from "./watches.ts";

export type Parts = {
  readonly control: Control;
  readonly watches: Watches;
  readonly metrics: Metrics;
  readonly version: string;
};

const FORCE = { force: "true: also what stands in the way." };

export function routesOf(parts: Parts): readonly Route[] {
  return [
    ...processRoutes(parts),
    ...readRoutes(parts),
    ...writeRoutes(parts),
    ...memberRoutes(parts.control),
    ...leaseRoutes(parts.control),
    ...patchRoutes(parts.control),
    ...reservationRoutes(parts.control),
    ...policyRoutes(parts),
    ...deleteRoutes(parts),
    ...hostRoutes(parts),
    ...historyRoutes(parts.control),
    ...ipamRoutes(parts.control),
  ];
}

function processRoutes({ control, metrics, watches, version }: Parts): Route[] {
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

function readRoutes(parts: Parts): Route[] {
  const { control } = parts;
  const reads = KINDS.flatMap(({ kind, plural = `${kind}s`, item, page, unknown, called = kind, see }): Route[] => [
    {
      method: "GET",
      path: `/v1/${plural}`,
      summary: `All ${plural} that the caller may see.`,
      access: "viewer",
      answers: { 200: page },
      query: {
        limit: `At most so many (${PAGE_DEFAULT} by default, ${PAGE_MAX} at most).`,
        cursor: "Only what follows; from the page before.",
      },
      async handle(call) {
        const limit = numberIn(call, "limit", 1, PAGE_MAX) ?? PAGE_DEFAULT;
        return { body: pageOf(await control.list(kind, viewerOf(call), { after: call.query["cursor"] ?? "", limit })) };
      },
    },
    {
      method: "GET",
      path: `/v1/${plural}/{name}`,
      summary: `One ${kind}.`,
      access: "viewer",
      query: {},
      answers: { 200: item },
      async handle(call) {
        const name = call.params["name"] ?? "";
        const resource = await control.find(kind, name, viewerOf(call));
        if (resource !== undefined) return withEtag(200, resource);
        throw new Fault(unknown, {
          what: `there is no ${called} "${name.slice(0, 80)}"`,
          where: "name",
          fix: `see weft ${see}`,
        });
      },
    },
  ]);
  return [...reads, ...wholeRoutes(parts)];
}

function wholeRoutes({ control, watches }: Parts): Route[] {
  return [
    {
      method: "GET",
      path: "/v1/snapshot",
      summary: "Everything the caller may see, at one revision.",
      access: "viewer",
      query: {},
      headers: HISTORY,
      answers: { 200: "Snapshot" },
      handle: async (call) => ({ body: await control.snapshot(viewerOf(call), positionOf(call)) }),
    },
    {
      method: "GET",
      path: "/v1/watch",
      access: "viewer",
      answers: { 200: { type: "application/x-ndjson" } },
      summary:
        "Every change set after a revision, one JSON value per line, as commits become durable. 410: list again.",
      query: { from: "The revision of the snapshot, or of the last change set." },
      headers: HISTORY,
      handle(call) {
        const viewer = viewerOf(call);
        const from = numberIn(call, "from", 0, Number.MAX_SAFE_INTEGER);
        if (from === undefined)
          throw new Fault("request-invalid", {
            what: "?from is missing",
            where: "?from",
            fix: "give the revision of your snapshot",
          });
        return {
          stream: watches.serve(from, (signal) => control.watch(from, viewer, signal, positionOf(call)?.history)),
        };
      },
    },
    {
      method: "GET",
      path: "/v1/status",
      summary: "How far each host is, and what a user should know.",
      access: "viewer",
      query: {},
      answers: { 200: "ClusterStatus" },
      handle: async () => ({ body: await control.status() }),
    },
  ];
}

function writeRoutes({ control }: Parts): Route[] {
  return [
    {
      method: "PUT",
      path: "/v1/networks/{name}",
      summary: "Makes or changes a network; what is left out gets its default.",
      access: "admin",
      query: { force: "true: also if leases lose their range; their hosts are asked to detach them." },
      headers: { ...MATCH, "If-None-Match": "*: only if there is none." },
      body: "NetworkPut",
      answers: { 200: "Network", 201: "Network" },
      handle: async (call) =>
        putAnswer(
          await control.write({
            verb: "put", kind: "network",
            name: call.params["name"] ?? "",
            spec: parseNetworkPut(jsonOf(call)),
            force: flagIn(call, "force"),
            ...matchOf(call),
          }),
        ),
    },
    {
      method: "PUT",
      path: "/v1/vrfs/{name}",
      summary: "Makes or changes a routing domain; what is left out gets its default.",
      access: "admin",
      query: {},
      headers: { ...MATCH, "If-None-Match": "*: only if there is none." },
      body: "VrfPut",
      answers: { 200: "Vrf", 201: "Vrf" },
      handle: async (call) =>
        putAnswer(
          await control.write({
            verb: "put", kind: "vrf",
            name: call.params["name"] ?? "",
            spec: parseVrfPut(jsonOf(call)),
            ...matchOf(call),
          }),
        ),
    },
    {
      method: "POST",
      path: "/v1/apply",
      summary: "Puts networks, VRFs, pools and groups, deletes networks not listed: all in one commit or nothing.",
      access: "admin",
      query: {},
      body: "ApplyRequest",
      answers: { 200: "Applied" },
      async handle(call) {
        const { resources, pruneVrf, dryRun } = parseApply(jsonOf(call));
        const write = { verb: "apply", items: resources, ...(pruneVrf === undefined ? {} : { pruneVrf }) } as const;
        const { revision, changes } = await control.write(write, { dryRun: dryRun === true });
        return { body: { revision, changes } };
      },
    },
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
  ];
}

function deleteRoutes({ control }: Parts): Route[] {
  const deletes = (["network", "vrf", "host", "pool", "membership", "migration", "securitygroup"] as const).map(
    (kind): Route => ({
      method: "DELETE",
      path: `/v1/${kind}s/{name}`,
      summary: `Deletes a ${kind}; refused while it is in use, unless forced.`,
      access: "admin",
      query: FORCE,
      headers: MATCH,
      answers: { 200: "Done" },
      async handle(call) {
        const name = call.params["name"] ?? "";
        // One that was reclaimed is only a line in lists.
        if (kind === "host" && (await control.forgetDeparture(name))) return { body: { revision: control.revision } };
        const { revision } = await control.write({
          verb: "delete",
          kind,
          name,
          force: flagIn(call, "force"),
          ...matchOf(call),
        });
        return { body: { revision } };
      },
    }),
  );
  return [
    ...deletes,
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

function hostRoutes({ control }: Parts): Route[] {
  return [
    {
      method: "POST",
      path: "/v1/hosts/{name}/join",
      summary: "Claims a host's name with the join token, or confirms it with the host's own.",
      access: "any",
      query: {},
      body: "JoinRequest",
      answers: { 200: "Joined" },
      async handle(call) {
        const { claim, token } = parseJoin(call.params["name"] ?? "", jsonOf(call));
        return { body: { ...(await control.join(claim, call.token, token)), ...heardBy(control) } };
      },
    },
    {
      method: "POST",
      path: "/v1/hosts/{name}/reclaim",
      summary: "Frees what a lost host had, and ends its token. Refused while it is not lost, unless forced.",
      access: "admin",
      query: { ...FORCE, dryRun: "true: only say what would go." },
      answers: { 200: "Applied" },
      async handle(call) {
        const options = { force: flagIn(call, "force"), dryRun: flagIn(call, "dryRun") };
        const { revision, changes } = await control.reclaim(call.params["name"] ?? "", options);
        return { body: { revision, changes } };
      },
    },
    ...([true, false] as const).map(
      (drained): Route => ({
        method: "POST",
        path: `/v1/hosts/{name}/${drained ? "drain" : "resume"}`,
        summary: drained ? "No new endpoints on the host; those it has stay." : "New endpoints on the host again.",
        access: "admin",
        query: {},
        headers: MATCH,
        answers: { 200: "Host" },
        handle: async (call) =>
          putAnswer(await control.write({ verb: "drain", host: call.params["name"] ?? "", drained, ...matchOf(call) })),
      }),
    ),
    {
      method: "PUT",
      path: "/v1/hosts/{name}/report",
      summary: "What a host has reached.",
      access: "viewer",
      query: {},
      body: "HostReport",
      answers: { 200: "Heard" },
      async handle(call) {
        const name = call.params["name"] ?? "";
        if (call.identity.role !== "host" || call.identity.host !== name) adminOnly(call);
        await control.report(parseReport(name, jsonOf(call)));
        return { body: { revision: control.revision, ...heardBy(control) } };
      },
    },
  ];
}

/** An agent must know how long its blocks are its own when nobody hears it. */
function heardBy({ reclaimAfterMs }: Control): { readonly reclaimAfterMs?: number } {
  return reclaimAfterMs === undefined ? {} : { reclaimAfterMs };
}
