// Routes about which workloads are in which networks: memberships, migrations, moves, and the endpoints they come to.
import {
  parseEndpointClaim,
  parseEndpointClaims,
  parseEndpointPatch,
  parseMembership,
  parseMigration,
  parseMoveReport,
} from "../../model/parse.ts";
import type { Control } from "../../control/control.ts";
import { bare } from "../../control/state/visibility.ts";
import { onBehalf } from "../onBehalf.ts";
import {
  type Answer,
  type Call,
  FORCE,
  MATCH,
  type Parts,
  type Route,
  flagIn,
  jsonOf,
  matchOf,
  viewerOf,
  withEtag,
} from "../route.ts";

export function workloadRoutes({ control }: Parts): Route[] {
  return [
    {
      method: "POST",
      path: "/v1/memberships",
      summary: "Every instance of a workload, now and later, gets an interface in a network.",
      access: "user",
      body: "MembershipClaim",
      answers: { 200: "Membership", 201: "Membership" },
      write: (call) => ({ verb: "join-network", claim: parseMembership(jsonOf(call)) }),
    },
    {
      method: "POST",
      path: "/v1/migrations",
      summary: "Moves members of a network to another; refused before anything happens if they do not fit.",
      access: "user",
      body: "MigrationRequest",
      answers: { 200: "Migrated", 201: "Migrated" },
      async handle(call) {
        const request = parseMigration(jsonOf(call));
        const dryRun = request.dryRun === true;
        const { resource, changes } = await control.writeAs(call.caller, { verb: "migrate", request }, { dryRun });
        const moves = changes.flatMap((change) => ("put" in change && change.put.kind === "move" ? [change.put] : []));
        return { status: dryRun ? 200 : 201, body: { migration: resource, moves } };
      },
    },
    {
      method: "PUT",
      path: "/v1/moves/{name}",
      summary: "How far a host is with a move of its own.",
      access: "host",
      body: "MoveReport",
      answers: { 200: "Done" },
      write: (call) => ({ verb: "move", report: parseMoveReport(jsonOf(call)), move: call.name, by: viewerOf(call) }),
    },
    ...endpointRoutes(control),
  ];
}

const endpointRoutes = (control: Control): readonly Route[] => [
  {
    method: "POST",
    path: "/v1/endpoints",
    summary: "Makes an endpoint, or confirms the one of the same owner and interface; in any network that fits, too.",
    access: "host",
    body: "EndpointClaim",
    answers: { 200: "Attached", 201: "Endpoint" },
    handle: (call) => attachOne(control, call),
  },
  {
    method: "POST",
    path: "/v1/endpoint-sets",
    summary: "Makes or confirms several endpoints: all in one commit or none.",
    access: "host",
    body: "EndpointClaims",
    answers: { 200: "Applied" },
    async handle(call) {
      const { caller, claims, by } = onBehalf(control, call.caller, parseEndpointClaims(jsonOf(call)));
      const { revision, changes } = await control.writeAs(caller, { verb: "attach-all", claims, by });
      return { body: { revision, changes } };
    },
  },
  {
    method: "PATCH",
    path: "/v1/endpoints/{name}",
    summary: "Changes limits, groups and further addresses of an attached endpoint; what is not given stays.",
    access: "user",
    headers: MATCH,
    body: "EndpointPatch",
    answers: { 200: "Endpoint" },
    write: (call) => ({
      verb: "patch-endpoint",
      name: call.name,
      patch: parseEndpointPatch(jsonOf(call)),
      ...matchOf(call),
    }),
  },
  {
    method: "DELETE",
    path: "/v1/endpoints/{name}",
    summary: "By its host: removes it. By an administrator: asks its host to detach it; force removes it at once.",
    access: "viewer",
    query: FORCE,
    headers: MATCH,
    answers: { 200: "Done" },
    write: (call) => ({
      verb: "detach",
      endpoint: call.name,
      by: viewerOf(call),
      force: flagIn(call, "force"),
      ...matchOf(call),
    }),
  },
];

async function attachOne(control: Control, call: Call): Promise<Answer> {
  const { caller, claims, by } = onBehalf(control, call.caller, [parseEndpointClaim(jsonOf(call))]);
  const [claim] = claims;
  if (claim === undefined) throw new Error("one claim is one");
  const { resource, created } = await control.writeAs(caller, { verb: "attach", claim, by });
  if (resource === undefined) throw new Error("an attach gives a resource");
  return withEtag(created ? 201 : 200, by.role === "host" ? bare(resource) : resource);
}
