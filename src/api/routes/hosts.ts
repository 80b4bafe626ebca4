// Routes of hosts: join, report, drain, reclaim.
import type { Control } from "../../control/control.ts";
import { parseJoin, parseReport } from "../../model/parse.ts";
import type { Parts } from "../parts.ts";
import { FORCE, MATCH, type Route, adminOnly, flagIn, jsonOf, matchOf, putAnswer } from "../route.ts";

export function hostRoutes({ control }: Parts): Route[] {
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
    {
      method: "POST",
      path: "/v1/hosts/{name}/accept-history",
      summary: "The host, which has followed another history than this server's, follows this one from now on.",
      access: "admin",
      query: {},
      answers: { 200: "Done" },
      async handle(call) {
        await control.acceptHistory(call.params["name"] ?? "");
        return { body: { revision: control.revision } };
      },
    },
  ];
}

/** An agent must know for how long it may allocate from its blocks without hearing the server. */
function heardBy({ reclaimAfterMs }: Control): { readonly reclaimAfterMs?: number } {
  return reclaimAfterMs === undefined ? {} : { reclaimAfterMs };
}
