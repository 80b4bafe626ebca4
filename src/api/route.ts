// What a route is: one value that registers the handler and describes it in the OpenAPI document, so that the two
// cannot differ. Knows nothing of the framework that carries it.
import type { ServerResponse } from "node:http";
import type { Control } from "../control/control.ts";
import type { Caller, Identity, Match, Outcome, Viewer } from "../control/write.ts";
import { Fault } from "../model/fault.ts";
import { type Kind, seeOf, unknownFault } from "../model/kinds.ts";
import type { OidcLogin } from "../model/oidc.ts";
import type { Resource } from "../model/resource.ts";
import { errorPosition } from "./json.ts";
import type { Metrics } from "./metrics.ts";
import type { SchemaName } from "./schemas.ts";
import type { Shown } from "./shown.ts";
import type { Watches } from "./watches.ts";

/** What the routes need to answer. */
export type Parts = {
  readonly control: Control;
  readonly watches: Watches;
  readonly metrics: Metrics;
  readonly version: string;
  /** Absent: the server has no OpenID provider. */
  readonly oidc?: OidcLogin | undefined;
};

/**
 * Who may ask. open: without a token. any: with any token. viewer: administrators, users and hosts. host:
 * administrators and hosts. user: administrators and users; what a user may, control decides.
 */
type Access = "open" | "any" | "viewer" | "host" | "user" | "admin";

export type Call = {
  /** Of an open route: nobody's. */
  readonly identity: Identity;
  /** Of writes: the identity, by what it was proved, and from where. */
  readonly caller: Caller;
  /** Who asks, found out again: a right may have ended since a long request began. */
  readonly prove: () => Caller;
  readonly shown: Shown;
  readonly params: Readonly<Record<string, string>>;
  /** The `{name}` of the path; "" of a path without one. */
  readonly name: string;
  readonly query: Readonly<Record<string, string>>;
  /** As sent; "" without a body. */
  readonly text: string;
  header(name: string): string | undefined;
};

export type Answer =
  | { readonly status?: number; readonly headers?: Readonly<Record<string, string>>; readonly body: unknown }
  /** Sent as it is. */
  | { readonly status?: number; readonly type: string; readonly text: string }
  /** The route writes head and body itself, later and for long. */
  | { readonly stream: (response: ServerResponse) => Promise<void> };

export type Route = Described & (Handled | Written);
type Described = {
  readonly method: "GET" | "PUT" | "POST" | "PATCH" | "DELETE";
  /** With parameters in braces: `/v1/networks/{name}`. */
  readonly path: string;
  readonly summary: string;
  readonly access: Access;
  /** Query parameters and what they are; others are refused. "any": all are let through. Default: none. */
  readonly query?: Readonly<Record<string, string>> | "any";
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: SchemaName;
  /** Largest body, where it is not that of others: it is refused before it is read. */
  readonly bodyLimit?: number;
  /** The body is not waited for: what answers reads it as it comes. */
  readonly isOpenEnded?: true;
  /** Schemas of good answers by status. */
  readonly answers: Readonly<Record<number, SchemaName | { readonly type: string }>>;
};
type Handled = { readonly handle: (call: Call) => Answer | Promise<Answer> };
/** The call is one write; what is answered about its outcome is what `answers` names. */
type Written = { readonly write: (call: Call) => Parameters<Control["write"]>[0] };

/** Bodies of one resource with its lists, or of what a host says of itself. */
export const LARGE_BODY = 4 * 1024 * 1024;
/** Bodies of several thousand things. */
export const HUGE_BODY = 16 * 1024 * 1024;

/** Of writes that take along what stands in the way. */
export const FORCE = { force: "true: also what stands in the way." };
/** Headers of writes that depend on what is there. */
export const MATCH = { "If-Match": "Only if the resource still has this ETag." };
const LIMIT_DEFAULT = 1000;
const LIMIT_MAX = 10_000;
/** The query parameter that `limitIn` reads. */
export const LIMIT = { limit: `At most so many (${LIMIT_DEFAULT} by default, ${LIMIT_MAX} at most).` };

/** The body as JSON; a Fault `request-invalid` says where it stops being JSON. */
export function jsonOf(call: Call): unknown {
  const fix = "send a JSON object";
  if (call.text === "")
    throw new Fault("request-invalid", { what: "body: expected JSON, got nothing", where: "body", fix });
  try {
    return JSON.parse(call.text);
  } catch (error) {
    // Without the piece of the body that the engine shows: it may be of a password.
    const why = error instanceof Error ? error.message.replace(/, .*is not valid JSON$/s, "") : String(error);
    throw new Fault(
      "request-invalid",
      { what: "body: not JSON", where: errorPosition(call.text), why, fix: "correct the JSON" },
      { cause: error },
    );
  }
}

/** The Fault for a name in a path that is not there. */
export function missing(kind: Kind, name: string): Fault {
  const { detail, reason } = unknownFault(kind, name, "name");
  return new Fault(reason, { ...detail, fix: `see weft ${seeOf(kind)}` });
}

/** The caller as a viewer of resources; a Fault `forbidden` for a join token, and for nobody. */
export function viewerOf({ identity }: Pick<Call, "identity">): Viewer {
  if (identity.role === "nobody") adminOnly({ identity });
  else if (identity.role !== "join") return identity;
  throw new Fault("forbidden", {
    what: "a join token only joins hosts",
    fix: "use a host's certificate, or an administrator's token",
  });
}

/** Refuses a caller whom the route does not let in. */
export function checkAccess(call: Call, access: Access): void {
  if (access === "admin" || (access === "user" && call.identity.role !== "user")) adminOnly(call);
  if (access === "viewer") viewerOf(call);
  if (access === "host" && call.identity.role !== "host") adminOnly(call);
}

export function adminOnly({ identity }: Pick<Call, "identity">): void {
  if (identity.role === "admin") return;
  const who =
    identity.role === "host"
      ? `host "${identity.host}"`
      : identity.role === "user"
        ? `user "${identity.user}"`
        : identity.role === "join"
          ? "a join token"
          : "a request without a credential";
  throw new Fault("forbidden", { what: `${who} cannot do this`, fix: "use an administrator's token" });
}

/** For what only the host that the path names may do, and an administrator. */
export function hostOnly(call: Call): void {
  if (call.identity.role !== "host" || call.identity.host !== call.name) adminOnly(call);
}

/** A query parameter that is a whole number. */
export function numberIn(call: Call, name: string, least: number, most: number): number | undefined {
  const text = call.query[name];
  if (text === undefined) return undefined;
  const number = Number(text);
  if (/^\d+$/.test(text) && number >= least && number <= most) return number;
  throw queryFault(name, `a number from ${least} to ${most}`, text);
}

export function limitIn(call: Call): number {
  return numberIn(call, "limit", 1, LIMIT_MAX) ?? LIMIT_DEFAULT;
}

export function flagIn(call: Call, name: string): boolean {
  const text = call.query[name];
  if (text === undefined || text === "false") return false;
  if (text === "true" || text === "") return true;
  throw queryFault(name, "true or false", text);
}

function queryFault(name: string, expected: string, text: string): Fault {
  return new Fault("request-invalid", {
    what: `?${name}: expected ${expected}, got "${text.slice(0, 40)}"`,
    where: `?${name}`,
    fix: "correct it or leave it out",
  });
}

/**
 * What If-Match and If-None-Match say the resource must be (RFC 9110 13.1). Node's parser has taken the white space
 * around a header's value away.
 */
export function matchOf(call: Call): Match {
  const match = call.header("if-match");
  const none = call.header("if-none-match");
  if (none !== undefined) {
    if (none === "*" && match === undefined) return { ifRevision: 0 };
    throw headerFault("If-None-Match", none, "send `If-None-Match: *` to create only, and not with If-Match");
  }
  if (match === undefined) return {};
  if (match === "*") return { ifRevision: "any" };
  const revision = /^"(\d{1,15})"$/.exec(match)?.[1];
  if (revision === undefined)
    throw headerFault("If-Match", match, 'send one ETag as you got it, like `If-Match: "42"`');
  return { ifRevision: Number(revision) };
}

function headerFault(name: string, value: string, fix: string): Fault {
  return new Fault("request-invalid", { what: `${name}: "${value.slice(0, 40)}" is not understood`, where: name, fix });
}

/** What a write answers by its route: what it put or found, all that it changed, or its revision alone. */
export function answerOf({ answers }: Route, { revision, changes, resource, created }: Outcome): Answer {
  if (answers[200] === "Done") return { body: { revision } };
  if (answers[200] === "Applied") return { body: { revision, changes } };
  if (resource === undefined) throw new Error("a put gives a resource");
  return withEtag(created ? 201 : 200, resource);
}

export function withEtag(status: number, resource: Resource): Answer {
  return { status, headers: { etag: `"${resource.revision}"` }, body: resource };
}
