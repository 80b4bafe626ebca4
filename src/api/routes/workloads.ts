// Routes about which workloads are in which networks: memberships, migrations and the moves they are made of.
import { parseMembership, parseMigration, parseMoveReport } from "../../model/parse.ts";
import type { Parts } from "../parts.ts";
import { type Route, jsonOf, putAnswer, viewerOf } from "../route.ts";

export function workloadRoutes({ control }: Parts): Route[] {
  return [
    {
      method: "POST",
      path: "/v1/memberships",
      summary: "Every instance of a workload, now and later, gets an interface in a network.",
      access: "admin",
      query: {},
      body: "MembershipClaim",
      answers: { 200: "Membership", 201: "Membership" },
      handle: async (call) =>
        putAnswer(await control.write({ verb: "join-network", claim: parseMembership(jsonOf(call)) })),
    },
    {
      method: "POST",
      path: "/v1/migrations",
      summary: "Moves members of a network to another; refused before anything happens if they do not fit.",
      access: "admin",
      query: {},
      body: "MigrationRequest",
      answers: { 200: "Migrated", 201: "Migrated" },
      async handle(call) {
        const request = parseMigration(jsonOf(call));
        const dryRun = request.dryRun === true;
        const { resource, changes } = await control.write({ verb: "migrate", request }, { dryRun });
        const moves = changes.flatMap((change) => ("put" in change && change.put.kind === "move" ? [change.put] : []));
        return { status: dryRun ? 200 : 201, body: { migration: resource, moves } };
      },
    },
    {
      method: "PUT",
      path: "/v1/moves/{name}",
      summary: "How far a host is with a move of its own.",
      access: "viewer",
      query: {},
      body: "MoveReport",
      answers: { 200: "Done" },
      async handle(call) {
        const report = parseMoveReport(jsonOf(call));
        const { revision } = await control.write({
          verb: "move",
          move: call.params["name"] ?? "",
          report,
          by: viewerOf(call),
        });
        return { body: { revision } };
      },
    },
  ];
}
