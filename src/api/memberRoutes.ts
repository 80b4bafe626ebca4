// The routes about pools, which networks come from, and about which workloads are in which networks: memberships,
// migrations and the moves they are made of.
import type { Control } from "../control/control.ts";
import { parseMembership, parseMigration, parseMoveReport, parsePoolPut } from "../model/parse.ts";
import { MATCH, type Route, jsonOf, matchOf, putAnswer, viewerOf } from "./route.ts";

export function memberRoutes(control: Control): readonly Route[] {
  return [
    {
      method: "PUT",
      path: "/v1/pools/{name}",
      summary: "Makes or changes a pool; networks that came from it stay as they are.",
      access: "admin",
      query: {},
      headers: { ...MATCH, "If-None-Match": "*: only if there is none." },
      body: "PoolPut",
      answers: { 200: "Pool", 201: "Pool" },
      handle: async (call) =>
        putAnswer(
          await control.write({
            verb: "put", kind: "pool",
            name: call.params["name"] ?? "",
            spec: parsePoolPut(jsonOf(call)),
            ...matchOf(call),
          }),
        ),
    },
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
