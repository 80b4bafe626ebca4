// What the agent answers on its socket: attach and detach for workloads, and questions. A unix socket of mode 0600 has
// all of it (who can open it may attach), an optional TCP address only the questions; see listen.ts.
import { Fault, problemOf } from "../../model/fault.ts";
import { parseAttach } from "../../model/parse.ts";
import type { HostReport } from "../../model/status.ts";
import type { Attacher } from "../endpoint/attach.ts";
import type { Inspection } from "../endpoint/inspection.ts";

export type LocalRequest = { readonly method: string; readonly url: string; readonly body: Buffer };
export type Answer = { readonly status: number; readonly type: string; readonly body: string };
/** Answers a request; never rejects. */
export type LocalApi = (request: LocalRequest) => Promise<Answer>;

/** A route that main adds: metrics, the DC/OS page, CNI. Counts before the agent's own. */
export type Route = {
  readonly method: "GET" | "POST";
  readonly path: string;
  readonly answer: (body: Buffer) => Answer | Promise<Answer>;
};

export type LocalApiOptions = {
  readonly report: () => HostReport;
  readonly routes: readonly Route[];
  /** Absent: answers only questions. */
  readonly endpoints?: Endpoints;
};
type Endpoints = {
  readonly attacher: Pick<Attacher, "attach" | "detach">;
  readonly inspection: Pick<Inspection, "list" | "queues" | "counters">;
};

const JSON_TYPE = "application/json";
const ATTACHMENTS = "/v1/attachments";

export function localApi({ report, routes, endpoints }: LocalApiOptions): LocalApi {
  const answers = new Map<string, Route["answer"]>([
    ["GET /livez", () => json(200, { status: "ok" })],
    ["GET /v1/status", () => json(200, report())],
    ["GET /readyz", () => json(200, { status: "ok", revision: revisionOf(report()) })],
    ...(endpoints === undefined ? [] : verbs(endpoints)),
    ...routes.map(({ method, path, answer }) => [`${method} ${path}`, answer] as const),
  ]);
  return async ({ method, url, body }) => {
    try {
      const path = url.split("?")[0] ?? "/";
      const answer = answers.get(`${method} ${path}`);
      if (answer !== undefined) return await answer(body);
      if (endpoints !== undefined && method === "DELETE" && path.startsWith(`${ATTACHMENTS}/`)) {
        await endpoints.attacher.detach(nameIn(path.slice(ATTACHMENTS.length + 1)));
        return { status: 204, type: JSON_TYPE, body: "" };
      }
      throw new Fault("not-found", { what: `there is no ${method} ${path} here`, fix: "see docs/api.md" });
    } catch (error) {
      return problemAnswer(error);
    }
  };
}

/** What an error is as an answer. */
export function problemAnswer(error: unknown): Answer {
  const problem = problemOf(error);
  return { status: problem.status, type: "application/problem+json", body: JSON.stringify(problem) };
}

/** The revision in the kernel; throws a Fault `not-synced` if there is none yet. */
function revisionOf({ revision }: HostReport): number {
  if (revision > 0) return revision;
  const fix = "wait for the first round; see the agent's log";
  throw new Fault("not-synced", { what: "no snapshot is in the kernel yet", fix });
}

function verbs({ attacher, inspection }: Endpoints): readonly (readonly [string, Route["answer"]])[] {
  return [
    [`POST ${ATTACHMENTS}`, async (body) => json(201, await attacher.attach(parseAttach(jsonIn(body))))],
    [`GET ${ATTACHMENTS}`, () => json(200, { items: inspection.list() })],
    ["GET /v1/queues", () => json(200, { items: inspection.queues() })],
    ["GET /v1/counters", () => json(200, { items: inspection.counters() })],
  ];
}

function json(status: number, value: unknown): Answer {
  return { status, type: JSON_TYPE, body: JSON.stringify(value) };
}

function jsonIn(body: Buffer): unknown {
  try {
    return JSON.parse(body.toString());
  } catch (cause) {
    throw new Fault("request-invalid", {
      what: "the body is not JSON",
      why: String(cause instanceof Error ? cause.message : cause),
      fix: "send a JSON object",
    });
  }
}

function nameIn(encoded: string): string {
  try {
    return decodeURIComponent(encoded);
  } catch {
    throw new Fault("request-invalid", {
      what: `"${encoded}" is no name`,
      where: "path",
      why: "a % in a path is followed by two hexadecimal digits of UTF-8",
      fix: "write a % of the name as %25",
    });
  }
}
