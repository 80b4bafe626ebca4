// Every way in which Weft says no, in one closed table: the reason is the last part of the problem type of an HTTP
// answer (RFC 9457, `urn:weft:problem:<reason>`), and decides the HTTP status and the exit code of the CLI.
// docs/errors.md describes each; a test compares the two both ways.

import { defined } from "./defined.ts";

/** Exit codes of the CLI: 1 failure, 2 usage or invalid input, 3 not found, 4 conflict, 5 denied, 6 timeout, 7 away. */
export const REASONS = {
  // The input is wrong in itself.
  "request-invalid": { status: 400, exit: 2 },
  "yaml-invalid": { status: 400, exit: 2 },
  "expression-invalid": { status: 400, exit: 2 },
  "address-invalid": { status: 400, exit: 2 },
  "cidr-invalid": { status: 400, exit: 2 },
  "prefix-invalid": { status: 400, exit: 2 },
  "name-invalid": { status: 400, exit: 2 },
  "name-reserved": { status: 400, exit: 2 },
  "label-invalid": { status: 400, exit: 2 },
  "selector-invalid": { status: 400, exit: 2 },
  "mtu-invalid": { status: 400, exit: 2 },
  "vni-invalid": { status: 400, exit: 2 },
  "vlan-invalid": { status: 400, exit: 2 },
  unsupported: { status: 400, exit: 2 },
  "address-outside": { status: 400, exit: 2 },
  "family-wrong": { status: 400, exit: 2 },
  "qos-invalid": { status: 400, exit: 2 },
  "netns-reserved": { status: 400, exit: 2 },
  "password-unfit": { status: 400, exit: 2 },
  // It names something that is not there.
  "network-unknown": { status: 404, exit: 3 },
  "vrf-unknown": { status: 404, exit: 3 },
  "host-unknown": { status: 404, exit: 3 },
  "endpoint-unknown": { status: 404, exit: 3 },
  "pool-unknown": { status: 404, exit: 3 },
  "membership-unknown": { status: 404, exit: 3 },
  "migration-unknown": { status: 404, exit: 3 },
  "range-unknown": { status: 404, exit: 3 },
  "hold-unknown": { status: 404, exit: 3 },
  "group-unknown": { status: 404, exit: 3 },
  "cluster-unknown": { status: 404, exit: 3 },
  "physical-unknown": { status: 404, exit: 3 },
  "template-unknown": { status: 404, exit: 3 },
  "netns-missing": { status: 404, exit: 3 },
  "not-found": { status: 404, exit: 3 },
  // It clashes with what is there.
  overlap: { status: 409, exit: 4 },
  "id-taken": { status: 409, exit: 4 },
  "vni-taken": { status: 409, exit: 4 },
  "vlan-taken": { status: 409, exit: 4 },
  "device-unfit": { status: 409, exit: 4 },
  "address-taken": { status: 409, exit: 4 },
  "address-held": { status: 409, exit: 4 },
  "address-quarantined": { status: 409, exit: 4 },
  "address-reserved": { status: 409, exit: 4 },
  "quota-exceeded": { status: 409, exit: 4 },
  "name-taken": { status: 409, exit: 4 },
  "interface-taken": { status: 409, exit: 4 },
  "in-use": { status: 409, exit: 4 },
  immutable: { status: 409, exit: 4 },
  "host-claimed": { status: 409, exit: 4 },
  "host-cloned": { status: 409, exit: 4 },
  "token-taken": { status: 409, exit: 4 },
  "another-history": { status: 409, exit: 4 },
  "network-disabled": { status: 409, exit: 4 },
  "host-outside": { status: 409, exit: 4 },
  "host-drained": { status: 409, exit: 4 },
  exhausted: { status: 409, exit: 4 },
  "none-fits": { status: 409, exit: 4 },
  "qos-unsupported": { status: 409, exit: 4 },
  "feature-missing": { status: 409, exit: 4 },
  "revision-stale": { status: 412, exit: 4 },
  locked: { status: 423, exit: 4 },
  "precondition-missing": { status: 428, exit: 4 },
  // The caller may not do it.
  "token-wrong": { status: 401, exit: 5 },
  "certificate-refused": { status: 401, exit: 5 },
  "ca-untrusted": { status: 502, exit: 5 },
  "password-wrong": { status: 401, exit: 5 },
  "too-many-guesses": { status: 429, exit: 5 },
  forbidden: { status: 403, exit: 5 },
  "host-deleted": { status: 403, exit: 5 },
  "host-reclaimed": { status: 403, exit: 5 },
  // Not now.
  compacted: { status: 410, exit: 1 },
  "not-synced": { status: 503, exit: 7 },
  unavailable: { status: 503, exit: 7 },
  timeout: { status: 504, exit: 6 },
  "kernel-refused": { status: 500, exit: 1 },
  internal: { status: 500, exit: 1 },
} as const satisfies Record<string, { readonly status: number; readonly exit: number }>;

export type Reason = keyof typeof REASONS;

/** What went wrong, where, why, and what to do about it: an error has to teach. */
export type FaultDetail = {
  readonly what: string;
  /** A path into the input (`overlays[1].subnet`), a file position, or the object concerned. */
  readonly where?: string;
  readonly why?: string;
  readonly fix: string;
  /** What stands in the way, when it is a list: endpoints, hosts. */
  readonly blockers?: readonly string[];
  /** When it can be tried again. */
  readonly retryAfterSeconds?: number;
  /** What is listed is not in the way: it would be lost if one went on. */
  readonly isLoss?: true;
};

export class Fault extends Error {
  readonly reason: Reason;
  readonly detail: FaultDetail;
  constructor(reason: Reason, detail: FaultDetail, options?: { cause?: unknown }) {
    super(sentence(detail), options);
    this.name = "Fault";
    this.reason = reason;
    this.detail = detail;
  }
}

/** Whether the server says that the host which asks is no longer one. */
export function isEnd(error: unknown): error is Fault {
  return error instanceof Fault && (error.reason === "host-deleted" || error.reason === "host-reclaimed");
}

/** The server and the agent both refuse what is new on a drained host, in one form. */
export function drainedFault(host: string): Fault {
  return new Fault("host-drained", {
    what: `host "${host}" takes no new endpoints`,
    where: `host/${host}`,
    why: "it is being drained",
    fix: `attach on another host, or end it: weft host resume ${host}`,
  });
}

/** One line a person can act on: `what: why (at where); fix`. */
function sentence({ what, where, why, fix, blockers }: FaultDetail): string {
  const at = where === undefined ? "" : ` (at ${where})`;
  const list =
    blockers === undefined || blockers.length === 0
      ? ""
      : ` [${blockers.slice(0, 10).join(", ")}${blockers.length > 10 ? `, and ${blockers.length - 10} more` : ""}]`;
  return `${what}${why === undefined ? "" : `: ${why}`}${list}${at}; ${fix}`;
}

/** RFC 9457 problem details, as sent on the wire. */
export type Problem = {
  readonly type: string;
  readonly title: string;
  readonly status: number;
  readonly detail: string;
  readonly reason: Reason;
} & FaultDetail;

const TYPE_PREFIX = "urn:weft:problem:";

export function problemOf(error: unknown): Problem {
  if (error instanceof Fault) {
    return {
      type: TYPE_PREFIX + error.reason,
      title: error.reason.replaceAll("-", " "),
      status: REASONS[error.reason].status,
      detail: error.message,
      reason: error.reason,
      ...error.detail,
    };
  }
  const bug = { what: "an internal error", fix: "see the server's log; this is a bug" };
  return problemOf(new Fault("internal", bug, { cause: error }));
}

/** The inverse of problemOf: what a client makes of an answer. */
export function faultOf({ reason, detail, what, where, why, fix, blockers, ...rest }: Partial<Problem>): Fault {
  const known = reason !== undefined && Object.hasOwn(REASONS, reason) ? reason : "internal";
  return new Fault(
    known,
    defined({
      what: what ?? detail ?? "the request failed",
      fix: fix ?? "see the server's log",
      where,
      why,
      blockers,
      retryAfterSeconds: rest.retryAfterSeconds,
    }),
  );
}
