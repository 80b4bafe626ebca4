// Routes about all resources at once. Hosts say of which history their revision is (decision 23).
import { Fault } from "../../model/fault.ts";
import { parseApply } from "../../model/parse.ts";
import type { ChangeSet, Position } from "../../model/resource.ts";
import { type Call, type Parts, type Route, jsonOf, numberIn, viewerOf, HUGE_BODY } from "../route.ts";

const HISTORY = {
  "Weft-History": "Of hosts, `history@revision`: what they have followed; 409 if this server never had it.",
};

/** How far a host has followed a server, if it says so. */
function positionOf(call: Call): Position | undefined {
  const [, history, revision] = /^([\w-]{1,64})@(\d{1,15})$/.exec(call.header("weft-history") ?? "") ?? [];
  return history === undefined ? undefined : { history, revision: Number(revision) };
}

/** Ends with the caller's login or token. What a host gets ends with the host. */
async function* whileProved(call: Call, sets: AsyncIterable<ChangeSet>): AsyncGenerator<ChangeSet> {
  for await (const set of sets) {
    call.prove();
    yield set;
  }
}

export function clusterRoutes({ control, watches }: Parts): Route[] {
  return [
    {
      method: "GET",
      path: "/v1/snapshot",
      summary: "Everything the caller may see, at one revision.",
      access: "viewer",
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
        const history = positionOf(call)?.history;
        return {
          stream: watches.serve(from, (signal) => {
            const sets = control.watch(from, viewer, signal, history);
            return viewer.role === "host" ? sets : whileProved(call, sets);
          }),
        };
      },
    },
    {
      method: "GET",
      path: "/v1/status",
      summary: "How far each host is, and what a user should know; to users, of hosts that have something of theirs.",
      access: "viewer",
      answers: { 200: "ClusterStatus" },
      handle: async (call) => ({ body: await control.status(viewerOf(call)) }),
    },
    {
      method: "POST",
      path: "/v1/apply",
      summary: "Puts networks, VRFs, pools and groups, deletes networks not listed: all in one commit or nothing.",
      access: "user",
      body: "ApplyRequest",
      bodyLimit: HUGE_BODY,
      answers: { 200: "Applied" },
      async handle(call) {
        const { resources, pruneVrf, dryRun } = parseApply(jsonOf(call));
        const write = { verb: "apply", items: resources, ...(pruneVrf === undefined ? {} : { pruneVrf }) } as const;
        const { revision, changes } = await control.writeAs(call.caller, write, { dryRun: dryRun === true });
        return { body: { revision, changes } };
      },
    },
  ];
}
