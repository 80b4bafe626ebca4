// The HTTP server: registers routes, and turns every error into a problem (RFC 9457). Every route that does not say
// that it is open needs a token. The framework parses no body and checks no schema: model/parse.ts does, and names the
// wrong field.
import type { IncomingMessage, RequestListener, Server } from "node:http";
import fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from "fastify";
import type { Control } from "../control/control.ts";
import type { Caller } from "../control/write.ts";
import type { Clock } from "../model/clock.ts";
import { defined } from "../model/defined.ts";
import type { OidcLogin } from "../model/oidc.ts";
import { Fault, problemOf } from "../model/fault.ts";
import { Bodies } from "./bodies.ts";
import { ClaimLines } from "./claims.ts";
import { type Metrics, createMetrics } from "./metrics.ts";
import { openApiOf } from "./openapi.ts";
import { recordRefusal } from "./refusals.ts";
import { type Answer, type Call, type Route, answerOf, checkAccess } from "./route.ts";
import { callerOf, certificateOf, type Certificate, type Shown } from "./shown.ts";
import { addressRoutes } from "./routes/addresses.ts";
import { auditRoutes } from "./routes/audit.ts";
import { caRoutes } from "./routes/ca.ts";
import { clusterRoutes } from "./routes/cluster.ts";
import { joinTokenRoutes } from "./routes/joinTokens.ts";
import { hostRoutes } from "./routes/hosts.ts";
import { loginRoutes } from "./routes/logins.ts";
import { oidcRoutes } from "./routes/oidc.ts";
import { ipamRoutes } from "./routes/ipam.ts";
import { processRoutes } from "./routes/process.ts";
import { resourceRoutes } from "./routes/resources.ts";
import { templateRoutes } from "./routes/templates.ts";
import { rightsRoutes } from "./routes/rights.ts";
import { workloadRoutes } from "./routes/workloads.ts";
import { Watches } from "./watches.ts";

export type ApiOptions = {
  readonly clock: Clock;
  readonly version: string;
  /** The metrics whose meter the control plane was opened with; without them, only states are shown. */
  readonly metrics?: Metrics;
  /** More routes, like another system's paths. */
  readonly routes?: readonly Route[];
  /** Whether it came over the server's own socket, which only root can open. Default: none did. */
  readonly isLocal?: (request: IncomingMessage) => boolean;
  /** By which people may log in, too. */
  readonly oidc?: OidcLogin | undefined;
  /** Called with every internal error, because the answer does not show it. */
  readonly onError?: (error: unknown) => void;
  /** The time for a request's body to come; a minute by default. */
  readonly bodyMs?: number;
  /** Makes the listening server; by default one without TLS. */
  readonly listener?: (handler: RequestListener) => Server;
  /** The certificate that came with a request; by default that of its connection. */
  readonly certificateOf?: (request: IncomingMessage) => Certificate | undefined;
};

/** Every route, in the order of the OpenAPI document: HTTP in, one call of the control plane, HTTP out. */
const ROUTES = [
  processRoutes,
  resourceRoutes,
  clusterRoutes,
  workloadRoutes,
  addressRoutes,
  templateRoutes,
  hostRoutes,
  joinTokenRoutes,
  caRoutes,
  ipamRoutes,
  loginRoutes,
  auditRoutes,
  rightsRoutes,
  oidcRoutes,
] as const;

/** Largest request, where a route does not say another. */
const BODY_LIMIT = 1024 * 1024;

/** How long a reader has to read the rest before the server closes. */
const LEAVE_MS = 2_000;

/** The server's HTTP side; the caller calls `listen` and `close`. Closing ends all watches first. */
export function createApi(control: Control, options: ApiOptions): FastifyInstance {
  const { listener } = options;
  const app = fastify({
    logger: false,
    ...(listener === undefined ? {} : { serverFactory: listener }),
    bodyLimit: BODY_LIMIT,
    exposeHeadRoutes: false,
    routerOptions: { maxParamLength: 1000 },
    frameworkErrors: (error, _, reply) => sendProblem(reply, faultOfFramework(error), options),
  });
  const watches = new Watches(options.clock);
  const bodies = new Bodies(options.clock, options.bodyMs);
  app.addHook("onResponse", async ({ raw }) => bodies.done(raw));
  app.addHook("onRequestAbort", async ({ raw }) => bodies.done(raw));
  const { version, oidc } = options;
  const parts = { control, watches, metrics: options.metrics ?? createMetrics(), version, oidc };
  const claims = new ClaimLines(control, (error) => options.onError?.(error));
  const routes: Route[] = [...ROUTES.flatMap((of) => of(parts)), claims.route, ...(options.routes ?? [])];
  routes.push(openApiRoute(routes, options.version));
  app.removeAllContentTypeParsers();
  app.addContentTypeParser("*", { parseAs: "string" }, (_, body, done) => done(null, body));
  const gate = gateOf(control, options);
  for (const route of routes) if (route.isOpenEnded === undefined) register(app, { control, gate, bodies }, route);
  void app.register((scope, _, done) => {
    scope.removeAllContentTypeParsers();
    scope.addContentTypeParser("*", (__, ___, parsed) => parsed(null));
    for (const route of routes) if (route.isOpenEnded === true) register(scope, { control, gate, bodies }, route);
    done();
  });
  app.setErrorHandler((error, _, reply) => sendProblem(reply, faultOfFramework(error), options));
  app.setNotFoundHandler((request, reply) => {
    proved(control, gate(request), { method: request.method, path: "a path that is not there" });
    return notFound(routes, request, reply, options);
  });
  const closed = new AbortController();
  app.addHook("preClose", async () => {
    watches.close();
    bodies.close();
    claims.close();
    // By then a client that reads has had the end; one that does not read never would.
    void options.clock.sleep(LEAVE_MS, closed.signal).then(() => app.server.closeAllConnections());
  });
  app.addHook("onClose", async () => closed.abort());
  return app;
}

function openApiRoute(routes: readonly Route[], version: string): Route {
  let text: string | undefined;
  return {
    method: "GET",
    path: "/openapi.json",
    summary: "This document.",
    access: "any",
    query: "any",
    answers: { 200: { type: "application/json" } },
    handle: () => ({ type: "application/json", text: (text ??= JSON.stringify(openApiOf(routes, version))) }),
  };
}

/** Who asks, and by what it proves that: known or refused when `prove` is called. */
type Proof = { readonly shown: Shown; readonly from: string; readonly prove: () => Caller };
type Gate = (request: FastifyRequest) => Proof;

function gateOf(control: Control, { clock, certificateOf: of, isLocal }: ApiOptions): Gate {
  return ({ raw, headers, ip }) => {
    // Of a connection that has just ended nothing is known: that it has no address does not make it the socket's.
    const from = isLocal?.(raw) === true ? "unix" : (ip ?? "unknown");
    const certificate = of === undefined ? certificateOf(raw, control.authority) : of(raw);
    const token = tokenIn(headers.authorization);
    const shown = defined({ token, certificate });
    return { shown, from, prove: () => callerOf(control, { ...shown, from }, clock.nowMs()) };
  };
}

type Registered = { readonly control: Control; readonly gate: Gate; readonly bodies: Bodies };

function register(app: FastifyInstance, { control, gate, bodies }: Registered, route: Route): void {
  // Identified before the body is read, so that a client without a token cannot send megabytes.
  const callers = new WeakMap<FastifyRequest, Caller>();
  app.route({
    method: route.method,
    url: route.path.replaceAll(/\{(\w+)\}/g, ":$1"),
    ...(route.bodyLimit === undefined ? {} : { bodyLimit: route.bodyLimit }),
    onRequest: (request, _, done) => {
      if (route.access !== "open") callers.set(request, proved(control, gate(request), route));
      if (route.isOpenEnded === undefined && route.method !== "GET") bodies.expect(request.raw);
      done();
    },
    preHandler: ({ raw }, _, done) => {
      bodies.done(raw);
      done();
    },
    handler: async (request, reply) => {
      const proof = gate(request);
      const nobody: Caller = { identity: { role: "nobody" }, credential: "none", from: proof.from };
      const call = callOf(request, callers.get(request) ?? nobody, proof);
      try {
        await send(reply, await answered(control, route, call));
      } catch (error) {
        const { method, path } = route;
        const { name } = call;
        recordRefusal(control, { method, path, name, caller: callers.get(request), from: proof.from }, error);
        throw error;
      }
    },
  });
}

async function answered(control: Control, route: Route, call: Call): Promise<Answer> {
  checkAccess(call, route.access);
  if (route.query !== "any") checkQuery(call, route.query ?? {});
  return "write" in route
    ? answerOf(route, await control.writeAs(call.caller, route.write(call)))
    : await route.handle(call);
}

/** Who asks; a request that shows nothing valid is recorded. */
function proved(
  control: Control,
  { prove, from }: Proof,
  { method, path }: { readonly method: string; readonly path: string },
): Caller {
  try {
    return prove();
  } catch (error) {
    recordRefusal(control, { method, path, from }, error);
    throw error;
  }
}

function callOf(request: FastifyRequest, caller: Caller, { shown, prove }: Proof): Call {
  // The router and the query parser give text by name; a name given twice gives a list, of which the last counts.
  const params = request.params as Record<string, string>;
  return {
    identity: caller.identity,
    caller,
    prove,
    shown,
    params,
    name: params["name"] ?? "",
    query: Object.fromEntries(
      Object.entries(request.query as Record<string, string | string[]>).map(([k, v]) => [k, [v].flat().at(-1) ?? ""]),
    ),
    text: typeof request.body === "string" ? request.body : "",
    header: (name) => {
      const value = request.headers[name];
      return Array.isArray(value) ? value.join(", ") : value;
    },
  };
}

function checkQuery(call: Call, known: Readonly<Record<string, string>>): void {
  const other = Object.keys(call.query).find((name) => !Object.hasOwn(known, name));
  if (other === undefined) return;
  const names = Object.keys(known);
  throw new Fault("request-invalid", {
    what: `?${other.slice(0, 40)}: unknown parameter`,
    where: `?${other.slice(0, 40)}`,
    fix: names.length === 0 ? "leave it out" : `known are ${names.join(", ")}`,
  });
}

// Never returns the reply: it is a thenable, and awaiting it means to wait until the client has read everything.
async function send(reply: FastifyReply, answer: Answer): Promise<void> {
  if ("stream" in answer) {
    reply.hijack();
    return answer.stream(reply.raw);
  }
  reply.code(answer.status ?? 200);
  if ("text" in answer) void reply.type(answer.type).send(answer.text);
  else
    void reply
      .headers(answer.headers ?? {})
      .type("application/json")
      .send(JSON.stringify(answer.body));
}

/** The token of `Authorization: Bearer <token>` (RFC 6750). */
function tokenIn(header: string | undefined): string | undefined {
  return /^Bearer +(\S+) *$/i.exec(header ?? "")?.[1];
}

/** Refusals whose HTTP status is not that of their reason. */
class StatusFault extends Fault {
  readonly status: number;
  constructor(status: number, fault: Fault) {
    super(fault.reason, fault.detail);
    this.status = status;
  }
}

function sendProblem(reply: FastifyReply, error: unknown, options: ApiOptions): void {
  const problem = problemOf(error);
  if (problem.reason === "internal") options.onError?.(error);
  const status = error instanceof StatusFault ? error.status : problem.status;
  // A client without a token must not continue to send.
  if (problem.retryAfterSeconds !== undefined) reply.header("retry-after", problem.retryAfterSeconds);
  if (status === 401) reply.headers({ "www-authenticate": "Bearer", connection: "close" });
  void reply
    .code(status)
    .type("application/problem+json")
    .send(JSON.stringify({ ...problem, status }));
}

/** A path that does not exist, or one with other methods (405, with Allow). */
function notFound(routes: readonly Route[], request: FastifyRequest, reply: FastifyReply, options: ApiOptions): void {
  const path = request.url.split("?")[0] ?? "";
  const methods = routes.filter((route) => patternOf(route).test(path)).map((route) => route.method);
  const shown = path.slice(0, 200);
  const where = `${request.method} ${shown}`;
  if (methods.length === 0) {
    const fault = new Fault("not-found", { what: `there is no ${shown}`, where, fix: "see GET /openapi.json" });
    return sendProblem(reply, fault, options);
  }
  reply.header("allow", methods.join(", "));
  const fix = `use ${methods.join(" or ")}`;
  const fault = new Fault("unsupported", { what: `${where} is not a thing to do`, where, fix });
  return sendProblem(reply, new StatusFault(405, fault), options);
}

function patternOf({ path }: Route): RegExp {
  return new RegExp(`^${path.replaceAll(".", "\\.").replaceAll(/\{\w+\}/g, "[^/]+")}/?$`);
}

/** What the framework refuses by itself: sizes, encodings, malformed URLs. */
function faultOfFramework(error: unknown): unknown {
  if (error instanceof Fault || !(error instanceof Error)) return error;
  const status = "statusCode" in error && typeof error.statusCode === "number" ? error.statusCode : 500;
  if (status >= 500 || status < 400) return error;
  return new StatusFault(
    status,
    new Fault("request-invalid", { what: error.message, fix: "correct the request" }, { cause: error }),
  );
}
