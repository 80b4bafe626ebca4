// Routes of hosts: join, report, drain, reclaim; and making them load a group again.
import type { Control } from "../../control/control.ts";
import { defined } from "../../model/defined.ts";
import { Fault } from "../../model/fault.ts";
import type { HostClaim } from "../../model/input.ts";
import { parseGroupCommit, parseHostSettings, parseJoin, parsePreflight, parseReport } from "../../model/parse.ts";
import { credentialOfKey } from "../../control/hosts/credentials.ts";
import { credentialOf } from "../shown.ts";
import {
  type Call,
  FORCE,
  MATCH,
  type Parts,
  type Route,
  flagIn,
  hostOnly,
  jsonOf,
  matchOf,
  LARGE_BODY,
} from "../route.ts";

export function hostRoutes({ control }: Parts): Route[] {
  return [
    COMMIT_GROUP,
    {
      method: "POST",
      path: "/v1/hosts/{name}/join",
      summary:
        "Claims a host's name with a join token, or confirms it with the host's certificate; gives the next one.",
      access: "any",
      body: "JoinRequest",
      bodyLimit: LARGE_BODY,
      answers: { 200: "Joined" },
      async handle(call) {
        const { claim, csr } = parseJoin(call.name, jsonOf(call));
        return { body: { ...(await joinHost(control, call, claim, csr)), ...heardBy(control) } };
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
      bodyLimit: LARGE_BODY,
      answers: { 200: "Heard" },
      async handle(call) {
        hostOnly(call);
        await control.report(parseReport(call.name, jsonOf(call)), call.shown.certificate?.issuer());
        const ca = control.authority?.pin;
        return { body: { revision: control.revision, ...heardBy(control), ...defined({ ca }) } };
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

/** A host that brings a request for a certificate gets one; the first time it must. */
export async function joinHost(
  control: Control,
  call: Pick<Call, "caller" | "identity" | "shown">,
  claim: HostClaim,
  csr: string | undefined,
) {
  const { authority } = control;
  if (csr === undefined && authority !== undefined && call.identity.role !== "host") {
    const fix = "send `csr`, a certificate request (PKCS #10, PEM) of the host's own key";
    throw new Fault("request-invalid", {
      what: "csr is missing",
      where: "csr",
      why: "the host has no certificate",
      fix,
    });
  }
  const request = csr === undefined ? undefined : await authority?.read(csr, claim.host);
  const { token, certificate } = call.shown;
  if (request !== undefined && token === undefined && request.pin !== certificate?.pin) {
    const fix = "make it with the key of the certificate; a host gets another key only when it joins anew";
    throw new Fault("request-invalid", { what: "the request is for another key", where: "csr", fix });
  }
  const proposed = request === undefined ? undefined : credentialOfKey(request.pin);
  const { cluster, host } = await control.join(claim, credentialOf(call.shown), proposed, call.caller);
  return { cluster, host, ...(request === undefined ? {} : await authority?.issue(request)) };
}

/** An agent must know how often to report, and how long it may allocate from its blocks without hearing the server. */
function heardBy({ liveness: { suspectAfterMs, reclaimAfterMs } }: Control) {
  return { suspectAfterMs, ...(reclaimAfterMs === undefined ? {} : { reclaimAfterMs }) };
}
