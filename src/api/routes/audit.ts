// Routes of the audit log: who asked for what, and whether its records are all there.
import { isWithin } from "../../control/audit/filter.ts";
import { isNarrowed } from "../../model/narrowing.ts";
import type { AuditQuery } from "../../control/audit/trail.ts";
import { defined } from "../../model/defined.ts";
import { Fault } from "../../model/fault.ts";
import { type Call, LIMIT, type Parts, type Route, flagIn, limitIn, numberIn } from "../route.ts";

const QUERY = {
  user: "Only records of this user; or of admin, server, nobody, join, host/NAME.",
  kind: "Only about resources of this kind.",
  name: "Only about resources of this name.",
  verb: "Only of writes of this verb.",
  result: "done, refused, or the reason of a refusal.",
  since: "Only from then on, in ms since 1970.",
  until: "Only before, in ms since 1970.",
  revision: "Only the commit of this revision.",
  order: "newest (default), or oldest: which come first.",
  full: "true: with what every change was before and after.",
  cursor: "Only what follows this record; from the page before.",
  ...LIMIT,
};

export function auditRoutes({ control }: Parts): Route[] {
  return [
    {
      method: "GET",
      path: "/v1/audit",
      summary: "Who asked for what; users see what they did. A page may be short, and there is more as it says.",
      access: "user",
      query: QUERY,
      answers: { 200: "AuditPage" },
      async handle(call) {
        // A refusal of just now is written first.
        await control.audit.flush();
        return { body: await control.audit.list(queryIn(call)) };
      },
    },
    {
      method: "GET",
      path: "/v1/audit/{name}",
      summary: "One record of the audit log, by its number.",
      access: "user",
      answers: { 200: "AuditRecord" },
      handle(call) {
        const { name } = call;
        const { only } = scopeOf(call);
        const record = /^\d{1,15}$/.test(name) ? control.audit.find(Number(name)) : undefined;
        if (record !== undefined && (only === undefined || isWithin(record, only))) return { body: record };
        throw new Fault("not-found", {
          what: `the audit log has no record ${name.slice(0, 40)}`,
          where: "name",
          why: "it was removed because of its age or the log's size, or never was",
          fix: "see weft audit list",
        });
      },
    },
    {
      method: "GET",
      path: "/v1/audit/verify",
      summary: "Whether no record of the audit log was changed or cut out, and if one was, where.",
      access: "admin",
      query: { seq: "A record whose hash was noted earlier.", hash: "The hash as it was noted." },
      answers: { 200: "AuditVerdict" },
      async handle(call) {
        const seq = numberIn(call, "seq", 1, Number.MAX_SAFE_INTEGER);
        const { hash } = call.query;
        return {
          body: await control.audit.verify(seq === undefined || hash === undefined ? undefined : { seq, hash }),
        };
      },
    },
  ];
}

/** A user sees what it did itself, and not who had its name before; with a narrowed token, what that did. */
function scopeOf({ identity, caller: { uid, credential } }: Call): Pick<AuditQuery, "only"> {
  if (identity.role !== "user") return {};
  const own = isNarrowed(identity.narrowing) ? { credential } : {};
  return { only: { who: `user/${identity.user}`, ...defined({ uid }), ...own } };
}

function queryIn(call: Call): AuditQuery {
  const { user, kind, name, verb, result, order = "newest" } = call.query;
  if (order !== "newest" && order !== "oldest")
    throw new Fault("request-invalid", {
      what: `?order: expected newest or oldest, got "${order.slice(0, 40)}"`,
      where: "?order",
      fix: "correct it or leave it out",
    });
  const whole = (parameter: string) => numberIn(call, parameter, 0, Number.MAX_SAFE_INTEGER);
  return {
    ...scopeOf(call),
    ...defined({ user, kind, name, verb, result }),
    ...defined({ sinceMs: whole("since"), untilMs: whole("until"), revision: whole("revision") }),
    ...defined({ cursor: whole("cursor") }),
    order,
    limit: limitIn(call),
    isFull: flagIn(call, "full"),
  };
}
