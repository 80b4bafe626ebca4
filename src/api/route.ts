// What a route is: one value that registers the handler and describes it in the OpenAPI document, so that the two
// cannot differ. Knows nothing of the framework that carries it.
import type { ServerResponse } from "node:http";
import type { Identity, Outcome, Viewer } from "../control/write.ts";
import { Fault } from "../model/fault.ts";
import { type Kind, seeOf, unknownFault } from "../model/kinds.ts";
import type { Resource } from "../model/resource.ts";
import { errorPosition } from "./json.ts";
import type { SchemaName } from "./schemas.ts";

/** Who may ask. open: without a token. any: with any token. viewer: administrators and hosts. */
type Access = "open" | "any" | "viewer" | "admin";

export type Call = {
  /** Of an open route: an administrator's. */
  readonly identity: Identity;
  readonly token: string | undefined;
  readonly params: Readonly<Record<string, string>>;
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

/** Head of an answer that continues line by line: a proxy may neither store it nor buffer it. */
export const LINES_HEAD = {
  "content-type": "application/x-ndjson",
  "cache-control": "no-store",
  "x-accel-buffering": "no",
} as const;

export type Route = {
  readonly method: "GET" | "PUT" | "POST" | "PATCH" | "DELETE";
  /** With parameters in braces: `/v1/networks/{name}`. */
  readonly path: string;
  readonly summary: string;
  readonly access: Access;
  /** Query parameters and what they are; others are refused. Left out: all are let through. */
  readonly query?: Readonly<Record<string, string>>;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: SchemaName;
  /** The body is not waited for: what answers reads it as it comes. */
  readonly isOpenEnded?: true;
  /** Schemas of good answers by status. */
  readonly answers: Readonly<Record<number, SchemaName | { readonly type: string }>>;
  readonly handle: (call: Call) => Answer | Promise<Answer>;
};

/** Of writes that take along what stands in the way. */
export const FORCE = { force: "true: also what stands in the way." };
/** Headers of writes that depend on what is there. */
export const MATCH = { "If-Match": "Only if the resource still has this ETag." };

/** The body as JSON; a Fault `request-invalid` says where it stops being JSON. */
export function jsonOf(call: Call): unknown {
  if (call.text === "") {
    throw new Fault("request-invalid", {
      what: "body: expected JSON, got nothing",
      where: "body",
      fix: "send a JSON object",
    });
  }
  try {
    return JSON.parse(call.text);
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
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

/** The caller as a viewer of resources; a Fault `forbidden` for a join token. */
export function viewerOf(call: Call): Viewer {
  if (call.identity.role !== "join") return call.identity;
  throw new Fault("forbidden", {
    what: "a join token only joins hosts",
    fix: "use a host's token, or an administrator's",
  });
}

export function adminOnly(call: Call): void {
  if (call.identity.role === "admin") return;
  const who = call.identity.role === "host" ? `the token of host "${call.identity.host}"` : "a join token";
  throw new Fault("forbidden", { what: `${who} cannot do this`, fix: "use an administrator's token" });
}

/** A query parameter that is a whole number. */
export function numberIn(call: Call, name: string, least: number, most: number): number | undefined {
  const text = call.query[name];
  if (text === undefined) return undefined;
  const number = Number(text);
  if (/^\d+$/.test(text) && number >= least && number <= most) return number;
  throw new Fault("request-invalid", {
    what: `?${name}: expected a number from ${least} to ${most}, got "${text.slice(0, 40)}"`,
    where: `?${name}`,
    fix: "correct it or leave it out",
  });
}

export function flagIn(call: Call, name: string): boolean {
  const text = call.query[name];
  if (text === undefined || text === "false") return false;
  if (text === "true" || text === "") return true;
  throw new Fault("request-invalid", {
    what: `?${name}: expected true or false, got "${text.slice(0, 40)}"`,
    where: `?${name}`,
    fix: "correct it or leave it out",
  });
}

/**
 * What If-Match and If-None-Match say the resource must be (RFC 9110 13.1). Node's parser has taken the white space
 * around a header's value away.
 */
export function matchOf(call: Call): { readonly ifRevision?: number | "any" } {
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

/** What a put answers: what it made or found. */
export function putAnswer({ resource, created }: Outcome): Answer {
  if (resource === undefined) throw new Error("a put gives a resource");
  return withEtag(created ? 201 : 200, resource);
}

export function withEtag(status: number, resource: Resource): Answer {
  return { status, headers: { etag: `"${resource.revision}"` }, body: resource };
}
