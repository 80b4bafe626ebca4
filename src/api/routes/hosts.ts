// Routes of hosts: join, report, drain, reclaim; and making them load a group again.
import type { Control } from "../../control/control.ts";
import { parseGroupCommit, parseHostSettings, parseJoin, parsePreflight, parseReport } from "../../model/parse.ts";
import { FORCE, MATCH, type Parts, type Route, flagIn, hostOnly, jsonOf, matchOf } from "../route.ts";

export function hostRoutes({ control }: Parts): Route[] {
  return [
    COMMIT_GROUP,
    {
      method: "POST",
      path: "/v1/hosts/{name}/join",
      summary: "Claims a host's name with the join token, or confirms it with the host's own.",
      access: "any",
      body: "JoinRequest",
      answers: { 200: "Joined" },
      async handle(call) {
        const { claim, token } = parseJoin(call.name, jsonOf(call));
        return { body: { ...(await control.join(claim, call.token, token, call.caller)), ...heardBy(control) } };
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
        const options = { force: flagIn(call, "force"), dryRun: flagIn(call, "dryRun"), caller: call.caller };
        const { revision, changes } = await control.reclaim(call.name, options);
        return { body: { revision, changes } };
      },
    },
    {
      method: "POST",
      path: "/v1/hosts/preflight",
      summary: "Lets hosts send each other packets as tunnels would, and says what passes; takes some seconds.",
      access: "admin",
      body: "PreflightRequest",
      answers: { 200: "PreflightReport" },
      handle: async (call) => ({ body: await control.preflight(parsePreflight(jsonOf(call))) }),
    },
    ...DRAIN,
    SET,
    {
      method: "PUT",
      path: "/v1/hosts/{name}/report",
      summary: "What a host has reached.",
      access: "viewer",
      body: "HostReport",
      answers: { 200: "Heard" },
      async handle(call) {
        hostOnly(call);
        await control.report(parseReport(call.name, jsonOf(call)));
        return { body: { revision: control.revision, ...heardBy(control) } };
      },
    },
    {
      method: "POST",
      path: "/v1/hosts/{name}/accept-history",
      summary: "The host, which has followed another history than this server's, follows this one from now on.",
      access: "admin",
      answers: { 200: "Done" },
      async handle({ name, caller }) {
        await control.acceptHistory(name, caller);
        return { body: { revision: control.revision } };
      },
    },
  ];
}

const COMMIT_GROUP: Route = {
  method: "POST",
  path: "/v1/securitygroups/{name}/commit",
  summary: "Hosts load the group again, even if they already have it: all, or these.",
  access: "user",
  body: "SecurityGroupCommit",
  answers: { 200: "SecurityGroup" },
  write: (call) => ({ verb: "commit-group", name: call.name, ...parseGroupCommit(jsonOf(call)) }),
};

const DRAIN = ([true, false] as const).map(
  (drained): Route => ({
    method: "POST",
    path: `/v1/hosts/{name}/${drained ? "drain" : "resume"}`,
    summary: drained ? "No new endpoints on the host; those it has stay." : "New endpoints on the host again.",
    access: "user",
    headers: MATCH,
    answers: { 200: "Host" },
    write: (call) => ({ verb: "drain", host: call.name, drained, ...matchOf(call) }),
  }),
);

const SET: Route = {
  method: "POST",
  path: "/v1/hosts/{name}/set",
  summary: "What counts of a host instead of what its agent says; what is left out stays.",
  access: "user",
  query: { force: "true: also if endpoints are on a host that leaves their network's clusters; it detaches them." },
  headers: MATCH,
  body: "HostSettings",
  answers: { 200: "Host" },
  write: (call) => ({
    verb: "set-host",
    host: call.name,
    settings: parseHostSettings(jsonOf(call)),
    force: flagIn(call, "force"),
    ...matchOf(call),
  }),
};

/** An agent must know how often to report, and how long it may allocate from its blocks without hearing the server. */
function heardBy({ liveness: { suspectAfterMs, reclaimAfterMs } }: Control) {
  return { suspectAfterMs, ...(reclaimAfterMs === undefined ? {} : { reclaimAfterMs }) };
}
